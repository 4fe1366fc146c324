"""The state of a river in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedStateError, NetworkError, StateError, listed
from ..files.arrays import ArrayFormat
from .network import without_member
from .river import STATES, River

_FORMAT = ArrayFormat(
    name="bmi_dhydro river state",
    title="a state of a river",
    version=1,
    digest_since=1,
    error=StateError,
    damaged=DamagedStateError,
)


def save_river_state(path: Path, river: River, time: str) -> None:
    """Write the state of a river, whole or not at all.

    Parameters
    ----------
    path : Path
    river : River
    time : str
        Of the state, for people.
    """
    metadata = {"process": river.process.name, "time": time}
    _FORMAT.save(path, packed(river), metadata)


def load_river_state(path: Path, river: River) -> None:
    """Let a river go on from a state in a file; reaches are found by their ids.

    Raises
    ------
    StateError
        If the file is missing, damaged, or of another model of reaches.
    NetworkError
        If it lacks reaches; names them.
    """
    arrays, metadata = _FORMAT.read(path)
    if metadata.get("process") != river.process.name:
        raise StateError(
            f"{path}: is a state of {metadata.get('process')}, and the river is routed by "
            f"{river.process.name}"
        )
    take(river, arrays, str(path))


def packed(river: River) -> dict[str, NDArray]:
    """Return copies of the states of a river, and which reaches they are of: `ids`, as bytes."""
    return {**river.snapshot(), "ids": packed_ids(river.network.ids)}


def joined(parts: Sequence[Mapping[str, NDArray]]) -> dict[str, NDArray]:
    """Return what `packed` would have returned of several rivers together; bytes are ids."""
    together = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if arrays[0].dtype == np.uint8:
            texts = [text for array in arrays if array.size for text in unpacked_ids(array)]
            together[name] = packed_ids(np.array(texts))
        else:
            together[name] = np.concatenate(arrays)
    return together


def packed_ids(ids: NDArray) -> NDArray:
    """Return ids as bytes, so that files of numbers hold them."""
    return np.frombuffer("\n".join(ids.tolist()).encode(), np.uint8)


def unpacked_ids(values: NDArray) -> list[str]:
    """Return the ids that `packed_ids` was given."""
    return values.tobytes().decode().split("\n")


def take(river: River, arrays: Mapping[str, NDArray], source: str) -> NDArray:
    """Let a river take on what `packed` returned; reaches are found by their ids.

    Parameters
    ----------
    river : River
        The reaches of a member that was not there take those of the first.
    arrays : mapping of array
    source : str
        What to call it in errors.

    Returns
    -------
    array of int, shape (reaches,)
        Where in `arrays` each reach was.

    Raises
    ------
    StateError
        If values are not finite.
    NetworkError
        If reaches are missing; names them.
    """
    places = {name: k for k, name in enumerate(unpacked_ids(arrays["ids"]))}
    names = river.network.ids.tolist()
    found = [places.get(name, places.get(without_member(name))) for name in names]
    missing = [name for name, place in zip(names, found, strict=True) if place is None]
    if missing:
        raise NetworkError(f"{source}: the state lacks reach {listed(missing)}")
    states = {name: arrays[name] for name in STATES}
    _FORMAT.check_finite(states, source)
    chosen = np.array(found)
    for name, values in states.items():
        river.states[name][:] = values[chosen]
    return chosen
