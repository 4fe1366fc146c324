import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.evaluation.comparison import compare
from bmi_dhydro.evaluation.report import write_report
from bmi_dhydro.evaluation.series import read_flow, read_other
from bmi_dhydro.evaluation.water_balance import monthly_means, water_balance

DAYS = 730
TIMES = np.datetime64("2001-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")


def write(path, **series):
    units = {"swe": "mm", "precipitation": "mm", "potential_evapotranspiration": "mm"}
    data = {
        name: (("time", "basin"), values, {"units": units.get(name, "mm d-1")})
        for name, values in series.items()
    }
    xarray.Dataset(data, {"basin": ["a", "b"], "time": TIMES}).to_netcdf(path)
    return path


def constant(first, second):
    return np.tile([float(first), float(second)], (DAYS, 1))


def winter(height):
    month = pandas.DatetimeIndex(TIMES).month.to_numpy()
    return np.stack([np.where(month == 2, height, 0.0), np.zeros(DAYS)], axis=1)


@pytest.fixture
def files(tmp_path):
    varied = np.random.default_rng(0).gamma(1.0, 1.0, (DAYS, 2))
    observed = constant(1, 2) * varied
    observed[:100, 0] = np.nan
    results = write(
        tmp_path / "results.nc",
        streamflow=constant(2, 1),
        precipitation=constant(4, 5),
        potential_evapotranspiration=constant(2, 10),
        swe=winter(120.0),
    )
    return results, write(tmp_path / "observed.nc", streamflow=observed, swe=winter(80.0)), observed


def test_ratios_are_of_the_days_with_observed_flow(files):
    results, observed, flow = files
    comparison = compare(read_flow(results), read_flow(observed))
    balance = water_balance(results, observed, comparison)
    table = balance.table
    np.testing.assert_allclose(table["aridity"], [0.5, 2.0])
    np.testing.assert_allclose(table["runoff_ratio_simulated"], [0.5, 0.2])
    np.testing.assert_allclose(
        table["runoff_ratio_observed"], np.nanmean(flow, axis=0) / [4.0, 5.0], rtol=1e-6
    )


def test_the_year_of_the_snowpack(files, tmp_path):
    results, observed, _ = files
    comparison = compare(read_flow(results), read_flow(observed))
    balance = water_balance(results, observed, comparison)
    assert balance.table.loc["a", "snow_peak"] == pytest.approx(120.0)
    assert balance.table.loc["a", "snow_peak_month"] == 2
    assert balance.table.loc["a", "snow_peak_observed"] == pytest.approx(80.0)
    assert balance.snow["simulated"].shape == (12, 1)  # b has no snow
    written = {path.name for path in write_report(tmp_path / "out", comparison, balance)}
    assert {"budyko.png", "snow.png"} <= written
    scores = pandas.read_csv(tmp_path / "out" / "scores.csv", index_col=0)
    assert scores.loc["b", "aridity"] == pytest.approx(2.0)


def test_results_without_weather_or_snow_have_neither(tmp_path):
    results = write(tmp_path / "plain.nc", streamflow=constant(2, 1))
    bare = write(tmp_path / "bare.nc", streamflow=constant(1, 1))
    comparison = compare(read_flow(results), read_flow(bare))
    balance = water_balance(results, bare, comparison)
    assert not balance.has_climate
    assert not balance.snow
    assert read_other(results, ("precipitation",)) is None
    names = {path.name for path in write_report(tmp_path / "out", comparison, balance)}
    assert "budyko.png" not in names


def test_monthly_means_leave_gaps_out():
    values = np.array([[1.0], [np.nan], [4.0], [8.0]])
    means = monthly_means(values, np.array([1, 1, 2, 2]))
    assert means[0, 0] == 1.0
    assert means[1, 0] == 6.0
    assert np.isnan(means[2:]).all()
