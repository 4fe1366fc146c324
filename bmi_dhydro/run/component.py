"""A configured model with its weather, its clock and its results.

What the interface adapts and the command line drives: it joins the trained model, the catchments
and the weather, and knows nothing of BMI beyond the table of exchange items.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments, climate_to_compute
from ..config import Config, OutputConfig, SpinUpConfig
from ..errors import ConfigError, ForcingError, StateError, nearest
from ..io.catchment_table import read_table
from ..kernels.cpu.arena import Arena
from ..kernels.cpu.exchange import exchange
from ..model import state
from ..networks import trained_model
from ..physics import unit_hydrograph
from ..progress_bar import Bar, no_progress
from ..settings import parse_date
from ..variables import Input, Output, factor, inputs_for, outputs_of
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.preparation import Preparation
from ..weather.quantities import FROM_FORCING, PET_METHODS
from ..weather.source import WeatherSource, longest_block
from .catchment_parameters import CatchmentParameters
from .configured_model import build_model, check_run_memory
from .exchange.host import HostExchange
from .history import History
from .instance import Instance
from .saved_states import SavedStates, restore
from .water_account import WaterAccount

if TYPE_CHECKING:
    from ..hosts.fleet import FleetMember
    from ..io.results import ResultsWriter
    from ..kernels.cpu.coupled import CoupledStep
    from .exchange.gpu_ahead import ResidentAhead
    from .exchange.gpu_coupled import ResidentExchange
    from .perturbation import Perturbation

_log = logging.getLogger(__name__)

# Beside the interface's outputs, what results hold unless the configuration says otherwise: with
# these the water balance can be seen.
_WRITTEN_FORCINGS = ("precipitation", "potential_evapotranspiration")


class Results(Protocol):
    """What takes the results of each step; see `io.results.ResultsWriter`."""

    def write(self, values: NDArray) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


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
        Of the model before the first step.
    """

    first: int
    forcing: NDArray
    rows: NDArray
    memory: Any


class Component(Instance):
    """Everything a run needs, made of a configuration.

    Parameters
    ----------
    config : Config
    trained : TrainedModel, optional
        That of the configuration, unless given.
    bar : callable
        Makes a progress bar, for a spin-up.

    Attributes
    ----------
    catchments : Catchments
    trained : TrainedModel
    model : Model
    parameters : CatchmentParameters
        Where the model's parameters come from.
    inputs : array, shape (inputs, catchments or traces)
        What the host sets, in the units of `input_items`; empty where weather is read.
    input_items : tuple of Input
    outputs : array, shape (outputs, traces)
        In the order and units of `output_items`, current after `update`; see `Model` for traces.
    output_items : tuple of Output
        Those of `variables.OUTPUTS` that the process model has.
    rows : array, shape (model outputs, traces)
        All outputs of the model, in its units.
    shown, shown_rows : array, shape (outputs or model outputs, shown traces)
        Of `outputs` and `rows` what the interface shows: all, or one member. Where it is one, they
        are arrays of their own, so that who holds them sees the member that is chosen.
    part : slice
        Which traces those are.
    exchange : HostExchange
        What a host reads and sets, wherever the model is.
    perturbation : Perturbation or None
        What makes the members of an ensemble different.
    start : datetime64[s] or None
    steps : int or None
        Steps of the run; None where it has no end.
    account : WaterAccount
        Opened when the component was made.
    account_rows : (int, array of int)
        Of what goes in among the forcings, and of what goes out among `rows`.
    balance, clock, current
        See `Instance`.
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
    ) -> None:
        self.config = config
        self.trained = trained or trained_model.load(config.model)
        self._source: WeatherSource | None = None
        self._results: Results | None = None
        self.exchange = HostExchange()
        # Of the exchange the one that it is, on a GPU: weather of a host, or of a file.
        self._coupled: ResidentExchange | None = None
        self._ahead: ResidentAhead | None = None
        self._account: WaterAccount
        # A step in one call, where nothing is between a host's inputs and its outputs.
        self._whole_step: CoupledStep | None = None
        self._at_once = self._bound = False
        try:
            self._build(config, bar)
        except BaseException:
            self.abandon()
            raise

    def _build(self, config: Config, bar: Bar) -> None:
        self.catchments = self.read_catchments(config)
        check_run_memory(config, self.trained, len(self.catchments))
        self.start = parse_date(config.time.start, "time.start") if config.time.start else None
        end = parse_date(config.time.end, "time.end") if config.time.end else None
        self.steps: int | None = None
        evapotranspiration = EvapotranspirationChoice(
            self.trained.evapotranspiration, config.forcing.evapotranspiration_mismatch
        )
        if config.forcing.file is not None:
            self._source = WeatherSource(
                Path(config.forcing.file),
                self.catchments,
                config.forcing.variables,
                config.forcing.potential_evapotranspiration,
                config.step_seconds,
                self.start,
                end,
                evapotranspiration,
            )
            self.start, self.steps = self._source.start, self._source.steps
            self.preparation = self._source.preparation
            self._columns = np.arange(0)
        else:
            if self.start is not None and end is not None:
                self.steps = int((end - self.start).astype(int)) // config.step_seconds
            own = config.ensemble is not None and config.ensemble.inputs == "own"
            # Catchments that a host's weather is for.
            self._columns = np.tile(np.arange(len(self.catchments)), config.members if own else 1)
            self.preparation = self._prepared_for_host(config, evapotranspiration)
        self._complete_climate(config)
        self.model, given = build_model(config, self.trained, self.catchments)
        self.parameters = CatchmentParameters(self.trained, self.catchments, self.model, given)
        before: NDArray | None = None
        if config.initial_state is not None:
            before = restore(
                Path(config.initial_state),
                self.model,
                self.trained.fingerprint,
                self.catchments.ids,
                self.start,
                config.carry_over,
            )
        self._make_arrays(config)
        if before is not None:
            self.account.take(before)
        if config.spin_up is not None:
            self._fill_stores(config.spin_up, evapotranspiration, bar)
        if config.output.file is not None:
            self.write_to(self.results_writer(config.output), self.names_to_write(config.output))

    def _fill_stores(
        self, wanted: SpinUpConfig, evapotranspiration: EvapotranspirationChoice, bar: Bar
    ) -> None:
        """Fill the stores before the first step, by the weather of the run or of before it."""
        from .spin_up import run_to, spin_up, weather_before

        model, ids, fingerprint = self.model, self.catchments.ids, self.trained.fingerprint
        source = self._source
        if source is None:
            assert self.start is not None
            source = weather_before(
                wanted, self.config, self.catchments, self.start, evapotranspiration
            )
        try:
            cycles = spin_up(model, source, ids, fingerprint, wanted, bar)
            if self._source is None:
                run_to(model, source, bar)
        finally:
            if self._source is None:
                source.close()
        self.account = WaterAccount(model.stored())
        _log.info("spin-up: %d repetitions", cycles)

    # ---- building -------------------------------------------------------------------------

    def read_catchments(self, config: Config) -> Catchments:
        """Return the catchments that a configuration names.

        Raises
        ------
        CatchmentError
            If the table is missing or malformed, or lacks one of them.
        """
        chosen = config.catchments
        if chosen.inline is not None:
            columns = {name: [value] for name, value in chosen.inline.items()}
            return Catchments.from_columns(columns, "catchments.inline")
        assert chosen.table is not None
        return read_table(Path(chosen.table), chosen.select)

    def _prepared_for_host(self, config: Config, choice: EvapotranspirationChoice) -> Preparation:
        """Return what turns the weather that a host sets into forcing."""
        wanted = config.forcing.potential_evapotranspiration
        method = FROM_FORCING if wanted == "auto" else wanted
        latitude = self.catchments.latitude[self._columns]
        factors = None
        if method == FROM_FORCING:
            if choice.mismatch == "rescale":
                raise ConfigError(
                    "forcing.evapotranspiration_mismatch: rescale: the method of a host's "
                    "potential evapotranspiration is not known; let it be computed here, or accept"
                )
            if choice.learned.methods:
                _log.info(
                    "the model learned with potential evapotranspiration of %s; the host's is "
                    "taken as it is",
                    " or ".join(choice.learned.methods),
                )
        elif not choice.fits(method):
            key = "forcing.potential_evapotranspiration"
            factors = choice.factors(method, latitude, None, key)
        return Preparation(
            method,
            self.catchments.ids[self._columns],
            latitude,
            self.catchments.longitude[self._columns],
            self.start,
            config.step_seconds,
            factors,
        )

    def _complete_climate(self, config: Config) -> None:
        """Compute climate attributes of the weather, where the table does not give them."""
        attributes = self.trained.layout.attributes
        needed = climate_to_compute(self.catchments, attributes, config.catchments.climate)
        if not needed or self._source is None:
            return
        indices = self._source.climate()
        for name in needed:
            self.catchments.attributes[name] = indices[name]
        _log.info("computed from the weather: %s", ", ".join(needed))

    def _make_arrays(self, config: Config) -> None:
        count = self.model.traces
        quantities = self.preparation.quantities if self._source is None else ()
        self.input_items: tuple[Input, ...] = inputs_for(quantities)
        zeros = self._make_zeros()
        self.clock, self.current = zeros(1, np.int64), zeros(1, np.int64)
        self.balance = zeros(4)
        self.inputs = zeros((len(self.input_items), len(self._columns)))
        self._lowest = np.array([item.lowest for item in self.input_items])
        self._highest = np.array([item.highest for item in self.input_items])
        hours = config.step_seconds / 3600.0
        self.input_scale = np.array([hours if item.per_hour else 1.0 for item in self.input_items])
        self._floor = np.array([0.0 if item.per_hour else -np.inf for item in self.input_items])
        self._forcing = zeros((1, 3, count), self.model.dtype)
        self.perturbation = self._make_perturbation(config)
        # Of what the host sets, before members are made different.
        self._given = self._forcing
        if self.perturbation is not None:
            self._given = np.empty((1, 3, len(self._columns)), dtype=self.model.dtype)
        # Without anything to compute the inputs are the forcing, in another unit.
        direct = self.preparation.method == "forcing"
        self._weather = self._given[0] if direct else np.empty_like(self.inputs)
        self._pet = np.empty(len(self._columns))
        self.rows = zeros((len(self.model.outputs), count), self.model.dtype)
        self._step_rows = self.rows[None]
        # What outputs are made of: rows of the model, and what it takes in.
        made_of = (*self.model.outputs, *self.model.process.forcing_names)
        self.output_items: tuple[Output, ...] = outputs_of(made_of)
        self.outputs = zeros((len(self.output_items), count))
        self.part, self.shown, self.shown_rows = slice(None), self.outputs, self.rows
        if config.ensemble is not None and config.ensemble.view == "one":
            size = len(self.catchments)
            self.shown = np.zeros((len(self.outputs), size))
            self.shown_rows = np.zeros((len(self.rows), size), self.model.dtype)
            self.select(0)
        self._sources = np.array([made_of.index(item.source) for item in self.output_items])
        self._factors = zeros((len(self.output_items), count))
        self._set_factors()
        self._receive, self._publish = exchange()
        process = self.model.process
        left = (process.evapotranspiration, unit_hydrograph.DISCHARGE)
        self.account_rows = (
            process.forcing_names.index(process.inflow),
            np.array([self.model.outputs.index(name) for name in left]),
        )
        self.account = WaterAccount(self.model.stored())
        self._longest_block = longest_block(count, 3 + len(self.model.outputs))
        self._block_length = self._longest_block
        nothing = np.empty((0, *self.rows.shape), dtype=self.model.dtype)
        self._block = Block(0, np.empty((0, 3, count)), nothing, {})
        self._cursor = 0
        self._watched = False
        # Whether `rows` are what the last step has left, and nobody has changed the stores since.
        self._rows_are_current = False
        # Whether stores can be added up from `rows` without rounding.
        self._rows_are_exact = self.model.dtype == np.float64 and count == 1
        self._states = SavedStates(config.save_state_section, config.step_seconds)
        self.history: History | None = None
        if config.history:
            self.pin()
            self.history = History(self.model, config.history)
        if self.model.resident:
            self._make_exchange()
        if self._source is None:
            # The model counts the steps: it is never ahead.
            self.clock = self.model.clock
        if self._source is None and not self.model.resident:
            from ..kernels.cpu.coupled import CoupledStep

            self._whole_step = CoupledStep(self._refuse, self.update)

    def _unbind(self) -> None:
        """Let the next step find again what it touches, after anything of that was replaced."""
        self._at_once = self._bound = False
        if self._whole_step is not None:
            self._whole_step.plain = False

    def _bind(self) -> None:
        """Find what a step in one call touches, where steps can be done so."""
        self._bound, step = True, self._whole_step
        method = self.preparation.method
        if step is None or self.perturbation is not None:
            return
        if self.history is not None or self.preparation.factors is not None:
            return
        inflow, losses = self.account_rows
        arrays = {
            "inputs": self.inputs,
            "lowest": self._lowest,
            "highest": self._highest,
            "scale": self.input_scale,
            "floor": self._floor,
            "forcing": self._forcing,
            "rows": self._step_rows,
            "sources": self._sources,
            "factors": self._factors,
            "outputs": self.outputs,
            "losses": losses,
            "flows": self._account.flows,
            "opened": self._account.opened,
            "leaked": self._account.leaked,
            "stored_rows": np.array(self.stored_rows),
            "current": self.current,
            "balance": self.balance if self._rows_are_exact else np.empty(0),
        }
        equation = None
        if method != FROM_FORCING:
            equation = PET_METHODS[method].function
            arrays |= {"weather": self._weather, "evapotranspiration": self._pet}
            arrays |= self.preparation.arrays
        self._at_once = self.model.bind(step, arrays, inflow, equation)
        nothing_else = (
            self._results is None and self.shown is self.outputs and not self._states.repeated
        )
        step.plain = self._at_once and nothing_else and not self._watched

    def _make_zeros(self) -> Callable[..., NDArray]:
        """Return what makes the arrays that a host reads and writes."""
        if not self.model.resident:
            arena = Arena()
            self.model.move_to(arena)
            return arena.zeros
        from .exchange.gpu_coupled import host_zeros

        return host_zeros

    def _make_exchange(self) -> None:
        """Make the exchange with a model on GPUs."""
        if self._source is not None:
            from .exchange.gpu_ahead import Arrays, ResidentAhead

            arrays = Arrays(
                self.rows, self.outputs, self._sources, self._factors, *self.account_rows
            )
            self.exchange = self._ahead = ResidentAhead(self.model, arrays)
            return
        from .exchange.gpu_coupled import ResidentExchange, Scaling

        scaling = Scaling(
            self._lowest,
            self._highest,
            self.input_scale,
            self._floor,
            self._sources,
            self._factors,
            *self.account_rows,
        )
        self.exchange = self._coupled = ResidentExchange(
            self.model, self.inputs, self._forcing[0], self.rows, self.outputs, scaling
        )

    @property
    def account(self) -> WaterAccount:
        self.exchange.book(self._account.flows)
        return self._account

    @account.setter
    def account(self, account: WaterAccount) -> None:
        if self._coupled is not None:
            # What was booked on the device is the old account's.
            self._coupled.book(self._account.flows)
        self._account = account
        self.balanced = False
        self._unbind()

    def _make_perturbation(self, config: Config) -> Perturbation | None:
        if config.ensemble is None:
            return None
        from .perturbation import Perturbation

        ids, process = self.catchments.ids, self.model.process
        return Perturbation(config.ensemble, ids, process, config.step_seconds)

    def _set_factors(self) -> None:
        area = np.tile(self.catchments.area, self.model.members)
        for k, item in enumerate(self.output_items):
            self._factors[k] = factor(item.conversion, self.model.step_seconds, area)
        self.exchange.set_factors(self._factors)

    def names_to_write(self, output: OutputConfig) -> list[str]:
        """Return the names of `series` that results hold."""
        published = [item.name for item in self.output_items]
        return output.variables or [*published, *_WRITTEN_FORCINGS]

    def write_to(self, results: Results, names: Sequence[str]) -> None:
        """Write some of `series` after each step from now on."""
        self._written = list(self.kept(names).values())
        self._results = results
        self._unbind()

    def results_writer(self, output: OutputConfig) -> ResultsWriter:
        """Open the file of results that a configuration names, for these catchments.

        Raises
        ------
        ConfigError
            If a variable is unknown.
        ResultsError
            If it cannot be written.
        """
        from ..io.results import ResultsWriter

        columns = self.described(self.names_to_write(output))
        assert output.file is not None
        assert self.start is not None
        return ResultsWriter(
            Path(output.file),
            self.catchments,
            columns,
            self.start,
            self.config.step_seconds,
            {"title": "Simulated water balance of catchments", **self.provenance},
            self.model.members,
            {
                "distance_to_training": (
                    self.trained.distance(self.catchments.attributes),
                    "1",
                    "how unlike the catchments of training: Mahalanobis distance of the attributes "
                    "to the nearest of them, over that within which 95 % of them have another; "
                    "parameters are extrapolated above 1",
                )
            },
        )

    @property
    def provenance(self) -> dict[str, str]:
        """What results say of where they come from."""
        method = (
            self.preparation.method if self._source is None else self._source.evapotranspiration
        )
        return {
            "trained_model": str(self.trained.about.get("name", "")),
            "trained_model_fingerprint": self.trained.fingerprint,
            "potential_evapotranspiration": (method or "of an unknown method")
            + (", rescaled" if self.preparation.factors is not None else ""),
            "potential_evapotranspiration_of_training": " or ".join(
                self.trained.evapotranspiration.methods
            )
            or "unknown",
        }

    @property
    def series(self) -> dict[str, NDArray]:
        """All that can be written, by name: arrays of shape (traces,), current if kept."""
        return self.series_of(self.outputs, self.rows, self._forcing[0])

    def series_of(self, outputs: NDArray, rows: NDArray, forcing: NDArray) -> dict[str, NDArray]:
        """Return the rows of arrays like those of this component by name; see `series`."""
        model = self.model
        series: dict[str, NDArray] = dict(zip(model.outputs, rows, strict=True))
        series.update(zip(model.process.forcing_names, forcing, strict=True))
        published = [item.name for item in self.output_items]
        series.update(zip(published, outputs, strict=True))
        return series

    def described(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return name, units and long name of some of `series`.

        Raises
        ------
        ConfigError
            If a name is unknown.
        """
        process = self.model.process
        table = {item.name: (item.units, item.long_name) for item in self.output_items}
        for quantity in (*process.forcings, *process.states, *process.fluxes):
            table[quantity.name] = (quantity.units, quantity.long_name)
        table[unit_hydrograph.DISCHARGE] = ("mm", "runoff at the outlet")
        table[unit_hydrograph.ROUTING_STORE] = ("mm", "water on its way to the outlet")
        for name in names:
            if name not in table:
                raise ConfigError(f"output.variables: {name!r} is unknown; {nearest(name, table)}")
        return [(name, *table[name]) for name in names]

    # ---- stepping -------------------------------------------------------------------------

    def update(self) -> None:
        """Advance by one step; outputs are current afterwards.

        Raises
        ------
        ForcingError
            If weather is missing or impossible, or has ended; names catchment and time.
        """
        if not self._bound:
            self._bind()
        self.balanced = False
        if self._watched:
            self._check_state()
        if self.history is not None:
            self.history.before_step()
        if self._source is not None:
            self._step_ahead()
        else:
            self._step_with_host()
        self._rows_are_current = not self._watched
        if self._watched:
            # Who looks at stores through a pointer may change them unseen.
            self.balanced = False
            self._take_state()
        if self.history is not None:
            self.history.after_step(self.inputs, self._forcing[0])
        if not self._at_once and not self.exchange.selective:
            self.publish(self.rows, self._forcing[0], self.outputs)
        self.show()
        if self._results is not None:
            self._results.write(np.stack(self._written))
        if self._states.due(self.done):
            self.save_state()

    def publish(self, rows: NDArray, forcing: NDArray, outputs: NDArray) -> None:
        """Write the outputs of a step, and book what went in and out.

        Parameters
        ----------
        rows : array, shape (model outputs, traces)
        forcing : array, shape (3, traces)
        outputs : array, shape (outputs, traces)
            Written.
        """
        inflow, losses = self.account_rows
        self._publish(
            rows,
            forcing,
            self._sources,
            self._factors,
            outputs,
            inflow,
            losses,
            self._account.flows,
        )

    def _step_with_host(self) -> None:
        if self._at_once:
            assert self._whole_step is not None
            self._whole_step()
            return
        coupled = self._coupled
        if coupled is not None and self._given_on_device:
            if not coupled.step():
                coupled.bring_inputs()
                right = (self.inputs >= self._lowest[:, None]) & (
                    self.inputs <= self._highest[:, None]
                )
                self._refuse(int(np.argmin(right)))
            return
        if coupled is not None:
            coupled.bring_inputs()
        wrong = self._receive(
            self.inputs,
            self._lowest,
            self._highest,
            self.input_scale,
            self._floor,
            self._weather,
        )
        if wrong >= 0:
            self._refuse(wrong)
        if self.preparation.method != "forcing":
            self._given[0, :2] = self._weather[:2]
            self.preparation.potential_evapotranspiration(self._weather, self.done, self._pet)
            self._given[0, 2] = self._pet
        if self.perturbation is not None:
            self._forcing[...] = self.perturbation.forcing(self._given, self._seconds)
            self._perturb_states()
        if coupled is None:
            self.model.advance(self._forcing, self._step_rows)
        else:
            coupled.step(self._forcing[0])

    @property
    def _given_on_device(self) -> bool:
        """Whether a GPU can make the forcing of the inputs by itself."""
        direct = self.preparation.method == "forcing"
        return direct and self.perturbation is None and self.history is None

    # ---- what is asked for ----------------------------------------------------------------

    def place(self, name: str) -> int:
        """Return the place of one of `series` in the order of `keep`.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        names = (*(item.name for item in self.output_items), *self.model.outputs)
        places = {name: place for place, name in enumerate(names)}
        forcings = self.model.process.forcing_names
        places.update((name, len(names) + k) for k, name in enumerate(forcings))
        return places[name]

    def keep(self, places: Iterable[int]) -> None:
        """Keep some values current after each update, where only those are; see `place`."""
        self.exchange.keep(places)
        self.show()

    def kept(self, names: Sequence[str]) -> dict[str, NDArray]:
        """Return some of `series`, and keep them current after each update from now on."""
        self.keep([self.place(name) for name in names])
        series = self.series
        return {name: series[name] for name in names}

    def bring(self, place: int) -> None:
        """Make values current, where only those that are kept are; see `place`."""
        self.exchange.bring(place)
        self.show()

    def show(self) -> None:
        """Bring what the interface shows of the outputs up to date."""
        if self.shown is not self.outputs:
            self.shown[...] = self.outputs[:, self.part]
            self.shown_rows[...] = self.rows[:, self.part]

    def _bring_all(self) -> None:
        """Make outputs and rows current."""
        for place in range(len(self.outputs) + len(self.rows)):
            self.bring(place)

    def keep_all(self) -> None:
        """Keep everything current, and what a block started from in the host's memory."""
        self.keep(range(len(self.outputs) + len(self.rows)))
        if self._ahead is not None:
            self.exchange, self._ahead = HostExchange(), None

    @property
    def _seconds(self) -> int:
        """Start of the next step, in seconds since 1970 or, where that is unknown, the start."""
        return int(
            self.done * self.model.step_seconds if self.time is None else self.time.astype(int)
        )

    def _perturb_states(self) -> None:
        """Perturb the stores of members where a day begins, and book what that adds."""
        perturbation = self.perturbation
        if perturbation is None or not perturbation.starts_day(self._seconds):
            return
        before = self.model.stored()
        perturbation.states(self.model.state, self._seconds)
        self.account.moved(self.model.stored() - before)

    def select(self, member: int) -> None:
        """Show another member of the ensemble through the interface.

        Raises
        ------
        ValueError
            If there is no such member.
        """
        if not 0 <= member < self.model.members:
            raise ValueError(
                f"there is no member {member}; there are 0 to {self.model.members - 1}"
            )
        count = len(self.catchments)
        self.part = slice(member * count, (member + 1) * count)
        self.balanced = False
        self.show()

    def _refuse(self, place: int) -> None:
        """Raise an error for an input that is impossible, by its place in memory."""
        row, column = divmod(place, len(self._columns))
        item = self.input_items[row]
        raise ForcingError(
            f"{item.name} is {self.inputs[row, column]:.6g} {item.units} for catchment "
            f"{self.catchments.ids[self._columns[column]]} at {self.moment()}, expected "
            f"{item.lowest:g} to {item.highest:g} {item.units}; the step was not done"
        )

    @property
    def stepper(self) -> Callable[[], None]:
        """What does a step in the fewest calls; the same as `update`."""
        return self.update if self._whole_step is None else self._whole_step.update

    @property
    def time(self) -> np.datetime64 | None:
        """Start of the next step, where the start of the run is known."""
        if self.start is None:
            return None
        return self.start + np.timedelta64(self.done * self.model.step_seconds, "s")

    def moment(self) -> str:
        """Return the time of the next step, as people write it."""
        return f"step {self.done}" if self.time is None else str(self.time)

    def _step_ahead(self) -> None:
        if self._cursor == len(self._block.rows):
            if self._ahead is not None:
                self._ahead.begin()
            self._block = self.compute_ahead()
            self._cursor = 0
        block, cursor = self._block, self._cursor
        self._forcing[0] = block.forcing[cursor]
        if self._ahead is None:
            self.rows[...] = block.rows[cursor]
        else:
            self._ahead.publish(block.rows, cursor, self._forcing[0], self._account.flows)
        self._cursor += 1
        self.done += 1

    def compute_ahead(self) -> Block:
        """Compute the steps from the present on, as many as memory allows.

        Raises
        ------
        ForcingError
            If the run has ended, or weather is missing or impossible.
        """
        source = self._source
        assert source is not None
        count = min(self._block_length, source.steps - self.done)
        # A block ends where a state is saved, so that nothing is computed twice.
        count = self._states.steps_until_due(self.done, count)
        if self.perturbation is not None:
            count = self.perturbation.steps_until_moved(self._seconds, count)
        if count <= 0:
            raise ForcingError(f"{source.path}: the run ended at {self.moment()}")
        forcing = source.read(self.done, count)
        if self.perturbation is not None:
            forcing = self.perturbation.forcing(forcing, self._seconds)
            self._perturb_states()
        memory = self.model.bookmark() if self._ahead is not None else self.model.memory()
        rows = self.model.run(forcing)
        self._block_length = min(2 * self._block_length, self._longest_block)
        return Block(self.done, forcing, rows, memory)

    def synchronise(self) -> None:
        """Bring the model to the time of the interface, where it has computed ahead.

        To be called before states are read.
        """
        block = self._block
        if self._cursor < len(block.rows):
            self.go_to(block, self._cursor, block.memory)
            self._block = replace(block, rows=block.rows[: self._cursor])
            self._block_length = 1
        self.model.fetch()

    def go_to(self, block: Block, cursor: int, memory: Any) -> None:
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
        self.model.steps = block.first
        self.model.return_to(memory)
        if cursor:
            self.model.run(block.forcing[:cursor])

    def stored(self) -> NDArray:
        """Return the water in all stores at the time of the interface, in mm: (traces,)."""
        if self._cursor == len(self._block.rows):
            return self.model.stored()
        self.keep([len(self.outputs) + row for row in self.stored_rows])
        return self.stored_in(self.rows)

    @cached_property
    def stored_rows(self) -> list[int]:
        """Rows of the model that are stores."""
        names = (*self.model.process.state_names, unit_hydrograph.ROUTING_STORE)
        return [self.model.outputs.index(name) for name in names]

    def stored_in(self, rows: NDArray) -> NDArray:
        """Return the water in all stores, in mm, from the outputs of a step of the model."""
        return rows[self.stored_rows].sum(axis=0, dtype=float)

    def take_balance(self) -> None:
        """Make `balance` that of now."""
        self.balance[:] = self.mass_terms()
        self.balance *= 1e-3
        # A host that looks at stores through a pointer may change them unseen.
        self.balanced = not self._watched

    def share(self, other: FleetMember) -> None:
        """Write to the arrays of a member of a fleet from now on; they hold what was there."""
        self.keep_all()
        outputs, rows = other.outputs, other.rows
        other.balance[...], other.current[...] = self.balance, self.current
        self.balance, self.current = other.balance, other.current
        other.clock[...], self.clock = self.clock, other.clock
        outputs[...], rows[...] = self.outputs, self.rows
        self.outputs = self.shown = outputs
        self.rows = self.shown_rows = rows
        self._step_rows = rows[None]
        self._unbind()

    @property
    def block_steps(self) -> int:
        """How many steps are computed at a time at most."""
        return self._longest_block

    @property
    def source(self) -> WeatherSource:
        """The weather file; there must be one."""
        assert self._source is not None
        return self._source

    def mass_terms(self) -> tuple[float, float, float, float]:
        """Return what went in and out, is stored and was taken, in mm: one value of each.

        The mean over the catchments by area; of an ensemble that of the member which the interface
        shows, or the mean of all.
        """
        account = self.account
        if self.rows.shape[1] == 1:
            stored = self._stored_of_one()
            flows = account.flows
            return (
                flows.item(0, 0),
                flows.item(1, 0),
                stored - account.opened.item(0),
                account.leaked.item(0),
            )
        area = self.catchments.area
        share = area / area.sum()
        values = self.water_balance()
        into, out, kept, leaked = (
            float(values[name][self.part].reshape(-1, area.size).mean(axis=0) @ share)
            for name in ("in", "out", "stored", "leaked")
        )
        return into, out, kept, leaked

    def _stored_of_one(self) -> float:
        """Return the water in all stores of the only catchment, in mm, as its last step left it."""
        if self._rows_are_current and self._rows_are_exact and not self.exchange.selective:
            item, total = self.rows.item, 0.0
            for row in self.stored_rows:
                total += item(row, 0)
            return total
        return float(self.stored()[0])

    def water_balance(self) -> dict[str, NDArray]:
        """Return what went in and out since the start, and what is stored since; see `account`."""
        return self.account.values(self.stored())

    def payload(self) -> bytes:
        """Return the state and the outputs at the time of the interface, without executable parts.

        What is remembered depends on no clock: see `restore_payload`.
        """
        self.synchronise()
        self._bring_all()
        now = {"outputs": self.outputs, "rows": self.rows}
        return state.to_bytes(self.model, self.trained.fingerprint, self.catchments.ids, now)

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
        then = state.from_bytes(
            payload, self.model, self.trained.fingerprint, self.catchments.ids, source
        )
        if then:
            self._bring_all()
            self.outputs[...], self.rows[...] = then["outputs"], then["rows"]
            self.exchange.put()
            self.show()
        self.account = WaterAccount(self.model.stored())

    def changing(self) -> None:
        """Get ready for a change of states or parameters from outside."""
        self._rows_are_current = self.balanced = False
        self.synchronise()
        self._take_state()
        if self.history is not None:
            self.history.forget()

    def _check_state(self) -> None:
        """Refuse stores that a host has made what they cannot be, through a pointer to them.

        Raises
        ------
        StateError
            If one is not finite or below zero; the step is not done then.
        """
        stores = self.model.state
        wrong = ~(np.isfinite(stores) & (stores >= -state.ROUNDING))
        if not wrong.any():
            return
        row, trace, component = np.argwhere(wrong)[0].tolist()
        catchment = self.catchments.ids[trace % len(self.catchments)]
        raise StateError(
            f"{self.model.process.state_names[row]} is {stores[row, trace, component]:g} mm for "
            f"catchment {catchment} at {self.moment()}, as somebody has set it through a pointer; "
            "the step was not done"
        )

    def _take_state(self) -> None:
        """Let the model take its state from the host's array, which a host may change."""
        _ = self.model.state

    def pin(self) -> None:
        """Compute one step at a time from now on, since a host looks at the states themselves."""
        self.synchronise()
        self._longest_block = self._block_length = 1
        self._watched, self._rows_are_current, self.balanced = True, False, False
        self._unbind()
        self._take_state()

    # ---- changing -------------------------------------------------------------------------

    def set_attribute(self, name: str, values: NDArray) -> None:
        """Change an attribute of the catchments; see `CatchmentParameters.set_attribute`."""
        values = np.asarray(values, dtype=float)
        if not self.parameters.differing(name, values).size:
            return
        self.changing()
        self.parameters.set_attribute(name, values)
        if name == "area":
            self._set_factors()

    def take_catchment(self, other: Component, row: int, place: int) -> None:
        """Give the catchment at `place` all that a host has given one at `row` of another run."""
        self.parameters.take(other.parameters, row, place)
        self._set_factors()

    def set_parameter(
        self, name: str, values: NDArray, rows: slice | NDArray = slice(None)
    ) -> None:
        """Give some catchments a parameter; see `CatchmentParameters.set_parameter`."""
        self.changing()
        self.parameters.set_parameter(name, values, rows)

    # ---- ending ---------------------------------------------------------------------------

    def close(self) -> None:
        """Finish results and the state to be saved."""
        if self._results is not None:
            self._results.close()
            self._results = None
        if self._states.due_at_end(self.done):
            self.save_state()
        self.abandon()

    def save_with(self, states: SavedStates) -> None:
        """Save states as another has begun to, from now on."""
        self._states = states
        self._unbind()

    def save_state(self) -> None:
        """Save the state at the time of the interface."""
        self.synchronise()
        ids, account = self.catchments.ids, self.account
        self._states.save(self.model, self.trained.fingerprint, ids, self.time, self.done, account)

    def abandon(self) -> None:
        """Let go of files; unfinished results are removed."""
        if self._results is not None:
            self._results.abandon()
            self._results = None
        if self._source is not None:
            self._source.close()
