"""Ensembles behind the interface: members differ by noise that depends on nothing but its seed."""

import msgspec
import netCDF4
import numpy as np
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import EnsembleConfig, NoiseConfig, read_config
from bmi_dhydro.errors import ConfigError, VariableError
from bmi_dhydro.kernels.cpu.noise import correlated_noise
from bmi_dhydro.physics import HBV
from bmi_dhydro.run.component import Component
from bmi_dhydro.run.perturbation import Perturbation
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.variables import INPUTS, MEMBER, OUTPUTS
from tests.conftest import OUTPUTS_OF_HBV

FLOW = OUTPUTS[1].name
RAIN, TEMPERATURE, PET = (item.name for item in INPUTS[:3])
NOISE = """
ensemble:
  members: 4
  seed: 7
  weather:
    precipitation: {spread: 0.4, hours: 48}
    temperature: {spread: 1.0}
  states:
    soil_moisture: {spread: 0.05, hours: 72}
"""


def keys(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, count).astype(np.uint64)


@pytest.fixture
def config(tmp_path):
    path = write_example(tmp_path, 3, 60, "6h", "file", model="fast")
    path.write_text(path.read_text() + NOISE)
    return path


def changed(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return path


def test_noise_is_standard_normal_and_forgets_itself():
    hours = np.arange(0, 4000) * 3600
    noise = correlated_noise(keys(400), hours, 24.0)
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(1.0, abs=0.01)
    assert (noise**4).mean() == pytest.approx(3.0, abs=0.1)
    for lag, expected in ((6, 0.9), (24, 0.318), (48, 0.0), (200, 0.0)):
        assert (noise[lag:] * noise[:-lag]).mean() == pytest.approx(expected, abs=0.03)
    assert abs((noise[:, :-1] * noise[:, 1:]).mean()) < 0.01
    white = correlated_noise(keys(400), hours, 0.0)
    assert abs((white[1:] * white[:-1]).mean()) < 0.01
    assert white.std() == pytest.approx(1.0, abs=0.01)


def test_noise_does_not_depend_on_how_a_run_is_cut():
    times = -3600 + np.arange(0, 500) * 3600
    own = keys(40)
    whole = correlated_noise(own, times, 30.0)
    for first, last in ((0, 1), (17, 60), (250, 500)):
        part = correlated_noise(own[5:11], times[first:last], 30.0)
        assert np.array_equal(part, whole[first:last, 5:11])


def test_noise_is_that_of_a_catchment_and_member():
    def weather(ids, members, seed=1):
        wanted = EnsembleConfig(
            members=members, seed=seed, weather={"precipitation": NoiseConfig(spread=0.3)}
        )
        noise = Perturbation(wanted, np.array(ids), HBV, 3600)
        ones = np.ones((50, 3, len(ids)))
        return noise.forcing(ones, 7200).reshape(50, 3, members, len(ids))

    ours, other = weather(["a", "b", "c"], 4), weather(["c", "a"], 2)
    assert np.array_equal(ours[:, :, :2, [2, 0]], other)
    assert (ours[:, 1] == 1.0).all()
    assert not np.array_equal(ours[:, 0, 0], ours[:, 0, 1])
    assert not np.array_equal(ours, weather(["a", "b", "c"], 4, seed=2))


def test_a_factor_of_water_has_mean_one():
    wanted = EnsembleConfig(members=500, weather={"precipitation": NoiseConfig(spread=0.5)})
    noise = Perturbation(wanted, np.array(["a"]), HBV, 86400)
    factors = noise.forcing(np.ones((400, 3, 1)), 0)[:, 0]
    assert factors.mean() == pytest.approx(1.0, abs=0.01)
    assert factors.min() > 0.0


def test_stepping_equals_the_block_and_restart_equals_no_restart(config, tmp_path):
    whole = Component(read_config(config))
    rows = []
    for _ in range(120):
        whole.update()
        rows.append(whole.outputs.copy())
    assert np.std(rows[-1].reshape(len(OUTPUTS_OF_HBV), 4, 3)[1], axis=1).min() > 0.0
    stepped = Component(read_config(config))
    stepped.pin()
    for k in range(60):
        stepped.update()
        assert np.array_equal(stepped.outputs, rows[k])
    payload = stepped.payload()
    again = Component(read_config(config))
    again.clock.done = again.model.steps = 60
    again.restore_payload(payload, "test")
    for k in range(60, 120):
        again.update()
        assert np.array_equal(again.outputs, rows[k]), k


def test_water_that_noise_adds_is_booked(config):
    component = Component(read_config(config))
    for _ in range(100):
        component.update()
    balance = component.water_balance()
    assert np.abs(balance["leaked"]).max() > 1e-3
    closure = balance["in"] - balance["out"] - balance["stored"] - balance["leaked"]
    assert np.abs(closure).max() < 1e-8


def test_results_have_members(config, tmp_path):
    run_config(config, tmp_path / "r.nc")
    with xarray.open_dataset(tmp_path / "r.nc") as data:
        assert data[FLOW].dims == ("time", "member", "station")
        assert data[FLOW].shape == (240, 4, 3)
        assert float(data[FLOW].std("member").max()) > 0.0
        assert data["precipitation"].dims == ("time", "member", "station")
    text = config.read_text()
    config.write_text(text[: text.index("ensemble:")])
    run_config(config, tmp_path / "one.nc")
    with (
        xarray.open_dataset(tmp_path / "one.nc") as one,
        xarray.open_dataset(tmp_path / "r.nc") as data,
    ):
        # The mean of the factor is 1.
        ratio = data["precipitation"].sum() / 4 / one["precipitation"].sum()
        assert float(ratio) == pytest.approx(1.0, abs=0.15)


def test_all_members_on_a_second_grid(config):
    model = BmiDhydro()
    model.initialize(str(config))
    grid = model.get_var_grid(FLOW)
    shape = np.empty(2, int)
    assert model.get_grid_rank(grid) == 2
    assert model.get_grid_shape(grid, shape).tolist() == [4, 3]
    assert model.get_var_nbytes(FLOW) == 12 * 8
    assert model.get_grid_shape(model.get_var_grid("soil_moisture"), np.empty(3, int)).tolist() == [
        4,
        3,
        16,
    ]
    assert model.get_grid_shape(
        model.get_var_grid("BETA_components"), np.empty(2, int)
    ).tolist() == [3, 16]
    assert model.get_var_grid("area") == 0
    values = model.get_value_ptr(FLOW)
    for _ in range(40):
        model.update()
    assert values.shape == (12,)
    assert len(set(values.tolist())) == 12
    waiting = model.get_value("routing_pending", np.empty(model.get_grid_size(6)))
    model.set_value("routing_pending", 2.0 * waiting)
    again = model.get_value("routing_pending", np.empty_like(waiting))
    assert np.array_equal(again, 2.0 * waiting)
    with pytest.raises(Exception, match=f"{MEMBER}.* is unknown"):
        model.get_value(MEMBER, np.empty(1))


def test_one_member_at_a_time(config):
    every = BmiDhydro()
    every.initialize(str(config))
    changed(config, "seed: 7", "seed: 7\n  view: one")
    model = BmiDhydro()
    model.initialize(str(config))
    assert model.get_var_grid(FLOW) == 0
    assert model.get_var_nbytes(FLOW) == 3 * 8
    values = model.get_value_ptr(FLOW)
    for _ in range(30):
        every.update()
        model.update()
    expected = every.get_value(FLOW, np.empty(12)).reshape(4, 3)
    stores = every.get_value("soil_moisture", np.empty(4 * 48)).reshape(4, 48)
    for member in (0, 3, 1):
        model.set_value(MEMBER, np.array([member]))
        assert model.get_value(MEMBER, np.empty(1, np.int32))[0] == member
        assert np.array_equal(values, expected[member])
        assert np.array_equal(model.get_value(FLOW, np.empty(3)), expected[member])
        assert np.array_equal(model.get_value("soil_moisture", np.empty(48)), stores[member])
    model.set_value("soil_moisture", np.full(48, 33.0))
    model.set_value(MEMBER, np.array([2]))
    assert np.array_equal(model.get_value("soil_moisture", np.empty(48)), stores[2])
    model.set_value(MEMBER, np.array([1]))
    assert (model.get_value("soil_moisture", np.empty(48)) == 33.0).all()
    with pytest.raises(ValueError, match="no member 4; there are 0 to 3"):
        model.set_value(MEMBER, np.array([4]))


@pytest.mark.parametrize("name", [FLOW, "evapotranspiration", "discharge", "soil_moisture"])
def test_pointers_show_the_member_that_is_chosen(config, name):
    every = BmiDhydro()
    every.initialize(str(config))
    changed(config, "seed: 7", "seed: 7\n  view: one")
    model = BmiDhydro()
    model.initialize(str(config))
    if name == "soil_moisture":
        with pytest.raises(VariableError, match="no fixed place in memory where .* one member"):
            model.get_value_ptr(name)
        return
    values = model.get_value_ptr(name)
    for step in range(12):
        every.update()
        model.update()
        expected = every.get_value(name, np.empty(12, every.get_var_type(name))).reshape(4, 3)
        for member in (step % 4, 2):
            model.set_value(MEMBER, np.array([member]))
            assert np.array_equal(values, expected[member])
    assert not np.array_equal(expected[0], expected[1])


def test_the_balance_of_an_ensemble(config):
    """NextGen asks one value of each term: of the member that is shown, or the mean of all."""
    every = BmiDhydro()
    every.initialize(str(config))
    changed(config, "seed: 7", "seed: 7\n  view: one")
    model = BmiDhydro()
    model.initialize(str(config))
    for _ in range(30):
        every.update()
        model.update()
    names = [f"ngen::mass_{name}" for name in ("in", "out", "stored", "leaked")]

    def balance(bmi):
        return np.array([float(bmi.get_value_ptr(name)[0]) for name in names])

    members = []
    for member in range(4):
        model.set_value(MEMBER, np.array([member]))
        members.append(balance(model))
    np.testing.assert_allclose(balance(every), np.mean(members, axis=0), rtol=1e-12, atol=1e-15)
    for into, out, stored, leaked in members:
        assert abs(into - out - stored - leaked) < 1e-9
    assert members[0][0] != members[1][0]


@pytest.mark.parametrize("view", ["all", "one"])
def test_a_host_sets_weather_of_each_member(tmp_path, view):
    path = write_example(tmp_path, 2, 20, "1d", "host", model="fast")
    alone = BmiDhydro()
    alone.initialize(str(path))
    path.write_text(path.read_text() + f"ensemble: {{members: 3, inputs: own, view: {view}}}\n")
    model = BmiDhydro()
    model.initialize(str(path))
    rain = np.arange(6.0).reshape(3, 2) / 10
    for _ in range(10):
        for name, value in ((TEMPERATURE, 10.0), (PET, 0.05)):
            if view == "all":
                model.set_value(name, np.full(6, value))
            alone.set_value(name, np.full(2, value))
        if view == "all":
            model.set_value(RAIN, rain.reshape(-1))
        else:
            for member in range(3):
                model.set_value(MEMBER, np.array([member]))
                for name, value in ((TEMPERATURE, 10.0), (PET, 0.05)):
                    model.set_value(name, np.full(2, value))
                model.set_value(RAIN, rain[member])
        model.update()
        alone.set_value(RAIN, rain[2])
        alone.update()
    found = model.get_value(FLOW, np.empty(6 if view == "all" else 2))
    assert np.array_equal(found[-2:], alone.get_value(FLOW, np.empty(2)))
    with pytest.raises(Exception, match="cannot be 5000 mm h-1 for catchment cat-2"):
        model.set_value(RAIN, np.r_[np.zeros(5 if view == "all" else 1), 5000.0])


def test_noise_on_a_hosts_weather(tmp_path):
    path = write_example(tmp_path, 2, 20, "1d", "host", model="fast")
    path.write_text(path.read_text() + NOISE)
    model = BmiDhydro()
    model.initialize(str(path))
    for _ in range(30):
        for name, value in ((RAIN, 0.3), (TEMPERATURE, 10.0), (PET, 0.05)):
            model.set_value(name, np.full(2, value))
        model.update()
    flow = model.get_value(FLOW, np.empty(8)).reshape(4, 2)
    assert (flow.std(axis=0) > 0.0).all()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("members: 4", "members: 0", "Expected `int` >= 1 - at `ensemble.members`"),
        ("precipitation: {", "rain: {", "ensemble.weather: 'rain' is unknown"),
        (
            "soil_moisture: {",
            "soil: {",
            "ensemble.states: 'soil' is unknown; known: .*soil_moisture",
        ),
        (
            "spread: 0.4",
            "spread: -0.4",
            r"Expected `float` >= 0.0 - at `ensemble.weather.\*.spread`",
        ),
        ("spread: 0.4", "spread: .nan", r"`float` >= 0.0 - at `ensemble.weather.\*.spread`"),
        ("spread: 0.4", "spread: 11", "logarithm; 10 is the most"),
        ("spread: 0.4", "spred: 0.4", r"'ensemble.weather.\*.spred'; did you mean 'spread'"),
        ("seed: 7", "seed: -7", "Expected `int` >= 0 - at `ensemble.seed`"),
        ("seed: 7", "inputs: own", "ensemble.inputs: own: goes with a host's weather"),
    ],
)
def test_bad_input(config, old, new, match):
    with pytest.raises(ConfigError, match=match):
        Component(read_config(changed(config, old, new)))


def test_what_does_not_fit_the_memory_is_refused_before_it_is_allocated(config, monkeypatch):
    monkeypatch.setattr("bmi_dhydro.machine.memory", lambda: 2e9)
    with pytest.raises(ConfigError, match=r"members\) need .* GB of memory, but .* has 2 GB"):
        Component(read_config(changed(config, "members: 4", "members: 900000")))


def test_an_ensemble_does_not_go_with_history(config):
    config.write_text(config.read_text() + "history: 5\n")
    with pytest.raises(ConfigError, match="history: does not go with ensemble"):
        read_config(config)


def test_spin_up_and_states_on_disk(config, tmp_path):
    changed(config, "seed: 7", "seed: 7  # noise")
    plain = read_config(config)
    saved = str(tmp_path / "s.nc")
    first = Component(msgspec.structs.replace(plain, save_state=saved))
    for _ in range(240):
        first.update()
    first.close()
    with netCDF4.Dataset(saved) as data:
        assert data["soil_moisture"].shape == (4, 3, 16)
    second = Component(msgspec.structs.replace(plain, initial_state=saved))
    assert np.array_equal(second.model.state, first.model.state)
