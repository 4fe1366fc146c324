"""Muskingum's method, and the balance of a reach."""

import numpy as np
import pytest

from bmi_dhydro.physics.muskingum_cunge import explicit_muskingum
from bmi_dhydro.physics.reach import (
    balance,
    muskingum,
    muskingum_storage,
    unlimited_balance,
)


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5])
def test_from_what_is_stored_it_is_the_textbook_form(weight):
    """With constant coefficients: flows before and storage before say the same."""
    travel_time, seconds = 5000.0, 900.0
    inflow, flow = 2.0, 1.5
    stored = muskingum_storage(weight, travel_time, inflow, flow, seconds)
    for new in (2.5, 4.0, 0.3, 0.0):
        leaving = muskingum(weight, travel_time, new, stored, 0.2, seconds)
        explicit = explicit_muskingum(weight, travel_time, inflow, new, flow, 0.2, seconds)
        assert leaving == pytest.approx(explicit, rel=1e-12)
        stored += seconds * (new + 0.2 - leaving)
        inflow, flow = new, leaving
        expected = muskingum_storage(weight, travel_time, inflow, flow, seconds)
        assert stored == pytest.approx(expected, rel=1e-12)


def test_no_more_leaves_than_there_is():
    assert balance(9.0, 100.0, 0.0, 0.5, 0.5, 50.0) == (3.0, 0.0, 0.0, 0.5)
    assert balance(-1.0, 100.0, 0.0, 0.5, 0.5, 50.0) == (0.0, 150.0, 0.0, 0.5)
    assert unlimited_balance(9.0, 100.0, 0.0, 0.5, 0.5, 50.0) == (9.0, -300.0, 0.0, 0.5)


def test_a_loss_takes_no_more_than_there_is():
    flow, storage, _, lateral = balance(1.0, 100.0, 0.0, 1.0, -9.0, 50.0)
    assert (flow, storage) == (0.0, 0.0)
    assert lateral == pytest.approx(-3.0)
    values = np.random.default_rng(0).normal(0.0, 5.0, (3, 1000))
    storage = np.abs(values[0])
    flow, after, _, lateral = balance(values[1], storage, 0.0, np.abs(values[2]), values[0], 7.0)
    assert (flow >= 0.0).all()
    assert (after >= 0.0).all()
    change = 7.0 * (np.abs(values[2]) + lateral - flow)
    np.testing.assert_allclose(after - storage, change, atol=1e-12)


@pytest.mark.parametrize("count", [balance, unlimited_balance])
def test_what_rounding_takes_comes_back(count):
    small, storage, remainder = np.float32(0.01), np.float32(1e6), np.float32(0.0)
    for _ in range(1000):
        _, storage, remainder, _ = count(
            np.float32(0.0), storage, remainder, small, np.float32(0.0), np.float32(1.0)
        )
    assert float(storage) + float(remainder) == pytest.approx(1e6 + 10.0, abs=0.001)
