"""What the last steps of a component started from, for derivatives with respect to the past."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.model import Model

# Steps between two copies of the state.
_INTERVAL = 16


@dataclass(frozen=True)
class _Snapshot:
    steps: int
    arrays: dict[str, NDArray]


class History:
    """Remembers the weather of the last steps, and the state at some of them.

    Parameters
    ----------
    model : Model
    length : int
        Steps that are remembered.
    """

    def __init__(self, model: Model, length: int) -> None:
        self._model = model
        self._length = length
        self._inputs: deque[NDArray] = deque(maxlen=length + 2 * _INTERVAL)
        self._forcing: deque[NDArray] = deque(maxlen=length + 2 * _INTERVAL)
        self._snapshots: deque[_Snapshot] = deque(maxlen=length // _INTERVAL + 2)

    def __len__(self) -> int:
        """How many steps can be gone back."""
        if not self._snapshots:
            return 0
        return min(self._length, self._model.steps - self._snapshots[0].steps)

    def before_step(self) -> None:
        """Copy the state, if it is time to; to be called before each step."""
        last = self._snapshots[-1].steps if self._snapshots else -_INTERVAL
        model = self._model
        if model.steps - last >= _INTERVAL:
            self._snapshots.append(_Snapshot(model.steps, model.snapshot()))

    def forget(self) -> None:
        """Forget all steps: a change from outside has cut the model off from its past."""
        self._snapshots.clear()
        self._inputs.clear()
        self._forcing.clear()

    def after_step(self, inputs: NDArray, forcing: NDArray) -> None:
        """Remember the weather of a step.

        Parameters
        ----------
        inputs : array, shape (inputs, catchments)
            What a host has set.
        forcing : array, shape (forcings, catchments)
            What the process model took.
        """
        self._inputs.append(inputs.copy())
        self._forcing.append(forcing.copy())

    def since(self, steps: int) -> tuple[NDArray, NDArray, dict[str, NDArray]]:
        """Return what the last `steps` steps started from.

        Returns
        -------
        inputs : array, shape (steps, inputs, catchments)
        forcing : array, shape (steps, forcings, catchments)
        snapshot : dict of array
            What `Model.snapshot` returned before them.
        """
        model = self._model
        target = model.steps - steps
        snapshot = next(s for s in reversed(self._snapshots) if s.steps <= target)
        forcing = np.stack(list(self._forcing)[-(model.steps - snapshot.steps) :])
        then = snapshot.arrays
        if snapshot.steps < target:
            now, steps_now = model.snapshot(), model.steps
            model.steps = snapshot.steps
            model.restore(then)
            model.run(forcing[: target - snapshot.steps])
            then = model.snapshot()
            model.steps = steps_now
            model.restore(now)
        inputs = np.stack(list(self._inputs)[-steps:])
        return inputs, forcing[-steps:], then
