"""Parameters that change from day to day, where the model is on a GPU.

The LSTM is that of `dynamics`, and so are the equations, in the model's kind of number. All arrays
stay where they are, so that a step can be captured as a graph.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from ..kernels.ir.binding import bind
from ..kernels.reference import TORCH_PRIMITIVES
from .dynamics import Dynamics, day_of
from .gpu_lstm import advance_units, place
from .normalisation import logarithm
from .parameter_network import (
    DYNAMIC_HEAD,
    ENTRANCE,
    FORCING_DEVIATION,
    FORCING_MEAN,
    dynamic_items,
)

_logarithm = bind(logarithm, TORCH_PRIMITIVES)

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
        self._items = tuple(dynamic_items(dynamics.layout))
        self._forcings = dynamics.layout.process.forcings
        self._weights = {name: self._down(value) for name, value in dynamics.weights.items()}
        self._first = ENTRANCE if ENTRANCE in self._weights else "lstm.input"
        self._of_weather = self._weights[self._first][: len(self._forcings)]
        self._logarithms = [
            forcing.name in dynamics.layout.logarithms for forcing in self._forcings
        ]
        count, units = len(columns), dynamics.hidden.shape[1]
        items, _, parameter_sets = dynamics.centres.shape

        def room(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=self._dtype, device=device)

        # Filled by `load_parameters` and `load_state`, and by steps.
        self._static, self._recalled = room(count, 4 * units), room(count, 4 * units)
        self._entering = room(count, dynamics.entering.shape[1])
        self._centres = room(items, count, parameter_sets)
        self._hidden, self._new_hidden = room(count, units), room(count, units)
        self._cell, self._new_cell = room(count, units), room(count, units)
        self._window = room(*dynamics.window.shape[1:], count)
        self._values = room(1, items, count, parameter_sets)
        self._moved = room(count, items * parameter_sets)
        self._position, self._known = 0, False

    def _down(self, values: NDArray) -> Tensor:
        # Kernels take numbers one after the other, as no view of an array has them.
        return torch.tensor(np.ascontiguousarray(values), dtype=self._dtype, device=self._device)

    def load_parameters(self) -> None:
        """Take from the host what the weather does not change."""
        dynamics, columns = self._dynamics, self._columns
        self._static.copy_(torch.from_numpy(dynamics.static[columns]))
        self._entering.copy_(torch.from_numpy(dynamics.entering[columns]))
        self._centres.copy_(torch.from_numpy(dynamics.centres[:, columns]))
        self._recall()

    def load_state(self) -> None:
        """Copy the LSTM state from the host."""
        dynamics, columns = self._dynamics, self._columns
        self._hidden.copy_(torch.from_numpy(dynamics.hidden[columns]))
        self._cell.copy_(torch.from_numpy(dynamics.cell[columns]))
        window = dynamics.window[columns]
        self._window.copy_(torch.from_numpy(window).permute(1, 2, 0))
        self._position = dynamics.position
        self._known = not np.isnan(window).any()
        self._recall()

    def fetch_state(self) -> None:
        """Copy the LSTM state to the host."""
        dynamics = self._dynamics
        dynamics.hidden[self._columns] = self._hidden.cpu().numpy()
        dynamics.cell[self._columns] = self._cell.cpu().numpy()
        dynamics.window[self._columns] = self._window.cpu().numpy().transpose(2, 0, 1)
        dynamics.position = self._position

    def snapshot(self) -> LstmState:
        """Return a copy of the LSTM state, on the device; for `restore`."""
        hidden, cell, window = (v.clone() for v in (self._hidden, self._cell, self._window))
        return hidden, cell, window, self._position, self._known

    def restore(self, state: LstmState) -> None:
        """Take on what `snapshot` returned."""
        hidden, cell, window, self._position, self._known = state
        self._hidden.copy_(hidden)
        self._cell.copy_(cell)
        self._window.copy_(window)
        self._recall()

    @property
    def phase(self) -> int | None:
        """Step of the day that comes next; None while nothing is known of the day before."""
        return self._position if self._known else None

    def passed(self, steps: int) -> None:
        """Say that some steps were done: those of the last call, and were not rejected."""
        self._position = (self._position + steps) % self._window.shape[1]
        self._known = True

    def __call__(self, weather: Tensor, rejected: Tensor) -> Tensor:
        """See the weather of some steps, and return their parameters.

        Parameters
        ----------
        weather : Tensor, shape (steps, forcings, columns)
        rejected : Tensor of int32, shape (1,)
            The state stays as it is unless it is zero.

        Returns
        -------
        Tensor, shape (steps, parameters, columns, parameter sets)
            Values per substep; those of a single step are replaced by the next.
        """
        if not self._known:
            # Nothing is known of yesterday: the first step stands for it.
            self._window[...] = weather[0, :, None]
        values = self._values
        if len(weather) > 1:
            values = values.new_empty((len(weather), *self._values.shape[1:]))
        for step, row in enumerate(weather.to(self._dtype)):
            position = (self._position + step) % self._window.shape[1]
            self._step(row, values[step], position, rejected)
        return values

    def _recall(self) -> None:
        """Compute what the state after whole days adds to the gates: the same for all of today."""
        torch.addmm(self._static, self._hidden, self._weights["lstm.hidden"], out=self._recalled)

    def _step(self, weather: Tensor, values: Tensor, position: int, rejected: Tensor) -> None:
        weights, done = self._weights, rejected == 0
        hour = self._window[:, position]
        hour.copy_(torch.where(done, weather, hour))
        rows = day_of(self._window, self._forcings)
        day = torch.stack(
            [
                _logarithm(row) if logs else row
                for row, logs in zip(rows, self._logarithms, strict=True)
            ]
        )
        day = (day - weights[FORCING_MEAN][:, None]) / weights[FORCING_DEVIATION][:, None]
        gates = self._recalled
        if self._first == ENTRANCE:
            entered = torch.relu(torch.addmm(self._entering, day.T, self._of_weather))
            gates, day = torch.addmm(gates, entered, weights["lstm.input"]), day[:0]
        new = self._new_hidden, self._new_cell
        advance_units(day, self._of_weather, gates, self._cell, *new, rejected)
        torch.mm(self._new_hidden, weights[DYNAMIC_HEAD], out=self._moved)
        place(self._items, self._days, self._centres, self._moved, values)
        if position + 1 == self._window.shape[1]:
            for before, after in zip((self._hidden, self._cell), new, strict=True):
                torch.where(done, after, before, out=before)
            self._recall()
