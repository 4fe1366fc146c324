"""Imported models where models run: hosts, restarts, workers, fleets, members, GPUs, training."""

import warnings

import numpy as np
import pytest
import xarray
import yaml
from click.testing import CliRunner

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import CatchmentError, CheckpointError, ConfigError, VariableError
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks.trained_model import load
from bmi_dhydro.progress_bar import progress
from bmi_dhydro.run.divided_run import run_divided
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.run.workers import workers
from bmi_dhydro.training.run import TrainingRun
from bmi_dhydro.variables import OUTPUTS
from tests.published.conftest import TABLE, random_weather, write_run

WEATHER = random_weather(90, 5)
DEPTH = OUTPUTS[0].name
FORMS = ["1.1p, other order and logarithms", "2.0"]

forms = pytest.mark.parametrize("form", FORMS)


def opened(path):
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def flows(model, steps):
    rows = []
    for _ in range(steps):
        model.update()
        rows.append(model.get_value_ptr(DEPTH).copy())
    return np.array(rows)


def frozen(path, folder):
    """Write the parameters of a run to a file, by the command that does."""
    out = folder / "frozen.safetensors"
    arguments = ["freeze", str(path), str(out)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "5 catchments" in result.output
    return out


def changed(path, name, **keys):
    """Write another configuration beside one; None takes a key away."""
    document = {**yaml.safe_load(path.read_text()), **keys}
    other = path.with_name(name)
    other.write_text(yaml.safe_dump({k: v for k, v in document.items() if v is not None}))
    return other


@pytest.fixture
def case(imported, tmp_path, request):
    """A run of an imported model, and the file of its parameters."""
    path = write_run(tmp_path / "run", imported(request.param), WEATHER, TABLE, output=None)
    return path, frozen(path, tmp_path)


each = pytest.mark.parametrize("case", FORMS, indirect=True)


def set_weather(model, row):
    for name, values in zip(model.get_input_var_names(), row, strict=True):
        per_hour = 1.0 if "temperature" in name else 1.0 / 24.0
        model.set_value(name, values * per_hour)


@each
def test_frozen_parameters_and_a_hosts_weather_give_what_the_file_gives(case):
    path, parameters = case
    expected = flows(opened(path), 90)
    again = opened(changed(path, "frozen.yaml", parameter_file=str(parameters)))
    np.testing.assert_allclose(flows(again, 90), expected, rtol=1e-12)
    host = opened(
        changed(path, "host.yaml", parameter_file=str(parameters), forcing=None, output=None)
    )
    rows = []
    for row in WEATHER:
        set_weather(host, row)
        rows.append(flows(host, 1)[0])
    np.testing.assert_allclose(rows, expected, rtol=1e-9)
    balance = host.component.water_balance()
    error = balance["in"] - balance["out"] - balance["stored"] - balance["leaked"]
    assert np.abs(error).max() < 1e-9


@forms
@pytest.mark.parametrize("members", [1, 3])
def test_balances_hold_what_floors_and_neighbours_give(form, members, imported, tmp_path):
    ensemble = {"members": members, "weather": {"precipitation": {"spread": 0.3}}}
    path = write_run(
        tmp_path,
        imported(form),
        WEATHER,
        TABLE,
        output=None,
        ensemble=None if members == 1 else ensemble,
    )
    model = opened(path)
    gains = np.zeros(5 * members)
    for _ in range(90):
        model.update()
        rows = dict(zip(model.component.model.outputs, model.component.rows, strict=True))
        gains += sum(rows[name] for name in model.component.model.process.gains)
    balance = model.component.water_balance()
    error = balance["in"] - balance["out"] - balance["stored"] - balance["leaked"]
    assert np.abs(error).max() < 1e-9
    if members == 1:
        fallen = WEATHER[:, 0].sum(axis=0)
        np.testing.assert_allclose(balance["in"], fallen + gains, rtol=1e-12)
    if form == "2.0":
        assert np.abs(gains).max() > 1.0


@each
def test_a_restart_is_no_restart(case, tmp_path):
    path, parameters = case
    state = str(tmp_path / "state.nc")
    expected = flows(opened(changed(path, "whole.yaml", parameter_file=str(parameters))), 90)
    first = {"start": "2000-10-01", "end": "2000-11-10"}
    run = changed(path, "1.yaml", parameter_file=str(parameters), time=first, save_state=state)
    model = opened(run)
    before = flows(model, 40)
    model.finalize()
    later = {"start": "2000-11-10"}
    second = changed(
        path, "2.yaml", parameter_file=str(parameters), time=later, initial_state=state
    )
    after = flows(opened(second), 50)
    assert np.array_equal(np.concatenate([before, after]), expected)


def test_what_goes_on_or_has_a_hosts_weather_needs_the_same_parameters(imported, tmp_path):
    path = write_run(tmp_path, imported(FORMS[0]), WEATHER, TABLE, output=None)
    with pytest.raises(ConfigError, match=r"bmi-dhydro freeze"):
        opened(changed(path, "host.yaml", forcing=None))
    with pytest.raises(ConfigError, match=r"bmi-dhydro freeze"):
        opened(changed(path, "state.yaml", initial_state="state.nc"))
    fewer = changed(path, "fewer.yaml", catchments={"table": "catchments.csv", "select": ["c1"]})
    out = tmp_path / "one.safetensors"
    result = CliRunner().invoke(main, ["freeze", str(fewer), str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    with pytest.raises(CheckpointError, match=r"no parameters of c0, c2"):
        opened(changed(path, "more.yaml", parameter_file=str(out)))


def test_attributes_of_a_model_whose_parameters_are_of_weather_stay(imported, tmp_path):
    path = write_run(tmp_path, imported(FORMS[0]), WEATHER, TABLE, output=None, history=3)
    model = opened(path)
    values = model.get_value_ptr("secret_index").copy()
    with pytest.raises(CatchmentError, match="weather of a period"):
        model.set_value("secret_index", values + 0.1)
    flows(model, 3)
    with pytest.raises(VariableError, match="fixed before the run"):
        model.vjp({DEPTH: np.ones((3, 5))}, ["secret_index"], 3)


def test_attributes_of_the_site_act_as_rules(imported, tmp_path):
    path = write_run(tmp_path, imported("2.0"), WEATHER, TABLE, output=None)
    model = opened(path)
    assert (model.get_value_ptr("TT")[[1, 4]] == 4.0).all()
    assert (np.abs(model.get_value_ptr("TT")[[0, 2, 3]]) <= 2.5).all()
    np.testing.assert_array_equal(model.get_value_ptr("UPSTREAM_AREA"), TABLE["area"])
    area = TABLE["area"].copy()
    area[0] = 77.0
    model.set_value("area", area)
    assert model.get_value_ptr("UPSTREAM_AREA")[0] == 77.0
    table = TABLE | {"area": area}
    other = opened(write_run(tmp_path / "b", tmp_path / "imported.safetensors", WEATHER, table))
    np.testing.assert_array_equal(flows(model, 60), flows(other, 60))


@each
def test_divided_among_workers_and_alone(case, tmp_path):
    pytest.importorskip("distributed", reason="needs dask.distributed")
    path, parameters = case
    given = {"output": {"file": "results.nc"}, "parameter_file": str(parameters)}
    run_config(changed(path, "one.yaml", **given), tmp_path / "one.nc")
    with workers(2, None) as (mapper, count):
        run_divided(changed(path, "two.yaml", **given), tmp_path / "two.nc", mapper, count)
    with (
        xarray.open_dataset(tmp_path / "one.nc") as a,
        xarray.open_dataset(tmp_path / "two.nc") as b,
    ):
        xarray.testing.assert_equal(a, b)
        expected = a[DEPTH].sel(station="c3").values
    alone = changed(
        path,
        "alone.yaml",
        parameter_file=str(parameters),
        catchments={"table": "catchments.csv", "select": ["c3"]},
    )
    np.testing.assert_allclose(flows(opened(alone), 90)[:, 0], expected, rtol=1e-6)


@each
@pytest.mark.parametrize("given", [False, True])
def test_a_fleet_is_what_separate_instances_are(case, given):
    path, parameters = case
    found = {}
    for fleet in (False, True):
        models = [
            opened(
                changed(
                    path,
                    f"{fleet}-{k}.yaml",
                    fleet=fleet,
                    parameter_file=str(parameters) if given else None,
                    catchments={"table": "catchments.csv", "select": [f"c{k}"]},
                )
            )
            for k in (0, 1, 4)
        ]
        found[fleet] = np.array([[flows(model, 1)[0, 0] for model in models] for _ in range(90)])
        for model in models:
            model.finalize()
    np.testing.assert_array_equal(found[True], found[False])


@each
def test_single_precision_and_members_without_noise(case):
    path, parameters = case
    expected = flows(opened(path), 90)
    single = flows(opened(changed(path, "single.yaml", dtype="float32")), 90)
    np.testing.assert_allclose(single, expected, rtol=2e-4, atol=1e-8)
    members = changed(path, "members.yaml", ensemble={"members": 3}, parameter_file=str(parameters))
    many = flows(opened(members), 90).reshape(90, 3, 5)
    np.testing.assert_allclose(many, np.repeat(expected[:, None], 3, axis=1), rtol=1e-12)


@forms
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_stepping_equals_the_block_bit_for_bit(form, dtype, imported):
    trained = load(imported(form))
    random = np.random.default_rng(1)
    # More than go through the LSTM together, and some that are left over.
    count = 19
    attributes = {name: random.uniform(0.0, 1.0, count) for name in trained.layout.needed}
    weather = random_weather(60, count)

    def model(columns=slice(None)):
        own = {name: values[columns] for name, values in attributes.items()}
        memory = trained.memory(own)
        memory.advance(weather[:, :, columns])
        static = trained.parameters(own, memory.hidden)
        area = np.full(len(memory.hidden), 90.0)
        execution = Execution(dtype=dtype)
        return Model(
            trained.layout.process,
            *static,
            area,
            dynamics=trained.dynamics(own),
            execution=execution,
        )

    block = model().run(weather)
    stepping = model()
    assert np.array_equal([stepping.step(row.astype(dtype)).copy() for row in weather], block)
    assert np.array_equal(model(slice(17, 18)).run(weather[:, :, 17:18]), block[:, :, 17:18])


@each
def test_steps_of_hours_go_on_in_the_middle_of_a_day(case, tmp_path):
    path, parameters = case
    hours = np.repeat(WEATHER[:6], 24, axis=0)
    hours[:, [0, 2]] /= 24.0
    time = np.arange(len(hours)).astype("timedelta64[h]") + np.datetime64("2000-10-01", "ns")
    xarray.Dataset(
        {
            name: (("time", "catchment"), hours[:, k], {"units": units})
            for k, (name, units) in enumerate(
                (("precipitation", "mm h-1"), ("temperature", "degC"), ("pet", "mm h-1"))
            )
        },
        {"time": time, "catchment": [f"c{k}" for k in range(5)]},
    ).to_netcdf(path.with_name("hours.nc"))
    forcing = {"file": "hours.nc", "potential_evapotranspiration": "forcing"}
    given = {"forcing": forcing, "parameter_file": str(parameters)}
    whole = flows(opened(changed(path, "a.yaml", time={"step": "1h"}, **given)), 144)
    assert np.isfinite(whole).all()
    state = str(tmp_path / "state.nc")
    first = {"step": "1h", "start": "2000-10-01", "end": "2000-10-03T07:00"}
    model = opened(changed(path, "b.yaml", time=first, save_state=state, **given))
    before = flows(model, 55)
    model.finalize()
    later = {"step": "1h", "start": "2000-10-03T07:00"}
    after = flows(opened(changed(path, "c.yaml", time=later, initial_state=state, **given)), 89)
    assert np.array_equal(np.concatenate([before, after]), whole)


@each
@pytest.mark.parametrize("weather", ["file", "host"])
def test_on_a_gpu(case, weather, gpus):
    path, parameters = case
    given = {"parameter_file": str(parameters), "time": {"end": "2000-10-07"}}
    if weather == "host":
        given = {"parameter_file": str(parameters), "forcing": None}
    rows = {}
    for device in ("cpu", "cuda"):
        model = opened(changed(path, f"{device}.yaml", device=device, **given))
        rows[device] = []
        for row in WEATHER[:6]:
            if weather == "host":
                set_weather(model, row)
            rows[device].append(flows(model, 1)[0])
        balance = model.component.water_balance()
        error = balance["in"] - balance["out"] - balance["stored"] - balance["leaked"]
        assert np.abs(error).max() < 1e-9
    np.testing.assert_allclose(rows["cuda"], rows["cpu"], rtol=1e-9, atol=1e-14)


@each
def test_derivatives_are_those_of_small_changes(case):
    path, parameters = case
    host = {"parameter_file": str(parameters), "forcing": None, "history": 12}
    seeds = {DEPTH: np.random.default_rng(0).normal(size=(12, 5)) * 1e3}

    def run(change=None, row=4, amount=0.0):
        model = opened(changed(path, "host.yaml", **host))
        if change in ("FC", "BETA", "RT"):
            cells = f"{change}_components"
            model.set_value(cells, model.get_value_ptr(cells) + amount)
        rows = []
        for k, weather in enumerate(WEATHER[30:42]):
            set_weather(model, weather)
            name = model.get_input_var_names()[1]
            if change == "temperature" and k == row:
                model.set_value(name, model.get_value_ptr(name) + amount)
            rows.append(flows(model, 1)[0])
        return model, float((np.array(rows) * seeds[DEPTH]).sum())

    model, _ = run()
    temperature = model.get_input_var_names()[1]
    names = ["FC", "BETA"] + (["RT"] if "RT" in model.component.model.parameters else [])
    slopes = model.vjp(seeds, [*names, temperature], 12)
    for name, step in (*((name, 1e-3) for name in names), ("temperature", 1e-4)):
        after, before = run(name, 4, step)[1], run(name, 4, -step)[1]
        found = slopes[temperature][4].sum() if name == "temperature" else slopes[name].sum()
        assert found == pytest.approx((after - before) / (2 * step), rel=2e-3, abs=1e-7), name


TRAINING = """
output: tuned
catchments: {table: catchments.csv, climate: table}
forcing: {file: weather.nc, potential_evapotranspiration: forcing}
observed: {file: results.nc, variable: land_surface_water__runoff_volume_flux}
split: {train: [2000-10-01, 2002-06-30]}
from: %s
settings: {batches: 25, catchments: 5, days: 300, warm_up: 100, learning_rate: 0.008}
name: tuned
licence: CC0
"""


@pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning")
@pytest.mark.parametrize("layers", ["all", "last"])
@forms
def test_fine_tuning_begins_with_it_and_learns(form, layers, imported, tmp_path):
    """It learns the flow of the same model with another field capacity."""
    start = imported(form)
    weather = random_weather(700, 5)
    truth = write_run(tmp_path, start, weather, TABLE, parameters={"FC": 90.0, "K1": 0.4})
    run_config(truth)
    path = tmp_path / "training.yaml"
    path.write_text(TRAINING % start.name)
    if layers == "last":
        path.write_text(path.read_text().replace("batches: 25", "batches: 25, layers: last"))
    tuned = load(TrainingRun(path).run(progress))
    begun = load(start)
    assert tuned.layout == begun.layout
    assert tuned.about["training"]["from"]["licence"] == "none"
    same = [name for name, v in begun.weights.items() if np.array_equal(v, tuned.weights[name])]
    assert ("entrance.weight" in same) == (layers == "last")

    def flow(model, **keys):
        path = changed(truth, "again.yaml", model=str(model), **keys)
        run_config(path, tmp_path / "again.nc")
        with xarray.open_dataset(tmp_path / "again.nc") as data:
            return data[DEPTH].transpose("time", ...).values[100:630]

    expected = flow(start)
    before = np.mean((flow(start, parameters={}) - expected) ** 2)
    after = np.mean((flow(tmp_path / "tuned" / "model.safetensors", parameters={}) - expected) ** 2)
    assert after < 0.9 * before


@forms
def test_networks_of_two_seeds_are_joined(form, imported, tmp_path):
    from bmi_dhydro.networks.merged import merge, single_network

    model = load(imported(form))
    other = {name: values * np.float32(0.9) for name, values in model.weights.items()}
    for name in ("forcing_mean", "forcing_deviation"):
        other[name] = model.weights[name]
    layout, weights = merge(model.layout, [model.weights, other])
    inputs = model.normalisation(
        {name: TABLE.get(name, TABLE["area"]) for name in model.layout.needed}
    )
    from bmi_dhydro.networks.dynamics import Dynamics
    from bmi_dhydro.networks.parameter_network import parameters

    def memory(layout, weights):
        dynamics = Dynamics(layout, weights, inputs)
        for name in layout.dynamic:
            dynamics.set_centres(name, np.full((5, layout.parameter_sets), 1.5), slice(None))
        return dynamics.advance(WEATHER), dynamics.hidden

    values, hidden = memory(layout, weights)
    whole, _ = parameters(layout, weights, inputs, hidden)
    sets = model.layout.parameter_sets
    for k, own in enumerate((model.weights, other)):
        alone, remembered = memory(model.layout, own)
        np.testing.assert_allclose(values[..., k * sets : (k + 1) * sets], alone, rtol=1e-6)
        expected, _ = parameters(model.layout, own, inputs, remembered)
        for ours, theirs in zip(whole, expected, strict=True):
            np.testing.assert_allclose(ours[:, k * sets : (k + 1) * sets], theirs, rtol=1e-5)
        one, its = single_network(layout, weights, k)
        assert one == model.layout
        np.testing.assert_allclose(parameters(one, its, inputs, hidden)[0], expected, rtol=1e-5)


CHAIN = """
folder: chain
catchments: {table: catchments.csv, climate: table}
model: %s
start: 2000-10-01
analysis: {file: weather.nc, potential_evapotranspiration: forcing}
forecast: {horizon: 3d}
threads: 1
"""


def test_a_forecast_needs_the_same_parameters_each_time(imported, tmp_path):
    from bmi_dhydro.forecast.chain import Chain
    from bmi_dhydro.forecast.config import read_forecast_config

    start = imported(FORMS[0])
    run = write_run(tmp_path, start, WEATHER, TABLE, output=None)
    path = tmp_path / "chain.yaml"
    path.write_text(CHAIN % start.name)
    time = np.datetime64("2000-11-20", "s")
    with pytest.raises(ConfigError, match="bmi-dhydro freeze"):
        Chain(read_forecast_config(path)).run(time)
    parameters = frozen(run, tmp_path)
    path.write_text(path.read_text() + f"parameter_file: {parameters.name}\n")
    out = Chain(read_forecast_config(path)).run(time)
    expected = flows(opened(changed(run, "p.yaml", parameter_file=str(parameters))), 53)[50:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xarray.open_dataset(out) as data:
            found = data["land_surface_water__runoff_volume_flux"].values * 24.0 / 1e3
    np.testing.assert_allclose(np.squeeze(found).reshape(3, 5), expected, rtol=1e-5)


DRAWN = """
output: drawn
catchments: {table: catchments.csv, climate: table}
forcing: {file: weather.nc, potential_evapotranspiration: forcing}
observed: {file: results.nc, variable: land_surface_water__runoff_volume_flux}
split: {train: [2000-10-01, 2002-06-30]}
process: hbv_2_0
components: 2
attributes: [forest_fraction, mean_elevation]
dynamic: [BETA]
settings: {hidden: [6], memory: 6, batches: 4, catchments: 5, days: 300, warm_up: 100}
name: drawn
licence: CC0
"""


@pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning")
def test_a_published_form_is_trained_from_drawn_weights(imported, tmp_path):
    weather = random_weather(700, 5)
    truth = write_run(tmp_path, imported("2.0"), weather, TABLE)
    run_config(truth)
    path = tmp_path / "training.yaml"
    path.write_text(DRAWN)
    with pytest.raises(CatchmentError, match="lacks attributes of the model: upstream_area"):
        TrainingRun(path)
    table = TABLE | {"upstream_area": TABLE["area"]}
    write_run(tmp_path, tmp_path / "imported.safetensors", weather, table)
    model = load(TrainingRun(path).run(progress))
    assert model.layout.site == ("upstream_area", "mean_elevation")
    assert model.normalisation.names == ("forest_fraction", "mean_elevation", *model.layout.site)
    own = {name: table.get(name, table["elev_mean"]) for name in model.layout.needed}
    own["forest_fraction"] = table["frac_forest"]
    process = dict(zip(model.layout.process.parameter_names, model.parameters(own)[0], strict=True))
    np.testing.assert_array_equal(process["UPSTREAM_AREA"], np.tile(table["area"][:, None], 2))
    np.testing.assert_array_equal(
        process["TT"] == 4.0, np.tile(own["mean_elevation"][:, None] >= 2000, 2)
    )
    run_config(changed(truth, "drawn.yaml", model=str(tmp_path / "drawn" / "model.safetensors")))
