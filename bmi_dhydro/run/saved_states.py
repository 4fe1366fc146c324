"""States of a run: the one it starts from, and those it saves."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..config import SaveStateConfig
from ..model import state
from ..model.model import Model
from .water_account import WaterAccount

if TYPE_CHECKING:
    from .joined_river import JoinedRiver

_log = logging.getLogger(__name__)

# What a state holds beside the model's memory: the water account.
_ACCOUNT = "water_account"


def restore(
    path: Path,
    model: Model,
    fingerprint: str,
    ids: NDArray,
    start: np.datetime64 | None,
    carry_over: bool,
) -> tuple[NDArray | None, dict[str, NDArray]]:
    """Start from a state file; a state of another time than the start is said so.

    Parameters
    ----------
    path : Path
    model : Model
        Changed.
    fingerprint : str
        Fingerprint of the trained model.
    ids : array of str, shape (catchments,)
    start : datetime64 or None
        Start of the run.
    carry_over : bool
        Whether the state may be of another trained model.

    Returns
    -------
    account : array or None
        The water account, where this run goes on with one that was saved.
    river : dict of array
        What the river remembers, see `river.state_file.packed`; empty where none was saved.

    Raises
    ------
    StateError
        As `io.state_file.restore`.
    """
    from ..io import state_file

    saved = state_file.restore(path, model, fingerprint, ids, carry_over)
    if saved.time is not None and start is not None and saved.time != start:
        _log.warning("%s: is of %s, but the run starts at %s", path, saved.time, start)
        return None, saved.river
    if _ACCOUNT not in saved.more or saved.members != model.members or carry_over:
        return None, saved.river
    return saved.of(ids).more[_ACCOUNT], saved.river


def remembered(joined: JoinedRiver | None) -> dict[str, NDArray]:
    """Return what a river remembers; nothing where there is none."""
    return {} if joined is None else joined.packed()


class SavedStates:
    """The states that a run saves.

    Parameters
    ----------
    wanted : SaveStateConfig or None
        None saves nothing.
    step_seconds : int
    """

    def __init__(self, wanted: SaveStateConfig | None, step_seconds: int) -> None:
        self._wanted = wanted
        # Steps between two; 0 where only the end is saved.
        self._every = 0 if wanted is None else wanted.every_seconds // step_seconds
        self._files: dict[int, Path] = {}

    @property
    def repeated(self) -> bool:
        """Whether states are saved during the run, not at its end alone."""
        return self._every > 0

    def steps_until_due(self, done: int, most: int) -> int:
        """Return how many steps, `most` at most, there are until the next one is to be saved."""
        return min(most, self._every - done % self._every) if self._every else most

    def due(self, done: int) -> bool:
        """Return whether a state is to be saved after a number of steps."""
        return self._every > 0 and done % self._every == 0

    def due_at_end(self, done: int) -> bool:
        """Return whether a state is to be saved at the end, after a number of steps."""
        return self._wanted is not None and done not in self._files

    def save(
        self,
        model: Model,
        fingerprint: str,
        ids: NDArray,
        time: np.datetime64 | None,
        done: int,
        account: WaterAccount,
        river: dict[str, NDArray],
    ) -> None:
        """Write a state file, and remove those that are no longer to be kept.

        Parameters
        ----------
        model : Model
            At the time of the state.
        fingerprint, ids
            As `restore`.
        time : datetime64 or None
            Where it is known.
        done : int
            Steps.
        account : WaterAccount
        river : dict of array
            What the river remembers; empty where there is none.
        """
        from ..io import state_file

        wanted = self._wanted
        assert wanted is not None
        moment = f"step_{done}" if time is None else str(time).replace(":", "")
        path = Path(wanted.path.replace("{time}", moment))
        saved = state.capture(model, fingerprint, ids, time)
        whole = replace(saved, more={_ACCOUNT: account.to_array()}, river=river)
        state_file.write(path, whole, model.process)
        self._files[done] = path
        if wanted.keep:
            for step in list(self._files)[: -wanted.keep]:
                old = self._files.pop(step)
                if old != path:
                    old.unlink(missing_ok=True)
