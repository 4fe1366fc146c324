"""A coupled step in one call is what receiving, computing and publishing one after the other is."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.errors import ForcingError
from bmi_dhydro.hosts.ngen import PREFIX
from bmi_dhydro.kernels.cpu.addresses import table_of
from bmi_dhydro.kernels.cpu.arena import Arena
from bmi_dhydro.kernels.cpu.kernel import CpuKernel
from bmi_dhydro.weather.quantities import PET_METHODS

STEPS = 60

# Where `stepped` has what is stored since the account was opened.
STORED = -4
TERMS = [f"{PREFIX}mass_{name}" for name in ("in", "out", "stored", "leaked")]


def opened(tmp_path, count, step, extra, method="forcing", trained="fast"):
    path = write_example(
        tmp_path, count, 60, step, "host", replace_existing=True, model=str(trained)
    )
    text = path.read_text()
    if method != "forcing":
        given = f"potential_evapotranspiration: {method}, evapotranspiration_mismatch: accept"
        text += f"forcing: {{{given}}}\n"
    path.write_text(text + extra)
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def between(model, name, row, random):
    """Return possible values of an input, the same in every run."""
    item = next(item for item in model.component.input_items if item.name == name)
    low, high = max(item.lowest, -5.0), min(item.highest, 25.0)
    if item.lowest > high:
        low, high = item.lowest, min(item.highest, 1.2 * item.lowest)
    values = low + (high - low) * random.random(model.component.inputs.shape[1])
    # Of the day's extremes the highest is above the lowest.
    return np.sort(values) if "extreme" in name else values


def stepped(model, steps=STEPS, look=False):
    """Step a model; return all it says: outputs, fluxes, states, balance and time."""
    random = np.random.default_rng(0)
    said = []
    for step in range(steps):
        for row, name in enumerate(model.get_input_var_names()):
            model.set_value(name, between(model, name, row, random))
        # Where one member is shown at a time stores have no fixed place.
        if look and model.component.shown is model.component.outputs and step == steps // 2:
            model.get_value_ptr("soil_moisture")
        if step == steps // 3:
            model.set_value("FC", np.full(len(model.component.catchments), 300.0))
        model.update()
        balance = [model.get_value_ptr(name).copy() for name in TERMS]
        component = model.component
        said.append(
            np.concatenate(
                [
                    component.outputs.ravel(),
                    component.rows.ravel(),
                    component.model.state.ravel(),
                    component.model.pending.ravel(),
                    *balance,
                    [model.get_current_time(), component.model.steps],
                ]
            )
        )
    return np.array(said)


def piecewise(monkeypatch):
    """Let every step be done piece by piece."""
    monkeypatch.setattr(CpuKernel, "serial", lambda self, cells: None)


@pytest.mark.parametrize(
    ("count", "step", "extra"),
    [
        (1, "1h", ""),
        (1, "1d", "dtype: float32\n"),
        (5, "6h", ""),
        (5, "1h", "threads: 1\n"),
        (1, "1h", "routing: none\n"),
        (3, "1d", "ensemble: {members: 2}\n"),
        (2, "1d", "ensemble: {members: 2, view: one}\n"),
        (1, "1d", "ensemble: {members: 2, weather: {precipitation: {spread: 0.1}}}\n"),
        (2, "1d", "history: 5\n"),
    ],
)
@pytest.mark.parametrize("look", [False, True])
def test_at_once_is_piece_by_piece(tmp_path, monkeypatch, count, step, extra, look):
    at_once = stepped(opened(tmp_path, count, step, extra), look=look)
    piecewise(monkeypatch)
    apart = stepped(opened(tmp_path, count, step, extra), look=look)
    np.testing.assert_array_equal(np.delete(at_once, STORED, 1), np.delete(apart, STORED, 1))
    # The same stores, added up in another order.
    np.testing.assert_allclose(at_once[:, STORED], apart[:, STORED], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("method", sorted(PET_METHODS))
@pytest.mark.parametrize("step", ["1d", "1h"])
def test_evapotranspiration_is_computed_in_the_same_call(tmp_path, monkeypatch, method, step):
    at_once = opened(tmp_path, 2, step, "", method)
    said = stepped(at_once)
    assert at_once.component.driver._at_once
    piecewise(monkeypatch)
    apart = opened(tmp_path, 2, step, "", method)
    np.testing.assert_array_equal(np.delete(said, STORED, 1), np.delete(stepped(apart), STORED, 1))
    assert not apart.component.driver._at_once


@pytest.mark.parametrize(
    ("count", "step", "extra"),
    [
        (1, "1h", ""),
        (1, "1d", "dtype: float32\n"),
        (5, "6h", "threads: 1\n"),
        (3, "1d", "ensemble: {members: 2}\n"),
        (2, "12h", "routing: none\n"),
    ],
)
def test_parameters_move_in_the_same_call(tmp_path, monkeypatch, dynamic_model, count, step, extra):
    at_once = opened(tmp_path, count, step, extra, trained=dynamic_model)
    said = stepped(at_once)
    assert at_once.component.driver._at_once or "members" in extra
    piecewise(monkeypatch)
    apart = opened(tmp_path, count, step, extra, trained=dynamic_model)
    np.testing.assert_array_equal(np.delete(said, STORED, 1), np.delete(stepped(apart), STORED, 1))
    assert not apart.component.driver._at_once
    for name, values in at_once.component.model.snapshot().items():
        np.testing.assert_array_equal(values, apart.component.model.snapshot()[name])


def test_what_moves_parameters_is_changed_and_restored_within_a_day(tmp_path, dynamic_model):
    """A restart, other attributes and a parameter that a host sets count from the next step on."""
    whole, second = (opened(tmp_path, 2, "1h", "", trained=dynamic_model) for _ in range(2))
    stepped(whole, 31)
    moving = whole.component.trained.layout.dynamic[0]
    for model in (whole, second):
        if model is second:
            model.component.restore_payload(whole.component.payload(), "a payload")
        model.set_value("FC", np.full(2, 300.0))
        model.set_value("forest_fraction", np.array([0.15, 0.85]))
        model.set_value(moving, np.array([2.5, 3.5]))
    expected = stepped(whole, 30)
    ours = stepped(second, 30)
    assert whole.component.driver._at_once
    states = slice(0, whole.component.outputs.size)
    np.testing.assert_array_equal(ours[:, states], expected[:, states])


def test_a_refused_input_does_not_move_parameters(tmp_path, dynamic_model):
    model = opened(tmp_path, 1, "6h", "", trained=dynamic_model)
    stepped(model, 5)
    before = model.component.model.snapshot()
    model.get_value_ptr(model.get_input_var_names()[1])[:] = 400.0
    with pytest.raises(ForcingError, match="400"):
        model.update()
    for name, values in model.component.model.snapshot().items():
        np.testing.assert_array_equal(values, before[name])


def test_what_is_plain_is_done_in_one_call_and_nothing_else(tmp_path):
    model = opened(tmp_path, 1, "1h", "")
    stepped(model, 3)
    assert model.component.driver._step.plain
    model.get_value_ptr("soil_moisture")
    model.update()
    assert not model.component.driver._step.plain
    saving = opened(tmp_path, 1, "1d", "save_state: {path: 's{time}.nc', every: 1d}\n")
    stepped(saving, 3)
    assert not saving.component.driver._step.plain


def test_a_refused_input_leaves_everything_as_it_was(tmp_path):
    model = opened(tmp_path, 1, "1h", "")
    stepped(model, 3)
    component = model.component
    before = component.model.snapshot(), component.outputs.copy(), component.account.to_array()
    model.get_value_ptr(model.get_input_var_names()[1])[:] = 400.0
    with pytest.raises(ForcingError, match="400.*cat-1 at .*the step was not done"):
        model.update()
    assert component.done == component.model.steps == 3
    for name, values in component.model.snapshot().items():
        np.testing.assert_array_equal(values, before[0][name])
    np.testing.assert_array_equal(component.outputs, before[1])
    np.testing.assert_array_equal(component.account.to_array(), before[2])


def test_a_restart_in_the_middle_changes_nothing(tmp_path):
    whole = opened(tmp_path, 1, "1h", "")
    stepped(whole, 20)
    payload = whole.component.payload()
    other = opened(tmp_path, 1, "1h", "")
    stepped(other, 7)
    other.component.restore_payload(payload, "test")
    other.component.inputs[...] = whole.component.inputs
    for model in (whole, other):
        model.update()
    np.testing.assert_array_equal(whole.component.rows, other.component.rows)
    np.testing.assert_array_equal(whole.component.model.state, other.component.model.state)


def test_arrays_of_an_arena_are_beside_each_other():
    arena = Arena()
    first, second = arena.zeros((3, 4)), arena.zeros(5, np.int32)
    assert second.ctypes.data - first.ctypes.data == 128
    assert first.ctypes.data % 64 == 0
    first[...], second[...] = 1.0, 2
    assert first.sum() == 12
    assert second.dtype == np.int32
    many = [arena.zeros(100) for _ in range(100)]
    for k, values in enumerate(many):
        values[:] = k
    assert [values[0] for values in many] == list(range(100))
    assert not (second != 2).any()
    large = np.arange(10_000.0)
    assert arena.near(large) is large
    small = np.arange(4.0)
    assert np.array_equal(arena.near(small), small)
    assert arena.near(small) is not small


def test_a_table_of_addresses_takes_contiguous_arrays_only():
    values, kinds = np.zeros((3, 4)), [("values", float, 2)]
    assert table_of([values], kinds).tolist() == [values.ctypes.data, 3, 4]
    for wrong in (values[:, ::2], values.astype(np.float32), values[0]):
        with pytest.raises(ValueError, match="values is no contiguous array of float64 with 2"):
            table_of([wrong], kinds)
