"""Observed flow in equal steps, and which of them lie in a period."""

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.config import ObservedConfig
from bmi_dhydro.errors import ResultsError
from bmi_dhydro.forecast.observed_flow import ObservedFlow

IDS = np.array(["a", "b"])


def write(path, step="1D", count=20, drop=()):
    times = pandas.date_range("2001-01-01", periods=count, freq=step)
    flow = np.arange(2.0 * count).reshape(count, 2)
    keep = np.delete(np.arange(count), list(drop))
    xarray.Dataset(
        {"flow": (("time", "basin"), flow[keep], {"units": "mm d-1"})},
        {"time": times[keep], "basin": IDS},
    ).to_netcdf(path)
    return ObservedConfig(file=str(path), variable="flow")


def at(text):
    return np.datetime64(text, "s")


def test_days(tmp_path):
    observed = ObservedFlow(write(tmp_path / "q.nc"), IDS, 86400)
    assert (observed.seconds, observed.values.shape) == (86400, (20, 2))
    assert observed.values[3].tolist() == [6.0, 7.0]
    assert observed.index(at("2001-01-04")) == 3
    assert observed.index(at("2001-01-04T12:00")) == 3
    assert observed.index(at("2000-12-31")) == -1
    assert observed.first_after(at("2001-01-03T01:00")) == 3
    assert observed.first_after(at("1990-01-01")) == 0
    start, values = observed.between(at("2001-01-03T01:00"), at("2001-01-06T23:00"))
    assert str(start) == "2001-01-04T00:00:00"
    assert values[:, 0].tolist() == [6.0, 8.0]
    assert observed.between(at("2001-01-03T01:00"), at("2001-01-03T02:00"))[1].shape == (0, 2)
    assert observed.mean(at("2001-01-03")).tolist() == [1.0, 2.0]
    assert np.isnan(observed.mean(at("2001-01-01"))).all()


def test_a_missing_day_is_a_gap(tmp_path):
    observed = ObservedFlow(write(tmp_path / "q.nc", drop=(4, 5)), IDS, 86400)
    assert np.isnan(observed.values[4:6]).all()
    assert observed.values[6].tolist() == [12.0, 13.0]


def test_hours_are_averaged_over_longer_steps(tmp_path):
    observed = ObservedFlow(write(tmp_path / "q.nc", "1h", 48), IDS, 6 * 3600)
    assert (observed.seconds, observed.values.shape) == (21600, (8, 2))
    # The mean of 0, 2, ..., 10 mm d-1, over a quarter of a day.
    assert observed.values[0, 0] == pytest.approx(5.0 / 4.0)


def test_longer_steps_stay(tmp_path):
    observed = ObservedFlow(write(tmp_path / "q.nc"), IDS, 3600)
    assert observed.seconds == 86400


def test_what_does_not_fit(tmp_path):
    with pytest.raises(ResultsError, match="steps of 86400 s, which is no multiple of .* 50400 s"):
        ObservedFlow(write(tmp_path / "q.nc"), IDS, 50400)
    with pytest.raises(ResultsError, match="not in equal steps"):
        ObservedFlow(write(tmp_path / "one.nc", count=1), IDS, 86400)
