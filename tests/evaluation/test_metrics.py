import numpy as np
import pytest

from bmi_dhydro.evaluation import metrics

OBSERVED = np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0], [6.0, 2.0]])


def test_perfect_flow():
    assert metrics.nse(OBSERVED, OBSERVED)[0] == 1.0
    assert metrics.kge(OBSERVED, OBSERVED)[0] == 1.0
    assert metrics.relative_bias(OBSERVED, OBSERVED)[0] == 0.0


def test_the_mean_as_a_forecast_has_an_efficiency_of_zero():
    mean = np.broadcast_to(OBSERVED.mean(axis=0), OBSERVED.shape)
    assert metrics.nse(mean, OBSERVED)[0] == pytest.approx(0.0)


def test_flow_that_does_not_vary_has_no_efficiency():
    assert np.isnan(metrics.nse(OBSERVED, OBSERVED)[1])
    assert np.isnan(metrics.kge(OBSERVED, OBSERVED)[1])


def test_kge_of_scaled_flow():
    correlation, variability, bias = metrics.kge_parts(1.5 * OBSERVED, OBSERVED)
    assert (correlation[0], variability[0], bias[0]) == pytest.approx((1.0, 1.5, 1.5))
    assert metrics.kge(1.5 * OBSERVED, OBSERVED)[0] == pytest.approx(1 - np.sqrt(0.5))


def test_missing_observations_do_not_count():
    observed = np.vstack([OBSERVED, [[np.nan, np.nan]]])
    simulated = np.vstack([OBSERVED + 0.5, [[99.0, 99.0]]])
    assert metrics.nse(simulated, observed)[0] == metrics.nse(OBSERVED + 0.5, OBSERVED)[0]
    none = np.full_like(OBSERVED, np.nan)
    assert np.isnan(metrics.nse(OBSERVED, none)).all()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="both must be"):
        metrics.nse(OBSERVED, OBSERVED[:2])


def test_bias_of_high_and_low_flows():
    observed = np.arange(1.0, 101.0)[:, None]
    simulated = observed.copy()
    simulated[-2:] *= 1.5
    simulated[:30] *= 0.5
    random = np.random.default_rng(0).permutation(100)
    high, low = metrics.bias_of_extremes(simulated[random], observed)
    assert high[0] == pytest.approx(0.5)
    assert low[0] == pytest.approx(-0.5)
    high, low = metrics.bias_of_extremes(simulated, np.full_like(observed, np.nan))
    assert np.isnan(high[0])
    assert np.isnan(low[0])


def test_baseflow_index():
    steady = np.full((400, 1), 2.0)
    assert metrics.baseflow_index(steady)[0] == pytest.approx(1.0)
    peaks = steady.copy()
    peaks[::20] = 22.0
    index = metrics.baseflow_index(peaks)[0]
    assert 0.5 < index < 0.75
    gaps = peaks.copy()
    gaps[100:110] = np.nan
    assert metrics.baseflow_index(gaps)[0] == pytest.approx(index, abs=0.02)
    assert np.isnan(metrics.baseflow_index(np.full((10, 1), np.nan))[0])


def test_annual_trend():
    years = np.repeat(np.arange(1990, 2000), 365)
    flow = (1.0 + 0.02 * (years - 1990))[:, None].astype(float)
    assert metrics.annual_trend(flow, years)[0] == pytest.approx(20.0 / flow.mean(), rel=1e-6)
    flow[years < 1996] = np.nan
    assert np.isnan(metrics.annual_trend(flow, years)[0])
