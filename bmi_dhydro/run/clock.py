"""When a run is: its start and end, and the steps that are done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Clock:
    """The clock of a run.

    Parameters
    ----------
    start : datetime64[s] or None
        Start of the first step, where it is known.
    steps : int or None
        Steps of the run; None where it has no end.
    step_seconds : int
    count : array of int64, shape (1,)
        Steps that are done, where compiled code counts them.
    """

    __slots__ = ("count", "start", "step_seconds", "steps")

    def __init__(
        self, start: np.datetime64 | None, steps: int | None, step_seconds: int, count: NDArray
    ) -> None:
        self.start, self.steps, self.step_seconds = start, steps, step_seconds
        self.count = count

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self.count.item()

    @done.setter
    def done(self, steps: int) -> None:
        self.count[0] = steps

    @property
    def time(self) -> np.datetime64 | None:
        """Start of the next step, where the start of the run is known."""
        if self.start is None:
            return None
        return self.start + np.timedelta64(self.done * self.step_seconds, "s")

    @property
    def seconds(self) -> int:
        """Start of the next step, in seconds since 1970 or, where that is unknown, the start."""
        time = self.time
        return self.done * self.step_seconds if time is None else int(time.astype(int))

    def moment(self) -> str:
        """Return the time of the next step, as people write it."""
        return f"step {self.done}" if self.time is None else str(self.time)
