"""Parameters that change from day to day, where the model is on a GPU.

The LSTM is that of `dynamics`, and so are the equations, on torch tensors and in float64, so that
states move between devices.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from ..kernels.ir.binding import bind
from ..kernels.reference import TORCH_PRIMITIVES
from ..physics import per_step
from .dynamics import Dynamics, day_of
from .lstm import cell_step
from .normalisation import logarithm
from .parameter_network import (
    ENTRANCE,
    FORCING_DEVIATION,
    FORCING_MEAN,
    dynamic_items,
    dynamic_parameters,
)

_cell_step = bind(cell_step, TORCH_PRIMITIVES)
_logarithm = bind(logarithm, TORCH_PRIMITIVES)
_dynamic_parameters = bind(dynamic_parameters, TORCH_PRIMITIVES)

# LSTM state after whole days, weather of the last 24 hours, steps of today, whether yesterday is
# known.
LstmState: TypeAlias = tuple[Tensor, Tensor, Tensor, int, bool]


class ResidentDynamics:
    """What `Dynamics` is, for some of its columns, on a device.

    Parameters
    ----------
    dynamics : Dynamics
        The host's side, from which it is copied, also before the first step, and to which it
        returns.
    columns : array of int
    days : float
        Length of a substep, whose parameters are wanted.
    dtype : float32 or float64
        Type of the parameters.
    device : torch.device
    """

    def __init__(
        self,
        dynamics: Dynamics,
        columns: NDArray,
        days: float,
        dtype: DTypeLike,
        device: torch.device,
    ) -> None:
        self._dynamics, self._columns, self._device = dynamics, columns, device
        self._days = days
        self._dtype = torch.float32 if np.dtype(dtype) == np.float32 else torch.float64
        self._items = dynamic_items(dynamics.layout)
        self._forcings = dynamics.layout.process.forcings
        self._weights = {name: self._down(value) for name, value in dynamics.weights.items()}
        self._first = ENTRANCE if ENTRANCE in self._weights else "lstm.input"
        self._of_weather = self._weights[self._first][: len(self._forcings)]
        self._recalled: Tensor | None = None

    def _down(self, values: NDArray) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)

    def load_parameters(self) -> None:
        """Take from the host what the weather does not change."""
        self._static = self._down(self._dynamics.static[self._columns])
        self._entering = self._down(self._dynamics.entering[self._columns])
        self._centres = self._down(self._dynamics.centres[:, self._columns])

    def load_state(self) -> None:
        """Copy the LSTM state from the host."""
        dynamics = self._dynamics
        self._hidden = self._down(dynamics.hidden[self._columns])
        self._cell = self._down(dynamics.cell[self._columns])
        window = dynamics.window[self._columns]
        self._window = self._down(window.transpose(1, 2, 0))
        self._position = dynamics.position
        self._known = not np.isnan(window).any()
        self._recalled = None

    def fetch_state(self) -> None:
        """Copy the LSTM state to the host."""
        dynamics = self._dynamics
        dynamics.hidden[self._columns] = self._hidden.cpu().numpy()
        dynamics.cell[self._columns] = self._cell.cpu().numpy()
        dynamics.window[self._columns] = self._window.cpu().numpy().transpose(2, 0, 1)
        dynamics.position = self._position

    def snapshot(self) -> LstmState:
        """Return a copy of the LSTM state, on the device; for `restore`."""
        window = self._window.clone()
        return self._hidden, self._cell, window, self._position, self._known

    def restore(self, state: LstmState) -> None:
        """Take on what `remember` returned."""
        self._hidden, self._cell, window, self._position, self._known = state
        self._window = window.clone()
        self._recalled = None

    def __call__(self, weather: Tensor) -> Tensor:
        """See the weather of some steps, and return their parameters.

        Parameters
        ----------
        weather : Tensor, shape (steps, forcings, columns)

        Returns
        -------
        Tensor, shape (steps, parameters, columns, parameter sets)
            Values per substep.
        """
        steps, _, columns = weather.shape
        shape = (steps, len(self._items), columns, self._centres.shape[2])
        values = torch.empty(shape, dtype=self._dtype, device=self._device)
        for step, row in enumerate(weather.double()):
            self._step(row, values[step])
        return values

    def _step(self, weather: Tensor, values: Tensor) -> None:
        if not self._known:
            # Nothing is known of yesterday: the first step stands for it.
            self._window[...] = weather[:, None]
            self._known = True
        self._window[:, self._position] = weather
        weights = self._weights
        rows = day_of(self._window, self._forcings)
        for k, forcing in enumerate(self._forcings):
            if forcing.name in self._dynamics.layout.logarithms:
                rows[k] = _logarithm(rows[k])
        day = torch.stack(rows, dim=1)
        day = (day - weights[FORCING_MEAN]) / weights[FORCING_DEVIATION]
        seen = day @ self._of_weather
        if self._first == ENTRANCE:
            seen = torch.relu(self._entering + seen) @ weights["lstm.input"]
        if self._recalled is None:
            # The state is that after whole days: the same for all steps of today.
            self._recalled = self._hidden @ weights["lstm.hidden"]
        gates = self._static + self._recalled + seen
        hidden, cell = _cell_step(*gates.chunk(4, dim=1), self._cell)
        moved = _dynamic_parameters(self._dynamics.layout, weights, self._centres, hidden)
        for k, item in enumerate(self._items):
            values[k] = per_step(moved[k], item, self._days)
        self._position += 1
        if self._position == self._window.shape[1]:
            self._hidden, self._cell = hidden, cell
            self._position, self._recalled = 0, None
