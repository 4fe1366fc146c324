"""Simulated beside observed flow: the steps and catchments that both have."""

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.errors import ResultsError
from bmi_dhydro.evaluation import metrics
from bmi_dhydro.evaluation.comparison import compare

RANDOM = np.random.default_rng(0)


def series(ids, start="2001-01-01", days=800, seed=1, step="1D"):
    times = pandas.date_range(start, periods=days, freq=step)
    flow = np.random.default_rng(seed).gamma(1.0, 2.0, (days, len(ids)))
    return xarray.DataArray(flow, {"time": times, "station": list(ids)}, ("time", "station"))


def test_common_days_and_catchments_are_scored():
    ours, theirs = series("abc"), series("cad", start="2001-02-01", seed=2)
    result = compare(ours, theirs, warm_up_days=90)
    assert result.scores.index.tolist() == ["a", "c"]
    assert str(result.dates[0])[:10] == "2001-04-01"
    assert str(result.dates[-1])[:10] == str(ours["time"].values[-1])[:10]
    one, two = (flow.sel(station="c", time=result.dates).values[:, None] for flow in (ours, theirs))
    assert result.scores["nse"]["c"] == pytest.approx(metrics.nse(one, two)[0])
    assert result.scores["days"].tolist() == [len(result.dates)] * 2


def test_the_end_of_a_period_is_not_included():
    begin, end = np.datetime64("2001-06-01"), np.datetime64("2001-07-01")
    result = compare(series("a"), series("a", seed=2), start=begin, end=end)
    assert len(result.dates) == 30


def test_catchments_without_observations_are_named():
    theirs = series("ab", seed=2)
    theirs[:, 0] = np.nan
    result = compare(series("ab"), theirs)
    assert result.without_flow == ("a",)
    assert result.scores.index.tolist() == ["b"]


def test_hours_are_compared_by_hours_and_their_days_make_the_index_of_baseflow():
    ours, theirs = (series("a", days=24 * 60, seed=k, step="1h") for k in (1, 2))
    result = compare(ours, theirs, seconds=3600)
    assert result.simulated.shape == (24 * 60, 1)
    assert result.scores["days"]["a"] == 60.0
    daily = theirs.values.reshape(60, 24, 1).mean(axis=1)
    expected = metrics.baseflow_index(daily)[0]
    assert result.scores["baseflow_index_observed"]["a"] == pytest.approx(expected)


def test_what_is_in_neither():
    with pytest.raises(ResultsError, match="no catchment is in both"):
        compare(series("a"), series("b"))
    with pytest.raises(ResultsError, match="no step is in both, after 0 days"):
        compare(series("a"), series("a", start="2010-01-01"))
    nothing = series("a", seed=2) * np.nan
    with pytest.raises(ResultsError, match="no catchment has an observation"):
        compare(series("a"), nothing)
