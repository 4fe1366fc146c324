"""The grids of the interface."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from tests.bmi.conftest import changed


@pytest.mark.parametrize(("grid", "rank"), [("points", 2), ("unstructured", 2)])
def test_grids_of_many_catchments(many_host_example, grid, rank):
    bmi = BmiDhydro()
    bmi.initialize(changed(many_host_example, grid=grid))
    assert (bmi.get_grid_type(0), bmi.get_grid_rank(0)) == (grid, rank)
    assert bmi.get_grid_size(0) == bmi.get_grid_node_count(0) == 6
    # Nodes in a row: the product of the lengths is the size, as hosts that reshape expect.
    shape = np.full(2, -9)
    assert bmi.get_grid_shape(0, shape) is shape
    assert shape.tolist() == [6, 1]
    x, y = bmi.get_grid_x(0, np.empty(6)), bmi.get_grid_y(0, np.empty(6))
    assert (x < -60).all()
    assert (y > 25).all()
    assert bmi.get_grid_edge_count(0) == bmi.get_grid_face_count(0) == 0
    parameter_sets = bmi.component.model.parameter_sets
    assert bmi.get_grid_shape(1, np.empty(2, int)).tolist() == [6, parameter_sets]
    assert bmi.get_grid_type(1) == "uniform_rectilinear"
    with pytest.raises(ValueError, match="grid 9 is unknown"):
        bmi.get_grid_size(9)


def test_one_catchment_is_a_scalar(model):
    assert model.get_grid_type(0) == "scalar"
    assert model.get_grid_rank(0) == 0
    assert model.get_grid_size(0) == 1
