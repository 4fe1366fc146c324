"""Save and restore a model exactly: the payload of every warm start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import StateError, listed
from .files import replaced
from .model import Model

FORMAT = "bmi_dhydro state"
FORMAT_VERSION = 1

# Before the names of what is saved beside the state.
_MORE = "more."


def to_bytes(
    model: Model, fingerprint: str, ids: NDArray, more: Mapping[str, NDArray] | None = None
) -> bytes:
    """Return all that a model remembers, as a `.safetensors` payload.

    Parameters
    ----------
    model : Model
    fingerprint : str
        Of the trained model, to refuse the state of another.
    ids : array of str, shape (catchments,)
    more : mapping of array, shape (rows, catchments), optional
        What a host wants back beside the state.
    """
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "fingerprint": fingerprint,
        "process": model.process.name,
        "step_seconds": str(model.step_seconds),
        "steps": str(model.steps),
        "ids": json.dumps(ids.tolist()),
    }
    arrays = {name: np.ascontiguousarray(values) for name, values in model.memory().items()}
    arrays.update((_MORE + name, np.ascontiguousarray(v)) for name, v in (more or {}).items())
    metadata["digest"] = _digest(arrays)
    return save(arrays, metadata)


def from_bytes(
    payload: bytes, model: Model, fingerprint: str, ids: NDArray, source: str
) -> dict[str, NDArray]:
    """Restore what `to_bytes` returned; the clock of `model` stays as it is.

    Parameters
    ----------
    payload : bytes
    model : Model
        Of the same trained model, step and components; its catchments may be a part of those
        saved, in another order.
    fingerprint : str
    ids : array of str
    source : str
        What to call the payload in errors.

    Returns
    -------
    dict of array
        What was saved beside the state, for these catchments.

    Raises
    ------
    StateError
        If the payload is damaged, or of another model, step or set of catchments. `model` is
        unchanged then.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        size = int.from_bytes(payload[:8], "little")
        metadata = json.loads(payload[8 : 8 + size])["__metadata__"]
        arrays = load(payload)
        found = metadata["format"], metadata["format_version"]
        whole = metadata["digest"] == _digest(arrays)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{source}: not a whole state ({error!r})") from None
    if not whole:
        raise StateError(f"{source}: is damaged, its values are not those that were saved")
    if found != (FORMAT, str(FORMAT_VERSION)):
        raise StateError(
            f"{source}: is {found[0]!r} version {found[1]}, expected {FORMAT!r} version "
            f"{FORMAT_VERSION}"
        )
    for key, ours in (
        ("fingerprint", fingerprint),
        ("process", model.process.name),
        ("step_seconds", str(model.step_seconds)),
    ):
        if metadata[key] != ours:
            raise StateError(
                f"{source}: was saved with {key} {metadata[key]}, but here it is {ours}"
            )
    saved = {name: row for row, name in enumerate(json.loads(metadata["ids"]))}
    absent = [name for name in ids.tolist() if name not in saved]
    if absent:
        raise StateError(f"{source}: has no state for catchment {listed(absent)}")
    rows = np.array([saved[name] for name in ids.tolist()])
    # The catchments are the second axis of the process' states and of what was added, the first
    # of all else.
    everything = {
        name: values[:, rows] if name == "state" or name.startswith(_MORE) else values[rows]
        for name, values in sorted(arrays.items())
    }
    chosen = {name: v for name, v in everything.items() if not name.startswith(_MORE)}
    expected = {name: values.shape for name, values in model.memory().items()}
    if {name: values.shape for name, values in chosen.items()} != expected:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in chosen.items())
        ours = ", ".join(f"{name} {shape}" for name, shape in expected.items())
        raise StateError(f"{source}: has {shapes}; the model has {ours}")
    model.remember(chosen)
    return {name.removeprefix(_MORE): v for name, v in everything.items() if name not in chosen}


def _digest(arrays: Mapping[str, NDArray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()


def save(path: Path, model: Model, fingerprint: str, ids: NDArray) -> None:
    """Write a state file, whole or not at all; arguments as `to_bytes`."""
    payload = to_bytes(model, fingerprint, ids)
    try:
        with replaced(path) as temporary:
            temporary.write_bytes(payload)
    except OSError as error:
        raise StateError(f"{path}: the state cannot be written ({error})") from None


def restore(path: Path, model: Model, fingerprint: str, ids: NDArray) -> None:
    """Read a state file into a model; arguments as `from_bytes`."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: the state cannot be read ({error.strerror})") from None
    from_bytes(payload, model, fingerprint, ids, str(path))
