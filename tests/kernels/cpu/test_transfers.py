"""Inputs and outputs of a step, and its water account."""

import numba
import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.exchange import exchange
from bmi_dhydro.kernels.cpu.transfers import counted_step


@numba.njit(error_model="numpy")
def count(clock, current, outputs, stored_rows, flows, opened, leaked, balance):
    counted_step(clock, current, outputs, stored_rows, flows, opened, leaked, balance)


def received(inputs, dtype=float):
    receive = exchange()[0]
    weather = np.zeros(inputs.shape, dtype)
    lowest, highest = np.array([0.0, -90.0, -1.0]), np.array([100.0, 60.0, 50.0])
    scale, floor = np.array([24.0, 1.0, 3.0]), np.array([0.0, -np.inf, 0.0])
    wrong = receive(inputs, lowest, highest, scale, floor, weather)
    return wrong, weather


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_scaled_and_none_is_below_the_floor(dtype):
    inputs = np.array([[1.0, 2.5], [-3.0, 59.0], [-0.5, 0.4]])
    wrong, weather = received(inputs, dtype)
    assert wrong == -1
    expected = np.array([[24.0, 60.0], [-3.0, 59.0], [0.0, 0.4 * 3.0]], dtype)
    np.testing.assert_array_equal(weather, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -91.0, 60.1])
def test_the_first_impossible_input_is_found(value):
    inputs = np.zeros((3, 4))
    inputs[1, 2] = value
    inputs[2, 0] = np.nan
    assert received(inputs)[0] == 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 5])
def test_outputs_are_scaled_and_water_is_counted(dtype, columns):
    random = np.random.default_rng(columns)
    rows = random.uniform(size=(1, 6, columns)).astype(dtype)
    forcing = random.uniform(size=(1, 3, columns)).astype(dtype)
    sources = np.array([4, 7, 0])  # the second is the second of the forcings
    factors = random.uniform(size=(3, columns))
    published = np.zeros((3, columns))
    flows = random.uniform(size=(2, columns))
    before = flows.copy()
    gains, losses = np.array([2, 3]), np.array([1, 5])
    exchange()[1](rows, forcing, sources, factors, published, 0, gains, losses, flows)
    chosen = np.stack([rows[0, 4], forcing[0, 1], rows[0, 0]])
    np.testing.assert_array_equal(published, chosen.astype(float) * factors)
    np.testing.assert_allclose(flows[0], before[0] + forcing[0, 0] + rows[0, 2] + rows[0, 3])
    np.testing.assert_array_equal(flows[1], before[1] + (rows[0, 1] + rows[0, 5]))


def test_outputs_of_a_view_are_published_too():
    """An engine's block of steps hands out rows of larger tables."""
    rows = np.random.default_rng(0).uniform(size=(1, 6, 8))[:, :, ::2]
    published = np.zeros((4, 8))[:, ::2]
    flows = np.zeros((2, 4))
    sources, nothing = np.arange(4), np.zeros(0, np.int64)
    factors = np.full((4, 4), 2.0)
    forcing, losses = np.ones((1, 3, 4)), np.array([1, 5])
    exchange()[1](rows, forcing, sources, factors, published, 0, nothing, losses, flows)
    np.testing.assert_array_equal(published, 2.0 * rows[0, :4])


@pytest.mark.parametrize("room", [0, 4])
def test_a_step_is_counted_and_its_balance_written(room):
    clock, current = np.array([41]), np.array([7])
    outputs = np.arange(12.0).reshape(1, 6, 2)
    flows = np.array([[30.0, 0.0], [12.0, 0.0]])
    balance = np.full(room, np.nan)
    opened, leaked = np.array([3.0]), np.array([0.5])
    count(clock, current, outputs, np.array([1, 4]), flows, opened, leaked, balance)
    assert clock == [42]
    assert current == [room > 0]
    if room:
        np.testing.assert_allclose(balance, [0.03, 0.012, 1e-3 * (2.0 + 8.0 - 3.0), 5e-4])
