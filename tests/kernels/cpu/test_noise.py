"""The compiled noise of an ensemble is its equations, whoever else there is."""

import numpy as np
import pytest

from bmi_dhydro.kernels.cpu import noise

KEYS = np.random.default_rng(0).integers(0, 2**64 - 1, 5000, dtype=np.uint64)


def uniform(bits):
    return ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def normal(keys, knots):
    with np.errstate(over="ignore"):
        bits = noise.mixed(keys + noise.GOLDEN * knots.astype(np.uint64))
    radius = np.sqrt(-2.0 * np.log(uniform(bits)))
    return radius * np.cos(2.0 * np.pi * uniform(noise.mixed(bits)))


@pytest.mark.parametrize("hours", [0.0, 1.0, 30.0])
def test_it_is_its_equations(hours):
    times = -100_000 + 7200 * np.arange(40)
    found = noise.correlated_noise(KEYS, times, hours, 1)
    for row, time in zip(found, times, strict=True):
        if hours:
            place = time / (hours * 3600.0) + uniform(noise.mixed(KEYS ^ noise.GOLDEN))
            knot = np.floor(place).astype(np.int64)
            angle = (place - knot) * (np.pi / 2.0)
            expected = np.cos(angle) * normal(KEYS, knot) + np.sin(angle) * normal(KEYS, knot + 1)
        else:
            expected = normal(KEYS, np.full(KEYS.size, time))
        np.testing.assert_allclose(row, expected, rtol=0.0, atol=1e-12)


def test_others_times_and_threads_change_nothing():
    times = 978_307_200 + 3600 * np.arange(50)
    whole = noise.correlated_noise(KEYS, times, 24.0, 1)
    assert np.array_equal(noise.correlated_noise(KEYS, times, 24.0), whole)
    part = noise.correlated_noise(KEYS[70:90], times[11:30], 24.0)
    assert np.array_equal(part, whole[11:30, 70:90])
