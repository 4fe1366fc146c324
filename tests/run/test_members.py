"""Members of an ensemble: computed together, they are what each would be alone."""

import numpy as np
import pytest
import xarray

from bmi_dhydro.errors import StateError
from bmi_dhydro.io import state_file
from bmi_dhydro.model import state
from bmi_dhydro.model.differentiable import block_gradients
from tests.model.conftest import forcing, make

MEMBERS = 5
IDS = np.array(list("abcd"))


def different(weather, seed=3):
    random = np.random.default_rng(seed)
    factor = random.uniform(0.5, 1.5, (MEMBERS, len(weather), 1, weather.shape[2]))
    varied = np.repeat(weather[None], MEMBERS, axis=0)
    varied[:, :, :1] *= factor
    return varied


@pytest.mark.parametrize("catchments", [1, 4, 37])
@pytest.mark.parametrize(("dtype", "step_seconds"), [(np.float32, 3600), (np.float64, 86400)])
def test_members_are_what_each_would_be_alone(catchments, dtype, step_seconds):
    weather = forcing(48, catchments, per_day=86400 // step_seconds).astype(dtype)
    varied = different(weather).astype(dtype)
    options = {"dtype": dtype, "step_seconds": step_seconds}
    together = make(catchments, members=MEMBERS, **options)
    rows = together.run(np.concatenate(varied, axis=2))
    for member in range(MEMBERS):
        alone = make(catchments, **options)
        part = slice(member * catchments, (member + 1) * catchments)
        assert np.array_equal(rows[:, :, part], alone.run(varied[member]))
        assert np.array_equal(together.state[:, part], alone.state)
        assert np.array_equal(together.pending[part], alone.pending)
        assert np.array_equal(together.stored()[part], alone.stored())


def test_members_share_parameters():
    one, many = make(2000), make(2000, members=20)
    for name, values in one.parameters.items():
        assert many.parameters[name].nbytes == values.nbytes


def test_weather_of_catchments_is_that_of_all_members():
    weather = forcing(30)
    rows = make(members=3).run(weather)
    alone = make().run(weather)
    assert np.array_equal(rows, np.tile(alone, (1, 1, 3)))


@pytest.mark.parametrize("kernel", ["reference"])
def test_kernels_agree(kernel):
    weather = np.concatenate(different(forcing(6)), axis=2)
    ours, theirs = make(members=MEMBERS, kernel=kernel), make(members=MEMBERS)
    np.testing.assert_allclose(ours.run(weather), theirs.run(weather), rtol=1e-9, atol=1e-12)


def test_a_parameter_of_a_catchment_is_that_of_all_its_members():
    model = make(members=3)
    model.set_parameter("K1", np.full((1, 8), 0.3), np.array([2]))
    alone = make()
    alone.set_parameter("K1", np.full((1, 8), 0.3), np.array([2]))
    weather = forcing(40)
    assert np.array_equal(model.run(weather), np.tile(alone.run(weather), (1, 1, 3)))


def test_gradients_of_parameters_add_up_over_members():
    weather = forcing(30)
    varied = np.concatenate(different(weather), axis=2)
    model, alone = make(members=MEMBERS), make()
    seeds = np.random.default_rng(0).normal(size=(30, model.columns))
    wrt = ("K1", "route_delay", "soil_moisture", "precipitation", "area")
    found = block_gradients(model, varied, {"discharge": seeds}, wrt)
    parts = [
        block_gradients(
            alone, varied[:, :, 4 * k : 4 * k + 4], {"discharge": seeds[:, 4 * k : 4 * k + 4]}, wrt
        )
        for k in range(MEMBERS)
    ]
    for name in ("K1", "route_delay", "area"):
        np.testing.assert_allclose(found[name], sum(p[name] for p in parts), rtol=1e-10)
    joined = np.concatenate([part["soil_moisture"] for part in parts])
    np.testing.assert_allclose(found["soil_moisture"], joined, rtol=1e-10)
    joined = np.concatenate([part["precipitation"] for part in parts], axis=1)
    np.testing.assert_allclose(found["precipitation"], joined, rtol=1e-10)


def test_states_of_ensembles():
    model = make(members=MEMBERS)
    model.run(np.concatenate(different(forcing(40)), axis=2))
    payload = state.to_bytes(model, "f", IDS)
    again = make(2, members=MEMBERS)
    state.from_bytes(payload, again, "f", np.array(["d", "b"]), "test")
    places = np.concatenate([np.array([3, 1]) + 4 * k for k in range(MEMBERS)])
    assert np.array_equal(again.state, model.state[:, places])
    assert np.array_equal(again.pending, model.pending[places])
    with pytest.raises(StateError, match=r"test: has 5 members; the model has 3"):
        state.from_bytes(payload, make(members=3), "f", IDS, "test")


def test_files_of_ensembles(tmp_path):
    model = make(members=MEMBERS)
    model.run(np.concatenate(different(forcing(40)), axis=2))
    path = tmp_path / "state.nc"
    state_file.save(path, model, "f", IDS)
    with xarray.open_dataset(path) as data:
        assert data["snowpack"].dims == ("member", "catchment", "component")
    again = make(members=MEMBERS)
    state_file.restore(path, again, "f", IDS)
    weather = forcing(10, seed=4)
    assert np.array_equal(again.run(weather), model.run(weather))


def test_an_ensemble_starts_from_the_state_of_one():
    model = make()
    model.run(forcing(40))
    payload = state.to_bytes(model, "f", IDS)
    many = make(members=3)
    state.from_bytes(payload, many, "f", IDS, "test")
    assert np.array_equal(many.state, np.tile(model.state, (1, 3, 1)))
    assert np.array_equal(many.pending, np.tile(model.pending, (3, 1)))
