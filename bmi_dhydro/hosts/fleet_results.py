"""Results of a fleet: one file of all its instances, which a host steps one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError
from ..io.results import ResultsWriter


class FleetResults:
    """Gathers what instances write until a step of all of them is complete.

    Parameters
    ----------
    writer : ResultsWriter
        Writer of the results of all instances.
    variables, instances : int
        What it takes of each step.
    """

    def __init__(self, writer: ResultsWriter, variables: int, instances: int) -> None:
        self._writer = writer
        self._shape = (variables, instances)
        # Steps that are not complete, the first of them is number `_first`.
        self._waiting: deque[NDArray] = deque()
        self._first = 0
        # Steps that each instance has written, or infinitely many once it has ended.
        self._done = np.zeros(instances)
        self._ends: set[int] = set()
        self._last = 0

    def write(self, place: int, values: NDArray) -> None:
        """Take the next step of an instance; `values` has shape (variables,)."""
        step = int(self._done[place])
        while step - self._first >= len(self._waiting):
            self._waiting.append(np.full(self._shape, np.nan))
        self._waiting[step - self._first][:, place] = values
        self._done[place] = step + 1
        self._last = max(self._last, step + 1)
        if step == self._first:
            self._write_complete()

    def end(self, place: int) -> None:
        """Take note that an instance has ended; the last one completes the file.

        Raises
        ------
        ResultsError
            If not all have ended after the same step: there is no whole file then.
        """
        if np.isinf(self._done[place]):
            return
        self._ends.add(int(self._done[place]))
        self._done[place] = np.inf
        self._write_complete()
        if not np.isinf(self._done).all():
            return
        if len(self._ends) > 1:
            self.abandon()
            raise ResultsError(
                f"{self._writer.path}: instances of the fleet ended after {min(self._ends)} to "
                f"{max(self._ends)} steps; nothing is left of the results"
            )
        self._writer.close()

    def abandon(self) -> None:
        """Remove what was written."""
        self._done[:] = np.inf
        self._waiting.clear()
        self._writer.abandon()

    def _write_complete(self) -> None:
        complete = min(self._done.min(), self._last)
        while self._waiting and self._first < complete:
            self._writer.write(self._waiting.popleft())
            self._first += 1


class Sink:
    """Where one instance writes; its methods are those of `ResultsWriter`.

    Parameters
    ----------
    results : callable
        Returns the results of the fleet and the place of this instance in them; asked when the
        first step is written, when all instances are there.
    """

    def __init__(self, results: Callable[[], tuple[FleetResults, int]]) -> None:
        self._open = results
        self._found: tuple[FleetResults, int] | None = None

    def write(self, values: NDArray) -> None:
        """Add one step: shape (variables, 1)."""
        if self._found is None:
            self._found = self._open()
        results, place = self._found
        results.write(place, values[:, 0])

    def close(self) -> None:
        """Take note that the instance has ended."""
        if self._found is not None:
            results, place = self._found
            results.end(place)

    def abandon(self) -> None:
        """Give up the results of all instances."""
        if self._found is not None:
            self._found[0].abandon()
