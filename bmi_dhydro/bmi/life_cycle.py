"""Initialize, update, finalize; and the time of the interface."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from ..config.time_units import TimeUnits
from ..errors import ConfigError, ForcingError, OrderError
from ..hosts.ngen import Protocols
from ..run.aggregation import Aggregation
from ..variables import DEFAULT_INPUTS, OUTPUTS, REACH_OUTPUTS, inputs_for
from .grids import GridMethods, Grids
from .names import NOTHING_PUBLISHED, Names

if TYPE_CHECKING:
    from ..hosts.fleet import FleetInstance
    from ..run.component import Component


_log = logging.getLogger(__name__)

# `update_until` forgives a time that misses a step by this share of it.
_TOLERANCE = 1e-6


class LifeCycleMethods(GridMethods):
    """The methods of the interface that drive a component, and those that tell its time."""

    def __init__(self) -> None:
        self._component: Component | FleetInstance | None = None
        self._finalized = False
        self._names: Names | None = None
        self._remember(None)
        self._never_set: set[str] = set()
        # Errors of parameters that a host has set, by name, until they are set right.
        self._rejected_parameters: dict[str, ValueError] = {}
        # Inputs that were last set on a GPU, by row.
        self._set_on_device: set[int] = set()
        self._input_names = tuple(item.name for item in inputs_for(DEFAULT_INPUTS))
        self._output_names = tuple(item.name for item in OUTPUTS)
        self._protocols = Protocols(self._ready)
        # Whether outputs are those of several steps.
        self._together = False
        self._time_step = self._start_time = 0.0
        self._time_units = "s"

    # ---- life cycle -----------------------------------------------------------------------

    def initialize(self, config_file: str) -> None:
        """Read a configuration and make everything ready for the first step.

        Parameters
        ----------
        config_file : str
            Path of a YAML file; see `bmi_dhydro.config`.

        Raises
        ------
        DhydroError
            If the configuration, or anything it names, is missing or does not fit.
        """
        if self._component is not None:
            raise OrderError("initialize was called before; call finalize first")
        from ..config import read_config
        from ..run.component import Component

        if not config_file:
            raise ConfigError("initialize needs the path of a configuration file")
        config = read_config(config_file)
        if config.fleet:
            from ..hosts.fleet import FleetInstance

            self._start(FleetInstance(config))
        else:
            self._start(Component(config))

    def _start(self, component: Component | FleetInstance) -> None:
        self._component = component
        self._finalized = False
        self._clock = component.clock.count.data
        self._set_clock(component)
        self._update = component.stepper
        self._input_names = tuple(item.name for item in component.input_items)
        self._output_names = tuple(item.name for item in component.output_items)
        if component.joined is not None:
            self._output_names += tuple(item.name for item in REACH_OUTPUTS)
        self._never_set = set(self._input_names)
        self._find_arrays(component)

    def _set_clock(self, component: Component | FleetInstance) -> None:
        """Find the time step and the start in the unit that the configuration names."""
        units = TimeUnits.parse(component.config.time.units, "time.units")
        if units.needs_start and component.clock.start is None:
            raise ConfigError(f"time.units: {units.text!r} needs time.start")
        self._time_step = component.model.step_seconds / units.seconds
        self._start_time = units.at_start(component.clock.start)
        self._time_units = units.described(component.clock.start)

    def _find_arrays(self, component: Component | FleetInstance) -> None:
        """Find the arrays that names stand for."""
        self._names = Names(component)
        self._remember(self._names)

    def _remember(self, names: Names | None) -> None:
        """Keep what is asked in each step, so that an engine with many instances does not wait."""
        published = NOTHING_PUBLISHED if names is None else names.published
        self._types, self._units = published.types, published.units
        self._itemsizes, self._nbytes = published.itemsizes, published.nbytes
        self._input_places, self._output_places = published.inputs, published.outputs
        self._inputs = () if names is None else names.inputs
        self._outputs = () if names is None else names.outputs
        self._single_inputs = None if names is None else names.single_inputs
        self._single_outputs = None if names is None else names.single_outputs

    @property
    def component(self) -> Component:
        """The model behind the interface, for hosts that know Python; it leaves its fleet."""
        return self._leave_fleet()

    def _own(self) -> Component:
        """Return a component of this instance alone, to be changed.

        In a fleet that has not begun, the fleet takes over what is changed.
        """
        member = self._ready()
        if not member.config.fleet:
            return member
        if not member.waiting:
            return self._leave_fleet()
        component = member.prepare()
        self._known.take(component)
        self._update = self._first_update
        return component

    def _leave_fleet(self) -> Component:
        """Return the component of this instance, which a fleet no longer computes."""
        member = self._ready()
        if not member.config.fleet:
            return member
        component = member.leave()
        self._component, self._update = component, component.stepper
        self._known.take(component)
        return component

    def _first_update(self) -> None:
        """Do the first step of a fleet that has taken over what was changed here."""
        member = self._ready()
        self._names, self._update = Names(member), member.stepper
        self._update()

    @property
    def _known(self) -> Names:
        """The names of this instance, while it is initialized."""
        assert self._names is not None
        return self._names

    @property
    def _grids(self) -> Grids:
        return Grids(self._ready())

    def _ready(self) -> Any:
        if self._component is None:
            what = "finalize was called" if self._finalized else "the model is not initialized"
            raise OrderError(f"{what}; call initialize(config_file) first")
        return self._component

    def update(self) -> None:
        """Advance by one step.

        Raises
        ------
        ForcingError
            If weather is missing or impossible; the step is not done then.
        """
        if self._component is None:
            self._ready()
        if self._never_set:
            _log.warning("never set, so zero: %s", ", ".join(sorted(self._never_set)))
            self._never_set = set()
        self._together = False
        if self._rejected_parameters:
            raise next(iter(self._rejected_parameters.values()))
        self._update()

    def update_until(self, time: float) -> None:
        """Advance to a time, in the units of `get_time_units`.

        A time in the past does nothing. Where it takes several steps, outputs are those of all of
        them afterwards: depths add up, rates are means, stores those of the last step.

        Raises
        ------
        ValueError
            If the time is not at the end of a step; nothing is done then.
        """
        component = self._ready()
        steps = (time - self.get_current_time()) / self._time_step
        if steps <= 0:
            return
        whole = round(steps)
        if abs(steps - whole) > _TOLERANCE * max(1, whole):
            raise ValueError(
                f"time {time:g} is {steps:.6g} steps of {self._time_step:g} {self._time_units} "
                "ahead; only whole steps can be done: ask for a multiple, or set time.step"
            )
        if component.clock.steps is not None and component.done + whole > component.clock.steps:
            raise ForcingError(
                f"time {time:g} is beyond the end of the run, {self.get_end_time():g}"
            )
        if whole == 1:
            self.update()
        else:
            self._update_together(whole)

    def _update_together(self, steps: int) -> None:
        """Do several steps; outputs are then those of all of them."""
        component = self._ready()
        if component.exchange.selective:
            component.keep_all()
            self._find_arrays(component)
        total = Aggregation(component)
        for _ in range(steps):
            self.update()
            # An instance may have left its fleet.
            component = self._ready()
            total.add(component)
        total.show(component)
        self._together = True

    def finalize(self) -> None:
        """Finish files and let go of everything; may be called at any time, and twice."""
        component, self._component = self._component, None
        self._names = None
        self._remember(None)
        self._rejected_parameters = {}
        self._protocols.close()
        self._finalized = True
        if component is not None:
            self._update = _not_ready
            component.close()

    # ---- time -----------------------------------------------------------------------------

    def get_current_time(self) -> float:
        """Return the time at which the next step begins, in the units of `get_time_units`."""
        if self._component is None:
            self._ready()
        return self._start_time + self._clock[0] * self._time_step

    def get_start_time(self) -> float:
        """Return the time at which the first step begins, in the units of `get_time_units`."""
        self._ready()
        return self._start_time

    def get_end_time(self) -> float:
        """Return the time at which the run ends; the largest number there is where it is open."""
        steps = self._ready().clock.steps
        if steps is None:
            return sys.float_info.max
        return self._start_time + steps * self._time_step

    def get_time_units(self) -> str:
        """Return the unit of time that the configuration names (`time.units`)."""
        self._ready()
        return self._time_units

    def get_time_step(self) -> float:
        """Return the length of a step, in the units of `get_time_units`."""
        self._ready()
        return self._time_step


def _not_ready() -> None:
    raise OrderError("finalize was called; call initialize(config_file) first")
