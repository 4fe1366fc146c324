"""A block of the whole model as a differentiable function."""

import numpy as np
import pytest

from bmi_dhydro.model.differentiable import block_gradients
from tests.model.conftest import forcing, make


@pytest.mark.parametrize("step_seconds", [86400, 21600])
def test_derivatives_of_a_block_agree_with_differences(step_seconds):
    weather = forcing(120, per_day=86400 // step_seconds)
    random = np.random.default_rng(0)
    seeds = {"discharge": random.normal(size=(120, 4)), "recharge": random.normal(size=(120, 4))}

    def model():
        result = make(step_seconds=step_seconds)
        result.state[:] = 20.0
        result.pending = np.full(result.pending.shape, 0.3)
        return result

    def objective(changed, rows=weather):
        results = changed.run(rows)
        return sum((seed * results[:, changed.outputs.index(n)]).sum() for n, seed in seeds.items())

    wrt = ["precipitation", "K1", "route_delay", "lower_zone", "pending", "area"]
    plain = model()
    slopes = block_gradients(plain, weather, seeds, wrt)
    assert plain.steps == 0
    assert (plain.state == 20.0).all()

    def difference(change, size):
        values = []
        for sign in (1, -1):
            changed, rows = model(), weather.copy()
            change(changed, rows, sign * size)
            values.append(objective(changed, rows))
        return (values[0] - values[1]) / (2 * size)

    def rain(changed, rows, size):
        rows[30, 0, 2] += size

    def recession(changed, rows, size):
        values = np.array(changed.parameters["K1"])
        values[1, 3] += size
        changed.set_parameter("K1", values)

    def delay(changed, rows, size):
        values = np.array(changed.parameters["route_delay"])
        values[2] += size
        changed.set_parameter("route_delay", values)

    def store(changed, rows, size):
        changed.state[4, 0, 5] += size

    def waiting(changed, rows, size):
        pending = changed.pending
        pending[3, 2] += size
        changed.pending = pending

    assert slopes["precipitation"][30, 2] == pytest.approx(difference(rain, 1e-5), rel=1e-5)
    assert slopes["K1"][1, 3] == pytest.approx(difference(recession, 1e-6), rel=1e-4)
    assert slopes["route_delay"][2] == pytest.approx(difference(delay, 1e-5), rel=1e-4)
    assert slopes["lower_zone"][0, 5] == pytest.approx(difference(store, 1e-3), rel=1e-5)
    assert slopes["pending"][3, 2] == pytest.approx(difference(waiting, 1e-3), rel=1e-5)
    with pytest.raises(ValueError, match="no derivative of or by 'snow'; known: precipitation"):
        block_gradients(plain, weather, seeds, ["snow"])
