"""A model whose arrays stay on a device; without a GPU in Triton's interpreter."""

import importlib.util

import numpy as np
import pytest
import torch

from bmi_dhydro import BmiDhydro
from bmi_dhydro.io import state_file
from bmi_dhydro.kernels import devices
from bmi_dhydro.model import Model
from bmi_dhydro.physics import HBV

from ..conftest import random_routing, random_setup

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which is there for Linux only"
)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WEATHER, PARAMETERS, STATES = random_setup(5, 4, 60)


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """Without a GPU, let every name of one mean the CPU, where the interpreter is."""
    if DEVICE == "cpu":
        monkeypatch.setattr(devices, "devices_of", stand_ins)


def stand_ins(name):
    return [torch.device("cpu")] * (1 + name.count(","))


def made(kernel="gpu", step_seconds=86400, dtype=np.float64, **options):
    model = Model(
        HBV,
        PARAMETERS,
        random_routing(5),
        np.linspace(20.0, 3000.0, 5),
        step_seconds=step_seconds,
        kernel=kernel,
        dtype=dtype,
        **options,
    )
    model.state[:] = np.tile(STATES, (1, options.get("members", 1), 1))
    return model


def close(ours, theirs, tolerance=1e-10):
    assert np.linalg.norm(ours - theirs) <= tolerance * np.linalg.norm(theirs)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_all_outputs_are_those_of_the_cpu(dtype, tolerance):
    ours, theirs = made(dtype=dtype), made("cpu", dtype=dtype)
    rows, expected = ours.run(WEATHER), theirs.run(WEATHER)
    for k in range(rows.shape[1]):
        close(rows[:, k], expected[:, k], tolerance)
    close(ours.state, theirs.state, tolerance)
    close(ours.pending, theirs.pending, tolerance)
    close(ours.stored(), theirs.stored(), tolerance)


def test_stepping_equals_the_block():
    whole, stepped = made(), made()
    block = whole.run(WEATHER[:20])
    for k in range(20):
        np.testing.assert_allclose(stepped.step(WEATHER[k]), block[k], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(stepped.pending, whole.pending, rtol=1e-10, atol=1e-14)


def test_water_balance_closes():
    model = made()
    before = model.stored()
    rows = model.run(WEATHER)
    names = ("discharge", "evapotranspiration")
    left = sum(rows[:, model.outputs.index(name)].sum(axis=0) for name in names)
    assert np.abs(WEATHER[:, 0].sum(axis=0) - left - (model.stored() - before)).max() < 1e-9


def test_what_a_host_changes_counts():
    ours, theirs = made(), made("cpu")
    for model in (ours, theirs):
        model.run(WEATHER[:10])
        model.state[2] += 5.0
        model.run(WEATHER[10:20])
        model.set_parameter("K1", 0.4, np.array([1, 3]))
        model.set_parameter("route_delay", 2.0)
        model.run(WEATHER[20:30])
        model.pending = 2.0 * model.pending
    close(ours.run(WEATHER[30:]), theirs.run(WEATHER[30:]))


def test_states_move_between_devices(tmp_path):
    ids = np.array(list("abcde"))
    whole = made("cpu")
    expected = whole.run(WEATHER)[30:]
    first, second = made(), made("cpu")
    first.run(WEATHER[:30])
    state_file.save(tmp_path / "s", first, "f", ids)
    state_file.restore(tmp_path / "s", second, "f", ids)
    close(second.run(WEATHER[30:]), expected)
    state_file.save(tmp_path / "t", made("cpu"), "f", ids)
    third = made()
    state_file.restore(tmp_path / "t", third, "f", ids)
    close(third.run(WEATHER[:30]), made("cpu").run(WEATHER[:30]))


def test_without_a_unit_hydrograph():
    ours, theirs = made(routed=False), made("cpu", routed=False)
    close(ours.run(WEATHER[:20]), theirs.run(WEATHER[:20]))


def test_through_the_interface(many_host_example, monkeypatch):
    """The interface on a device: outputs, states by name and by pointer, results of the CPU."""
    text = many_host_example.read_text()
    models = []
    for device in ("cpu", "cuda"):
        many_host_example.write_text(text + f"device: {device}\n")
        model = BmiDhydro()
        model.initialize(str(many_host_example))
        models.append(model)
    weather = np.random.default_rng(0)
    for step in range(12):
        rain, heat = weather.gamma(0.5, 1.0, 6), weather.normal(6.0, 5.0, 6)
        for model in models:
            names = model.get_input_var_names()
            for name, values in zip(names, (rain, heat, np.full(6, 0.1)), strict=True):
                model.set_value(name, values)
            model.update()
            if step == 4:
                size = model.get_grid_size(1)
                soil = model.get_value("soil_moisture", np.empty(size))
                model.set_value("soil_moisture", soil + 3.0)
            if step == 8:
                model.get_value_ptr("lower_zone")[:] += 1.0
        cpu, gpu = (m.get_value(m.get_output_var_names()[0], np.empty(6)) for m in models)
        close(gpu, cpu)
    cpu, gpu = (m.get_value_ptr("lower_zone") for m in models)
    close(gpu, cpu)


def test_members_of_an_ensemble():
    weather = np.concatenate([WEATHER, 1.3 * WEATHER], axis=2)[:20]
    ours, theirs = made(members=2), made("cpu", members=2)
    close(ours.run(weather), theirs.run(weather))
    close(ours.state, theirs.state)
