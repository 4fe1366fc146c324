"""A run that reads its weather, and computes a block of steps at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ForcingError
from ...model.model import Model
from ...variables import Input
from ...weather.source import WeatherSource, longest_block
from ..clock import Clock
from ..exchange.host import HostExchange
from ..output_table import OutputTable
from ..saved_states import SavedStates
from ..water_account import WaterAccount

if TYPE_CHECKING:
    from ..exchange.gpu_ahead import ResidentAhead
    from ..perturbation import Perturbation


@dataclass(frozen=True)
class Block:
    """Steps that were computed ahead.

    Attributes
    ----------
    first : int
        Number of the first step.
    forcing : array, shape (steps, 3, catchments)
    rows : array, shape (steps, model outputs, catchments)
    memory : dict of array, or a bookmark
        Memory of the model before the first step.
    """

    first: int
    forcing: NDArray
    rows: NDArray
    snapshot: Any


class Ahead:
    """Steps a model with weather from a file.

    Parameters
    ----------
    model : Model
    source : WeatherSource
    table : OutputTable
    clock : Clock
    states : callable
        Returns the states that are to be saved: a block ends where one is.
    update : callable
        Does a step with all that belongs to it.

    Attributes
    ----------
    items, inputs
        Empty: a host sets nothing.
    forcing : array, shape (1, 3, columns)
        What the model took in in the step that was done last.
    perturbation : Perturbation or None
        What makes the members of an ensemble different.
    block_steps : int
        How many steps are computed at a time at most.
    """

    def __init__(
        self,
        model: Model,
        source: WeatherSource,
        table: OutputTable,
        clock: Clock,
        states: Callable[[], SavedStates],
        update: Callable[[], None],
    ) -> None:
        self._model, self.source, self._table = model, source, table
        self._clock, self._states = clock, states
        self.stepper = update
        self.preparation = source.preparation
        self.items: tuple[Input, ...] = ()
        self.inputs = np.zeros((0, 0))
        self.scale = np.zeros(0)
        self.forcing = np.empty((1, 3, model.columns), dtype=model.dtype)
        self.perturbation: Perturbation | None = None
        self.perturb_states: Callable[[], None] | None = None
        self.block_steps = longest_block(model.columns, 3 + len(model.outputs))
        self._length = self.block_steps
        nothing = np.empty((0, *table.rows.shape), dtype=model.dtype)
        self._block = Block(0, np.empty((0, 3, model.columns)), nothing, {})
        self._cursor = 0
        # As those of `Coupled`: there is nothing to bind, and forcing is on the host in any case.
        self.bound = self.remembered = True
        self._resident: ResidentAhead | None = None
        if model.resident:
            from ..exchange.gpu_ahead import ResidentAhead

            table.exchange = self._resident = ResidentAhead(model, table)

    def make_different(self, perturbation: Perturbation, states: Callable[[], None]) -> None:
        """Make the members of an ensemble different from now on."""
        self.perturbation, self.perturb_states = perturbation, states

    @property
    def publishes(self) -> bool:
        """Whether a step writes its outputs too."""
        return self._resident is not None

    def bind(self, account: WaterAccount, nothing_else: bool) -> None:
        """Do nothing: what a step touches is in its block."""

    def unbind(self) -> None:
        """Do nothing, see `bind`."""

    def step(self, flows: NDArray) -> None:
        """Pick up the next step.

        Parameters
        ----------
        flows : array, shape (2, columns)
            Flows of the water account, where the step publishes.

        Raises
        ------
        ForcingError
            If the run has ended, or weather is missing or impossible.
        """
        if self._cursor == len(self._block.rows):
            if self._resident is not None:
                self._resident.begin()
            self._block = self.compute()
            self._cursor = 0
        block, cursor = self._block, self._cursor
        self.forcing[0] = block.forcing[cursor]
        if self._resident is None:
            self._table.rows[...] = block.rows[cursor]
        else:
            self._resident.publish(block.rows, cursor, self.forcing[0], flows)
        self._cursor += 1
        self._clock.done += 1

    def compute(self) -> Block:
        """Compute the steps from the present on, as many as memory allows.

        Raises
        ------
        ForcingError
            If the run has ended, or weather is missing or impossible.
        """
        source, clock, model = self.source, self._clock, self._model
        count = min(self._length, source.steps - clock.done)
        # A block ends where a state is saved, so that nothing is computed twice.
        count = self._states().steps_until_due(clock.done, count)
        if self.perturbation is not None:
            count = self.perturbation.steps_until_moved(clock.seconds, count)
        if count <= 0:
            raise ForcingError(f"{source.path}: the run ended at {clock.moment()}")
        forcing = source.read(clock.done, count)
        if self.perturbation is not None:
            assert self.perturb_states is not None
            forcing = self.perturbation.forcing(forcing, clock.seconds)
            self.perturb_states()
        snapshot = model.device_side.bookmark() if self._resident is not None else model.snapshot()
        rows = model.run(forcing)
        self._length = min(2 * self._length, self.block_steps)
        return Block(clock.done, forcing, rows, snapshot)

    @property
    def is_ahead(self) -> bool:
        """Whether the model has done more steps than the interface."""
        return self._cursor < len(self._block.rows)

    def synchronise(self) -> None:
        """Bring the model to the time of the interface, where it has computed ahead.

        To be called before states are read.
        """
        if self.is_ahead:
            block = self._block
            self.go_to(block, self._cursor, block.snapshot)
            self._block = replace(block, rows=block.rows[: self._cursor])
            self._length = 1
        self._model.fetch()

    def go_to(self, block: Block, cursor: int, snapshot: Any) -> None:
        """Bring the model to a step of a block.

        Parameters
        ----------
        block : Block
            With the forcing of these catchments.
        cursor : int
            Steps of it that are done.
        memory : mapping, or a bookmark
            Before the block.
        """
        self._model.steps = block.first
        self._model.device_side.return_to(snapshot)
        if cursor:
            self._model.run(block.forcing[:cursor])

    def one_at_a_time(self) -> None:
        """Compute one step at a time from now on, since a host looks at the states themselves."""
        self.block_steps = self._length = 1

    def keep_in_memory(self) -> None:
        """Keep what a block started from in the host's memory from now on."""
        if self._resident is not None:
            self._table.exchange, self._resident = HostExchange(), None

    def close(self) -> None:
        """Let go of the weather file."""
        self.source.close()
