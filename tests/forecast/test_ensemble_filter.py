"""The ensemble Kalman filter against what is known: Kalman's own answer for a linear case."""

import numpy as np

from bmi_dhydro.forecast.ensemble_filter import corrected


def test_mean_and_spread_are_kalmans():
    random = np.random.default_rng(0)
    members = 4000
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    states = 20.0 + random.multivariate_normal([0.0, 0.0], covariance, members)[:, None]
    weights = np.array([0.5, 2.0])
    flow = states @ weights
    observed, deviation = np.array([52.0]), np.array([0.8])
    found, left_out = corrected(states, flow, observed, deviation, 10.0)
    sample = np.cov(states[:, 0].T)
    gain = sample @ weights / (weights @ sample @ weights + 0.64)
    mean = states[:, 0].mean(axis=0)
    expected = mean + gain * (observed[0] - weights @ mean)
    np.testing.assert_allclose(found[:, 0].mean(axis=0), expected, rtol=1e-10)
    posterior = sample - np.outer(gain, weights @ sample)
    np.testing.assert_allclose(np.cov(found[:, 0].T), posterior, rtol=1e-8)
    assert not left_out.any()


def test_what_is_not_observed_stays_and_outliers_are_left_out():
    random = np.random.default_rng(1)
    states = random.uniform(1.0, 2.0, (20, 3, 4))
    flow = states.sum(axis=2)
    observed = np.array([np.nan, flow[:, 1].mean() + 0.3, 900.0])
    found, left_out = corrected(states, flow, observed, np.full(3, 0.1), 5.0)
    np.testing.assert_allclose(found[:, [0, 2]], states[:, [0, 2]], rtol=1e-14)
    assert not np.allclose(found[:, 1], states[:, 1])
    assert left_out.tolist() == [False, False, True]


def test_no_store_is_below_zero_and_members_that_agree_stay():
    states = np.full((5, 1, 2), 0.1)
    found, _ = corrected(states, np.full((5, 1), 3.0), np.array([1.0]), np.array([0.5]), 100.0)
    np.testing.assert_allclose(found, states)
    random = np.random.default_rng(2)
    states = random.uniform(0.0, 0.2, (9, 1, 2))
    found, _ = corrected(states, states.sum(axis=2), np.array([0.0]), np.array([1e-3]), 100.0)
    assert found.min() >= 0.0
