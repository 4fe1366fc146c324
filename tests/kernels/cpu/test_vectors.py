import numba
import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.vectors import (
    exp2,
    load,
    log2,
    mul,
    store,
    store_rows,
    switches,
)


@numba.njit
def powers(x, y, result):
    for i in range(x.size):
        result[i] = exp2(y[i] * log2(x[i]))


@numba.njit
def logarithms(x, result):
    for i in range(x.size):
        result[i] = log2(x[i])


@numba.njit
def exponentials(x, result):
    for i in range(x.size):
        result[i] = exp2(x[i])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 2e-15)])
def test_logarithm(dtype, tolerance):
    x = np.exp(np.random.default_rng(0).uniform(-12, 12, 100_000)).astype(dtype)
    x[:5] = [1.0, 0.5, 2.0, np.sqrt(0.5), np.sqrt(2.0)]
    result = np.empty_like(x)
    logarithms(x, result)
    exact = np.log2(x.astype(np.longdouble))
    assert np.abs(result - exact).max() < tolerance * 17
    assert (result[:3] == [0.0, -1.0, 1.0]).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 4e-7), (np.float64, 1e-15)])
def test_exponential(dtype, tolerance):
    x = np.random.default_rng(0).uniform(-30, 30, 100_000).astype(dtype)
    result = np.empty_like(x)
    exponentials(x, result)
    assert np.abs(result / np.exp2(x.astype(np.longdouble)) - 1).max() < tolerance


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponential_beyond_its_range_stays_finite(dtype):
    result = np.empty(2, dtype)
    exponentials(np.array([-1e5, 1e5], dtype), result)
    assert 0 < result[0] <= np.finfo(dtype).tiny * 1.001
    assert np.isfinite(result[1])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 3e-15)])
def test_powers_over_the_range_of_soil_wetness(dtype, tolerance):
    random = np.random.default_rng(0)
    x = np.exp(random.uniform(np.log(1e-5), 0.0, 100_000)).astype(dtype)
    y = random.uniform(0.3, 6.0, x.size).astype(dtype)
    result = np.empty_like(x)
    powers(x, y, result)
    exact = x.astype(np.longdouble) ** y.astype(np.longdouble)
    assert np.sqrt(((result - exact) ** 2).sum() / (exact**2).sum()) < tolerance


@numba.njit
def rows(source, target):
    value = load(source, 0, 0, 0, 4)
    store_rows(target, 1, 2, 3, value, 1, 3)
    store(target, 0, 0, 0, mul(value, switches("0110", value)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_go_to_rows_and_are_switched_off(dtype):
    source = np.array([[[5, 6, 7, 8]]], dtype)
    target = np.zeros((2, 5, 4), dtype)
    rows(source, target)
    assert target[1, 2:, 3].tolist() == [6, 7, 8]
    assert target[0, 0].tolist() == [0, 6, 7, 0]
    assert np.count_nonzero(target) == 5
