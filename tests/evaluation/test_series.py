"""Flow from files: what cannot be is left out, ids and times are found, members are averaged."""

import netCDF4
import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.config import ObservedConfig
from bmi_dhydro.errors import ResultsError
from bmi_dhydro.evaluation.comparison import compare
from bmi_dhydro.evaluation.series import averaged, members_in, read_daily_flow, read_flow
from bmi_dhydro.forecast.observed_flow import ObservedFlow
from bmi_dhydro.run.simulation import run_config

FLUX = "land_surface_water__runoff_volume_flux"

pytestmark = pytest.mark.usefixtures("without_pictures")


def write(path, flow, step="1D", name="basin", units="mm d-1", start="2001-01-01", **attributes):
    """Write flow (time, catchment), of catchments a, b, ..., and return it."""
    hours = 24 if step == "1D" else int(step.removesuffix("h"))
    times = np.datetime64(start, "ns") + np.arange(len(flow)) * np.timedelta64(hours, "h")
    ids = list("abcdef"[: flow.shape[1]])
    data = xarray.Dataset(
        {
            "streamflow": (("time", "station"), flow, {"units": units}),
            name: ("station", ids, attributes),
        },
        {"time": times},
    )
    data.to_netcdf(path)
    return flow


def test_negative_flow_is_a_gap_wherever_it_is_read(tmp_path, caplog):
    flow = np.full((48, 2), 2.0)
    flow[5, 1] = -999.0
    flow[7, 0] = np.inf
    path = tmp_path / "f.nc"
    write(path, flow)
    values = read_flow(path).values
    assert np.isnan(values[5, 1])
    assert np.isnan(values[7, 0])
    assert np.isfinite(values).sum() == 94
    assert "2 values of flow are negative or not finite" in caplog.text
    dates = np.datetime64("2001-01-01") + np.arange(48)
    ids = np.array(["a", "b"])
    assert np.isnan(read_daily_flow(path, None, ids, dates)[5, 1])
    assert np.isnan(ObservedFlow(ObservedConfig(file=str(path)), ids, 86400).values[5, 1])


def test_a_day_with_a_gap_is_a_gap(tmp_path):
    """23 hours of 100 and one of -999 are no day of 54.2, and 23 hours no day either."""
    flow = np.full((72, 2), 100.0)
    flow[30, 0] = -999.0
    path = tmp_path / "f.nc"
    write(path, flow, "1h")
    dates = np.datetime64("2001-01-01") + np.arange(3)
    ids = np.array(["a", "b"])
    expected = np.array([[100.0, 100.0], [np.nan, 100.0], [100.0, 100.0]])
    np.testing.assert_array_equal(read_daily_flow(path, None, ids, dates), expected)
    seen = ObservedFlow(ObservedConfig(file=str(path)), ids, 86400)
    np.testing.assert_array_equal(seen.values, expected)
    late = tmp_path / "late.nc"
    write(late, np.full((71, 2), 100.0), "1h", start="2001-01-01T01:00")
    assert np.isnan(read_daily_flow(late, None, ids, dates)[0]).all()
    with xarray.open_dataset(path) as data:
        data.drop_isel(time=[40]).to_netcdf(tmp_path / "lost.nc")
    assert np.isnan(read_daily_flow(tmp_path / "lost.nc", None, ids, dates)[1]).all()


def test_weeks_are_no_days(tmp_path):
    write(tmp_path / "weeks.nc", np.ones((10, 2)), "168h")
    dates = np.datetime64("2001-01-01") + np.arange(3)
    with pytest.raises(ResultsError, match="in steps of 604800 s, but is needed in steps of 86400"):
        read_daily_flow(tmp_path / "weeks.nc", None, np.array(["a", "b"]), dates)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [("divide_id", {}), ("gauge_id", {}), ("whatever", {"cf_role": "timeseries_id"}), ("ids", {})],
)
def test_catchments_are_found_as_in_weather(tmp_path, name, attributes):
    flow = write(tmp_path / "f.nc", np.ones((48, 2)), name=name, **attributes)
    found = read_flow(tmp_path / "f.nc")
    assert found["station"].values.tolist() == ["a", "b"]
    assert np.array_equal(found.values, flow)
    dates = np.datetime64("2001-01-01") + np.arange(48)
    assert read_daily_flow(tmp_path / "f.nc", None, np.array(["b"]), dates).shape == (48, 1)


def test_times_that_are_none_or_do_not_increase(tmp_path):
    path = tmp_path / "f.nc"
    write(path, np.ones((48, 2)))
    with xarray.open_dataset(path) as data:
        data.isel(time=[0, 2, 1, 3]).to_netcdf(tmp_path / "unsorted.nc")
        data.isel(time=[0, 1, 1, 3]).to_netcdf(tmp_path / "twice.nc")
        data.drop_vars("time").to_netcdf(tmp_path / "none.nc")
    for name, match in (
        ("unsorted", "time does not increase after 2001-01-03"),
        ("twice", "time does not increase after 2001-01-02"),
        ("none", "has no times that can be read"),
    ):
        with pytest.raises(ResultsError, match=match):
            read_flow(tmp_path / f"{name}.nc")
    with netCDF4.Dataset(path, "a") as data:
        data["time"].units = "fortnights since the flood"
    with pytest.raises(ResultsError, match=r"f\.nc: "):
        read_flow(path)


def test_damaged_files_end_in_one_message(tmp_path):
    path, bad = tmp_path / "f.nc", tmp_path / "bad.nc"
    write(path, np.random.default_rng(0).random((4000, 2)))
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    for length in random.integers(0, len(whole), 15):
        bad.write_bytes(whole[:length])
        with pytest.raises(ResultsError, match=r"bad\.nc"):
            read_flow(bad)


def test_the_mean_of_an_ensemble_is_evaluated(tmp_path):
    config = write_example(tmp_path / "run", 3, 400, "1d", "file", model="fast")
    run_config(config, tmp_path / "observed.nc")
    config.write_text(
        config.read_text() + "ensemble: {members: 5, weather: {precipitation: {spread: 0.3}}}\n"
    )
    run_config(config, tmp_path / "members.nc")
    with xarray.open_dataset(tmp_path / "members.nc") as data:
        expected = data[FLUX].mean("member").values * 24.0
    assert members_in(tmp_path / "members.nc") == 5
    np.testing.assert_allclose(read_flow(tmp_path / "members.nc").values, expected, rtol=1e-6)
    result = CliRunner().invoke(
        main,
        [
            *("evaluate", f"{tmp_path}/members.nc", f"{tmp_path}/observed.nc"),
            *("--out", f"{tmp_path}/report"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "the mean of 5 members is compared" in result.output
    assert "3 catchments" in result.output


@pytest.fixture(scope="module")
def hourly(tmp_path_factory):
    """Results of a run in hours, and the same as observations, of which one catchment has none."""
    folder = tmp_path_factory.mktemp("hourly")
    config = write_example(folder / "run", 3, 40, "1h", "file", model="fast")
    run_config(config, folder / "results.nc")
    flow = read_flow(folder / "results.nc")
    flow[:, 1] = np.nan
    flow[30] = -999.0
    flow.attrs["units"] = "mm d-1"
    flow.rename("streamflow").rename(station="gauge_id").to_netcdf(folder / "observed.nc")
    return folder


def evaluated(folder, *more, results="results.nc", observed="observed.nc"):
    return CliRunner().invoke(
        main,
        ["evaluate", f"{folder}/{results}", f"{folder}/{observed}", "--out", f"{folder}/r", *more],
    )


def test_hours_and_periods_are_evaluated(hourly):
    with np.errstate(all="ignore"):
        for more, days in (
            ((), 39),
            (("--step", "1h"), 40 - 1 / 24),
            (("--step", "6h", "--start", "2000-10-11"), 30),
            (("--step", "1h", "--start", "2000-10-11", "--end", "2000-10-21"), 10),
            (("--warm-up", "5", "--end", "2000-10-21"), 15),
        ):
            result = evaluated(hourly, *more)
            assert result.exit_code == 0, result.output
            assert "left out, no observation: cat-2 (1 catchment)" in result.output
            assert "2 catchments" in result.output
            rows = (hourly / "r" / "scores.csv").read_text().splitlines()
            assert [row.split(",")[0] for row in rows[1:]] == ["cat-1", "cat-3"]
            column = rows[0].split(",").index("days")
            assert float(rows[1].split(",")[column]) == pytest.approx(days, rel=1e-4)
            assert float(rows[1].split(",")[rows[0].split(",").index("nse")]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (("--start", "now"), "'now' is no date"),
        (("--start", "2001-10-11"), "no step is in both"),
        (("--step", "7h"), "does not divide a day"),
        (("--step", "30min"), "needed in steps of 1800 s"),
        (("--result-variable", "flaw"), "there is no flow flaw"),
    ],
)
def test_what_cannot_be_evaluated(hourly, more, match):
    result = evaluated(hourly, *more)
    assert result.exit_code == 1
    assert match in result.output
    assert result.output.count("Error") == 1


def test_swapped_files_are_refused(hourly):
    result = evaluated(hourly, results="observed.nc", observed="results.nc")
    assert result.exit_code == 1
    assert "give RESULTS first, then OBSERVED" in result.output
    # Two runs may be compared.
    assert evaluated(hourly, observed="results.nc").exit_code == 0


def test_means_are_of_whole_steps():
    times = np.datetime64("2001-01-01T06", "ns") + np.arange(42) * np.timedelta64(1, "h")
    series = xarray.DataArray(np.ones((42, 1)), {"time": times}, ("time", "station"))
    assert np.isnan(averaged("x", series, 86400).values[:, 0]).tolist() == [True, False]


def test_a_comparison_without_observations_is_an_error():
    times = np.datetime64("2001-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    flow = xarray.DataArray(np.ones((5, 1)), {"time": times, "station": ["a"]}, ("time", "station"))
    with pytest.raises(ResultsError, match="no catchment has an observation"):
        compare(flow, flow * np.nan)


def test_ids_that_are_not_ascii_go_through_files(tmp_path):
    from bmi_dhydro.io.export import write_catchments

    config = write_example(tmp_path / "run", 2, 30, "1d", "file", model="fast")
    table = config.parent / "catchments.csv"
    table.write_text(table.read_text().replace("cat-1", "Örebro"), encoding="utf-8")
    with netCDF4.Dataset(config.parent / "weather.nc", "a") as data:
        data["station_id"][0] = "Örebro"
    state = tmp_path / "s.nc"
    config.write_text(config.read_text() + f"save_state: {state}\n")
    run_config(config, tmp_path / "results.nc")
    assert read_flow(tmp_path / "results.nc")["station"].values.tolist() == ["Örebro", "cat-2"]
    from bmi_dhydro.io import state_file
    from bmi_dhydro.physics import HBV

    assert state_file.read(state, HBV.state_names).ids.tolist() == ["Örebro", "cat-2"]
    catchments = Catchments.from_columns({"id": ["Örebro"], "area": [1.0]}, "test")
    write_catchments(tmp_path / "t.csv", catchments)
    assert "Örebro" in (tmp_path / "t.csv").read_text(encoding="utf-8")
