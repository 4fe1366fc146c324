"""Records of catchments, as training takes them."""

from dataclasses import replace

import numpy as np
import pytest

from bmi_dhydro.training.data import read_gauged
from tests.conftest import DATA


def test_the_training_file(mopex):
    assert len(mopex.ids) == 322
    assert (~mopex.flagged).sum() == 299
    assert str(mopex.dates[0]) == "1948-01-01"
    training = mopex.period("1948-10-01", "1975-09-30")
    assert training.forcing.shape == (9861, 3, 322)
    early = mopex.climate_of("1948-10-01", "1960-09-30").attributes["aridity"]
    assert not np.array_equal(early, mopex.attributes["aridity"])


def test_a_period_and_some_catchments(few_real):
    year = few_real.period("1961-10-01", "1962-09-30")
    assert len(year.dates) == len(year.forcing) == len(year.streamflow) == 365
    assert (str(year.dates[0]), str(year.dates[-1])) == ("1961-10-01", "1962-09-30")
    some = few_real.catchments(np.array([3, 1]))
    assert some.ids.tolist() == few_real.ids[[3, 1]].tolist()
    assert np.array_equal(some.forcing, few_real.forcing[:, :, [3, 1]])
    for name, values in some.attributes.items():
        assert np.array_equal(values, few_real.attributes[name][[3, 1]]), name


def test_catchments_with_a_year_of_flow(few_real):
    flow = few_real.streamflow.copy()
    flow[:, 0] = np.nan
    flow[364:, 2] = np.nan
    data = replace(few_real, streamflow=flow)
    kept = data.observed_in(str(data.dates[0]), str(data.dates[-1])).ids
    assert kept.tolist() == np.delete(few_real.ids, [0, 2]).tolist()


def test_climate_is_that_of_the_days_asked_for(few_real):
    early, late = (
        few_real.climate_of(*years).attributes["mean_precipitation"]
        for years in (("1960-01-01", "1963-12-31"), ("1964-01-01", "1967-12-31"))
    )
    days = few_real.between("1960-01-01", "1963-12-31")
    np.testing.assert_allclose(early, few_real.forcing[days, 0].mean(axis=0), rtol=1e-5)
    assert not np.allclose(early, late)


def test_data_sets_are_joined_over_the_days_of_both(few_real):
    early = few_real.period("1960-01-01", "1962-12-31").catchments(np.arange(6))
    late = few_real.period("1962-01-01", "1965-12-31").catchments(np.arange(4, 10))
    late.attributes["more"] = np.ones(6)
    both = early.joined(late)
    # Two catchments are in both data sets, and are those of the first.
    assert both.ids.tolist() == few_real.ids.tolist()
    assert (str(both.dates[0]), str(both.dates[-1])) == ("1960-01-01", "1965-12-31")
    assert "more" not in both.attributes
    whole = few_real.period("1960-01-01", "1965-12-31")
    days = both.between("1960-01-01", "1962-12-31")
    assert np.array_equal(both.forcing[days, :, :6], whole.forcing[days, :, :6])
    assert np.isnan(both.forcing[days.stop :, :, :6]).all()
    days = both.between("1962-01-01", "1965-12-31")
    assert np.array_equal(both.streamflow[days, 6:], whole.streamflow[days, 6:], equal_nan=True)
    assert np.isnan(both.forcing[: days.start, :, 6:]).all()
    assert not set(both.fold[:6]) & set(both.fold[6:])


def test_the_file_of_camels():
    """Soil properties that it lacks are made of texture, and no attribute has gaps."""
    path = DATA / "camels_us_daily.nc"
    if not path.exists():
        pytest.skip(f"needs {path.name}, which is not on this machine")
    data = read_gauged(path)
    assert len(data.ids) == 578
    assert (str(data.dates[0]), str(data.dates[-1])) == ("1980-01-01", "2008-12-31")
    for name, values in data.attributes.items():
        assert np.isfinite(values).all(), name
    assert 0.05 < np.median(data.attributes["wilting_point"]) < 0.2
    assert not (data.streamflow < 0.0).any()
