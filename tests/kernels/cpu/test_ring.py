"""Flows yet to leave: what is added to them, what leaves, and their sum."""

import numba
import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.ring import delay, ring_sum


@numba.njit(error_model="numpy")
def leaving(pending, weights, reach, column, own, head, runoff):
    return delay(pending, weights, reach, column, own, head, runoff)


@numba.njit(error_model="numpy")
def waiting(pending, reach, column, head):
    return ring_sum(pending, reach, column, head)


def rings(dtype, lags, seed=0):
    random = np.random.default_rng(seed)
    pending = random.uniform(0.0, 1.0, (3, lags)).astype(dtype)
    weights = random.uniform(0.0, 1.0, (2, lags)).astype(dtype)
    return pending, weights, random


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lags", [1, 7, 20])
def test_runoff_is_added_around_the_end_and_leaves_at_the_head(dtype, lags):
    pending, weights, _ = rings(dtype, lags)
    for head in range(lags):
        for length in range(1, lags + 1):
            ours, reach = pending.copy(), np.full(3, length, np.int32)
            expected = pending.copy()
            places = (head + np.arange(length)) % lags
            expected[1, places] += weights[0, :length] * dtype(0.7)
            left = expected[1, head]
            expected[1, head] = 0.0
            assert leaving(ours, weights, reach, 1, 0, head, dtype(0.7)) == left
            # Neighbours are as they were.
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lags", [1, 6, 8, 9, 30])
def test_the_sum_is_the_same_wherever_the_ring_begins(dtype, lags):
    pending, _, random = rings(dtype, lags, 1)
    for length in (1, lags // 2 + 1, lags):
        reach = np.array([lags, length, lags], np.int32)
        first = np.zeros(lags, dtype)
        first[:length] = random.uniform(0.0, 1.0, length)
        found = set()
        for head in range(lags):
            pending[1] = np.roll(first, head)
            found.add(waiting(pending, reach, 1, head))
        assert len(found) == 1
        (total,) = found
        np.testing.assert_allclose(total, first[1:].sum(dtype=float), rtol=1e-6, atol=1e-12)
