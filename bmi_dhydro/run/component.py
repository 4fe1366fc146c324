"""A configured model with its weather, its clock and its results.

What the interface adapts and the command line drives: it joins the trained model, the catchments
and the weather, and knows nothing of BMI beyond the table of exchange items. It is composed of a
clock, a driver (a host that sets weather, or weather that is read ahead), a table of outputs, a
water account, and the states it saves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..config import Config, OutputConfig
from ..model import state
from ..networks import trained_model
from ..progress_bar import Bar, no_progress
from ..variables import FLOW
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from . import building
from .catchment_parameters import CatchmentParameters
from .clock import Clock
from .configured_model import build_model, check_run_memory
from .drivers.ahead import Ahead
from .history import History
from .instance import Held, Instance
from .output_table import OutputTable, output_items
from .saved_states import SavedStates, remembered, restore
from .static_parameters import remembered_weather
from .water_account import WaterAccount

if TYPE_CHECKING:
    from ..catchments.catchments import Catchments
    from ..io.results import ResultsWriter
    from ..weather.source import WeatherSource
    from .drivers.coupled import Coupled

_log = logging.getLogger(__name__)


class Results(Protocol):
    """What takes the results of each step; see `io.results.ResultsWriter`."""

    def write(self, values: NDArray) -> None:
        """Take the values of a step: shape (variables, columns)."""

    def close(self) -> None:
        """Complete the results."""

    def abandon(self) -> None:
        """Remove what was written."""


class Component(Instance):
    """Everything a run needs, made of a configuration.

    Parameters
    ----------
    config : Config
    trained : TrainedModel, optional
        That of the configuration, unless given.
    bar : callable
        Makes a progress bar, for a spin-up.
    held : Held, optional
        Arrays that a host holds already, of one catchment.

    Attributes
    ----------
    catchments : Catchments
    trained : TrainedModel
    model : Model
    parameters : CatchmentParameters
        Where the model's parameters come from.
    table : OutputTable
        What is put out.
    history : History or None
        What derivatives with respect to the past need, where the configuration asks for it.

    Raises
    ------
    DhydroError
        If anything named in the configuration is missing or does not fit.
    """

    def __init__(
        self,
        config: Config,
        trained: trained_model.TrainedModel | None = None,
        bar: Bar = no_progress,
        held: Held | None = None,
    ) -> None:
        self.config = config
        self.trained = trained or trained_model.load(config.model)
        self._results: Results | None = None
        self._watched = False
        # Whether `rows` are what the last step has left, and nobody has changed the stores since.
        self._rows_are_current = False
        self.history: History | None = None
        self._made: Coupled | Ahead | None = None
        self._states = SavedStates(config.save_state_section, config.step_seconds)
        try:
            self._build(config, bar, held)
        except BaseException:
            self.abandon()
            raise

    def _build(self, config: Config, bar: Bar, held: Held | None) -> None:
        trained = self.trained
        self.catchments = building.read_catchments(config)
        check_run_memory(config, trained, len(self.catchments))
        choice = EvapotranspirationChoice(
            trained.evapotranspiration, config.forcing.evapotranspiration_mismatch
        )
        source = building.open_weather(config, self.catchments, choice)
        try:
            start = building.period(config)[0] if source is None else source.start
            steps = building.steps_of_host(config) if source is None else source.steps
            columns = building.catchments_of_host(config, self.catchments)
            if source is None:
                preparation = building.prepared_for_host(config, self.catchments, columns, choice)
            building.complete_climate(config, self.catchments, trained, source)
            remembered = remembered_weather(config, trained, self.catchments, choice, source)
            self.model, given = build_model(config, trained, self.catchments, remembered=remembered)
            self.parameters = CatchmentParameters(trained, self.catchments, self.model, given)
            before: NDArray | None = None
            river: dict[str, NDArray] = {}
            if config.initial_state is not None:
                before, river = restore(
                    Path(config.initial_state),
                    self.model,
                    trained.fingerprint,
                    self.catchments.ids,
                    start,
                    config.carry_over,
                )
            zeros = building.host_arrays(self.model)
            self._hold(held, start, steps, zeros)
            if source is not None:
                self._made = Ahead(
                    self.model, source, self.table, self.clock, lambda: self._states, self.update
                )
        finally:
            if source is not None and self._made is None:
                source.close()
        if self._made is None:
            from .drivers.coupled import Coupled

            self._made = Coupled(
                self.model,
                preparation,
                self.catchments.ids[columns],
                self.table,
                self.held,
                self.clock,
                zeros,
                self.update,
            )
        self.exchange = self.table.exchange
        self.inputs, self.input_items = self.driver.inputs, self.driver.items
        # What does a step in the fewest calls; the same as `update`.
        self.stepper = self.driver.stepper
        self._account = WaterAccount(self.model.stored())
        if config.ensemble is not None:
            from .perturbation import Perturbation, PerturbedStates

            ids, process = self.catchments.ids, self.model.process
            perturbation = Perturbation(
                config.ensemble, ids, process, config.step_seconds, config.threads
            )
            different = PerturbedStates(perturbation, self.model, self.clock, lambda: self.account)
            self.driver.make_different(perturbation, different)
        if config.history:
            self.pin()
            self.history = History(self.model, config.history)
            self.driver.remembered = True
        if before is not None:
            self.account.take(before)
        if config.spin_up is not None:
            from .spin_up import fill_stores
            from .warm_up import warm_up

            if config.spin_up.before is not None:
                warm_up(config, self.model, self.catchments, trained, bar)
            else:
                source = self.driver.source
                fill_stores(config, self.model, source, self.clock, self.catchments, trained, bar)
            self.account = WaterAccount(self.model.stored())
        if config.network is not None:
            from .joined_river import join_river

            one = self.shown is not self.outputs
            members, seconds = self.model.members, self.model.step_seconds
            self.joined = join_river(config, self.catchments, members, seconds, one, river)
            self._runoff = self.kept([FLOW])[FLOW]
            if config.network.output is not None:
                from .written_results import provenance

                about = provenance(trained, self.driver)
                self.joined.write_to(config.network.output, self.catchments, self.clock, about)
        if config.output.file is not None:
            names = self.table.names_to_write(config.output)
            self.write_to(self.results_writer(config.output), names)

    def _hold(
        self,
        held: Held | None,
        start: np.datetime64 | None,
        steps: int | None,
        zeros: Callable[..., NDArray],
    ) -> None:
        """Make the arrays that a host may hold, the clock and the table of outputs."""
        model = self.model
        self.output_items = output_items(model)
        if held is None:
            sizes = len(self.output_items), len(model.outputs), model.columns
            held = Held.of(*sizes, model.dtype, zeros)
        self.held, self.outputs, self.rows = held, held.outputs, held.rows
        self.clock = Clock(start, steps, model.step_seconds, held.count)
        ensemble = self.config.ensemble
        one = ensemble is not None and ensemble.view == "one"
        self.table = OutputTable(model, held, self.catchments.area, one, zeros)
        self.shown, self.shown_rows = self.table.shown, self.table.shown_rows
        self.own_columns = self.table.own_columns

    # ---- what it is composed of -----------------------------------------------------------

    @property
    def account(self) -> WaterAccount:
        """The water that went in and out since it was opened."""
        self.exchange.book(self._account.flows)
        return self._account

    @account.setter
    def account(self, account: WaterAccount) -> None:
        # What was booked on a device is the old account's.
        self.exchange.book(self._account.flows)
        self._account = account
        self.balanced = False
        self.driver.unbind()

    @property
    def driver(self) -> Coupled | Ahead:
        """What does the steps, once it is made."""
        assert self._made is not None
        return self._made

    @property
    def source(self) -> WeatherSource:
        """The weather file; there must be one."""
        assert self.driver.source is not None
        return self.driver.source

    # ---- stepping -------------------------------------------------------------------------

    def update(self) -> None:
        """Advance by one step; outputs are current afterwards.

        Raises
        ------
        ForcingError
            If weather is missing or impossible, or has ended; names catchment and time.
        """
        driver, table, history = self.driver, self.table, self.history
        if not driver.bound:
            more = self._watched or self._results is not None or self._states.repeated
            more = more or self.joined is not None
            driver.bind(self._account, not more and self.shown is self.outputs)
        self.balanced = False
        if self._watched:
            state.refuse_impossible(self.model, self.catchments.ids, self.clock.moment())
        if history is not None:
            history.before_step()
        driver.step(self._account.flows)
        self._rows_are_current = not self._watched
        if self._watched:
            # Who looks at stores through a pointer may change them unseen.
            self.balanced = False
            # The model takes its state from the host's array.
            _ = self.model.state
        if history is not None:
            history.after_step(driver.inputs, driver.forcing[0])
        if not driver.publishes:
            table.publish(self.rows, driver.forcing[0], self.outputs, self._account.flows)
        table.show()
        if self.joined is not None:
            self.joined.advance(self._runoff)
        if self._results is not None:
            self._results.write(np.stack(self._written))
        if self._states.due(self.done):
            self.save_state()

    def show(self) -> None:
        """Bring what the interface shows of the outputs up to date."""
        self.table.show()

    def select(self, member: int) -> None:
        """Show another member of the ensemble through the interface; see `OutputTable.select`."""
        self.table.select(member)
        self.own_columns = self.table.own_columns
        self.balanced = False
        if self.joined is not None:
            self.joined.select(member)

    def synchronise(self) -> None:
        """Bring the model to the time of the interface; to be called before states are read."""
        self.driver.synchronise()

    def keep_all(self) -> None:
        """Keep everything current, and what a block started from in the host's memory."""
        self.table.keep_all()
        self.driver.keep_in_memory()
        self.exchange = self.table.exchange

    # ---- water ----------------------------------------------------------------------------

    def stored(self) -> NDArray:
        """Return the water in all stores at the time of the interface, in mm: (columns,)."""
        # Stores can be added up from rows of one column without rounding.
        exact = self.rows.shape[1] == 1 and self.rows.dtype == np.float64
        if exact and self._rows_are_current and not self.exchange.selective:
            return self.table.stored_in(self.rows)
        if not self.driver.is_ahead:
            return self.model.stored()
        self.table.keep([len(self.outputs) + row for row in self.table.stored_rows])
        return self.table.stored_in(self.rows)

    def mass_terms(self) -> tuple[float, float, float, float]:
        """Return what went in and out, is stored and was taken, in mm: one value of each.

        The mean over the catchments by area; of an ensemble that of the member which the interface
        shows, or the mean of all.
        """
        return self.account.mean(self.stored(), self.own_columns, self.catchments.area)

    def take_balance(self) -> None:
        """Make `held.balance` that of now."""
        self.write_balance(self.mass_terms())
        # A host that looks at stores through a pointer may change them unseen.
        self.balanced = not self._watched

    def water_balance(self) -> dict[str, NDArray]:
        """Return what went in and out since the start, and what is stored since; see `account`."""
        return self.account.values(self.stored())

    # ---- state ----------------------------------------------------------------------------

    def payload(self) -> bytes:
        """Return the state and the outputs at the time of the interface, without executable parts.

        What is remembered depends on no clock: see `restore_payload`.
        """
        self.synchronise()
        self.table.bring_all()
        now = {"outputs": self.outputs, "rows": self.rows}
        fingerprint, ids = self.trained.fingerprint, self.catchments.ids
        return state.to_bytes(self.model, fingerprint, ids, now, remembered(self.joined))

    def restore_payload(self, payload: bytes, source: str) -> None:
        """Take on what `payload` returned; the clock stays as it is, the account is opened anew.

        Parameters
        ----------
        payload : bytes
        source : str
            What to call it in errors.

        Raises
        ------
        StateError
            If it is damaged, or of another model, step or set of catchments; nothing is changed
            then.
        """
        self.changing()
        then, river = state.from_bytes(
            payload, self.model, self.trained.fingerprint, self.catchments.ids, source
        )
        if self.joined is not None:
            self.joined.take(river, source)
        if then:
            self.table.bring_all()
            self.outputs[...], self.rows[...] = then["outputs"], then["rows"]
            self.exchange.put()
            self.table.show()
        self.account = WaterAccount(self.model.stored())

    def changing(self) -> None:
        """Get ready for a change of states or parameters from outside."""
        self._rows_are_current = self.balanced = False
        self.synchronise()
        _ = self.model.state
        if self.history is not None:
            self.history.forget()

    def pin(self) -> None:
        """Compute one step at a time from now on, since a host looks at the states themselves."""
        self.synchronise()
        self.driver.one_at_a_time()
        self._watched, self._rows_are_current, self.balanced = True, False, False
        self.driver.unbind()
        _ = self.model.state

    # ---- changing -------------------------------------------------------------------------

    def set_attribute(self, name: str, values: NDArray) -> None:
        """Change an attribute of the catchments; see `CatchmentParameters.set_attribute`."""
        values = np.asarray(values, dtype=float)
        if not self.parameters.differing(name, values).size:
            return
        self.changing()
        self.parameters.set_attribute(name, values)
        if name == "area":
            self.table.set_factors(self.catchments.area)

    def take_catchment(self, other: Component, row: int, place: int) -> None:
        """Give the catchment at `place` all that a host has given one at `row` of another run."""
        self.parameters.take(other.parameters, row, place)
        self.table.set_factors(self.catchments.area)

    def set_parameter(
        self, name: str, values: NDArray, rows: slice | NDArray = slice(None)
    ) -> None:
        """Give some catchments a parameter; see `CatchmentParameters.set_parameter`."""
        self.changing()
        self.parameters.set_parameter(name, values, rows)

    # ---- results, and the end -------------------------------------------------------------

    def kept(self, names: Sequence[str]) -> dict[str, NDArray]:
        """Return some of `OutputTable.series`, kept current after each update from now on."""
        self.table.keep([self.table.place(name) for name in names])
        series = self.table.series(self.driver.forcing[0])
        return {name: series[name] for name in names}

    def results_writer(
        self, output: OutputConfig, catchments: Catchments | None = None
    ) -> ResultsWriter:
        """Open the file of results that a configuration names; see `written_results`.

        Parameters
        ----------
        output : OutputConfig
        catchments : Catchments, optional
            Others than those of this component, which a fleet writes together.
        """
        from .written_results import provenance, results_writer

        about = provenance(self.trained, self.driver)
        written = self.catchments if catchments is None else catchments
        return results_writer(output, written, self.clock, self.table, about, self.trained)

    def write_to(self, results: Results, names: Sequence[str]) -> None:
        """Write some of `OutputTable.series` after each step from now on."""
        self._written = list(self.kept(names).values())
        self._results = results
        self.driver.unbind()

    def save_with(self, states: SavedStates) -> None:
        """Save states as another has begun to, from now on."""
        self._states = states
        self.driver.unbind()

    def save_state(self) -> None:
        """Save the state at the time of the interface."""
        self.synchronise()
        ids, account, clock = self.catchments.ids, self.account, self.clock
        fingerprint = self.trained.fingerprint
        river = remembered(self.joined)
        self._states.save(self.model, fingerprint, ids, clock.time, clock.done, account, river)

    def close(self) -> None:
        """Finish results and the state to be saved."""
        if self._results is not None:
            self._results.close()
            self._results = None
        if self.joined is not None:
            self.joined.close()
        if self._states.due_at_end(self.done):
            self.save_state()
        self.abandon()

    def abandon(self) -> None:
        """Let go of files; unfinished results are removed."""
        if self._results is not None:
            self._results.abandon()
            self._results = None
        if self.joined is not None:
            self.joined.abandon()
        if self._made is not None:
            self._made.close()
