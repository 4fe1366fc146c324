"""What a run puts out: the outputs of the interface, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..config import OutputConfig
from ..errors import ConfigError, nearest
from ..kernels.cpu.exchange import exchange
from ..model.model import Model
from ..physics import unit_hydrograph
from ..variables import Output, factor, outputs_of
from .exchange.host import HostExchange
from .instance import Held

# Beside the interface's outputs, what results hold unless the configuration says otherwise: with
# these the water balance can be seen.
_WRITTEN_FORCINGS = ("precipitation", "potential_evapotranspiration")


def output_items(model: Model) -> tuple[Output, ...]:
    """Return the outputs of `variables.OUTPUTS` that a model has."""
    return outputs_of((*model.outputs, *model.process.forcing_names))


class OutputTable:
    """Outputs of a run, made of rows of its model and of what that takes in.

    Parameters
    ----------
    model : Model
    held : Held
        Written.
    area : array, shape (catchments,)
        In km2.
    one_member : bool
        Whether the interface shows one member of an ensemble at a time.
    zeros : callable
        Makes arrays that each step touches, as `numpy.zeros` does.

    Attributes
    ----------
    items : tuple of Output
        In the order of `outputs`.
    sources : array of int, shape (outputs,)
        The row that each is made of; behind the rows of the model those of its forcing.
    factors : array, shape (outputs, columns)
        What it is multiplied with.
    inflow : int
        Place among the forcings of what goes in.
    gains, losses : array of int
        Places among the rows of what comes in beside that, and of what goes out.
    stored_rows : array of int
        Rows that are stores.
    outputs, rows, shown, shown_rows, own_columns
        See `Instance`.
    exchange : HostExchange
    """

    def __init__(
        self,
        model: Model,
        held: Held,
        area: NDArray,
        one_member: bool,
        zeros: Callable[..., NDArray] = np.zeros,
    ) -> None:
        self._model = model
        process = model.process
        made_of = (*model.outputs, *process.forcing_names)
        self.items = output_items(model)
        self.outputs, self.rows = held.outputs, held.rows
        self.own_columns, self.shown, self.shown_rows = slice(None), self.outputs, self.rows
        self.exchange = HostExchange()
        if one_member:
            self.shown = np.zeros((len(self.outputs), len(area)))
            self.shown_rows = np.zeros((len(self.rows), len(area)), model.dtype)
            self.select(0)
        self.sources = np.array([made_of.index(item.source) for item in self.items], np.int64)
        self.factors = zeros(self.outputs.shape)
        self.set_factors(area)
        left = (process.evapotranspiration, unit_hydrograph.DISCHARGE)
        stores = (*process.state_names, unit_hydrograph.ROUTING_STORE)
        self.inflow = process.forcing_names.index(process.inflow)
        self.gains = np.array([model.outputs.index(name) for name in process.gains], np.int64)
        self.losses = np.array([model.outputs.index(name) for name in left], np.int64)
        self.stored_rows = np.array([model.outputs.index(name) for name in stores], np.int64)
        self._publish = exchange()[1]

    @property
    def members(self) -> int:
        """Members of the ensemble; 1 where there is none."""
        return self._model.members

    def set_factors(self, area: NDArray) -> None:
        """Find what rows are multiplied with, for catchments of these areas in km2."""
        every = np.tile(area, self._model.members)
        for k, item in enumerate(self.items):
            self.factors[k] = factor(item.conversion, self._model.step_seconds, every)
        self.exchange.set_factors(self.factors)

    def publish(self, rows: NDArray, forcing: NDArray, outputs: NDArray, flows: NDArray) -> None:
        """Write the outputs of a step, and book what went in and out.

        Parameters
        ----------
        rows : array, shape (model outputs, columns)
        forcing : array, shape (3, columns)
        outputs : array, shape (outputs, columns)
            Written.
        flows : array, shape (2, columns)
            Flows of the water account; changed in place.
        """
        self._publish(
            rows[None],
            forcing[None],
            self.sources,
            self.factors,
            outputs,
            self.inflow,
            self.gains,
            self.losses,
            flows,
        )

    def stored_in(self, rows: NDArray) -> NDArray:
        """Return the water in all stores, in mm, from the outputs of a step of the model."""
        return rows[self.stored_rows].sum(axis=0, dtype=float)

    # ---- one member, or all ---------------------------------------------------------------

    def select(self, member: int) -> None:
        """Show another member of the ensemble through the interface.

        Raises
        ------
        ValueError
            If there is no such member.
        """
        if not 0 <= member < self._model.members:
            raise ValueError(
                f"there is no member {member}; there are 0 to {self._model.members - 1}"
            )
        count = self._model.catchments
        self.own_columns = slice(member * count, (member + 1) * count)
        self.show()

    def show(self) -> None:
        """Bring what the interface shows of the outputs up to date."""
        if self.shown is not self.outputs:
            self.shown[...] = self.outputs[:, self.own_columns]
            self.shown_rows[...] = self.rows[:, self.own_columns]

    # ---- what is asked for ----------------------------------------------------------------

    def place(self, name: str) -> int:
        """Return the place of one of `series` in the order of `keep`.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        names = (*(item.name for item in self.items), *self._model.outputs)
        places = {name: place for place, name in enumerate(names)}
        forcings = self._model.process.forcing_names
        places.update((name, len(names) + k) for k, name in enumerate(forcings))
        return places[name]

    def keep(self, places: Iterable[int]) -> None:
        """Keep some values current after each update, where only those are; see `place`."""
        self.exchange.keep(places)
        self.show()

    def bring(self, place: int) -> None:
        """Make values current, where only those that are kept are; see `place`."""
        self.exchange.bring(place)
        self.show()

    def bring_all(self) -> None:
        """Make outputs and rows current."""
        for place in range(len(self.outputs) + len(self.rows)):
            self.bring(place)

    def keep_all(self) -> None:
        """Keep outputs and rows current after each update."""
        self.keep(range(len(self.outputs) + len(self.rows)))

    # ---- what is written ------------------------------------------------------------------

    def series(
        self, forcing: NDArray, outputs: NDArray | None = None, rows: NDArray | None = None
    ) -> dict[str, NDArray]:
        """Return all that can be written, by name: arrays of shape (columns,), current if kept.

        Parameters
        ----------
        forcing : array, shape (3, columns)
            Forcing of the step that was done last.
        outputs, rows : array, optional
            Others than those of this table, of the same rows.
        """
        outputs = self.outputs if outputs is None else outputs
        rows = self.rows if rows is None else rows
        series: dict[str, NDArray] = dict(zip(self._model.outputs, rows, strict=True))
        series.update(zip(self._model.process.forcing_names, forcing, strict=True))
        series.update(zip((item.name for item in self.items), outputs, strict=True))
        return series

    def names_to_write(self, output: OutputConfig) -> list[str]:
        """Return the names of `series` that results hold."""
        published = [item.name for item in self.items]
        return output.variables or [*published, *_WRITTEN_FORCINGS]

    def described(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return name, units and long name of some of `series`.

        Raises
        ------
        ConfigError
            If a name is unknown.
        """
        process = self._model.process
        table = {item.name: (item.units, item.long_name) for item in self.items}
        for quantity in (*process.forcings, *process.states, *process.fluxes):
            table[quantity.name] = (quantity.units, quantity.long_name)
        table[unit_hydrograph.DISCHARGE] = ("mm", "runoff at the outlet")
        table[unit_hydrograph.ROUTING_STORE] = ("mm", "water on its way to the outlet")
        for name in names:
            if name not in table:
                raise ConfigError(f"output.variables: {name!r} is unknown; {nearest(name, table)}")
        return [(name, *table[name]) for name in names]
