"""The Basic Model Interface 2.0 of a river alone."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config.river import RiverConfig, read_river_config
from ..config.settings import parse_date, parse_duration, parse_step
from ..config.time_units import TimeUnits
from ..errors import ConfigError, ForcingError, NetworkError, OrderError, VariableError
from ..river.learned import with_learned
from ..river.outputs import RiverOutputs
from ..river.river import River
from ..river.state_file import load_river_state, save_river_state
from ..river.tables import read_network, read_values
from ..variables import REACH_STATES, RIVER_INPUTS, RIVER_OUTPUTS
from .reaches import VELOCITY, ReachMethods

# A time that misses a step by this share of it is forgiven.
_TOLERANCE = 1e-6


class BmiRiver(ReachMethods):
    """A river: lateral inflow of its reaches in, flow, depth, velocity and storage out.

    By name, but unpublished, a host also reaches the parameters of the reaches and their states
    (`flow`, `depth`, `storage`, `remainder`).
    """

    # ---- life cycle -----------------------------------------------------------------------

    def initialize(self, config_file: str) -> None:
        """Read a configuration (see `bmi_dhydro.config.river`) and a network.

        Raises
        ------
        DhydroError
            If the configuration, or anything it names, is missing or does not fit.
        """
        if self._river is not None:
            raise OrderError("initialize was called before; call finalize first")
        if not config_file:
            raise ConfigError("initialize needs the path of a configuration file")
        config = read_river_config(config_file)
        river = _made(config)
        self._config, self._done = config, 0
        start = config.time.start
        self._start = None if start is None else parse_date(start, "time.start")
        units = TimeUnits.parse(config.time.units, "time.units")
        self._time_step = river.step_seconds / units.seconds
        self._start_time = units.at_start(self._start)
        self._time_units = units.described(self._start)
        self._steps = _steps(config, self._start, river.step_seconds)
        self._lateral = np.zeros(len(river.network))
        self._show(river)
        self._river = river

    def _show(self, river: River) -> None:
        """Find the values of all names."""
        self._routed = RiverOutputs(river)
        self._values = {item.name: self._flows.values[item.source] for item in RIVER_OUTPUTS}
        self._values[RIVER_INPUTS[0].name] = self._lateral
        self._values |= river.states
        parameters = {item.name: item.units for item in river.process.parameters}
        self._units = {item.name: item.units for item in (*RIVER_INPUTS, *RIVER_OUTPUTS)}
        self._units |= REACH_STATES | parameters

    def update(self) -> None:
        """Advance by one step.

        Raises
        ------
        ForcingError
            If the end of the run has been reached.
        """
        self._ready()
        if self._steps is not None and self._done >= self._steps:
            raise ForcingError(f"the run ends at {self.get_end_time():g} {self._time_units}")
        self._flows.step(self._lateral)
        self._done += 1

    def update_until(self, time: float) -> None:
        """Advance to a time, in the units of `get_time_units`; a time in the past does nothing.

        Outputs are those of the last step; mean flow is that of all steps.

        Raises
        ------
        ValueError
            If the time is not at the end of a step; nothing is done then.
        """
        self._ready()
        steps = (time - self.get_current_time()) / self._time_step
        whole = round(steps)
        if steps <= 0:
            return
        if abs(steps - whole) > _TOLERANCE * max(1, whole):
            raise ValueError(
                f"time {time:g} is {steps:.6g} steps of {self._time_step:g} {self._time_units} "
                "ahead; only whole steps can be done: ask for a multiple, or set time.step"
            )
        mean = self._values[RIVER_OUTPUTS[1].name]
        total = np.zeros_like(mean)
        for _ in range(whole):
            self.update()
            total += mean
        mean[:] = total / whole

    def finalize(self) -> None:
        """Write the state where the configuration asks for it; may be called at any time."""
        river, self._river = self._river, None
        if river is not None and self._config.save_state is not None:
            moment = self._start_time + self._done * self._time_step
            path = Path(self._config.save_state)
            save_river_state(path, river, f"{moment:g} {self._time_units}")

    # ---- time -----------------------------------------------------------------------------

    def get_current_time(self) -> float:
        """Return the time at which the next step begins, in the units of `get_time_units`."""
        self._ready()
        return self._start_time + self._done * self._time_step

    def get_start_time(self) -> float:
        """Return the time at which the first step begins."""
        self._ready()
        return self._start_time

    def get_end_time(self) -> float:
        """Return the time at which the run ends; the largest number there is where it is open."""
        self._ready()
        if self._steps is None:
            return sys.float_info.max
        return self._start_time + self._steps * self._time_step

    def get_time_units(self) -> str:
        """Return the unit of time that the configuration names."""
        self._ready()
        return self._time_units

    def get_time_step(self) -> float:
        """Return the length of a step, in the units of `get_time_units`."""
        self._ready()
        return self._time_step

    # ---- values ---------------------------------------------------------------------------

    def get_value(self, name: str, dest: NDArray) -> NDArray:
        """Copy the values of a variable into `dest`, and return it."""
        values = self._current(name)
        if dest.size != values.size:
            raise ValueError(f"{name} has {values.size} values, but dest has room for {dest.size}")
        dest[...] = values if dest.ndim == 1 else values.reshape(dest.shape)
        return dest

    def get_value_ptr(self, name: str) -> NDArray:
        """Return the values of a variable where they are, current after each step.

        Raises
        ------
        VariableError
            If it is a parameter: those have no such place, and are set by `set_value`.
        """
        values = self._current(name)
        self._flows.velocity_is_kept |= name == VELOCITY
        if name not in self._values:
            raise VariableError(f"{name} has no fixed place in memory; use get_value and set_value")
        return values

    def get_value_at_indices(self, name: str, dest: NDArray, inds: NDArray) -> NDArray:
        """Copy the values of some reaches into `dest`, and return it."""
        dest[:] = self._current(name)[inds]
        return dest

    def set_value(self, name: str, src: NDArray) -> None:
        """Set all values of an input, a state or a parameter.

        Lateral inflow is the mean of the step and holds until it is set again; a negative one is a
        loss.

        Raises
        ------
        VariableError
            If the name is unknown, or an output.
        ValueError
            If there are more or fewer values than reaches, they are no numbers, or they are
            impossible; names reaches. Nothing is set then.
        """
        is_input = name == RIVER_INPUTS[0].name
        values = self._values[name] if is_input and self._river else self._current(name)
        given = np.asarray(src, dtype=float).reshape(-1)
        if given.size != values.size:
            raise ValueError(f"{name} has {values.size} values, but {given.size} were given")
        # A sum that is finite is one of finite numbers.
        if is_input and math.isfinite(given.sum()):
            values[:] = given
            return
        if any(item.name == name for item in RIVER_OUTPUTS):
            raise VariableError(f"{name} is an output and cannot be set")
        river = self._ready()
        if not np.isfinite(given).all():
            place = int(np.flatnonzero(~np.isfinite(given))[0])
            raise NetworkError(
                f"{name} of reach {river.network.ids[place]} cannot be {given[place]}; nothing was "
                "set"
            )
        if name in river.process.parameter_names:
            river.set_parameter(name, given, slice(None))
            return
        if name in ("flow", "depth", "storage") and given.min() < 0.0:
            place = int(given.argmin())
            raise NetworkError(
                f"{name} of reach {river.network.ids[place]} cannot be {given[place]:g}; nothing "
                "was set"
            )
        values[:] = given

    def set_value_at_indices(self, name: str, inds: NDArray, src: NDArray) -> None:
        """Set the values of some reaches; errors as `set_value`."""
        values = np.array(self._current(name), dtype=float)
        values[inds] = src
        self.set_value(name, values)


def _made(config: RiverConfig) -> River:
    river = River(
        with_learned(read_network(config.network), config.process, config.learned),
        config.process,
        parse_step(config.time.step),
        parse_duration(config.routing_step, "routing_step"),
        config.dtype,
        config.threads,
    )
    if config.initial_state is not None:
        load_river_state(Path(config.initial_state), river)
    elif isinstance(config.initial_flow, str):
        river.set_flow(read_values(Path(config.initial_flow), "flow", river.network))
    elif config.initial_flow:
        river.set_flow(np.full(len(river.network), config.initial_flow))
    return river


def _steps(config: RiverConfig, start: np.datetime64 | None, seconds: int) -> int | None:
    """Return the steps of the run; None where it has no end."""
    if config.time.end is None or start is None:
        return None
    length = int((parse_date(config.time.end, "time.end") - start).astype(int))
    if length % seconds:
        raise ConfigError(
            f"time.end: {config.time.end} is not a whole number of steps of {seconds} s after "
            f"{config.time.start}"
        )
    return length // seconds
