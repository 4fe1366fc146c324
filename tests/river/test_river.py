"""Routing against what is known of rivers, and against itself."""

import numpy as np
import pytest
import xarray

from bmi_dhydro.errors import NetworkError
from bmi_dhydro.physics import MUSKINGUM_CUNGE
from bmi_dhydro.physics.muskingum_cunge import muskingum_cunge
from bmi_dhydro.river.network import Network
from bmi_dhydro.river.river import River, normal_depth
from tests.conftest import DATA
from tests.river.conftest import made_up, storm

PROCESSES = ["muskingum_cunge", "muskingum_cunge_nwm", "linear"]
OUTPUTS = ("flow", "mean_flow", "depth", "velocity", "storage")


def chain(reaches, **parameters):
    """Return reaches of one kind, one after the other."""
    ids = np.arange(1, reaches + 1)
    values = {name: np.full(reaches, value) for name, value in parameters.items()}
    return Network.of(ids, np.append(ids[1:], 0), values)


def test_a_cascade_of_reservoirs_delays_like_a_gamma_distribution():
    """Nash (1957): n reservoirs of travel time k give t^(n-1) exp(-t / k) / (k^n (n - 1)!)."""
    travel_time, step = 36000.0, 600
    river = River(
        chain(3, length=travel_time, celerity=1.0, weight=0.0), "linear", step, dtype=np.float64
    )
    lateral = np.zeros((900, 3))
    lateral[0, 0] = 1.0
    flow = river.run(lateral).mean_flow[:, -1]
    # A pulse of one step, as long as lateral inflow is.
    time = (np.arange(900) + 0.5) * step - 0.5 * step
    expected = time**2 * np.exp(-time / travel_time) / (2.0 * travel_time**3) * step
    np.testing.assert_allclose(flow, expected, atol=0.01 * expected.max())
    assert flow.sum() == pytest.approx(1.0, rel=1e-3)


def test_a_steady_state_passes_on_what_comes_at_the_normal_depth():
    network = made_up(200, 3)
    lateral = np.random.default_rng(0).uniform(0.01, 0.3, 200)
    total = lateral.copy()
    for k in network.order:
        if network.to[k] >= 0:
            total[network.to[k]] += total[k]
    for process in PROCESSES:
        river = River(network, process, 86400, 3600, dtype=np.float64)
        river.set_flow(total)
        stored = river.states["storage"].copy()
        steady = river.run(np.tile(lateral, (20, 1)))
        np.testing.assert_allclose(steady.flow[-1], total, rtol=1e-3)
        empty = River(network, process, 86400, 3600, dtype=np.float64)
        filled = empty.run(np.tile(lateral, (60, 1)))
        np.testing.assert_allclose(filled.flow[-1], total, rtol=1e-3)
        if process == "linear":
            np.testing.assert_allclose(steady.storage[-1], stored, rtol=1e-9, atol=1e-6)
            np.testing.assert_allclose(filled.storage[-1], stored, rtol=1e-9, atol=1e-6)
        if process == "muskingum_cunge":
            depth = normal_depth(MUSKINGUM_CUNGE, total, river.parameters)
            bank = (
                0.5
                * river.parameter("side_slope")
                * (river.parameter("top_width") - river.parameter("bottom_width"))
            )
            # Where the lower of two depths is right, and away from the jump at the bank.
            inside = depth < 0.95 * bank
            assert inside.mean() > 0.3
            same = np.abs(steady.depth[-1] / depth - 1.0) < 1e-3
            assert same[inside].all()
            np.testing.assert_allclose(
                steady.velocity[-1][inside],
                (total / river.process.section(depth, *river.parameters)[0])[inside],
                rtol=2e-3,
            )


def test_a_wave_moves_and_spreads_as_in_a_uniform_channel():
    """Celerity 5/3 of the velocity; diffusion Q / (2 B S) (Hayami 1951, Cunge 1969)."""
    width, slope, roughness, base, reaches, length = 200.0, 2e-4, 0.03, 300.0, 16, 6000.0
    network = chain(
        reaches,
        length=length,
        bottom_width=width,
        top_width=width * 1.2,
        floodplain_width=0.0,
        manning_n=roughness,
        floodplain_manning_n=0.1,
        side_slope=20.0,
        slope=slope,
    )
    river = River(network, "muskingum_cunge", 300, dtype=np.float64)
    river.set_flow(np.full(reaches, base))
    steps = 700
    time = np.arange(1, steps + 1) * 300.0
    lateral = np.zeros((steps, reaches))
    wave = 6.0 * np.exp(-(((time - 30000.0) / 9000.0) ** 2))
    lateral[:, 0] = base + wave
    flow = river.run(lateral).flow - base
    depth = river.states["depth"][0]
    velocity = base / (width * depth)
    celerity, diffusion = 5.0 / 3.0 * velocity, base / (2.0 * width * slope)

    def moments(series):
        mean = (series * time).sum() / series.sum()
        return mean, (series * (time - mean) ** 2).sum() / series.sum()

    (start, narrow), (end, broad) = moments(flow[:, 2]), moments(flow[:, -1])
    distance = length * (reaches - 3)
    assert flow[:, -1].sum() == pytest.approx(wave.sum(), rel=1e-3)
    assert (end - start) * celerity == pytest.approx(distance, rel=0.03)
    assert broad - narrow == pytest.approx(2.0 * diffusion * distance / celerity**3, rel=0.1)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_blocks_threads_and_parts_agree_to_the_last_bit(process, dtype, monkeypatch):
    monkeypatch.setattr("bmi_dhydro.river.river._WORTH_THREADS", 0)
    network = made_up(150, 4)
    lateral = storm(network, 30)
    rivers = [River(network, process, 3600, 900, dtype, threads=t) for t in (1, 2, 3)]
    for river in rivers:
        river.set_flow(np.full(150, 0.2))
    whole = rivers[0].run(lateral)
    # In another number of parts, broken and restored on the way.
    first = rivers[1].run(lateral[:13])
    kept = rivers[1].snapshot()
    rivers[1].run(lateral[13:])
    rivers[1].restore(kept)
    second = rivers[1].run(lateral[13:])
    steps = [rivers[2].run(lateral[k : k + 1]) for k in range(30)]
    for name in OUTPUTS:
        expected = getattr(whole, name)
        parts = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_array_equal(parts, expected)
        single = np.concatenate([getattr(step, name) for step in steps])
        np.testing.assert_array_equal(single, expected)
    # What drains to one place does not depend on other rivers.
    place = int(np.flatnonzero(network.to < 0)[0])
    inside = network.upstream(place)
    alone = River(network.subset(inside), process, 3600, 900, dtype)
    alone.set_flow(np.full(inside.size, 0.2))
    np.testing.assert_array_equal(alone.run(lateral[:, inside]).flow, whole.flow[:, inside])


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_water_closes(process, dtype, tolerance):
    network = made_up(300, 4)
    lateral = storm(network, 100)
    river = River(network, process, 3600, 300, dtype)
    river.set_flow(np.full(300, 0.1))
    before = river.states["storage"].sum(dtype=float)
    flows = river.run(lateral)
    if process != "muskingum_cunge_nwm":
        assert flows.storage.min() >= 0.0
    inflow = lateral.sum() * 3600.0
    out = flows.mean_flow[:, network.to < 0].sum(dtype=float) * 3600.0
    change = flows.storage[-1].sum(dtype=float) - before
    change += river.states["remainder"].sum(dtype=float)
    assert abs(inflow - out - change) < tolerance * inflow
    account = river.balance
    assert account["in"] == pytest.approx(inflow, rel=1e-6)
    assert abs(account["in"] - account["out"] - account["stored"]) < tolerance * inflow
    assert account["lost"] == pytest.approx(0.0, abs=1e-6 * inflow)


@pytest.mark.parametrize("process", ["muskingum_cunge", "linear"])
def test_losses_take_what_there_is_and_say_the_rest(process):
    network = made_up(50, 1)
    river = River(network, process, 3600, 900, np.float64)
    river.run(np.full((10, 50), 0.1))
    lateral = np.full((30, 50), -0.5)
    account = dict(river.balance)
    flows = river.run(lateral)
    assert flows.flow.min() == 0.0
    assert flows.storage.min() >= 0.0
    assert flows.storage[-1].max() == pytest.approx(0.0, abs=1e-6)
    gained, lost = (river.balance[name] - account[name] for name in ("in", "lost"))
    assert gained - lost == pytest.approx(lateral.sum() * 3600.0, rel=1e-9)
    assert gained == pytest.approx(
        sum(river.balance[name] - account[name] for name in ("out", "stored")), rel=1e-9
    )


def test_short_routing_steps_are_done_inside():
    network = made_up(40)
    lateral = storm(network, 10)
    hours = River(network, "muskingum_cunge", 3600, 300, np.float64)
    steps = River(network, "muskingum_cunge", 300, 300, np.float64)
    flows, fine = hours.run(lateral), steps.run(np.repeat(lateral, 12, axis=0))
    np.testing.assert_array_equal(flows.flow, fine.flow[11::12])
    np.testing.assert_allclose(
        flows.mean_flow, fine.mean_flow.reshape(10, 12, -1).mean(axis=1), rtol=1e-12
    )
    assert River(network, "linear", 3600, 1000).substeps == 4


def test_parameters_are_set_and_checked():
    network = made_up(20)
    river = River(network, "linear", 3600)
    river.set_parameter("celerity", 0.5, np.array([3, 4]))
    changed = network.parameters["celerity"].copy()
    changed[[3, 4]] = 0.5
    np.testing.assert_allclose(river.parameter("celerity"), changed, rtol=1e-6)
    with pytest.raises(NetworkError, match=f"celerity of reach {network.ids[5]} is -1.0"):
        river.set_parameter("celerity", -1.0, np.array([5]))
    np.testing.assert_allclose(river.parameter("celerity"), changed, rtol=1e-6)


def test_no_steps_change_nothing():
    river = River(made_up(20), "linear", 3600)
    river.set_flow(np.ones(20))
    before = river.snapshot()
    assert river.run(np.empty((0, 20))).flow.shape == (0, 20)
    for name, values in river.snapshot().items():
        np.testing.assert_array_equal(values, before[name])


def test_bad_input():
    network = made_up(20)
    river = River(network, "linear", 3600)
    lateral = np.ones((3, 20))
    lateral[1, 7] = np.nan
    with pytest.raises(NetworkError, match=f"reach {network.ids[7]} in step 1 is no number"):
        river.run(lateral)
    with pytest.raises(NetworkError, match=r"shape \(3, 19\): should be \(steps, 20 reaches\)"):
        river.run(np.ones((3, 19)))
    with pytest.raises(NetworkError, match=f"initial flow of reach {network.ids[2]} is negative"):
        river.set_flow(np.where(np.arange(20) == 2, -1.0, 1.0))
    assert not river.states["flow"].any()


@pytest.fixture(scope="module")
def colorado():
    """A sub-basin of the Lower Colorado with flows of the National Water Model's kernel."""
    path = DATA / "river" / "lower_colorado_subbasin.nc"
    if not path.exists():
        pytest.skip(f"needs {path.name}, which is not on this machine")
    with xarray.open_dataset(path) as data:
        data.load()
    names = [item.name for item in MUSKINGUM_CUNGE.parameters]
    network = Network.of(
        data["reach"], data["to"], {n: data[n].values for n in names}, data["gauge"].values
    )
    return data, network


def test_flows_of_the_national_water_model(colorado):
    data, network = colorado
    river = River(network, "muskingum_cunge_nwm", 3600, 300, np.float64)
    river.set_flow(data["initial_flow"].values)
    river.states["depth"][:] = 0.0
    flows = river.run(data["lateral_inflow"].values)
    known = data["flow_300s"].values
    counted = known > 0.05
    error = np.abs(flows.flow - known)[counted] / known[counted]
    assert np.median(error) < 0.01
    assert (error < 0.03).mean() > 0.95
    depth = data["depth_300s"].values
    counted &= depth > 0.0
    error = np.abs(flows.depth - depth)[counted] / depth[counted]
    assert np.median(error) < 0.03


def test_a_step_from_the_states_of_the_national_water_model(colorado):
    """Its kernel goes to and fro between two depths that fit; from its own state flows agree."""
    data, network = colorado
    for forcing, flow, depth in (
        ("lateral_inflow", "flow_300s", "depth_300s"),
        ("lateral_inflow_storm", "flow_storm_300s", "depth_storm_300s"),
    ):
        nwm = River(network, "muskingum_cunge_nwm", 300, 300, np.float64)
        found = River(network, muskingum_cunge(1e-10), 300, 300, np.float64)
        for hour in (8, 20):
            for river in (nwm, found):
                river.set_flow(data[flow][hour].values)
                river.states["depth"][:] = data[depth][hour].values
            lateral = data[forcing].values[hour : hour + 1]
            ours, theirs = found.run(lateral).flow[0], nwm.run(lateral).flow[0]
            counted = theirs > 0.05
            close = np.abs(ours - theirs)[counted] < 0.03 * theirs[counted]
            assert close.mean() > 0.95
