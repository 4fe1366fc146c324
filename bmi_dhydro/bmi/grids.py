"""The grids of the interface: catchments, and what each of them has several of."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from bmipy import Bmi
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..hosts.fleet import FleetInstance
    from ..river.network import Network
    from ..run.component import Component

# One node for each catchment; catchments x parameter sets; catchments x lags of routing; and one
# value for all of them. Where all members of an ensemble are shown: members x catchments, the same
# x parameter sets, and x lags.
CATCHMENTS, CELLS, LAGS, ONE_VALUE = 0, 1, 2, 3
_OF_MEMBERS = {CATCHMENTS: 4, CELLS: 5, LAGS: 6}
# The reaches of a river that is joined: nodes, and edges to those that they drain to. Where all
# members are shown, one river after the other.
REACHES = 7


def all_members(component: Component | FleetInstance) -> bool:
    """Return whether the interface shows several members of an ensemble at once."""
    return component.model.members > 1 and component.shown is component.outputs


def shown_of(component: Component | FleetInstance, grid: int) -> int:
    """Return the grid that stands for one of a single member where all of them are shown."""
    return _OF_MEMBERS[grid] if all_members(component) else grid


class Grids:
    """What the interface says of grids.

    Parameters
    ----------
    component : Component or FleetInstance
    """

    def __init__(self, component: Component | FleetInstance) -> None:
        self._component = component

    def shape(self, grid: int) -> tuple[int, ...]:
        """Return the lengths of a grid's dimensions; none where it is a scalar.

        Raises
        ------
        ValueError
            If there is no such grid.
        """
        component = self._component
        count = len(component.catchments)
        if grid == CATCHMENTS:
            return () if self._catchments_are == "scalar" else (count,)
        if grid == CELLS:
            return count, component.model.parameter_sets
        if grid == LAGS:
            return count, component.model.pending.shape[1]
        if grid == ONE_VALUE:
            return ()
        if grid == REACHES and component.joined is not None:
            return (len(self._river),)
        if grid in _OF_MEMBERS.values() and all_members(component):
            of_one = next(one for one, several in _OF_MEMBERS.items() if several == grid)
            return component.model.members, *(self.shape(of_one) or (1,))
        raise ValueError(f"grid {grid} is unknown; known: 0, 1, 2, 3")

    @property
    def _river(self) -> Network:
        """The reaches that are shown."""
        joined = self._component.joined
        assert joined is not None
        return joined.river.network if joined.shown is joined.outputs.values else joined.network

    @property
    def _catchments_are(self) -> str:
        """Type of the grid of catchments."""
        component = self._component
        if component.config.grid != "auto":
            return component.config.grid
        return "scalar" if len(component.catchments) == 1 else "unstructured"

    def rank(self, grid: int) -> int:
        """Return the number of dimensions of a grid, of its nodes' coordinates for catchments."""
        if grid == CATCHMENTS:
            return 0 if self._catchments_are == "scalar" else 2
        return 2 if grid == REACHES and self.shape(grid) else len(self.shape(grid))

    def size(self, grid: int) -> int:
        """Return the number of values on a grid."""
        size = 1
        for length in self.shape(grid):
            size *= length
        return size

    def type(self, grid: int) -> str:
        """Return the type of a grid, as BMI names it."""
        if grid == CATCHMENTS:
            return self._catchments_are
        if grid == REACHES and self.shape(grid):
            return "unstructured"
        return "uniform_rectilinear" if self.shape(grid) else "scalar"

    def x(self, grid: int) -> NDArray:
        """Return longitudes of catchments and reaches; indices on the other grids."""
        if grid == REACHES and self.shape(grid):
            return _known(self._river.longitude, self.size(grid))
        return self._coordinates(grid, -1, self._component.catchments.longitude)

    def y(self, grid: int) -> NDArray:
        """Return latitudes of catchments and reaches; indices on the other grids."""
        if grid == REACHES and self.shape(grid):
            return _known(self._river.latitude, self.size(grid))
        return self._coordinates(grid, -2, self._component.catchments.latitude)

    def z(self, grid: int) -> NDArray | float:
        """Return elevations of the catchments, in m; the other grids have none."""
        return self._component.catchments.elevation if grid == CATCHMENTS else 0.0

    def edges(self, grid: int) -> NDArray:
        """Return the upper and the lower node of each edge: (edges, 2); only rivers have some."""
        self.shape(grid)
        return self._river.edges if grid == REACHES else np.empty((0, 2), int)

    def _coordinates(self, grid: int, axis: int, of_catchments: NDArray) -> NDArray:
        shape = self.shape(grid)
        if grid == CATCHMENTS:
            return of_catchments
        return np.arange(float(shape[axis])) if shape else np.zeros(1)


def _known(values: NDArray | None, size: int) -> NDArray:
    """Return coordinates of reaches; NaN where the network has none."""
    return np.full(size, np.nan) if values is None else values


class GridMethods(Bmi):
    """The methods of the interface that ask for grids."""

    @property
    @abstractmethod
    def _grids(self) -> Grids:
        """The grids of the component."""

    def get_grid_rank(self, grid: int) -> int:
        """Return the number of dimensions of a grid.

        Parameters
        ----------
        grid : int
            As `get_var_grid` returns it.
        """
        return self._grids.rank(grid)

    def get_grid_size(self, grid: int) -> int:
        """Return the number of values on a grid.

        Parameters
        ----------
        grid : int
        """
        return self._grids.size(grid)

    def get_grid_type(self, grid: int) -> str:
        """Return the type of a grid, as BMI names it.

        Parameters
        ----------
        grid : int

        Returns
        -------
        {"scalar", "points", "unstructured", "uniform_rectilinear"}
        """
        return self._grids.type(grid)

    def get_grid_shape(self, grid: int, shape: NDArray) -> NDArray:
        """Write the lengths of a grid's dimensions into an array, and return it.

        Points and unstructured grids have nodes in a row, in the plane: their number, and 1. The
        product is the size of the grid, whatever it is.

        Parameters
        ----------
        grid : int
        shape : array of int, shape (rank,)
            Written.
        """
        lengths = self._grids.shape(grid)
        shape[:] = lengths + (1,) * (len(shape) - len(lengths))
        return shape

    def get_grid_spacing(self, grid: int, spacing: NDArray) -> NDArray:
        """Write the distances between nodes into an array, and return it: they are all 1.

        Parameters
        ----------
        grid : int
        spacing : array, shape (rank,)
            Written.
        """
        self._grids.shape(grid)
        spacing[:] = 1.0
        return spacing

    def get_grid_origin(self, grid: int, origin: NDArray) -> NDArray:
        """Write the coordinates of the first node into an array, and return it: they are 0.

        Parameters
        ----------
        grid : int
        origin : array, shape (rank,)
            Written.
        """
        self._grids.shape(grid)
        origin[:] = 0.0
        return origin

    def get_grid_x(self, grid: int, x: NDArray) -> NDArray:
        """Longitudes of the catchments; indices on the other grids."""
        x[:] = self._grids.x(grid)
        return x

    def get_grid_y(self, grid: int, y: NDArray) -> NDArray:
        """Latitudes of the catchments; indices on the other grids."""
        y[:] = self._grids.y(grid)
        return y

    def get_grid_z(self, grid: int, z: NDArray) -> NDArray:
        """Elevations of the catchments, in m; the other grids have none."""
        z[:] = self._grids.z(grid)
        return z

    def get_grid_node_count(self, grid: int) -> int:
        """Return the number of nodes: as many as there are values.

        Parameters
        ----------
        grid : int
        """
        return self._grids.size(grid)

    def get_grid_edge_count(self, grid: int) -> int:
        """Return the number of edges: reaches that drain to another; catchments have none.

        Parameters
        ----------
        grid : int
        """
        return len(self._grids.edges(grid))

    def get_grid_face_count(self, grid: int) -> int:
        """Return the number of faces, 0: the catchments are nodes without faces.

        Parameters
        ----------
        grid : int
        """
        self._grids.shape(grid)
        return 0

    def get_grid_edge_nodes(self, grid: int, edge_nodes: NDArray) -> NDArray:
        """Write the upper and the lower node of each edge into an array, and return it."""
        edge_nodes[:] = self._grids.edges(grid).ravel()
        return edge_nodes

    def get_grid_face_edges(self, grid: int, face_edges: NDArray) -> NDArray:
        """Return the array as it is: the catchments are nodes without faces."""
        self._grids.shape(grid)
        return face_edges

    def get_grid_face_nodes(self, grid: int, face_nodes: NDArray) -> NDArray:
        """Return the array as it is: the catchments are nodes without faces."""
        self._grids.shape(grid)
        return face_nodes

    def get_grid_nodes_per_face(self, grid: int, nodes_per_face: NDArray) -> NDArray:
        """Return the array as it is: the catchments are nodes without faces."""
        self._grids.shape(grid)
        return nodes_per_face
