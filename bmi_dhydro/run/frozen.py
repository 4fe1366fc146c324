"""The parameters that a run has, written to a file for runs with any weather."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from ..config import Config
from ..io import parameter_file
from .component import Component


def freeze(config: Config, out: Path) -> int:
    """Write the parameters that the network gives the catchments of a run.

    In double precision, whatever the run itself begins with and writes.

    Parameters
    ----------
    config : Config
    out : Path
        Parameter file to write, whole or not at all.

    Returns
    -------
    int
        Number of catchments.

    Raises
    ------
    DhydroError
        If the run cannot be built.
    """
    settings = msgspec.structs.replace(
        config.without_files(),
        dtype="float64",
        device="cpu",
        parameter_file=None,
        initial_state=None,
        carry_over=False,
        ensemble=None,
        network=None,
        fleet=False,
        history=0,
    )
    component = Component(settings)
    try:
        about = {
            "model": str(component.trained.about.get("name")),
            "fingerprint": component.trained.fingerprint,
            "weather": _weather(component),
        }
        parameter_file.save(out, component.model, component.catchments.ids, about)
        return len(component.catchments)
    finally:
        component.abandon()


def _weather(component: Component) -> str:
    """Return which weather a run has, in words."""
    start, file = component.clock.start, component.config.forcing.file
    if start is None or file is None:
        return "of a host"
    end = start + np.timedelta64(component.source.steps * component.model.step_seconds, "s")
    return f"{Path(file).name}, {start} to {end}"
