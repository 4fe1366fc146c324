"""What the interface of a river says of its reaches and variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import OrderError, VariableError, nearest
from ..river.network import Network
from ..river.outputs import RiverOutputs
from ..river.river import River
from ..variables import RIVER_INPUTS, RIVER_OUTPUTS
from .grids import GridMethods

REACHES = 0
VELOCITY = RIVER_OUTPUTS[3].name


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
        return self.network.edges

    def _coordinates(self, grid: int, values: NDArray | None) -> NDArray:
        size = self.size(grid)
        return np.full(size, np.nan) if values is None else values


class ReachMethods(GridMethods):
    """The methods of the interface that describe a river."""

    def __init__(self) -> None:
        self._river: River | None = None
        self._values: dict[str, NDArray] = {}
        self._units: dict[str, str] = {}
        self._routed: RiverOutputs | None = None

    def _ready(self) -> River:
        if self._river is None:
            raise OrderError("the river is not initialized; call initialize(config_file) first")
        return self._river

    @property
    def river(self) -> River:
        """The river behind the interface, for hosts that know Python."""
        return self._ready()

    @property
    def _flows(self) -> RiverOutputs:
        """Outputs of the river, once there is one."""
        assert self._routed is not None
        return self._routed

    @property
    def _grids(self) -> ReachGrid:  # type: ignore[override]
        return ReachGrid(self._ready().network)

    # ---- variables ------------------------------------------------------------------------

    def get_component_name(self) -> str:
        """Return the name of the component."""
        return "bmi_dhydro river"

    def get_input_item_count(self) -> int:
        """Return the number of inputs."""
        return len(RIVER_INPUTS)

    def get_output_item_count(self) -> int:
        """Return the number of outputs."""
        return len(RIVER_OUTPUTS)

    def get_input_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names that a host sets each step."""
        return tuple(item.name for item in RIVER_INPUTS)

    def get_output_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the outputs."""
        return tuple(item.name for item in RIVER_OUTPUTS)

    def _current(self, name: str) -> NDArray:
        """Return the values of a variable, as they are in memory; of a parameter a copy.

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        river = self._ready()
        if name == VELOCITY:
            self._flows.find_velocity()
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
