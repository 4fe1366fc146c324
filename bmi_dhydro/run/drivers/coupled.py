"""A run whose weather a host sets before each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ForcingError
from ...kernels.cpu.coupled import CoupledStep
from ...kernels.cpu.exchange import exchange
from ...model.model import Model
from ...variables import Input, inputs_for
from ...weather.preparation import Preparation
from ...weather.quantities import FROM_FORCING, PET_METHODS
from ..clock import Clock
from ..instance import Held
from ..output_table import OutputTable
from ..water_account import WaterAccount

if TYPE_CHECKING:
    from ..exchange.gpu_coupled import ResidentExchange
    from ..perturbation import Perturbation, PerturbedStates


class Coupled:
    """Steps a model with what a host sets.

    Parameters
    ----------
    model : Model
    preparation : Preparation
        Turns what the host sets into forcing.
    ids : array of str, shape (catchments or columns,)
        Catchments that the host sets weather for.
    table : OutputTable
    held : Held
    clock : Clock
    zeros : callable
        Makes arrays that a host reads and writes, as `numpy.zeros` does.
    update : callable
        Does a step with all that belongs to it, where more belongs to it than this does.

    Attributes
    ----------
    items : tuple of Input
    inputs : array, shape (inputs, catchments or columns)
        What the host sets, in the units of `items`.
    scale : array, shape (inputs,)
        From what the host sets to depths in a step.
    forcing : array, shape (1, 3, columns)
        What the model took in last.
    perturbation : Perturbation or None
        What makes the members of an ensemble different.
    perturb_states : PerturbedStates or None
        Makes their stores different, where a day begins.
    remembered : bool
        Whether what the model takes in is remembered on the host.
    bound : bool
        Whether `bind` was called since something was replaced.
    """

    source = None

    def __init__(
        self,
        model: Model,
        preparation: Preparation,
        ids: NDArray,
        table: OutputTable,
        held: Held,
        clock: Clock,
        zeros: Callable[..., NDArray],
        update: Callable[[], None],
    ) -> None:
        self._model, self._clock, self._ids = model, clock, ids
        self._table, self._held = table, held
        self.preparation = preparation
        self.items: tuple[Input, ...] = inputs_for(preparation.quantities)
        self.inputs = zeros((len(self.items), len(ids)))
        self._lowest = np.array([item.lowest for item in self.items])
        self._highest = np.array([item.highest for item in self.items])
        hours = model.step_seconds / 3600.0
        self.scale = np.array([hours if item.per_hour else 1.0 for item in self.items])
        self._floor = np.array([0.0 if item.per_hour else -np.inf for item in self.items])
        self.forcing = zeros((1, 3, model.columns), model.dtype)
        self.perturbation: Perturbation | None = None
        self.perturb_states: PerturbedStates | None = None
        # What the host sets as forcing, before members are made different.
        self._given = self.forcing
        # Without anything to compute the inputs are the forcing, in another unit.
        self._direct = preparation.method == FROM_FORCING
        self._weather = self._given[0] if self._direct else np.empty_like(self.inputs)
        self._pet = np.empty(len(ids))
        self._receive = exchange()[0]
        # The model counts the steps: it is never ahead.
        model.clock = held.count
        self._resident: ResidentExchange | None = None
        # A step in one call, where nothing is between a host's inputs and its outputs.
        self._step = CoupledStep(self._reject, update)
        self._at_once = self.bound = self.remembered = False
        if model.resident:
            self._make_exchange()

    def make_different(self, perturbation: Perturbation, states: PerturbedStates) -> None:
        """Make the members of an ensemble different from now on."""
        self.perturbation, self.perturb_states = perturbation, states
        if self._resident is not None:
            self._resident.make_different(perturbation)
            states.move = self._resident.move_states
        self._given = np.empty((1, 3, len(self._ids)), dtype=self._model.dtype)
        if self._direct:
            self._weather = self._given[0]

    def _make_exchange(self) -> None:
        """Make the exchange with a model on GPUs."""
        from ..exchange.gpu_coupled import ResidentExchange, Scaling

        scaling = Scaling(self._lowest, self._highest, self.scale, self._floor)
        table = self._table
        table.exchange = self._resident = ResidentExchange(
            self._model, self.inputs, self.forcing[0], table, scaling, self.preparation
        )

    # ---- a step in one call ---------------------------------------------------------------

    @property
    def stepper(self) -> Callable[[], None]:
        """What does a step in the fewest calls, with all that belongs to it."""
        return self._step.update

    def unbind(self) -> None:
        """Let the next step find again what it touches, after anything of that was replaced."""
        self._at_once = self.bound = self._step.plain = False

    def bind(self, account: WaterAccount, nothing_else: bool) -> None:
        """Find what a step in one call touches, where steps can be done so.

        Parameters
        ----------
        account : WaterAccount
        nothing_else : bool
            Whether nothing else belongs to a step: results, states, members.
        """
        self.bound = True
        apart = self.perturbation is not None or self.remembered or self._model.resident
        if apart or self.preparation.factors is not None:
            return
        table, held = self._table, self._held
        # Stores can be added up from the rows of one column without rounding.
        exact = table.rows.dtype == np.float64 and table.rows.shape[1] == 1
        arrays = {
            "inputs": self.inputs,
            "lowest": self._lowest,
            "highest": self._highest,
            "scale": self.scale,
            "floor": self._floor,
            "forcing": self.forcing,
            "outputs": table.rows[None],
            "sources": table.sources,
            "factors": table.factors,
            "published": table.outputs,
            "gains": table.gains,
            "losses": table.losses,
            "flows": account.flows,
            "opened": account.opened,
            "leaked": account.leaked,
            "stored_rows": table.stored_rows,
            "current": held.current,
            "balance": held.balance if exact else np.empty(0),
        }
        equation = None
        if not self._direct:
            equation = PET_METHODS[self.preparation.method].function
            arrays |= {"weather": self._weather, "evapotranspiration": self._pet}
            arrays |= self.preparation.arrays
        self._at_once = self._model.bind(self._step, arrays, table.inflow, equation)
        self._step.plain = self._at_once and nothing_else

    # ---- a step ---------------------------------------------------------------------------

    @property
    def publishes(self) -> bool:
        """Whether a step writes its outputs too."""
        return self._at_once or self._resident is not None

    def step(self, flows: NDArray) -> None:
        """Do a step.

        Parameters
        ----------
        flows : array, shape (2, columns)
            Flows of the water account, where the step publishes.

        Raises
        ------
        ForcingError
            If weather is impossible; names catchment and time. The step is not done then.
        """
        if self._at_once:
            self._step()
            return
        if self._resident is not None:
            self._step_there(self._resident)
            return
        wrong = self._receive(
            self.inputs, self._lowest, self._highest, self.scale, self._floor, self._weather
        )
        if wrong >= 0:
            self._reject(wrong)
        if not self._direct:
            self._given[0, :2] = self._weather[:2]
            self.preparation.potential_evapotranspiration(
                self._weather, self._clock.done, self._pet
            )
            self._given[0, 2] = self._pet
        if self.perturbation is not None and self.perturb_states is not None:
            self.forcing[...] = self.perturbation.forcing(self._given, self._clock.seconds)
            self.perturb_states()
        self._model.advance(self.forcing, self._table.rows[None])

    def _step_there(self, resident: ResidentExchange) -> None:
        """Do a step where the model is: forcing is made there too."""
        clock, states = self._clock, self.perturb_states
        if self.remembered:
            # What was set, and what the model took in.
            resident.bring_inputs()
            first = len(self._table.outputs) + len(self._table.rows)
            resident.keep(range(first, first + self.forcing.shape[1]))
        before = states if states is not None and states.due else None
        if resident.step(clock.done, clock.seconds, before):
            return
        resident.bring_inputs()
        right = (self.inputs >= self._lowest[:, None]) & (self.inputs <= self._highest[:, None])
        self._reject(int(np.argmin(right)))

    def _reject(self, place: int) -> None:
        """Raise an error for an input that is impossible, by its place in memory."""
        row, column = divmod(place, len(self._ids))
        item = self.items[row]
        raise ForcingError(
            f"{item.name} is {self.inputs[row, column]:.6g} {item.units} for catchment "
            f"{self._ids[column]} at {self._clock.moment()}, expected "
            f"{item.lowest:g} to {item.highest:g} {item.units}; the step was not done"
        )

    # ---- what an account and a state need -------------------------------------------------

    @property
    def is_ahead(self) -> bool:
        """Whether the model has done more steps than the interface: never."""
        return False

    def synchronise(self) -> None:
        """Bring the state up, where it is on a GPU."""
        self._model.fetch()

    def one_at_a_time(self) -> None:
        """Do nothing: a host's weather comes step by step."""

    def keep_in_memory(self) -> None:
        """Do nothing: nothing was computed ahead."""

    def close(self) -> None:
        """Do nothing: there is no file."""
