"""Parameters of catchments in a file: what calibration writes, and a run takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..files.arrays import ArrayFormat
from ..model.model import Model
from ..physics import unit_hydrograph
from ..physics.process import Process

FORMAT = ArrayFormat(
    "bmi_dhydro parameters", "a parameter file", 2, 2, CheckpointError, CheckpointError
)


def save(path: Path, model: Model, ids: NDArray, about: dict[str, str]) -> None:
    """Write the daily parameters of a model, whole or not at all.

    Parameters
    ----------
    path : Path
        `.safetensors`.
    model : Model
    ids : array of str, shape (catchments,)
    about : dict
        For people: where the parameters come from.
    """
    metadata = {
        "process": model.process.name,
        "ids": json.dumps(ids.tolist()),
        "about": json.dumps(about),
    }
    FORMAT.save(path, model.parameters, metadata)


@dataclass(frozen=True)
class ParameterTable:
    """What a parameter file holds.

    Attributes
    ----------
    process : str
        Name of the process model.
    places : dict of int
        Row of each catchment in `arrays`.
    arrays : dict of array, shape (catchments, parameter sets), or (catchments,) for routing
        Daily values by the name of the parameter.
    about : dict
        For people: where they come from.
    """

    process: str
    places: dict[str, int]
    arrays: dict[str, NDArray]
    about: dict[str, str]


def read(path: Path) -> ParameterTable:
    """Read a parameter file; read again only if it was changed, since many divides share one.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, not a parameter file, or has values that are not finite.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: no such parameter file ({reason})") from None
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> ParameterTable:
    arrays, metadata = FORMAT.read(path)
    FORMAT.check_finite(arrays, str(path))
    try:
        ids = json.loads(metadata["ids"])
        about = json.loads(metadata["about"])
        process = metadata["process"]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole parameter file ({error!r})") from None
    if any(len(values) != len(ids) for values in arrays.values()):
        raise CheckpointError(f"{path}: not a whole parameter file (not one row for each id)")
    return ParameterTable(process, {name: row for row, name in enumerate(ids)}, arrays, about)


def read_for(path: Path, process: Process, parameter_sets: int) -> ParameterTable:
    """Read a parameter file for a model, before there is one.

    Parameters
    ----------
    path : Path
    process : Process
    parameter_sets : int

    Raises
    ------
    CheckpointError
        As `read`, and if the file is of another process or number of parameter sets.
    """
    table = read(path)
    routing = tuple(item.name for item in unit_hydrograph.PARAMETERS)
    shapes = {
        **dict.fromkeys(process.parameter_names, (parameter_sets,)),
        **dict.fromkeys(routing, ()),
    }
    _check(path, table, process, parameter_sets, shapes)
    return table


def _check(
    path: Path,
    table: ParameterTable,
    process: Process,
    parameter_sets: int,
    expected: dict[str, tuple[int, ...]],
) -> None:
    found = {name: values.shape[1:] for name, values in table.arrays.items()}
    if table.process != process.name or expected != found:
        raise CheckpointError(
            f"{path}: has parameters of {table.process} of another shape than the model, "
            f"{process.name} with {parameter_sets} parameter sets"
        )


def apply(path: Path, model: Model, ids: NDArray) -> NDArray:
    """Replace parameters of a model by those of a file, for the catchments that the file has.

    Returns
    -------
    array of int
        Rows of the catchments that the file has; there may be none.

    Raises
    ------
    CheckpointError
        As `read`, and if the file is of another process or number of parameter sets.
    """
    table = read(path)
    expected = {name: values.shape[1:] for name, values in model.parameters.items()}
    _check(path, table, model.process, model.parameter_sets, expected)
    ours = np.array([k for k, name in enumerate(ids.tolist()) if name in table.places], dtype=int)
    rows = np.array([table.places[name] for name in ids[ours].tolist()], dtype=int)
    for name, values in table.arrays.items():
        if ours.size:
            model.set_parameter(name, values[rows], ours)
    return ours
