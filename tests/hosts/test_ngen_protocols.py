"""The mass balance and serialization protocols of the NextGen engine, as the engine drives them."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import StateError, VariableError
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, PET = (item.name for item in INPUTS[:3])
DEPTH = OUTPUTS[0].name
MASS = [f"ngen::mass_{name}" for name in ("in", "out", "stored", "leaked")]
SERIALIZATION = {
    "ngen::serialization_create": ("int32", 4, "ngen::trigger"),
    "ngen::serialization_free": ("int32", 4, "ngen::trigger"),
    "ngen::serialization_size": ("int64", 8, "bytes"),
    "ngen::serialization_state": ("uint8", 1, "ngen::opaque"),
}


def opened(path):
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def driven(model, steps, first=0):
    """Step with weather that depends on the number of the step; return the runoff."""
    size = model.get_grid_size(0)
    runoff = np.empty((steps, size))
    for k in range(steps):
        random = np.random.default_rng(first + k)
        model.set_value(RAIN, random.gamma(0.3, 1.0, size))
        model.set_value(TEMPERATURE, random.normal(3.0, 6.0, size))
        model.set_value(PET, random.uniform(0.0, 0.2, size))
        model.update()
        model.get_value(DEPTH, runoff[k])
    return runoff


def balance(model):
    return [float(model.get_value_ptr(name)[0]) for name in MASS]


def saved(model):
    """Save as the engine does."""
    model.set_value("ngen::serialization_create", np.array([1], np.int32))
    size = int(model.get_value_ptr("ngen::serialization_size")[0])
    assert model.get_var_nbytes("ngen::serialization_state") == size
    payload = np.array(model.get_value_ptr("ngen::serialization_state"))
    model.set_value("ngen::serialization_free", np.array([1], np.int32))
    assert payload.size == size
    assert model.get_var_nbytes("ngen::serialization_state") == 0
    return payload


def restored(model, payload):
    model.set_value("ngen::serialization_size", np.array([payload.size], np.int64))
    model.set_value("ngen::serialization_state", payload)


@pytest.fixture(params=["host_example", "many_host_example"])
def path(request):
    return request.getfixturevalue(request.param)


def test_the_names_are_there_and_not_published(path):
    model = opened(path)
    for name in MASS:
        assert model.get_var_type(name) == "float64"
        assert (model.get_var_itemsize(name), model.get_var_nbytes(name)) == (8, 8)
        assert model.get_var_units(name) == "m"
        assert model.get_value_ptr(name).shape == (1,)
    for name, (kind, itemsize, units) in SERIALIZATION.items():
        assert model.get_var_type(name) == kind
        assert model.get_var_itemsize(name) == itemsize
        assert model.get_var_units(name) == units
        assert model.get_var_location(name) == "node"
        assert model.get_grid_rank(model.get_var_grid(name)) == 0
    published = (*model.get_input_var_names(), *model.get_output_var_names())
    assert not any(name.startswith("ngen::") for name in published)
    with pytest.raises(VariableError, match="'ngen::mass_inn' is unknown; of NextGen's protocols"):
        model.get_var_units("ngen::mass_inn")
    with pytest.raises(VariableError, match="ngen::mass_in cannot be set"):
        model.set_value("ngen::mass_in", np.zeros(1))


def test_the_balance_closes_in_each_step(path):
    model = opened(path)
    assert balance(model) == [0.0, 0.0, 0.0, 0.0]
    pointers = [model.get_value_ptr(name) for name in MASS]
    for k in range(200):
        driven(model, 1, k)
        came, left, stored, leaked = balance(model)
        assert abs(came - left - stored - leaked) < 1e-12
    assert came > 0.5
    assert leaked == 0.0
    assert np.shares_memory(model.get_value_ptr(MASS[0]), pointers[0])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_the_balance_closes_over_forty_years_of_hours(host_example, dtype, tolerance):
    host_example.write_text(
        host_example.read_text().replace("step: 1d", "step: 1h") + f"dtype: {dtype}\n"
    )
    model = opened(host_example)
    random = np.random.default_rng(0)
    steps = 40 * 8766
    rain = random.gamma(0.02, 6.0, steps)
    season = 9.0 + 14.0 * np.sin(np.arange(steps) * (2.0 * np.pi / 8766.0))
    weather = np.stack([rain, season, np.maximum(season, 0.0) * 0.008], axis=1)
    component = model.component
    for row in weather:
        component.inputs[:, 0] = row
        component.update()
    came, left, stored, leaked = balance(model)
    assert came > 20.0
    assert abs(came - left - stored - leaked) < tolerance


def test_water_that_a_host_adds_to_a_store_is_booked(host_example):
    model = opened(host_example)
    driven(model, 30)
    soil = model.get_value("soil_moisture", np.empty(model.get_grid_size(1)))
    model.set_value("soil_moisture", soil + 7.0)
    driven(model, 30, 30)
    came, left, stored, leaked = balance(model)
    assert leaked == pytest.approx(-7e-3)
    assert abs(came - left - stored - leaked) < 1e-12


def test_reading_ahead_has_the_same_balance(file_example):
    model = opened(file_example)
    for _ in range(40):
        model.update()
        came, left, stored, leaked = balance(model)
        assert abs(came - left - stored - leaked) < 1e-12
    assert came > 0.0


def test_a_restored_run_equals_the_uninterrupted_one_and_the_clock_stays(path):
    whole = opened(path)
    driven(whole, 70)
    payload = saved(whole)
    expected = driven(whole, 40, 70)
    again = opened(path)
    restored(again, payload)
    assert again.get_current_time() == 0.0
    assert np.array_equal(driven(again, 40, 70), expected)
    came, left, stored, leaked = balance(again)
    assert abs(came - left - stored - leaked) < 1e-12


def test_outputs_are_restored_too(path):
    whole = opened(path)
    last = driven(whole, 20)[-1]
    again = opened(path)
    restored(again, saved(whole))
    assert np.array_equal(again.get_value(DEPTH, np.empty_like(last)), last)


def test_saving_changes_nothing(path):
    one, other = opened(path), opened(path)
    assert np.array_equal(driven(one, 10), driven(other, 10))
    saved(one)
    saved(one)
    one.set_value("ngen::serialization_free", np.array([1], np.int32))
    assert np.array_equal(driven(one, 10, 10), driven(other, 10, 10))


def test_payloads_that_do_not_fit(host_example, many_host_example):
    model = opened(host_example)
    before = driven(model, 5)[-1]
    payload = saved(model)
    flipped = payload.copy()
    flipped[-60] ^= 1
    for wrong, message in (
        (payload[:-9], "cat-1: not a whole state"),
        (np.frombuffer(b"something else entirely", np.uint8), "not a whole state"),
        (flipped, "cat-1"),
        (saved(opened(many_host_example))[:0], "not a whole state"),
    ):
        with pytest.raises(StateError, match=message):
            restored(model, wrong)
    model.set_value("ngen::serialization_size", np.array([3], np.int64))
    with pytest.raises(StateError, match="3 bytes were announced"):
        model.set_value("ngen::serialization_state", payload)
    with pytest.raises(StateError, match="expected bytes"):
        model.set_value("ngen::serialization_state", payload.astype(float))
    assert np.array_equal(model.get_value(DEPTH, np.empty(1)), before)


def test_the_state_of_another_catchment_or_step_is_refused(host_example):
    payload = saved(opened(host_example))
    text = host_example.read_text()
    host_example.write_text(text.replace("id: cat-1", "id: cat-77"))
    with pytest.raises(StateError, match="has no state for catchment cat-77"):
        restored(opened(host_example), payload)
    host_example.write_text(text.replace("step: 1d", "step: 1h"))
    with pytest.raises(StateError, match="saved with step_seconds 86400, but here it is 3600"):
        restored(opened(host_example), payload)
