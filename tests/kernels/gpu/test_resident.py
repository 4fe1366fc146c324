"""A model whose arrays stay on a device; without a GPU in Triton's interpreter."""

import numpy as np
import pytest

from bmi_dhydro.io import state_file
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV
from tests.conftest import random_routing, random_setup

pytestmark = pytest.mark.usefixtures("gpus")

# The interpreter takes 50 ms for a day: enough of them that flow leaves the unit hydrograph.
WEATHER, PARAMETERS, STATES = random_setup(5, 4, 16)


def made(kernel="gpu", step_seconds=86400, dtype=np.float64, device="cuda", **options):
    model = Model(
        HBV,
        PARAMETERS,
        random_routing(5),
        np.linspace(20.0, 3000.0, 5),
        step_seconds=step_seconds,
        execution=Execution(kernel, dtype, device=device),
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
    block = whole.run(WEATHER[:8])
    for k in range(8):
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
        model.run(WEATHER[:4])
        model.state[2] += 5.0
        model.run(WEATHER[4:8])
        model.set_parameter("K1", 0.4, np.array([1, 3]))
        model.set_parameter("route_delay", 2.0)
        model.run(WEATHER[8:12])
        model.pending = 2.0 * model.pending
    close(ours.run(WEATHER[12:]), theirs.run(WEATHER[12:]))


def test_states_move_between_devices(tmp_path):
    ids = np.array(list("abcde"))
    whole = made("cpu")
    expected = whole.run(WEATHER)[10:]
    first, second = made(), made("cpu")
    first.run(WEATHER[:10])
    state_file.save(tmp_path / "s", first, "f", ids)
    state_file.restore(tmp_path / "s", second, "f", ids)
    close(second.run(WEATHER[10:]), expected)
    state_file.save(tmp_path / "t", made("cpu"), "f", ids)
    third = made()
    state_file.restore(tmp_path / "t", third, "f", ids)
    close(third.run(WEATHER[:6]), made("cpu").run(WEATHER[:6]))


def test_without_a_unit_hydrograph():
    ours, theirs = made(routed=False), made("cpu", routed=False)
    close(ours.run(WEATHER[:8]), theirs.run(WEATHER[:8]))


@pytest.mark.parametrize("members", [pytest.param(1, marks=pytest.mark.long), 3])
def test_catchments_are_divided_over_several_gpus(members):
    """Also where there are more of them than catchments."""
    weather = np.tile(WEATHER, (1, 1, members))[:4]
    weather[:, 0] *= np.linspace(0.5, 1.5, weather.shape[2])
    one = made(members=members)
    for device in ("cuda:0,1", "cuda:0,1,2,3,4,5"):
        several = made(device=device, members=members)
        assert np.array_equal(several.run(weather[:2]), one.run(weather[:2]))
        assert np.array_equal(several.pending, one.pending)
        several.set_parameter("K1", 0.3, np.array([0, 3]))
        one.set_parameter("K1", 0.3, np.array([0, 3]))
        assert np.array_equal(several.run(weather[2:]), one.run(weather[2:]))
        assert np.array_equal(several.state, one.state)
        one = made(members=members)


@pytest.mark.parametrize("step_seconds", [3600, pytest.param(43200, marks=pytest.mark.long), 86400])
def test_steps_in_parts_and_short_ones(step_seconds):
    ours, theirs = made(step_seconds=step_seconds), made("cpu", step_seconds=step_seconds)
    close(ours.run(WEATHER[:6]), theirs.run(WEATHER[:6]))
    close(ours.pending, theirs.pending)


def test_flows_that_wait_longer_than_the_hydrograph_reaches():
    """A kernel stops where weights end; flows of other parameters may lie beyond."""
    ours, theirs = made(), made("cpu")
    for model in (ours, theirs):
        model.run(WEATHER[:8])
        model.set_parameter("route_delay", 0.05)
    assert (ours.ring.weights != 0).sum() < ours.ring.weights.size / 2
    close(ours.run(WEATHER[8:]), theirs.run(WEATHER[8:]))


def test_a_bookmark_is_where_it_was_made():
    model = made()
    model.run(WEATHER[:7])
    bookmark, steps = model.device_side.bookmark(), model.steps
    expected = model.run(WEATHER[7:16])
    state, pending = model.state.copy(), model.pending
    for _ in range(2):
        model.steps = steps
        model.device_side.return_to(bookmark)
        assert np.array_equal(model.run(WEATHER[7:16]), expected)
    assert np.array_equal(model.state, state)
    assert np.array_equal(model.pending, pending)


def test_only_wanted_outputs_come_up():
    ours, whole = made(), made()
    expected = whole.run(WEATHER[:9])
    ours.device_side.want([4])
    results = np.full_like(expected, -1.0)
    ours.run(WEATHER[:9], results)
    assert np.array_equal(results[:, 4], expected[:, 4])
    others = [k for k in range(results.shape[1]) if k != 4]
    assert (results[:, others] == -1.0).all()
    ours.device_side.bring(others, results)
    assert np.array_equal(results, expected)


def test_members_of_an_ensemble():
    weather = np.concatenate([WEATHER, 1.3 * WEATHER], axis=2)[:8]
    ours, theirs = made(members=2), made("cpu", members=2)
    close(ours.run(weather), theirs.run(weather))
    close(ours.state, theirs.state)
