"""The states of a chain: a folder of files, of which the newest whole one is found."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import DamagedStateError
from ..io import state_file
from ..model.state import SavedState
from ..physics import Process
from .cycle import stamp

_log = logging.getLogger(__name__)

# What a damaged file is called from then on, so that nobody takes it for a state again.
DAMAGED = ".damaged"


def time_of(path: Path) -> np.datetime64 | None:
    """Return the time that stands in the name of a file, as `cycle.stamp` writes it."""
    text = path.name.split(".")[0]
    if len(text) > 13:
        text = f"{text[:13]}:{text[13:]}"
    try:
        return np.datetime64(text, "s")
    except ValueError:
        return None


class StateFolder:
    """States by their time.

    Parameters
    ----------
    folder : Path
    process : Process
    """

    def __init__(self, folder: Path, process: Process) -> None:
        self._folder = folder
        self._process = process

    def _files(self) -> Iterator[tuple[np.datetime64, Path]]:
        """Return times and files, the newest first."""
        found = [(time_of(path), path) for path in self._folder.glob("*.nc")]
        known = [(time, path) for time, path in found if time is not None]
        yield from sorted(known, key=lambda item: item[0], reverse=True)

    def times(self) -> list[np.datetime64]:
        """Return the times of all states, the newest first."""
        return [time for time, _ in self._files()]

    def newest(self, latest: np.datetime64, time: np.datetime64) -> SavedState | None:
        """Return the newest state that is whole and not later than `latest`.

        A damaged file is renamed, and the next older one tried.

        Parameters
        ----------
        latest : datetime64[s]
        time : datetime64[s]
            Time of the forecast; states that are later are said to be.

        Raises
        ------
        StateError
            If it is of another process, or written by a newer version.
        """
        later = [str(other) for other, _ in self._files() if other > time]
        if later:
            _log.warning("states later than the forecast are left alone: %s", ", ".join(later[:5]))
        for when, path in self._files():
            if when > latest:
                continue
            try:
                saved = state_file.read_patiently(path, self._process.state_names)
            except DamagedStateError as error:
                path.replace(path.with_name(path.name + DAMAGED))
                _log.warning("%s; it is set aside, and an older state taken", error)
                continue
            _log.info("begins with the state of %s", when)
            return saved
        return None

    def save(self, saved: SavedState) -> None:
        """Write a state, whole or not at all.

        Raises
        ------
        StateError
            If it cannot be written.
        """
        assert saved.time is not None
        state_file.write(self._folder / f"{stamp(saved.time)}.nc", saved, self._process)

    def prune(self, age_seconds: float) -> None:
        """Remove states that are older than the newest one by more than this."""
        files = list(self._files())
        for when, path in files:
            if (files[0][0] - when).astype(int) > age_seconds:
                path.unlink(missing_ok=True)
