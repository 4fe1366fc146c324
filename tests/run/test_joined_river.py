"""A river that is joined to the catchments of a run: routed with each step, as if it were alone."""

import netCDF4
import numpy as np
import pandas
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import ConfigError, NetworkError, VariableError
from bmi_dhydro.river.river import River
from bmi_dhydro.river.tables import read_network
from bmi_dhydro.run.divided_run import run_divided
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.run.workers import divided, here
from bmi_dhydro.variables import FLOW, REACH_OUTPUTS, REACH_SPEED
from tests.river.conftest import made_up

REACHES, CATCHMENTS = 14, 6
REACH_FLOW, MEAN, DEPTH, _, VOLUME = (item.name for item in REACH_OUTPUTS)
REACH_GRID = 7
NOISE = "ensemble: {members: 3, weather: {precipitation: {spread: 0.4}}}\n"

pytestmark = pytest.mark.filterwarnings(
    "ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"
)


def write_rivers(folder, catchments=CATCHMENTS, reaches=REACHES, outlets=3):
    """Write a network of several rivers, whose catchments are those of the example."""
    bare = made_up(reaches, outlets)
    places = np.random.default_rng(4).permutation(reaches)[:catchments]
    rows = pandas.DataFrame({"id": bare.ids, **bare.parameters})
    rows["to"] = np.where(bare.to >= 0, bare.ids[bare.to], "0")
    rows["gauge"], rows["catchment"] = "", ""
    for k, place in enumerate(places):
        rows.loc[place, "catchment"] = f"cat-{k + 1}"
    rows.loc[0, "gauge"], rows.loc[1, "gauge"] = "0012", "0034"
    rows["longitude"] = np.linspace(-99.0, -98.0, reaches)
    rows.to_csv(folder / "rivers.csv", index=False)
    return read_network(folder / "rivers.csv")


@pytest.fixture(params=["1d", "1h"])
def config(tmp_path, request):
    """Six catchments, weather in a file, and rivers."""
    path = write_example(tmp_path, CATCHMENTS, 90, request.param, "file", model="fast")
    write_rivers(tmp_path)
    return path


NETWORK = "network: {file: rivers.csv, output: gauges.nc, at: all, routing_step: 20min%s}\n"


def changed(config, name, *more, network=NETWORK % ""):
    path = config.with_name(name)
    path.write_text(config.read_text() + network + "".join(more))
    return path


def opened(path):
    with xarray.open_dataset(path) as data:
        return data.load()


def started(path):
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def value(model, name):
    return model.get_value(name, np.empty(model.get_grid_size(model.get_var_grid(name))))


def alone(network, runoff, ids, seconds, dtype="float64", process="muskingum_cunge"):
    """Route runoff (steps, catchments) by a river of its own, from a steady start."""
    lateral = np.zeros((len(runoff), len(network)))
    np.add.at(lateral.T, network.reaches_of(ids), runoff.T)
    river = River(network, process, seconds, 1200, dtype)
    river.set_flow(network.accumulated(lateral[0]))
    return river.run(lateral)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("process", ["muskingum_cunge", "linear"])
def test_steps_are_those_of_a_river_alone(config, dtype, process):
    network = f", process: {process}"
    model = started(changed(config, "joined.yaml", f"dtype: {dtype}\n", network=NETWORK % network))
    rivers = model.component.joined.network
    names = [FLOW, *(item.name for item in REACH_OUTPUTS)]
    assert set(names) < set(model.get_output_var_names())
    rows = {name: [] for name in names}
    pointer, speed = model.get_value_ptr(REACH_FLOW), model.get_value_ptr(REACH_SPEED)
    for _ in range(40):
        model.update()
        for name in names:
            rows[name].append(value(model, name))
        np.testing.assert_array_equal(pointer, rows[REACH_FLOW][-1])
        np.testing.assert_array_equal(speed, rows[REACH_SPEED][-1])
    seconds = model.component.model.step_seconds
    ids = model.component.catchments.ids
    expected = alone(rivers, np.array(rows[FLOW]), ids, seconds, dtype, process)
    for item in REACH_OUTPUTS:
        np.testing.assert_array_equal(np.array(rows[item.name]), getattr(expected, item.source))
    balance = model.component.joined.river.balance
    left = balance["in"] - balance["out"] - balance["stored"]
    assert abs(left) <= (1e-12 if dtype == "float64" else 1e-6) * balance["in"]
    np.testing.assert_allclose(
        balance["in"],
        np.array(rows[FLOW]).sum() * seconds,
        rtol=1e-12 if dtype != "float32" else 1e-6,
    )
    model.finalize()
    results = opened(config.with_name("gauges.nc"))
    np.testing.assert_allclose(results[FLOW], rows[MEAN], rtol=1e-6)
    np.testing.assert_allclose(results[DEPTH], rows[DEPTH], rtol=1e-6)
    assert results["station_id"].values.tolist() == rivers.ids.tolist()


def test_grids(config):
    model = started(changed(config, "joined.yaml"))
    assert model.get_var_grid(REACH_FLOW) == REACH_GRID
    network = model.component.joined.network
    assert model.get_grid_type(REACH_GRID) == "unstructured"
    assert (model.get_grid_rank(REACH_GRID), model.get_grid_size(REACH_GRID)) == (2, len(network))
    edges = np.empty(2 * model.get_grid_edge_count(REACH_GRID), int)
    model.get_grid_edge_nodes(REACH_GRID, edges)
    np.testing.assert_array_equal(edges.reshape(-1, 2)[:, 1], network.to[network.to >= 0])
    x, y = (np.empty(len(network)) for _ in range(2))
    np.testing.assert_array_equal(model.get_grid_x(REACH_GRID, x), network.longitude)
    assert np.isnan(model.get_grid_y(REACH_GRID, y)).all()
    assert model.get_var_nbytes(DEPTH) == 8 * len(network)
    assert model.get_var_units(DEPTH) == "m"
    model.component.abandon()
    without = started(config)
    with pytest.raises(ValueError, match="grid 7 is unknown"):
        without.get_grid_size(REACH_GRID)
    with pytest.raises(VariableError, match="is unknown"):
        without.get_var_grid(REACH_FLOW)
    without.component.abandon()


def shortened(path, first, last, step):
    begin, end = np.datetime64("2000-10-01T00:00") + np.array([first, last]) * step
    text = path.read_text()
    assert text.count("  step:") == 1
    path.write_text(text.replace("  step:", f"  start: {begin}\n  end: {end}\n  step:"))
    return path


def begun(config):
    return np.datetime64("2000-10-01"), np.timedelta64(24 if "1d" in config.read_text() else 1, "h")


@pytest.mark.parametrize(
    "more", ["", "ensemble: {members: 3, weather: {precipitation: {spread: 0.4}}}\n"]
)
def test_a_run_that_is_cut_goes_on_as_if_it_were_not(config, more):
    _, step = begun(config)
    whole = shortened(changed(config, "whole.yaml", more), 0, 40, step)
    run_config(whole)
    expected = opened(config.with_name("gauges.nc"))
    first = changed(config, "first.yaml", more, "save_state: middle.nc\n")
    run_config(shortened(first, 0, 25, step))
    second = changed(config, "second.yaml", more, "initial_state: middle.nc\n")
    run_config(shortened(second, 25, 40, step))
    found = opened(config.with_name("gauges.nc"))
    for name in (FLOW, DEPTH, REACH_SPEED, VOLUME):
        np.testing.assert_array_equal(found[name], expected[name][25:])


def test_a_state_without_a_river_starts_one(config, caplog):
    _, step = begun(config)
    first = config.with_name("first.yaml")
    first.write_text(config.read_text() + "save_state: middle.nc\n")
    run_config(shortened(first, 0, 25, step))
    second = changed(config, "second.yaml", "initial_state: middle.nc\n")
    run_config(shortened(second, 25, 40, step))
    assert "holds no state of a river, which starts steady" in caplog.text
    flow = opened(config.with_name("gauges.nc"))[FLOW]
    assert (flow[0] > 0.0).any()


def test_members_have_rivers_of_their_own(config):
    """As members of a run without a river have flow of their own."""
    more = "ensemble: {members: 3, weather: {precipitation: {spread: 0.5}}%s}\n"
    model = started(changed(config, "all.yaml", more % ""))
    one = started(changed(config, "one.yaml", more % ", view: one"))
    one.set_value("ensemble__member", np.array([2]))
    count = len(model.component.joined.network)
    ids, rows, runoff = model.component.catchments.ids, [], []
    for _ in range(20):
        for each in (model, one):
            each.update()
        rows.append(value(model, MEAN).reshape(3, count))
        runoff.append(value(model, FLOW).reshape(3, len(ids)))
        np.testing.assert_array_equal(value(one, MEAN), rows[-1][2])
        np.testing.assert_array_equal(value(one, REACH_SPEED), value(model, REACH_SPEED)[-count:])
    rows, runoff = np.array(rows), np.array(runoff)
    assert np.abs(rows[:, 1] - rows[:, 2]).max() > 0.0
    network, seconds = one.component.joined.network, one.component.model.step_seconds
    for member in range(3):
        expected = alone(network, runoff[:, member], ids, seconds)
        np.testing.assert_array_equal(rows[:, member], expected.mean_flow)
    one.set_value("ensemble__member", np.array([0]))
    np.testing.assert_array_equal(value(one, MEAN), rows[-1, 0])
    for each in (model, one):
        each.component.abandon()


def test_what_a_host_serializes_it_gets_back(config):
    model = started(changed(config, "joined.yaml"))
    for _ in range(12):
        model.update()
    names = [item.name for item in REACH_OUTPUTS]
    payload, then = model.component.payload(), [value(model, name) for name in names]
    model.update()
    after = [value(model, name) for name in names]
    other = started(changed(config, "other.yaml", network=NETWORK.replace("gauges", "o") % ""))
    other.update_until(13 * other.get_time_step())
    other.component.restore_payload(payload, "a payload")
    for name, values in zip(names, then, strict=True):
        np.testing.assert_array_equal(value(other, name), values)
    # The weather of the next step is that of the first model's last.
    ours, theirs = other.component.joined, model.component.joined
    ours.advance(value(model, FLOW))
    for name, values in zip(names, after, strict=True):
        np.testing.assert_array_equal(value(other, name), values)
    assert theirs.river is not ours.river
    for each in (model, other):
        each.component.abandon()


def test_several_steps_at_once(config):
    one = started(changed(config, "one.yaml"))
    several = started(changed(config, "several.yaml", network=NETWORK.replace("gauges", "o") % ""))
    flows = []
    for _ in range(6):
        one.update()
        flows.append(value(one, MEAN))
    several.update_until(6 * several.get_time_step())
    np.testing.assert_allclose(value(several, MEAN), np.mean(flows, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(value(several, DEPTH), value(one, DEPTH))
    for each in (one, several):
        each.component.abandon()


def test_a_host_that_sets_weather_reaches_and_states(tmp_path):
    config = write_example(tmp_path, CATCHMENTS, 60, "1h", "host", model="fast")
    write_rivers(tmp_path)
    model = started(changed(config, "joined.yaml", network="network: {file: rivers.csv}\n"))
    plain = started(config)
    rain, temperature, pet = model.get_input_var_names()
    for step in range(10):
        for each in (model, plain):
            each.set_value(rain, np.full(CATCHMENTS, 3.0))
            each.set_value(temperature, np.full(CATCHMENTS, 9.0))
            each.set_value(pet, np.full(CATCHMENTS, 0.1))
            each.update()
        if step == 3:
            roughness = value(model, "manning_n")
            with pytest.raises(NetworkError, match="manning_n of reach"):
                model.set_value("manning_n", -roughness)
            np.testing.assert_array_equal(value(model, "manning_n"), roughness)
            model.set_value("manning_n", 2.0 * roughness)
            np.testing.assert_array_equal(value(model, "manning_n"), 2.0 * roughness)
        if step == 5:
            with pytest.raises(NetworkError, match="storage of reach .* cannot be -1"):
                model.set_value("storage", np.full(model.get_grid_size(REACH_GRID), -1.0))
            model.set_value("storage", value(model, "storage") + 1.0)
    with pytest.raises(VariableError, match="is an output"):
        model.set_value(DEPTH, value(model, DEPTH))
    with pytest.raises(VariableError, match="no fixed place"):
        model.get_value_ptr("manning_n")
    # Catchments do not feel the river.
    np.testing.assert_array_equal(value(model, FLOW), value(plain, FLOW))
    assert (value(model, REACH_FLOW) > 0.0).any()


def test_rivers_that_no_catchment_drains_to_are_left_out(config, caplog):
    text = config.read_text()
    few = config.with_name("few.yaml")
    few.write_text(
        text.replace("  table: catchments.csv", "  table: catchments.csv\n  select: [cat-2]")
    )
    caplog.set_level("INFO")
    model = started(changed(few, "joined.yaml"))
    network = read_network(config.with_name("rivers.csv"))
    own = network.outlet_of()[network.catchments["cat-2"]]
    kept = network.ids[network.outlet_of() == own]
    assert model.component.joined.network.ids.tolist() == kept.tolist()
    assert "no catchment of this run drains to" in caplog.text
    model.component.abandon()


@pytest.mark.parametrize("more", ["", NOISE])
@pytest.mark.parametrize(
    ("at", "outlets"), [("all", 9), ("gauges", 9), ("all", 1)], ids=["all", "gauges", "one river"]
)
def test_rivers_divided_are_those_of_one_process(tmp_path, more, at, outlets):
    """Each by a worker, or all by one process where one river has most of the catchments."""
    config = write_example(tmp_path, 80, 30, "1d", "file", model="fast")
    write_rivers(tmp_path, 80, 120, outlets)
    network = NETWORK.replace("at: all", f"at: {at}") % ""
    one = changed(config, "one.yaml", more, "save_state: one.nc\n", network=network)
    run_config(one, tmp_path / "r1.nc")
    (tmp_path / "gauges.nc").rename(tmp_path / "g1.nc")
    two = changed(config, "two.yaml", more, "save_state: two.nc\n", network=network)
    assert len(divided(80, 2)) > 1
    run_divided(two, tmp_path / "r2.nc", here, 2)
    for a, b in (("r1.nc", "r2.nc"), ("g1.nc", "gauges.nc")):
        ours, theirs = opened(tmp_path / b), opened(tmp_path / a)
        xarray.testing.assert_identical(ours.drop_attrs(), theirs.drop_attrs())
    # A run goes on from either state alike.
    for name in ("one", "two"):
        more_of = f"initial_state: {name}.nc\n"
        again = changed(config, f"again_{name}.yaml", more, more_of, network=network)
        run_config(again, tmp_path / f"again_{name}.nc")
        (tmp_path / "gauges.nc").rename(tmp_path / f"again_g_{name}.nc")
    for kind in ("again_", "again_g_"):
        ours, theirs = (opened(tmp_path / f"{kind}{name}.nc") for name in ("one", "two"))
        xarray.testing.assert_equal(ours, theirs)


def test_the_command_says_what_it_wrote(config):
    path = changed(config, "joined.yaml")
    arguments = ["run", str(path), "--out", str(config.with_name("r.nc"))]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "gauges.nc" in result.output.replace("\n", "")
    assert opened(config.with_name("gauges.nc")).sizes["time"] in (90, 24 * 90)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("example", ["many_host_example", "file_example"])
def test_a_river_of_catchments_on_a_device(example, request, dynamic_model):
    config = request.getfixturevalue(example)
    write_rivers(config.parent)
    text = config.read_text().replace("model: fast", f"model: {dynamic_model}")
    if example == "file_example":
        text = text.replace("  step: 1d", "  step: 1d\n  start: 2001-01-01\n  end: 2001-01-05")
    models = []
    for device in ("cpu", "cuda"):
        path = config.with_name(f"{device}.yaml")
        path.write_text(f"{text}device: {device}\nnetwork: {{file: rivers.csv}}\n")
        models.append(started(path))
    for step in range(4):
        for model in models:
            for name in model.get_input_var_names():
                model.set_value(name, np.full(CATCHMENTS, 1.0 + step))
            model.update()
        flows = [value(model, MEAN) for model in models]
        np.testing.assert_allclose(flows[1], flows[0], rtol=1e-9)
    assert flows[0].max() > 0.0
    for model in models:
        model.component.abandon()


def test_a_run_that_fails_leaves_no_results(config):
    with netCDF4.Dataset(config.with_name("weather.nc"), "a") as data:
        data["precipitation"][3, 20] = np.nan
    with pytest.raises(Exception, match="cat-"):
        run_config(changed(config, "joined.yaml"))
    assert not config.with_name("gauges.nc").exists()
    assert not list(config.parent.glob(".*"))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("network: {file: rivers.csv, at: [nowhere]}\n", None),
        ("network: {file: missing.csv}\n", "missing.csv"),
        ("network: {file: rivers.csv, routing_step: 0min}\n", "routing_step"),
        ("network: {file: rivers.csv, output: g.nc, at: [nowhere]}\n", "nowhere is neither"),
        ("network: {file: rivers.csv}\nfleet: true\n", "fleet"),
    ],
)
def test_bad_input(config, network, message):
    path = changed(config, "bad.yaml", network=network)
    if message is None:
        started(path).component.abandon()
        return
    with pytest.raises((ConfigError, NetworkError), match=message):
        started(path)


def test_a_catchment_that_drains_nowhere(config):
    rows = pandas.read_csv(config.with_name("rivers.csv"), dtype={"catchment": str})
    rows["catchment"] = rows["catchment"].replace("cat-3", "")
    rows.to_csv(config.with_name("rivers.csv"), index=False)
    with pytest.raises(NetworkError, match="catchment cat-3 drains to no reach"):
        started(changed(config, "joined.yaml"))
