"""What the interface of a river says of its reaches and variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OrderError, VariableError, nearest
from ..river.network import Network
from ..river.river import STATES, River
from .grids import GridMethods

REACHES = 0


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
VELOCITY = OUTPUTS[3].name
STATE_UNITS = dict(zip(STATES, ("m3 s-1", "m", "m3", "m3"), strict=True))


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


class ReachMethods(GridMethods):
    """The methods of the interface that describe a river."""

    def __init__(self) -> None:
        self._river: River | None = None
        self._values: dict[str, NDArray] = {}
        self._units: dict[str, str] = {}
        self._velocity_is_current = True

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
        if name == VELOCITY and not self._velocity_is_current:
            self._find_velocity()
        values = self._values.get(name)
        if values is not None:
            return values
        if name in river.process.parameter_names:
            return river.parameter(name).astype(float)
        raise VariableError(f"variable {name!r} is unknown; {nearest(name, self._units)}")

    def _find_velocity(self) -> None:
        """Compute the velocity, which takes longer than the step: only where it is asked for."""
        river = self._ready()
        flow, depth = (self._values[OUTPUTS[k].name].astype(river.dtype) for k in (0, 2))
        self._values[VELOCITY][:] = river.velocity(flow, depth)
        self._velocity_is_current = True

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
