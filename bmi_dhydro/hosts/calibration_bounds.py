"""Parameters, their bounds and where to begin, as calibration tools of NextGen read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from ..catchments.catchments import Catchments
from ..files.whole import replaced
from ..networks.trained_model import TrainedModel
from ..physics.unit_hydrograph import PARAMETERS

_HEAD = """\
# Parameters that a host may set, each one value of a catchment: daily values, within the bounds
# that the model was trained in. `init` is the median of what its network gives the divides.
# In the configuration of ngen-cal, choose some of them under `params: {bmi_dhydro: [...]}`.
"""


def write_bounds(path: Path, trained: TrainedModel, catchments: Catchments) -> None:
    """Write name, `min`, `max` and `init` of each parameter, in the form that ngen-cal takes.

    Parameters
    ----------
    path : Path
        YAML; replaced.
    trained : TrainedModel
    catchments : Catchments
        With all attributes that the network needs.
    """
    process, routing = trained.parameters(catchments.attributes)
    entries: list[dict[str, str | float]] = []
    items = (*trained.layout.process.parameters, *PARAMETERS)
    for item, values in zip(items, (*process, *routing), strict=True):
        # Rounding may take a value that is at a bound beyond it.
        start = min(max(float(f"{np.median(values):.4g}"), item.lower), item.upper)
        bounds = {"min": float(item.lower), "max": float(item.upper)}
        entries.append({"name": item.name, **bounds, "init": start})
    with replaced(path) as temporary:
        temporary.write_text(_HEAD + yaml.safe_dump({"bmi_dhydro": entries}, sort_keys=False))
