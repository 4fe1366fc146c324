"""Parameters of catchments in a file: what calibration writes, and a run takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import CheckpointError
from .files import replaced
from .model import Model

FORMAT = "bmi_dhydro parameters"
FORMAT_VERSION = 1


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
    from safetensors.numpy import save_file

    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "process": model.process.name,
        "ids": json.dumps(ids.tolist()),
        "about": json.dumps(about),
    }
    arrays = {name: np.ascontiguousarray(values) for name, values in model.parameters.items()}
    with replaced(path) as temporary:
        save_file(arrays, temporary, metadata)
        temporary.chmod(0o644)


def apply(path: Path, model: Model, ids: NDArray) -> int:
    """Replace parameters of a model by those of a file, for the catchments that the file has.

    Returns
    -------
    int
        How many catchments that were.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another process or number of components, or has none
        of the catchments.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole parameter file ({error})") from None
    found = metadata.get("format"), metadata.get("format_version")
    if found != (FORMAT, str(FORMAT_VERSION)):
        raise CheckpointError(
            f"{path}: is {found[0]!r} version {found[1]}, expected {FORMAT!r} version "
            f"{FORMAT_VERSION}"
        )
    expected = {name: values.shape[1:] for name, values in model.parameters.items()}
    if metadata["process"] != model.process.name or expected != {
        name: values.shape[1:] for name, values in arrays.items()
    }:
        raise CheckpointError(
            f"{path}: has parameters of {metadata['process']} of another shape than the model, "
            f"{model.process.name} with {model.components} components"
        )
    place = {name: row for row, name in enumerate(json.loads(metadata["ids"]))}
    ours = np.array([k for k, name in enumerate(ids.tolist()) if name in place], dtype=int)
    if not ours.size:
        raise CheckpointError(f"{path}: has parameters of none of the catchments of this run")
    rows = np.array([place[name] for name in ids[ours].tolist()])
    for name, values in arrays.items():
        model.set_parameter(name, values[rows], ours)
    return int(ours.size)
