"""Parameters, their bounds and where to begin, as calibration tools of NextGen read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from ..catchments.catchments import Catchments
from ..files.whole import replaced
from ..io import parameter_file
from ..networks.trained_model import TrainedModel
from ..physics.unit_hydrograph import hydrograph_of

_HEAD = """\
# Parameters that a host may set, each one value of a catchment: daily values, within the bounds
# that the model was trained in. `init` is the median of what its network gives the divides.
# In the configuration of ngen-cal, choose some of them under `params: {bmi_dhydro: [...]}`.
"""


def write_bounds(
    path: Path, trained: TrainedModel, catchments: Catchments, parameters: Path | None = None
) -> None:
    """Write name, `min`, `max` and `init` of each parameter, in the form that ngen-cal takes.

    Parameters
    ----------
    path : Path
        YAML; replaced.
    trained : TrainedModel
    catchments : Catchments
        With all attributes that the network needs.
    parameters : Path, optional
        Parameter file, where the static parameters of the model do not depend on attributes alone.
    """
    process = trained.layout.process
    items = (*process.parameters, *hydrograph_of(process).parameters)
    if trained.layout.static_by == "weather":
        assert parameters is not None
        arrays = parameter_file.read(parameters).arrays
        given = [arrays[item.name] for item in items]
    else:
        given = [values for both in trained.parameters(catchments.attributes) for values in both]
    entries: list[dict[str, str | float]] = []
    for item, values in zip(items, given, strict=True):
        # Rounding may take a value that is at a bound beyond it.
        start = min(max(float(f"{np.median(values):.4g}"), item.lower), item.upper)
        bounds = {"min": float(item.lower), "max": float(item.upper)}
        entries.append({"name": item.name, **bounds, "init": start})
    with replaced(path) as temporary:
        temporary.write_text(_HEAD + yaml.safe_dump({"bmi_dhydro": entries}, sort_keys=False))
