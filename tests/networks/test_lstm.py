"""The long short-term memory day by day: as textbooks have it, and as over a block."""

import numpy as np
import pytest

from bmi_dhydro.networks import lstm


def test_a_day_is_that_of_textbooks():
    random = np.random.default_rng(0)
    units = 3
    weights = {
        "lstm.input": random.normal(size=(4, 4 * units)),
        "lstm.hidden": random.normal(size=(units, 4 * units)),
        "lstm.bias": random.normal(size=4 * units),
    }
    inputs, hidden, cell = (random.normal(size=(5, n)) for n in (4, units, units))
    gates = inputs @ weights["lstm.input"] + hidden @ weights["lstm.hidden"] + weights["lstm.bias"]
    enter, forget, candidate, leave = np.split(gates, 4, axis=1)

    def logistic(values):
        return 1.0 / (1.0 + np.exp(-values))

    new = logistic(forget) * cell + logistic(enter) * np.tanh(candidate)
    found = lstm.step(weights, inputs, hidden, cell)
    np.testing.assert_allclose(found[1], new, rtol=1e-12)
    np.testing.assert_allclose(found[0], logistic(leave) * np.tanh(new), rtol=1e-12)


def test_days_are_the_block():
    pytest.importorskip("torch", reason="needs torch")
    from tests.networks.test_lstm_block import CATCHMENTS, DAYS, UNITS, by_block, setup

    arrays = setup()
    weights = {f"lstm.{name}": arrays[name].numpy() for name in ("input", "hidden", "bias")}
    hidden = cell = np.zeros((CATCHMENTS, UNITS))
    expected = by_block(**arrays).numpy()
    for day in range(DAYS):
        seen = np.concatenate([arrays["weather"][day], arrays["inputs"]], axis=1)
        hidden, cell = lstm.step(weights, seen, hidden, cell)
        np.testing.assert_allclose(hidden, expected[day], rtol=0, atol=1e-13)
