"""A river behind the interface, alone and coupled with runoff models."""

import inspect

import numpy as np
import pandas
import pytest
import yaml
from bmipy import Bmi

from bmi_dhydro import BmiDhydro, BmiRiver
from bmi_dhydro.errors import ConfigError, DhydroError, ForcingError, OrderError, VariableError
from bmi_dhydro.river.river import River
from bmi_dhydro.variables import RIVER_INPUTS as INPUTS
from bmi_dhydro.variables import RIVER_OUTPUTS as OUTPUTS
from tests.river.conftest import made_up, storm

LATERAL = INPUTS[0].name
FLOW, MEAN, DEPTH, SPEED, VOLUME = (item.name for item in OUTPUTS)
REACHES, STEPS = 30, 12


@pytest.fixture
def network():
    return made_up(REACHES, 2)


@pytest.fixture
def config(tmp_path, network):
    """Write a network and a configuration; return what changes some of its keys."""
    rows = pandas.DataFrame({"id": network.ids, **network.parameters})
    rows["to"] = np.where(network.to >= 0, network.ids[network.to], "0")
    rows["longitude"] = np.linspace(-99.0, -98.0, REACHES)
    rows.to_csv(tmp_path / "rivers.csv", index=False)

    def write(name="river.yaml", **keys) -> str:
        content = {"network": "rivers.csv", "time": {"step": "1h"}, "initial_flow": 0.2, **keys}
        (tmp_path / name).write_text(yaml.safe_dump(content))
        return str(tmp_path / name)

    return write


def opened(path):
    river = BmiRiver()
    river.initialize(path)
    return river


def got(river, name):
    return river.get_value(name, np.empty(river.get_grid_size(0)))


@pytest.mark.parametrize("process", ["muskingum_cunge", "muskingum_cunge_nwm", "linear"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_steps_are_those_of_the_river(config, network, process, dtype):
    lateral = storm(network, STEPS)
    river = opened(config(process=process, dtype=dtype))
    alone = River(network, process, 3600, 300, dtype)
    alone.set_flow(np.full(REACHES, 0.2))
    expected = alone.run(lateral)
    pointer = river.get_value_ptr(FLOW)
    for step in range(STEPS):
        river.set_value(LATERAL, lateral[step])
        river.update()
        for item in OUTPUTS:
            values = getattr(expected, item.source)[step]
            np.testing.assert_array_equal(got(river, item.name), values)
        np.testing.assert_array_equal(pointer, expected.flow[step])
    assert river.get_current_time() == STEPS * 3600.0
    np.testing.assert_array_equal(river.get_value_ptr("storage"), alone.states["storage"])


def test_several_steps_at_once_have_their_mean_flow(config, network):
    lateral = storm(network, 1)[0]
    one, several = opened(config()), opened(config())
    means = []
    for river in (one, several):
        river.set_value(LATERAL, lateral)
    for _ in range(5):
        one.update()
        means.append(got(one, MEAN))
    several.update_until(5 * 3600.0)
    np.testing.assert_allclose(got(several, MEAN), np.mean(means, axis=0))
    np.testing.assert_array_equal(got(several, FLOW), got(one, FLOW))
    several.update_until(3600.0)
    assert several.get_current_time() == 5 * 3600.0
    with pytest.raises(ValueError, match="only whole steps can be done"):
        several.update_until(5.5 * 3600.0)


@pytest.mark.parametrize("process", ["muskingum_cunge", "linear"])
def test_a_restart_in_the_middle_changes_nothing(config, network, tmp_path, process):
    lateral = storm(network, STEPS)

    def steps(river, first, last):
        for step in range(first, last):
            river.set_value(LATERAL, lateral[step])
            river.update()

    whole = opened(config(process=process))
    steps(whole, 0, STEPS)
    first = opened(config(process=process, save_state="half.state"))
    steps(first, 0, 5)
    first.finalize()
    keys = {"process": process, "initial_flow": 0.0, "initial_state": "half.state"}
    second = opened(config(**keys))
    steps(second, 5, STEPS)
    for item in OUTPUTS:
        np.testing.assert_array_equal(got(second, item.name), got(whole, item.name))
    content = bytearray((tmp_path / "half.state").read_bytes())
    content[-3] ^= 1
    (tmp_path / "half.state").write_bytes(content)
    with pytest.raises(DhydroError, match="is damaged"):
        opened(config(**keys))
    other = "linear" if process != "linear" else "muskingum_cunge"
    (tmp_path / "half.state").unlink()
    first = opened(config(process=other, save_state="half.state"))
    first.finalize()
    with pytest.raises(DhydroError, match=f"is a state of {other}, and the river is routed by"):
        opened(config(**keys))


def test_a_state_goes_through_the_interface(config, network):
    lateral = storm(network, STEPS)
    one, two = opened(config()), opened(config(initial_flow=0.0))
    for step in range(4):
        one.set_value(LATERAL, lateral[step])
        one.update()
    for name in ("flow", "depth", "storage", "remainder"):
        two.set_value(name, got(one, name))
    for river in (one, two):
        river.set_value(LATERAL, lateral[4])
        river.update()
    np.testing.assert_array_equal(got(one, FLOW), got(two, FLOW))


def test_runoff_of_another_component_runs_through_it(config, network, many_host_example):
    """Lateral inflow is what a runoff model gives, whatever it is."""
    land, river = BmiDhydro(), opened(config(time={"step": "1d"}))
    land.initialize(str(many_host_example))
    count = land.get_grid_size(0)
    runoff = np.empty(count)
    rain = dict.fromkeys(land.get_input_var_names(), 5.0)
    entered = []
    # Catchments drain to the first reaches, in the same order.
    lateral = np.zeros(REACHES)
    for _ in range(20):
        for name, value in rain.items():
            land.set_value(name, np.full(count, value))
        land.update()
        river.update_until(0.0)
        land.get_value("channel_exit_water_x-section__volume_flow_rate", runoff)
        lateral[:count] = runoff
        river.set_value(LATERAL, lateral)
        river.update()
        entered.append(runoff.sum())
    account = river.river.balance
    assert account["in"] == pytest.approx(sum(entered) * 86400.0, rel=1e-9)
    assert account["in"] - account["out"] - account["stored"] == pytest.approx(
        0.0, abs=1e-9 * account["in"]
    )
    outlets = network.to < 0
    assert got(river, FLOW)[outlets].sum() > 0.5 * entered[-1]


def test_grids_are_reaches_and_what_they_drain_to(config, network):
    river = opened(config())
    assert river.get_grid_type(0) == "unstructured"
    assert river.get_grid_rank(0) == 2
    assert river.get_grid_size(0) == river.get_grid_node_count(0) == REACHES
    assert river.get_grid_edge_count(0) == REACHES - 2
    edges = river.get_grid_edge_nodes(0, np.empty(2 * (REACHES - 2), int)).reshape(-1, 2)
    np.testing.assert_array_equal(edges[:, 1], network.to[edges[:, 0]])
    np.testing.assert_allclose(
        river.get_grid_x(0, np.empty(REACHES)), np.linspace(-99.0, -98.0, REACHES)
    )
    assert np.isnan(river.get_grid_z(0, np.empty(REACHES))).all()
    assert river.get_grid_face_count(0) == 0
    with pytest.raises(VariableError, match="no grid 1"):
        river.get_grid_size(1)


def test_every_method_of_the_interface_is_there(config):
    river = opened(
        config(time={"step": "1h", "units": "hours since 1990-01-01", "start": "2000-01-01"})
    )
    missing = [
        name
        for name, _ in inspect.getmembers(Bmi, inspect.isfunction)
        if getattr(getattr(BmiRiver, name), "__isabstractmethod__", False)
    ]
    assert missing == []
    assert river.get_time_units() == "hours since 1990-01-01"
    assert river.get_start_time() == river.get_current_time() == 87648.0
    assert river.get_time_step() == 1.0
    assert river.get_end_time() > 1e300
    assert river.get_input_item_count() == len(river.get_input_var_names()) == 1
    assert river.get_output_item_count() == len(river.get_output_var_names()) == 5
    for name in (LATERAL, FLOW, "manning_n", "storage"):
        assert river.get_var_type(name) == "float64"
        assert river.get_var_itemsize(name) == 8
        assert river.get_var_nbytes(name) == 8 * REACHES
        assert river.get_var_grid(name) == 0
        assert river.get_var_location(name) == "node"
    assert [river.get_var_units(n) for n in (FLOW, DEPTH, VOLUME, "slope")] == [
        "m3 s-1",
        "m",
        "m3",
        "1",
    ]


def test_parameters_are_set_by_name(config, network):
    river = opened(config())
    values = got(river, "manning_n")
    np.testing.assert_allclose(values, network.parameters["manning_n"])
    river.set_value_at_indices("manning_n", np.array([2]), np.array([0.2]))
    assert river.get_value_at_indices("manning_n", np.empty(1), np.array([2]))[0] == 0.2
    with pytest.raises(DhydroError, match=f"manning_n of reach {network.ids[3]} is -1.0"):
        river.set_value_at_indices("manning_n", np.array([3]), np.array([-1.0]))
    with pytest.raises(VariableError, match="no fixed place in memory"):
        river.get_value_ptr("manning_n")


def test_a_run_ends(config):
    river = opened(config(time={"start": "2000-01-01", "end": "2000-01-01T02:00", "step": "1h"}))
    assert river.get_end_time() == 7200.0
    river.update_until(7200.0)
    with pytest.raises(ForcingError, match="the run ends at 7200 s"):
        river.update()


def test_initial_flow_from_a_table(config, network, tmp_path):
    flow = np.linspace(0.1, 3.0, REACHES)
    rows = pandas.DataFrame({"id": network.ids, "flow": flow})
    rows.iloc[::-1].to_csv(tmp_path / "flow.csv", index=False)
    np.testing.assert_allclose(got(opened(config(initial_flow="flow.csv")), FLOW), flow)
    rows.iloc[1:].to_csv(tmp_path / "flow.csv", index=False)
    with pytest.raises(DhydroError, match=f"has no flow of reach {network.ids[0]}"):
        opened(config(initial_flow="flow.csv"))


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"network": "none.csv"}, "no such file"),
        ({"process": "saint_venant"}, "process"),
        ({"time": {"step": "7h"}}, "does not divide a day"),
        ({"routing_step": "soon"}, "routing_step: 'soon' is no length of time"),
        ({"time": {"end": "2000-01-01"}}, "time.start is needed"),
        ({"time": {"start": "2000-01-02", "end": "2000-01-01"}}, "is not after"),
        (
            {"time": {"start": "2000-01-01", "end": "2000-01-01T00:30", "step": "1h"}},
            "not a whole number of steps",
        ),
        ({"initial_state": "a"}, "leave one out"),
        ({"initial_state": "a", "initial_flow": 0.0}, "cannot be read"),
        ({"initial_flow": -1.0}, "is negative"),
        ({"rivers": 1}, "rivers"),
    ],
)
def test_bad_configurations(config, keys, match):
    with pytest.raises(DhydroError, match=match):
        opened(config(**keys))


def test_bad_values_and_order(config, network):
    river = BmiRiver()
    with pytest.raises(OrderError, match="call initialize"):
        river.update()
    with pytest.raises(ConfigError, match="needs the path"):
        river.initialize("")
    river.finalize()
    river = opened(config())
    with pytest.raises(OrderError, match="was called before"):
        river.initialize(config())
    lateral = np.ones(REACHES)
    lateral[4] = np.nan
    with pytest.raises(DhydroError, match=f"of reach {network.ids[4]} cannot be nan"):
        river.set_value(LATERAL, lateral)
    with pytest.raises(DhydroError, match="storage of reach .* cannot be -1"):
        river.set_value("storage", -np.ones(REACHES))
    with pytest.raises(ValueError, match=f"has {REACHES} values, but 3 were given"):
        river.set_value(LATERAL, np.ones(3))
    with pytest.raises(VariableError, match="is an output"):
        river.set_value(FLOW, np.ones(REACHES))
    with pytest.raises(VariableError, match="did you mean"):
        river.get_value("manning", np.empty(REACHES))
    with pytest.raises(ValueError, match="has room for 2"):
        river.get_value(FLOW, np.empty(2))
    assert not got(river, LATERAL).any()
