"""What people may choose of a run package of NextGen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class PackageOptions:
    """What a run package should be like.

    Attributes
    ----------
    model : str
        A name in `shipped.SHIPPED`, or a file, which is copied.
    start, end : datetime64[s], optional
        Start and end of the run; those of the weather, unless given.
    climate : Path, optional
        Table of climate indices, or a longer weather file to compute them of, where the weather is
        shorter than a year.
    fleet : bool
        Whether instances read the weather themselves and share an engine.
    multi : Path, optional
        JSON of another module's formulation that gives potential evapotranspiration.
    multi_output : str, optional
        What that module calls it; its main output, unless given.
    outputs : tuple of str
        Beside the main output, what the engine writes for each divide.
    vegetation : {"usgs", "modis"}
    spin_up : int
        Years of the weather by which the stores are filled before the run; 0 leaves them empty.
    initial_state : Path, optional
        State file to start from, instead, or a folder with those of all divides.
    evapotranspiration : {"written", "computed"}
        Where potential evapotranspiration comes from, if the weather has none: written into the
        package's copy of the weather, by the method that the model learned with where the weather
        suffices for it; or computed by each instance of what the engine hands over.
    save_states : bool
        Whether each instance saves its state when the run ends, in `outputs/states`.
    routing : Path or "template", optional
        Configuration of t-route, for which the engine's routing is turned on; or that one is to be
        made, see `troute`.
    parameters : Path, optional
        Parameter file that `bmi-dhydro calibrate` has written, for the divides that it has.
    attributes : Path, optional
        Table of attributes that the hydrofabric lacks, or has otherwise, a row for each divide.
    """

    model: str = "default"
    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    climate: Path | None = None
    fleet: bool = False
    multi: Path | None = None
    multi_output: str | None = None
    outputs: tuple[str, ...] = ()
    vegetation: str = "usgs"
    spin_up: int = 1
    initial_state: Path | None = None
    evapotranspiration: Literal["written", "computed"] = "written"
    save_states: bool = False
    routing: Path | Literal["template"] | None = None
    parameters: Path | None = None
    attributes: Path | None = None
