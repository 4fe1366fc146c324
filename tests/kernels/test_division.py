"""A step that is done in parts is those parts, added up."""

import numpy as np
import pytest

from bmi_dhydro.kernels import division
from tests.model.conftest import forcing, make

STORED = ("snowpack", "soil_moisture", "snow_water_equivalent", "groundwater", "routing_store")


def halves(weather):
    result = np.repeat(weather, 2, axis=0)
    result[:, [0, 2]] /= 2
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", ["cpu", "reference"])
def test_a_day_is_its_two_halves(kernel, dtype):
    weather = forcing(60 if kernel == "cpu" else 8).astype(dtype)
    whole, parts = (
        make(kernel=kernel, dtype=dtype),
        make(step_seconds=43200, kernel=kernel, dtype=dtype),
    )
    assert (whole.substeps, parts.substeps) == (2, 1)
    daily = whole.run(weather)
    rows = parts.run(halves(weather)).reshape(len(weather), 2, *daily.shape[1:])
    for k, name in enumerate(whole.outputs):
        stored = name in whole.process.stored_names or name == "routing_store"
        assert stored or name not in STORED
        expected = rows[:, 1, k] if stored else rows[:, 0, k] + rows[:, 1, k]
        assert np.array_equal(daily[:, k], expected), name
    assert np.array_equal(whole.state, parts.state)
    assert np.array_equal(whole.pending, parts.pending)


def test_long_blocks_are_done_piece_by_piece(monkeypatch):
    weather = forcing(12)
    expected = make(kernel="reference").run(weather)
    monkeypatch.setattr(division, "_BYTES", 10_000)
    np.testing.assert_allclose(make(kernel="reference").run(weather), expected, rtol=1e-12)


def test_amounts_that_do_not_pass_are_all_known():
    """What the balance of a run of constant weather shows: stores stay, fluxes add up."""
    model = make()
    weather = np.zeros((1, 3, 4))
    model.state[:] = 50.0
    before = model.state.sum(axis=0).mean(axis=1)
    rows = dict(zip(model.outputs, model.run(weather)[0], strict=True))
    np.testing.assert_allclose(
        sum(rows[name] for name in model.process.state_names),
        before - rows["runoff"] - rows["evapotranspiration"],
        rtol=1e-12,
    )
    np.testing.assert_allclose(rows["groundwater"], rows["upper_zone"] + rows["lower_zone"])
    np.testing.assert_allclose(rows["snow_water_equivalent"], rows["snowpack"] + rows["meltwater"])
