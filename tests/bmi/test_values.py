"""Values are got and set: inputs, parameters, states, attributes."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import (
    DhydroError,
    ForcingError,
    StateError,
    VariableError,
)
from tests.bmi.conftest import DEPTH, DISCHARGE, FLUX, RAIN, TEMPERATURE, weather


def test_pointers_are_stable_and_current(model):
    pointers = {name: model.get_value_ptr(name) for name in model.get_output_var_names()}
    inputs = {name: model.get_value_ptr(name) for name in model.get_input_var_names()}
    for _ in range(5):
        weather(model, 3)
        for name, pointer in {**pointers, **inputs}.items():
            assert pointer is not None
            assert np.array_equal(pointer, model.get_value(name, np.empty(1)))
            assert np.shares_memory(pointer, model.get_value_ptr(name))


def test_inputs_can_be_set_through_their_pointer(model):
    model.get_value_ptr(RAIN)[:] = 4.0
    model.get_value_ptr(TEMPERATURE)[:] = 12.0
    model.update()
    assert model.get_value("rain", np.empty(1))[0] == pytest.approx(96.0)
    model.get_value_ptr(RAIN)[:] = -1.0
    with pytest.raises(ForcingError, match="is -1 mm h-1 for catchment cat-1 at 2000-10-02"):
        model.update()
    assert model.get_current_time() == 86400.0
    model.get_value_ptr(RAIN)[:] = 0.0
    model.update()


def test_parameters_can_be_set(model):
    size = model.component.model.parameter_sets
    every = np.linspace(0.01, 0.05, size)
    model.set_value("K2_components", every)
    assert np.array_equal(model.get_value("K2_components", np.empty(size)), every)
    # To a host a parameter is one number: 8 bytes, the mean of its parameter sets.
    assert model.get_var_nbytes("K2") == model.get_var_itemsize("K2") == 8
    assert model.get_var_type("K2") == "float64"
    pointer = model.get_value_ptr("K2")
    assert pointer == pytest.approx(every.mean())
    model.set_value("K2", np.array([0.02]))
    assert pointer == 0.02
    assert (model.get_value("K2_components", np.empty(size)) == 0.02).all()
    model.set_value("FC", np.array([200.0]))
    assert (model.get_value_ptr("FC_components") == 200.0).all()
    for name in ("FC", "FC_components"):
        with pytest.raises(ValueError, match="read-only"):
            model.get_value_ptr(name)[:] = 1.0
    wanted = rf"K2_components has {size} values \(or one that holds for all\), but 3 were given"
    with pytest.raises(ValueError, match=wanted):
        model.set_value("K2_components", np.zeros(3))


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("K1", -3.0, "K1 cannot be -3 d-1 for catchment cat-1; 0 to 1 is possible"),
        ("K1", 1.5, "0 to 1 is possible"),
        ("FC", -5.0, "FC cannot be -5 mm"),
        ("FC_components", 0.0, "FC cannot be 0 mm"),
        ("route_delay", -1.0, "route_delay cannot be -1 d"),
        ("BETA", np.nan, "BETA cannot be nan"),
    ],
)
@pytest.mark.parametrize("many_of_them", [False, True])
def test_a_parameter_that_cannot_be_is_refused_until_it_is_mended(
    many, host_example, name, value, match, many_of_them
):
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    model = many if many_of_them else bmi
    weather(model, 2)
    before = {key: np.array(v) for key, v in model.component.model.parameters.items()}
    size = model.get_grid_size(model.get_var_grid(name))
    with pytest.raises(ValueError, match=match):
        model.set_value(name, np.full(size, value))
    for key, array in model.component.model.parameters.items():
        assert np.array_equal(array, before[key])
    # NextGen's engine goes on whatever `set_value` raises.
    done = model.get_current_time()
    for _ in range(2):
        with pytest.raises(ValueError, match=match):
            model.update()
    assert model.get_current_time() == done
    model.set_value(name, np.full(size, 0.9 if "FC" not in name else 300.0))
    model.update()


def test_states_can_be_set_and_count(model):
    weather(model, 20)
    size = model.component.model.parameter_sets
    model.set_value("lower_zone", np.full(size, 500.0))
    before = model.get_value(DEPTH, np.empty(1))[0]
    weather(model, 1)
    assert model.get_value(DEPTH, np.empty(1))[0] > before
    pointer = model.get_value_ptr("soil_moisture")
    pointer[:] = 7.0
    assert (model.get_value("soil_moisture", np.empty(size)) == 7.0).all()
    model.set_value_at_indices("snowpack", np.array([1, 3]), np.array([5.0, 6.0]))
    assert model.get_value("snowpack", np.empty(size))[[1, 3]].tolist() == [5.0, 6.0]
    with pytest.raises(ValueError, match="snowpack is a store and cannot be -1"):
        model.set_value("snowpack", np.full(size, -1.0))


@pytest.mark.parametrize(("value", "match"), [(np.nan, "is nan mm"), (-5.0, "is -5 mm")])
def test_a_state_that_cannot_be_is_found_behind_its_pointer(many, value, match):
    weather(many, 3)
    stores = many.get_value_ptr("soil_moisture")
    size = many.component.model.parameter_sets
    kept = stores[2 * size + 1]
    stores[2 * size + 1] = value
    done = many.get_current_time()
    with pytest.raises(
        StateError, match=f"soil_moisture {match} for catchment cat-3 at 2000-10-04"
    ):
        many.update()
    assert many.get_current_time() == done
    stores[2 * size + 1] = kept
    many.update()


def test_the_routing_store_can_be_moved_to_another_object(model, host_example):
    weather(model, 20)
    other = BmiDhydro()
    other.initialize(str(host_example))
    for name in (*model.component.model.process.state_names, "routing_pending"):
        size = model.get_grid_size(model.get_var_grid(name))
        other.set_value(name, model.get_value(name, np.empty(size)))
    assert np.array_equal(weather(other, 10, seed=5), weather(model, 10, seed=5))


def test_setting_an_attribute_reruns_the_network_for_its_catchment(many):
    size = 6 * many.component.model.parameter_sets
    before = many.get_value("BETA_components", np.empty(size)).reshape(6, -1)
    forest = many.get_value("forest_fraction", np.empty(6))
    forest[2] = 0.1
    many.set_value("forest_fraction", forest)
    after = many.get_value("BETA_components", np.empty(size)).reshape(6, -1)
    assert np.allclose(many.get_value("BETA", np.empty(6)), after.mean(axis=1))
    assert (after[2] != before[2]).any()
    assert np.array_equal(np.delete(after, 2, 0), np.delete(before, 2, 0))
    assert many.get_value("forest_fraction", np.empty(6))[2] == 0.1


def test_setting_the_area_changes_discharge_but_no_parameter_of_the_process(model):
    before = [model.get_value(name, np.empty(1)) for name in ("BETA", "K1")]
    model.set_value("area", np.array([10.0]))
    assert np.array_equal(before, [model.get_value(n, np.empty(1)) for n in ("BETA", "K1")])
    weather(model, 30)
    depth, discharge = (model.get_value(n, np.empty(1))[0] for n in (DEPTH, DISCHARGE))
    assert discharge == pytest.approx(depth * 10.0e6 / 86400.0)


@pytest.mark.parametrize(
    ("name", "values", "error", "message"),
    [
        (RAIN, [1.0, 2.0], ValueError, "has 1 values, but 2 were given"),
        (RAIN, [], ValueError, "has 1 values, but 0 were given"),
        (RAIN, [np.nan], ForcingError, "cannot be nan mm h-1 for catchment cat-1 at 2000-10-01"),
        (RAIN, [-0.1], ForcingError, "cannot be -0.1 mm h-1 for catchment cat-1"),
        (RAIN, [np.inf], ForcingError, "cannot be inf"),
        (TEMPERATURE, [285.0], ForcingError, "cannot be 285 degC .* expected -90 to 70 degC"),
        (FLUX, [1.0], VariableError, "is an output and cannot be set"),
        ("aridity", [np.nan], ValueError, "aridity cannot be nan"),
        ("area", [-3.0], DhydroError, "'area' cannot be -3 km2 for cat-1"),
        ("FC", ["wet"], ValueError, "FC takes numbers"),
    ],
)
def test_bad_values_change_nothing(model, name, values, error, message):
    size = model.get_grid_size(model.get_var_grid(name))
    before = model.get_value(name, np.empty(size))
    with pytest.raises(error, match=message):
        model.set_value(name, np.array(values))
    assert np.array_equal(model.get_value(name, np.empty(size)), before)
    if name == "FC":
        model.set_value(name, np.array([300.0]))
    model.update()


def test_a_bad_value_among_many_names_its_catchment(many):
    rain = np.zeros(6)
    rain[4] = np.nan
    with pytest.raises(ForcingError, match="for catchment cat-5"):
        many.set_value(RAIN, rain)
    with pytest.raises(ValueError, match="has 6 values, but dest has room for 1"):
        many.get_value(DEPTH, np.empty(1))


def test_integers_and_lists_are_taken(model):
    model.set_value(RAIN, [2])
    model.set_value(TEMPERATURE, np.array([5], dtype=np.int32))
    assert model.get_value(RAIN, np.empty(1))[0] == 2.0
