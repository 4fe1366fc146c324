"""What the interface says of variables."""

import numpy as np
import pytest

from tests.bmi.conftest import DEPTH, DISCHARGE, FLUX, weather


@pytest.mark.parametrize("fixture", ["model", "many"])
def test_every_name_answers_every_question(request, fixture):
    bmi = request.getfixturevalue(fixture)
    names = [*bmi.get_input_var_names(), *bmi.get_output_var_names(), *bmi._known]
    assert len(bmi._known) > 60
    for name in names:
        grid = bmi.get_var_grid(name)
        assert bmi.get_var_location(name) == "node"
        assert isinstance(bmi.get_var_units(name), str)
        assert bmi.get_var_nbytes(name) == bmi.get_var_itemsize(name) * bmi.get_grid_size(grid)
        assert np.dtype(bmi.get_var_type(name)).itemsize == bmi.get_var_itemsize(name)
        values = np.empty(bmi.get_grid_size(grid), bmi.get_var_type(name))
        assert bmi.get_value(name, values) is values
        assert np.isfinite(values).all()
        one = np.empty(1, values.dtype)
        assert bmi.get_value_at_indices(name, one, np.array([values.size - 1])) is one
        assert one[0] == values[-1]


def test_metadata_are_plain_python(model):
    for name in model._known:
        assert type(model.get_var_grid(name)) is int
        assert type(model.get_var_itemsize(name)) is int
        assert type(model.get_var_nbytes(name)) is int
        assert type(model.get_var_units(name)) is str
    for value in (model.get_current_time(), model.get_end_time(), model.get_time_step()):
        assert type(value) is float
    for grid in (0, 1, 2):
        assert type(model.get_grid_size(grid)) is int
        assert type(model.get_grid_rank(grid)) is int


def test_units_are_of_one_water(many):
    weather(many, 30)
    step = many.get_time_step()
    area = many.get_value("area", np.empty(6))
    depth, flux, discharge = (many.get_value(n, np.empty(6)) for n in (DEPTH, FLUX, DISCHARGE))
    assert (depth > 0).all()
    np.testing.assert_allclose(flux, depth * 1000.0 * 3600.0 / step)
    np.testing.assert_allclose(discharge, depth * area * 1e6 / step)
    np.testing.assert_allclose(many.get_value("discharge", np.empty(6)), depth * 1000.0)
