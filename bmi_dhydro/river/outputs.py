"""Outputs of a river after each step, in arrays that a host may hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .river import OUTPUTS, River

# In the order in which `River.step` writes them.
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
        self._routed = np.zeros((len(_ROUTED), len(river.network)))
        self.values = {name: np.zeros(len(river.network)) for name in OUTPUTS}
        self.values |= dict(zip(_ROUTED, self._routed, strict=True))
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
        lateral : array, shape (reaches,)
            Lateral inflow in m3 s-1, mean of the step.
        """
        self._river.step(lateral, self._routed)
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
