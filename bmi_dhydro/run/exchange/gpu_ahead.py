"""Outputs of a model on GPUs that computes ahead: rows of its blocks come up when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...model.model import Model
from .host import HostExchange


@dataclass(frozen=True)
class Arrays:
    """What a host reads.

    Attributes
    ----------
    rows : array, shape (model outputs, traces)
    outputs : array, shape (outputs, traces)
    sources : array of int, shape (outputs,)
        The row of each output; behind the rows of the model those of its forcing.
    factors : array, shape (outputs, traces)
    inflow : int
        Among the forcings.
    losses : array of int
        Among the rows.
    """

    rows: NDArray
    outputs: NDArray
    sources: NDArray
    factors: NDArray
    inflow: int
    losses: NDArray


class ResidentAhead(HostExchange):
    """Brings rows of blocks up, and makes outputs of them.

    Parameters
    ----------
    model : Model
        Resident.
    arrays : Arrays
        Written.
    """

    selective = True

    def __init__(self, model: Model, arrays: Arrays) -> None:
        self._model, self._arrays = model, arrays
        # What goes out is booked in each step.
        self._wanted = set(arrays.losses.tolist())
        self._block = np.empty((0, *arrays.rows.shape), arrays.rows.dtype)
        self._step = -1

    def begin(self) -> None:
        """Get ready for a block: let the rows that are wanted come up."""
        self._model.device_side.want(self._wanted)

    def publish(self, block: NDArray, step: int, forcing: NDArray, flows: NDArray) -> None:
        """Show a step of a block, and book what went in and out.

        Parameters
        ----------
        block : array, shape (steps, model outputs, traces)
        step : int
        forcing : array, shape (forcings, traces)
            Forcing of that step.
        flows : array, shape (2, traces)
            Flows of the water account; changed in place.
        """
        self._block, self._step = block, step
        self._show(self._wanted)
        arrays = self._arrays
        for place, row in enumerate(arrays.sources - len(arrays.rows)):
            if row >= 0:
                np.multiply(forcing[row], arrays.factors[place], out=arrays.outputs[place])
        flows[0] += forcing[arrays.inflow]
        flows[1] += arrays.rows[arrays.losses].sum(axis=0)

    def _show(self, rows: Iterable[int]) -> None:
        arrays, shown = self._arrays, set(rows)
        for row in shown:
            arrays.rows[row] = self._block[self._step, row]
        for place, row in enumerate(arrays.sources):
            if row in shown:
                np.multiply(arrays.rows[row], arrays.factors[place], out=arrays.outputs[place])

    def _row(self, place: int) -> int | None:
        """Return the row that values are made of; None for forcing, which the host has."""
        arrays = self._arrays
        row = place - len(arrays.outputs)
        if row < 0:
            row = int(arrays.sources[place])
        return row if row < len(arrays.rows) else None

    def keep(self, places: Iterable[int]) -> None:
        """Keep values current after each step from now on; see `HostExchange.keep`."""
        rows = {row for row in map(self._row, places) if row is not None} - self._wanted
        if not rows:
            return
        self._wanted |= rows
        self.begin()
        if self._step >= 0:
            self._model.device_side.bring(sorted(rows), self._block)
            self._show(rows)

    def bring(self, place: int) -> None:
        """Make values current that are not kept; see `HostExchange.bring`."""
        self.keep([place])

    def on_device(self, place: int) -> Tensor | None:
        """Return values where they are, on one GPU; see `HostExchange.on_device`."""
        row, residents = self._row(place), self._model.device_side.residents()
        if len(residents) > 1 or row is None or self._step < 0:
            return None
        values = residents[0].rows[self._step, row]
        if place >= len(self._arrays.outputs):
            return values
        factors = torch.as_tensor(self._arrays.factors[place], device=values.device)
        return values.double() * factors
