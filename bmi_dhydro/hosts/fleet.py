"""Many instances of the interface in one process, computed together.

A host such as NextGen makes one instance for each catchment, all of them before the first step.
Where they read their own weather they need nothing of the host, so that instances of one
configuration can share an engine: it computes a block of steps for all of them at once, and each
instance only picks up its own. What an instance alone is asked for (another parameter, a state, a
derivative) is answered by a component of its own, with the same result to the last bit.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import OutputConfig
from ..errors import CatchmentError, ConfigError
from ..model.model import Model
from ..run.building import described_catchments, read_catchments
from ..run.clock import Clock
from ..run.component import Component
from ..run.drivers.ahead import Ahead, Block
from ..run.exchange.host import HostExchange
from ..run.instance import Held, Instance
from ..run.saved_states import SavedStates
from ..run.water_account import WaterAccount
from ..variables import OF_PARAMETER_SETS, ROUTING_PENDING
from .fleet_results import FleetResults, Sink

if TYPE_CHECKING:
    from ..catchments.catchments import Catchments
    from ..config import Config

# Blocks by which an instance may stay behind the others before it goes on alone.
_PATIENCE = 2


class _Page:
    """A block of steps as instances read it, and the one that follows."""

    def __init__(self, engine: Component, block: Block, number: int) -> None:
        steps = len(block.rows)
        outputs = np.empty((steps, *engine.outputs.shape))
        # What went in and out since the account was opened, before the first step and after each.
        account = engine.account
        flows = np.empty((steps + 1, *account.flows.shape))
        flows[0] = account.flows
        # As the model has it, so that results are those of separate instances.
        forcing = np.ascontiguousarray(block.forcing, dtype=engine.model.dtype)
        for k in range(steps):
            engine.table.publish(block.rows[k], forcing[k], outputs[k], account.flows)
            flows[k + 1] = account.flows
        self.block = block
        self.flows = np.ascontiguousarray(flows.transpose(0, 2, 1))
        self.number = number
        self._engine = engine
        # The values of a catchment side by side.
        self.outputs = np.ascontiguousarray(outputs.transpose(0, 2, 1))
        self.next: _Page | None = None

    def __len__(self) -> int:
        return len(self.block.rows)

    @cached_property
    def balance(self) -> NDArray:
        """What went in and out, and is stored, since the account was opened, in m.

        Shape (steps, catchments, 3), of all instances at once: asked for, each takes its own.
        """
        engine = self._engine
        # In the order in which a separate instance adds, so that both have the same sum.
        stored = np.zeros(self.block.rows[:, 0].shape)
        for row in engine.table.stored_rows:
            stored += self.block.rows[:, row]
        stored -= engine.account.opened
        return 1e-3 * np.concatenate([self.flows[1:], stored[..., None]], axis=2)


class Fleet:
    """Instances of one configuration, and the engine that computes them.

    Parameters
    ----------
    config : Config
        Configuration of any instance.

    Attributes
    ----------
    sample : Component
        The component of the first instance: it has checked what all have in common.
    engine : Component or None
        The component of all instances, from the first step on.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.sample = Component(_alone(config))
        self.engine: Component | None = None
        self._results: FleetResults | None = None
        self._places: dict[str, int] = {}
        self._instances: weakref.WeakSet[FleetInstance] = weakref.WeakSet()

    def add(self, instance: FleetInstance) -> None:
        """Take in an instance; only before the first step."""
        self._instances.add(instance)

    def build(self) -> None:
        """Make the engine of all instances there are; new instances make a fleet of their own."""
        for key in [key for key, fleet in _WAITING.items() if fleet is self]:
            del _WAITING[key]
        instances = sorted((i for i in self._instances if i.shares), key=lambda i: i.number)
        ids = list(dict.fromkeys(instance.id for instance in instances))
        engine = Component(_of(self._config, ids))
        engine.keep_all()
        snapshot = engine.model.snapshot()
        places = {name: place for place, name in enumerate(ids)}
        for instance in instances:
            instance.place = places[instance.id]
        for instance in instances:
            if instance.prepared is not None:
                own = instance.prepared.model
                engine.take_catchment(instance.prepared, 0, instance.place)
                for name, values in own.snapshot().items():
                    _rows(name, snapshot[name])[instance.place] = _rows(name, values)[0]
        engine.model.restore(snapshot)
        # The account of each instance is as that of a separate instance: what an initial state has
        # brought, and what a host has moved before the first step.
        account = engine.account.to_array()
        for instance in instances:
            if instance.prepared is not None:
                account[:, instance.place] = instance.prepared.account.to_array()[:, 0]
        engine.account.take(account)
        stored = engine.model.stored()
        for instance in instances:
            instance.open_account(account[:, instance.place], stored.item(instance.place))
        self.engine = engine
        page = self._page(0)
        for instance in instances:
            instance.settle(page)
        self.sample.abandon()

    def results(self, id: str) -> tuple[FleetResults, int]:
        """Return the results of all instances there are, and the place of one; opens the file."""
        if self._results is None:
            ids = [i.id for i in sorted(self._instances, key=lambda i: i.number)]
            self._places = {name: place for place, name in enumerate(ids)}
            if len(self._places) < len(ids):
                twice = next(name for name in ids if ids.count(name) > 1)
                raise ConfigError(f"output.file: catchment {twice} has several instances")
            # The file is of all instances, also of those that go on alone.
            output, sample = self._config.output, self.sample
            writer = sample.results_writer(output, described_catchments(_of(self._config, ids)))
            count = len(sample.table.names_to_write(output))
            self._results = FleetResults(writer, count, len(ids))
        return self._results, self._places[id]

    def following(self, page: _Page) -> _Page:
        """Return the block that follows one, computed if nobody has asked for it yet."""
        if page.next is None:
            page.next = self._page(page.number + 1)
            # Blocks live as long as somebody reads them: who stays behind goes on alone.
            for instance in list(self._instances):
                if instance.shares and instance.page_number < page.number - _PATIENCE:
                    instance.leave()
        return page.next

    def _page(self, number: int) -> _Page:
        assert self.engine is not None
        driver = self.engine.driver
        assert isinstance(driver, Ahead)
        block = driver.compute()
        self.engine.clock.done += len(block.rows)
        return _Page(self.engine, block, number)


# Fleets that still take instances, by configuration.
_WAITING: weakref.WeakValueDictionary[bytes, Fleet] = weakref.WeakValueDictionary()


def _of(config: Config, ids: list[str]) -> Config:
    """Return the configuration of a component of some catchments, which saves no states."""
    change = msgspec.structs.replace
    chosen = change(config.catchments, select=ids)
    return change(config, fleet=False, catchments=chosen, save_state=None, output=OutputConfig())


def _alone(config: Config) -> Config:
    return _of(config, config.catchments.select or [])


def _key(config: Config) -> bytes:
    """Return what instances of a fleet have in common; files that were changed make another."""
    files = (
        config.catchments.table,
        config.forcing.file,
        config.parameter_file,
        config.initial_state,
        config.model,
    )
    changed = [
        Path(file).stat().st_mtime_ns for file in files if file is not None and Path(file).exists()
    ]
    return msgspec.json.encode((_of(config, []), config.output, changed))


def _rows(name: str, values: NDArray) -> NDArray:
    """Return an array of a model's snapshot with the catchments first."""
    return values.transpose(1, 0, 2) if name == "state" else values


class FleetInstance(Instance):
    """One catchment of a fleet: what `Component` is to an instance that is alone.

    Parameters
    ----------
    config : Config
        With `fleet`, and one catchment selected.

    Attributes
    ----------
    id : str
    catchments : Catchments
        The one.
    prepared : Component or None
        What was changed before the first step, for the engine to take over.
    place : int
        Among the catchments of the engine.

    Raises
    ------
    DhydroError
        If anything named in the configuration is missing or does not fit.
    """

    _made = 0

    def __init__(self, config: Config) -> None:
        FleetInstance._made += 1
        self.number = FleetInstance._made
        self.config = config
        assert config.catchments.select is not None
        self.id = config.catchments.select[0]
        key = _key(config)
        fleet = _WAITING.get(key)
        if fleet is None:
            fleet = _WAITING[key] = Fleet(config)
        self._fleet = fleet
        sample = fleet.sample
        self.catchments = self._checked(sample)
        self.inputs, self.input_items = np.zeros((0, 1)), ()
        self.output_items = sample.output_items
        sizes = len(self.output_items), len(sample.model.outputs), 1
        self.held = Held.of(*sizes, sample.model.dtype)
        self.outputs, self.rows = self.held.outputs, self.held.rows
        clock = sample.clock
        self.clock = Clock(clock.start, clock.steps, clock.step_seconds, self.held.count)
        self.own_columns, self.shown, self.shown_rows = slice(None), self.outputs, self.rows
        self.exchange = HostExchange()
        self._outputs, self._rows = self.outputs[:, 0], self.rows[:, 0]
        self._rows_wanted = False
        self.prepared: Component | None = None
        self.place = 0
        self._own: Component | None = None
        self._page: _Page | None = None
        self._cursor = 0
        self._leaked, self._stored_at_start = 0.0, 0.0
        self._states = SavedStates(config.save_state_section, config.step_seconds)
        self._sink: Sink | None = None
        if config.output.file is not None:
            self._sink = Sink(partial(fleet.results, self.id))
            self._forcing = np.zeros((len(sample.model.process.forcings), 1))
            self._rows_wanted = True
            series = sample.table.series(self._forcing, self.outputs, self.rows)
            names = self._written_names
            sample.table.described(names)
            self._written = [series[name] for name in names]
        fleet.add(self)

    def _checked(self, sample: Component) -> Catchments:
        """Return the catchment, if the engine can have it."""
        catchments = read_catchments(_alone(self.config))
        sample.source.require(catchments.ids)
        for name in sample.trained.layout.needed:
            if not np.isfinite(catchments.attributes.get(name, np.zeros(1))).all():
                raise CatchmentError(f"attribute {name!r} has no value for catchment {self.id}")
        # The engine has the attributes of all.
        return replace(catchments, attributes={})

    @property
    def model(self) -> Model:  # type: ignore[override]
        """A model like that of this catchment: outputs, states and types are the same."""
        return self._fleet.sample.model

    @property
    def private_names(self) -> tuple[str, ...]:
        """Names that only a component of this catchment alone answers for."""
        sample = self._fleet.sample
        model = sample.model
        states = model.process.state_names
        attributes = sample.parameters.attribute_names
        every = (name + OF_PARAMETER_SETS for name in model.process.parameter_names)
        return (*states, *model.parameters, *every, *attributes, ROUTING_PENDING)

    @property
    def shares(self) -> bool:
        """Whether the fleet's engine computes this catchment, or will."""
        return self._own is None

    @property
    def waiting(self) -> bool:
        """Whether the engine is yet to be built."""
        return self.shares and self._fleet.engine is None

    @property
    def page_number(self) -> int:
        """Number of the block that this instance reads."""
        return -1 if self._page is None else self._page.number

    # ---- stepping -------------------------------------------------------------------------

    def update(self) -> None:
        """Pick up the next step; see `Component.update`."""
        if self._own is not None:
            self._own.update()
            return
        page, cursor = self._page, self._cursor
        if page is None or cursor == len(page):
            page, cursor = self._turn(), 0
        self._outputs[:] = page.outputs[cursor, self.place]
        if self._rows_wanted:
            self._rows[:] = page.block.rows[cursor, :, self.place]
        self._cursor = cursor + 1
        self.clock.done += 1
        self.balanced = False
        if self._sink is not None:
            self._forcing[:, 0] = page.block.forcing[cursor, :, self.place]
            self._sink.write(np.stack(self._written))
        if self._states.due(self.done):
            self._save_state()

    def want_rows(self) -> None:
        """See `Instance.want_rows`: they are picked up when somebody knows their names."""
        self._rows_wanted = True
        if self._page is not None and self._cursor:
            self._rows[:] = self._page.block.rows[self._cursor - 1, :, self.place]

    @property
    def _written_names(self) -> list[str]:
        """Names of what results hold."""
        return self._fleet.sample.table.names_to_write(self.config.output)

    @property
    def stepper(self) -> Callable[[], None]:
        """See `Component.stepper`."""
        return self.update

    def show(self) -> None:
        """Do nothing: the interface shows the outputs themselves."""

    def _turn(self) -> _Page:
        if self._page is None:
            self._fleet.build()
        else:
            self._page, self._cursor = self._fleet.following(self._page), 0
        assert self._page is not None
        return self._page

    def open_account(self, account: NDArray, stored: float) -> None:
        """Take what is known of the water that came and went, before the engine's first step.

        Parameters
        ----------
        account : array, shape (4,)
            Account of this catchment, as `WaterAccount.to_array` returns it.
        stored : float
            In all stores, in mm.
        """
        self._leaked = account.item(2)
        self._stored_at_start = stored

    def settle(self, page: _Page) -> None:
        """Begin to read the engine's first block, and let go of what the engine has taken over."""
        self._page = page
        if self.prepared is not None:
            self.prepared.abandon()
            self.prepared = None

    # ---- alone ----------------------------------------------------------------------------

    def prepare(self) -> Component:
        """Return a component to be changed before the first step; the engine takes it over."""
        if self.prepared is None:
            self.prepared = Component(_alone(self.config), held=self.held)
        return self.prepared

    def leave(self) -> Component:
        """Go on alone from here, with the arrays that the host knows; return the component."""
        if self._own is None:
            self._own = self.prepare() if self.waiting else self._continued()
            self._own.keep_all()
            self._own.save_with(self._states)
            if self._sink is not None:
                self._own.write_to(self._sink, self._written_names)
            self._page = None
        return self._own

    def _continued(self) -> Component:
        """Return a component of this catchment alone, at its present step."""
        page, engine = self._page, self._fleet.engine
        assert page is not None
        assert engine is not None
        self.want_rows()
        component = Component(_alone(self.config), held=self.held)
        component.take_catchment(engine, self.place, 0)
        one = slice(self.place, self.place + 1)
        snapshot = {
            name: values[:, one] if name == "state" else values[one]
            for name, values in page.block.snapshot.items()
        }
        block = replace(
            page.block,
            forcing=np.ascontiguousarray(page.block.forcing[:, :, one]),
            rows=page.block.rows[:, :, one],
        )
        driver = component.driver
        assert isinstance(driver, Ahead)
        driver.go_to(block, self._cursor, snapshot)
        component.account = self._account(engine)
        return component

    # ---- water and state ------------------------------------------------------------------

    def _account(self, engine: Component) -> WaterAccount:
        """Return the account of this catchment at its present step."""
        account = WaterAccount(engine.account.opened[self.place : self.place + 1])
        assert self._page is not None
        account.flows[:, 0] = self._page.flows[self._cursor, self.place]
        account.leaked[0] = self._leaked
        return account

    def mass_terms(self) -> tuple[float, float, float, float]:
        """See `Component.mass_terms`."""
        if self._own is not None:
            return self._own.mass_terms()
        if self.waiting:
            return self.prepare().mass_terms()
        page, engine = self._page, self._fleet.engine
        assert page is not None
        assert engine is not None
        into, out = page.flows[self._cursor, self.place].tolist()
        stored = self._stored_now(engine)
        return into, out, stored - engine.account.opened.item(self.place), self._leaked

    def take_balance(self) -> None:
        """See `Component.take_balance`."""
        page, cursor = self._page, self._cursor
        if page is not None and cursor:
            self.held.balance[:3] = page.balance[cursor - 1, self.place]
            self.held.balance[3] = 1e-3 * self._leaked
            self.balanced = True
            return
        self.write_balance(self.mass_terms())
        # Before the first step a host may change what the engine then takes over.
        self.balanced = self.shares and not self.waiting

    def water_balance(self) -> Mapping[str, NDArray]:
        """See `Component.water_balance`."""
        if self._own is not None:
            return self._own.water_balance()
        if self.waiting:
            return self.prepare().water_balance()
        engine = self._fleet.engine
        assert engine is not None
        account = self._account(engine)
        return account.values(np.array([self._stored_now(engine)]))

    def _stored_now(self, engine: Component) -> float:
        """Return the water in all stores after the step that was done last, in mm."""
        if self.done == 0:
            return self._stored_at_start
        self.want_rows()
        return engine.table.stored_in(self.rows).item()

    def payload(self) -> bytes:
        """See `Component.payload`."""
        if self._own is not None:
            return self._own.payload()
        component = self.prepare() if self.waiting else self._continued()
        return component.payload()

    def restore_payload(self, payload: bytes, source: str) -> None:
        """See `Component.restore_payload`; before the first step the engine takes it over."""
        component = self.prepare() if self.waiting else self.leave()
        component.restore_payload(payload, source)

    def _save_state(self) -> None:
        """Save the state of this catchment, which the engine alone has until now."""
        component = self.prepare() if self.waiting else self._continued()
        component.save_with(self._states)
        component.save_state()
        if component is not self.prepared:
            component.abandon()

    def close(self) -> None:
        """Save a state if the end's is wanted; let go of what belongs to this instance alone."""
        if self.shares and self._states.due_at_end(self.done):
            self._save_state()
        if self.shares and self._sink is not None:
            self._sink.close()
        for component in (self._own, self.prepared):
            if component is not None and component is self._own:
                component.close()
            elif component is not None:
                component.abandon()
        self._page = None
