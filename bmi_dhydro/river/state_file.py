"""The state of a river in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DamagedStateError, NetworkError, StateError, listed
from ..files.arrays import ArrayFormat
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
    ids = np.frombuffer("\n".join(river.network.ids.tolist()).encode(), np.uint8)
    metadata = {"process": river.process.name, "time": time}
    _FORMAT.save(path, {**river.states, "ids": ids}, metadata)


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
    ids = arrays.pop("ids").tobytes().decode().split("\n")
    places = {name: k for k, name in enumerate(ids)}
    missing = [name for name in river.network.ids.tolist() if name not in places]
    if missing:
        raise NetworkError(f"{path}: the state lacks reach {listed(missing)}")
    _FORMAT.check_finite(arrays, str(path))
    chosen = [places[name] for name in river.network.ids.tolist()]
    for name in STATES:
        river.states[name][:] = arrays[name][chosen]
