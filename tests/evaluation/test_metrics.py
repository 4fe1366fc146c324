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
