"""Outputs of a model on GPUs that computes ahead, copied to the host when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...model.model import Model
from .host import HostExchange

if TYPE_CHECKING:
    from ..output_table import OutputTable


class ResidentAhead(HostExchange):
    """Brings rows of blocks up, and makes outputs of them.

    Parameters
    ----------
    model : Model
        Resident.
    table : OutputTable
        Written.
    """

    selective = True

    def __init__(self, model: Model, table: OutputTable) -> None:
        self._model, self._table = model, table
        # What comes in and goes out is booked in each step.
        self._wanted = {*table.gains.tolist(), *table.losses.tolist()}
        self._block = np.empty((0, *table.rows.shape), table.rows.dtype)
        self._step = -1

    def begin(self) -> None:
        """Get ready for a block: let the rows that are wanted be copied to the host."""
        self._model.device_side.want(self._wanted)

    def publish(self, block: NDArray, step: int, forcing: NDArray, flows: NDArray) -> None:
        """Show a step of a block, and book what went in and out.

        Parameters
        ----------
        block : array, shape (steps, model outputs, columns)
        step : int
        forcing : array, shape (forcings, columns)
            Forcing of that step.
        flows : array, shape (2, columns)
            Flows of the water account; changed in place.
        """
        self._block, self._step = block, step
        self._show(self._wanted)
        table = self._table
        for place, row in enumerate(table.sources - len(table.rows)):
            if row >= 0:
                np.multiply(forcing[row], table.factors[place], out=table.outputs[place])
        flows[0] += forcing[table.inflow] + table.rows[table.gains].sum(axis=0)
        flows[1] += table.rows[table.losses].sum(axis=0)

    def _show(self, rows: Iterable[int]) -> None:
        table, shown = self._table, set(rows)
        for row in shown:
            table.rows[row] = self._block[self._step, row]
        for place, row in enumerate(table.sources):
            if row in shown:
                np.multiply(table.rows[row], table.factors[place], out=table.outputs[place])

    def _row(self, place: int) -> int | None:
        """Return the row that values are made of; None for forcing, which the host has."""
        table = self._table
        row = place - len(table.outputs)
        if row < 0:
            row = int(table.sources[place])
        return row if row < len(table.rows) else None

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
        if place >= len(self._table.outputs):
            return values
        factors = torch.as_tensor(self._table.factors[place], device=values.device)
        return values.double() * factors
