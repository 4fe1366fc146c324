"""Flow that is reached once in some years."""

import numpy as np
import pytest

from bmi_dhydro.evaluation.return_levels import annual_maxima, return_levels


def test_levels_of_a_gumbel_distribution_are_found():
    place, scale = 30.0, 8.0
    maxima = np.random.default_rng(0).gumbel(place, scale, 4000)
    found = return_levels(maxima)
    for period, level in found.items():
        expected = place - scale * np.log(-np.log(1.0 - 1.0 / period))
        assert level == pytest.approx(expected, rel=0.03)
    assert list(found) == [2.0, 10.0, 50.0]


def test_years_with_gaps_do_not_count():
    times = np.arange("1990-01-01", "2003-01-01", dtype="datetime64[D]")
    flow = np.random.default_rng(1).gamma(1.0, 2.0, times.size)
    flow[times.astype("datetime64[Y]") == np.datetime64("1995")] = np.nan
    flow[:50] = np.nan
    maxima = annual_maxima(times, flow)
    assert maxima.size == 11
    assert maxima.max() == np.nanmax(flow[365:])
    assert return_levels(maxima[:9]) == {}
