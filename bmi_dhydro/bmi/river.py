"""The Basic Model Interface 2.0 of a river alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.river import RiverConfig, read_river_config
from ..config.settings import parse_date, parse_duration, parse_step
from ..config.time_units import TimeUnits
from ..errors import ConfigError, ForcingError, NetworkError, OrderError, VariableError, nearest
from ..river.network import Network
from ..river.river import STATES, River
from ..river.state_file import load_river_state, save_river_state
from ..river.tables import read_network, read_values
from .grids import GridMethods

REACHES = 0

# A time that misses a step by this share of it is forgiven.
_TOLERANCE = 1e-6


class Item(NamedTuple):
    """A variable that is exchanged: its name, what the river calls it, and its units."""

    name: str
    source: str
    units: str


INPUTS = (Item("land_surface_water_source__volume_flow_rate", "lateral", "m3 s-1"),)
OUTPUTS = (
    Item("channel_exit_water_x-section__volume_flow_rate", "flow", "m3 s-1"),
    Item("channel_exit_water_x-section__time_mean_of_volume_flow_rate", "mean_flow", "m3 s-1"),
    Item("channel_water__mean_depth", "depth", "m"),
    Item("channel_water_flow__speed", "velocity", "m s-1"),
    Item("channel_water__volume", "storage", "m3"),
)
_STATE_UNITS = dict(zip(STATES, ("m3 s-1", "m", "m3", "m3"), strict=True))


@dataclass(frozen=True)
class ReachGrid:
    """The grid of the reaches: a node for each, an edge from each to the one that it drains to."""

    network: Network

    def shape(self, grid: int) -> tuple[int, ...]:
        """Return the lengths of the dimensions."""
        if grid != REACHES:
            raise VariableError(f"there is no grid {grid}; reaches are grid {REACHES}")
        return (len(self.network),)

    def rank(self, grid: int) -> int:
        """Return the number of dimensions of the nodes' coordinates."""
        self.shape(grid)
        return 2

    def size(self, grid: int) -> int:
        """Return the number of reaches."""
        return self.shape(grid)[0]

    def type(self, grid: int) -> str:
        """Return the type of the grid, as BMI names it."""
        self.shape(grid)
        return "unstructured"

    def x(self, grid: int) -> NDArray:
        """Return longitudes; NaN where the network has none."""
        return self._coordinates(grid, self.network.longitude)

    def y(self, grid: int) -> NDArray:
        """Return latitudes; NaN where the network has none."""
        return self._coordinates(grid, self.network.latitude)

    def z(self, grid: int) -> NDArray:
        """Return elevations, which a network has not: NaN."""
        return self._coordinates(grid, None)

    def edges(self, grid: int) -> NDArray:
        """Return the upper and the lower reach of each edge: shape (edges, 2)."""
        self.shape(grid)
        upper = np.flatnonzero(self.network.to >= 0)
        return np.stack([upper, self.network.to[upper]], axis=1)

    def _coordinates(self, grid: int, values: NDArray | None) -> NDArray:
        size = self.size(grid)
        return np.full(size, np.nan) if values is None else values


class BmiRiver(GridMethods):
    """A river: lateral inflow of its reaches in, flow, depth, velocity and storage out.

    By name, but unpublished, a host also reaches the parameters of the reaches and their states
    (`flow`, `depth`, `storage`, `remainder`).
    """

    def __init__(self) -> None:
        self._river: River | None = None
        self._values: dict[str, NDArray] = {}
        self._units: dict[str, str] = {}

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
        self._lateral = np.zeros((1, len(river.network)))
        self._show(river)
        self._river = river

    def _show(self, river: River) -> None:
        """Find the values of all names."""
        values = {item.source: np.zeros(len(river.network)) for item in OUTPUTS}
        for name in ("flow", "depth", "storage"):
            values[name][:] = river.states[name]
        values["mean_flow"][:] = river.states["flow"]
        self._values = {item.name: values[item.source] for item in OUTPUTS}
        self._shown = list(values.values())
        self._values[INPUTS[0].name] = self._lateral[0]
        self._values |= river.states
        parameters = {item.name: item.units for item in river.process.parameters}
        self._units = {item.name: item.units for item in (*INPUTS, *OUTPUTS)}
        self._units |= _STATE_UNITS | parameters

    def update(self) -> None:
        """Advance by one step.

        Raises
        ------
        ForcingError
            If the end of the run has been reached.
        """
        river = self._ready()
        if self._steps is not None and self._done >= self._steps:
            raise ForcingError(f"the run ends at {self.get_end_time():g} {self._time_units}")
        found = river.block(self._lateral.astype(river.dtype, copy=False))
        for values, row in zip(self._shown, found, strict=True):
            values[:] = row[0]
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
        mean = self._values[OUTPUTS[1].name]
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

    def _ready(self) -> River:
        if self._river is None:
            raise OrderError("the river is not initialized; call initialize(config_file) first")
        return self._river

    @property
    def river(self) -> River:
        """The river behind the interface, for hosts that know Python."""
        return self._ready()

    @property
    def _grids(self) -> ReachGrid:  # type: ignore[override]
        return ReachGrid(self._ready().network)

    def get_grid_edge_count(self, grid: int) -> int:
        """Return the number of edges: reaches that drain to another."""
        return len(self._grids.edges(grid))

    def get_grid_edge_nodes(self, grid: int, edge_nodes: NDArray) -> NDArray:
        """Write the upper and the lower reach of each edge into an array, and return it."""
        edge_nodes[:] = self._grids.edges(grid).ravel()
        return edge_nodes

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

    # ---- variables ------------------------------------------------------------------------

    def get_component_name(self) -> str:
        """Return the name of the component."""
        return "bmi_dhydro river"

    def get_input_item_count(self) -> int:
        """Return the number of inputs."""
        return len(INPUTS)

    def get_output_item_count(self) -> int:
        """Return the number of outputs."""
        return len(OUTPUTS)

    def get_input_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names that a host sets each step."""
        return tuple(item.name for item in INPUTS)

    def get_output_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the outputs."""
        return tuple(item.name for item in OUTPUTS)

    def _current(self, name: str) -> NDArray:
        """Return the values of a variable, as they are in memory; of a parameter a copy.

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        river = self._ready()
        values = self._values.get(name)
        if values is not None:
            return values
        if name in river.process.parameter_names:
            return river.parameter(name).astype(float)
        raise VariableError(f"variable {name!r} is unknown; {nearest(name, self._units)}")

    def get_var_grid(self, name: str) -> int:
        """Return the grid that a variable is on: the reaches."""
        self._current(name)
        return REACHES

    def get_var_type(self, name: str) -> str:
        """Return the type of a variable's values, as NumPy names it."""
        return self._current(name).dtype.name

    def get_var_units(self, name: str) -> str:
        """Return the units of a variable, as UDUNITS writes them."""
        self._current(name)
        return self._units[name]

    def get_var_itemsize(self, name: str) -> int:
        """Return the size of one value of a variable, in bytes."""
        return self._current(name).itemsize

    def get_var_nbytes(self, name: str) -> int:
        """Return the size of all values of a variable, in bytes."""
        return self._current(name).nbytes

    def get_var_location(self, name: str) -> str:
        """Return where on its grid a variable is: at the nodes."""
        self._current(name)
        return "node"

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
        values = self._current(name)
        given = np.asarray(src, dtype=float).reshape(-1)
        if given.size != values.size:
            raise ValueError(f"{name} has {values.size} values, but {given.size} were given")
        if any(item.name == name for item in OUTPUTS):
            raise VariableError(f"{name} is an output and cannot be set")
        river = self._ready()
        total = given.sum()
        if total - total != 0.0 and not np.isfinite(given).all():
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
        read_network(config.network),
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
