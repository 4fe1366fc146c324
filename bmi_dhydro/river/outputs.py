"""Outputs of a river after each step, in arrays that a host may hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .river import OUTPUTS, River

# In the order in which `River.block` returns them.
_ROUTED = ("flow", "mean_flow", "depth", "storage")


class RiverOutputs:
    """What a river puts out after each step.

    Parameters
    ----------
    river : River

    Attributes
    ----------
    values : dict of array, shape (reaches,)
        By the names of `river.Flows`, in float64; `velocity` is current where `find_velocity` was
        called, or is kept so.
    velocity_is_kept : bool
        Whether velocity is computed in each step, which takes longer than the step itself.
    """

    def __init__(self, river: River) -> None:
        self._river = river
        self.values = {name: np.zeros(len(river.network)) for name in OUTPUTS}
        self._routed = [self.values[name] for name in _ROUTED]
        self.velocity_is_kept = False
        self.show_states()

    def show_states(self) -> None:
        """Let outputs be those of the river's states, as if its flow had been steady."""
        states = self._river.states
        for name in ("flow", "depth", "storage"):
            self.values[name][:] = states[name]
        self.values["mean_flow"][:] = states["flow"]
        self._velocity_is_current = False
        self.find_velocity()

    def step(self, lateral: NDArray) -> None:
        """Route a step.

        Parameters
        ----------
        lateral : array, shape (1, reaches)
            Lateral inflow in m3 s-1, mean of the step.
        """
        river = self._river
        found = river.block(lateral.astype(river.dtype, copy=False))
        for values, row in zip(self._routed, found, strict=True):
            values[:] = row[0]
        self._velocity_is_current = False
        if self.velocity_is_kept:
            self.find_velocity()

    def find_velocity(self) -> None:
        """Make velocity current."""
        if self._velocity_is_current:
            return
        river = self._river
        flow, depth = (self.values[name].astype(river.dtype) for name in ("flow", "depth"))
        self.values["velocity"][:] = river.velocity(flow, depth)
        self._velocity_is_current = True
