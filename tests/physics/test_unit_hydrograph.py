import numpy as np
import pytest

from bmi_dhydro.physics import HBV
from bmi_dhydro.physics import unit_hydrograph as uh
from bmi_dhydro.physics.published_hbv import HBV_1_1P

HYDROGRAPH = uh.hydrograph_of(HBV)
PUBLISHED = uh.hydrograph_of(HBV_1_1P)


def weights(shape, mean_delay, days=1.0, hydrograph=HYDROGRAPH):
    return uh.weights(
        np.atleast_1d(shape),
        np.atleast_1d(mean_delay),
        hydrograph.lag_times(days),
        hydrograph.lag_matrix(days),
    )


@pytest.mark.parametrize("days", [1.0, 0.25, 1 / 24, 1 / 96])
@pytest.mark.parametrize("shape", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("delay", [0.001, 0.5, 6.0])
@pytest.mark.parametrize("hydrograph", [HYDROGRAPH, PUBLISHED], ids=["ours", "published"])
def test_all_water_leaves(days, shape, delay, hydrograph):
    if hydrograph is PUBLISHED and delay < 0.05:
        pytest.skip("published delays are longer")
    values = weights(shape, delay, days, hydrograph)
    assert values.shape[1] == hydrograph.lags(days)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert values.sum(axis=1) == pytest.approx(1.0)


def test_the_mean_delay_is_the_mean_delay():
    # Long enough to be resolved by hours, short enough not to be cut off.
    hourly = weights(2.0, 2.0, 1 / 24)[0]
    assert (hourly * HYDROGRAPH.lag_times(1 / 24)).sum() == pytest.approx(2.0, rel=0.02)


def test_a_daily_step_routes_what_its_hours_do():
    runoff = np.random.default_rng(0).gamma(0.5, 4.0, 40)
    daily = np.convolve(runoff, weights(1.7, 1.3)[0])[:40]
    hourly = np.convolve(np.repeat(runoff / 24, 24), weights(1.7, 1.3, 1 / 24)[0])
    assert hourly[: 40 * 24].reshape(40, 24).sum(axis=1) == pytest.approx(daily, rel=1e-9)


def test_delay_shrinks_with_area_and_is_bounded():
    area = np.array([0.01, 1.0, 10.0, 100.0, 1000.0, 20000.0, 1e6])
    delay = uh.delay(2.0, 0.3, area)
    assert (np.diff(delay) >= 0).all()
    assert delay[0] == delay[1]
    assert delay[-1] == delay[-2]
    assert delay[4] == 2.0
    assert delay[2] == pytest.approx(2.0 * 0.01**0.3)
    assert (uh.delay(2.0, 0.0, area) == 2.0).all()


def test_a_small_divide_answers_within_the_step():
    delay = uh.delay(1.0, 0.5, np.array([10.0]))
    assert weights(1.0, delay)[0, :2].sum() > 0.99


@pytest.mark.parametrize(("route_a", "route_b"), [(0.0, 0.0), (1.3, 2.6), (2.9, 6.5)])
def test_published_shares_are_those_of_the_middles_of_days(route_a, route_b):
    # As the publications write it: t^(a - 1) exp(-t / theta) at t = 0.5, 1.5, ... days.
    a, theta = route_a + 0.1, route_b + 0.5
    times = np.arange(15) + 0.5
    expected = times ** (a - 1.0) * np.exp(-times / theta)
    shares = np.array([route_a / 2.9]), np.array([route_b / 6.5]), np.array([0.7])
    shape, delay, exponent = uh.placed(PUBLISHED, shares)
    assert exponent == 0.0
    assert (uh.delay(delay, exponent, np.array([3.0])) == delay).all()
    values = weights(shape, delay, hydrograph=PUBLISHED)[0]
    assert values == pytest.approx(expected / expected.sum(), rel=1e-12)
    for value, item in zip((shape, delay), PUBLISHED.parameters, strict=False):
        assert item.lower - 1e-12 <= value[0] <= item.upper + 1e-12
