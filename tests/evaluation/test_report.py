import numpy as np
import pytest
import xarray

from bmi_dhydro.errors import ResultsError
from bmi_dhydro.evaluation.comparison import compare
from bmi_dhydro.evaluation.plots import snow_seasons
from bmi_dhydro.evaluation.series import read_flow


def write(path, units="mm d-1", name="streamflow", step="1D", ids=("a", "b"), area=None, factor=1):
    hours = 24 if step == "1D" else 1
    times = np.datetime64("2001-01-01", "ns") + np.arange(48) * np.timedelta64(hours, "h")
    flow = np.random.default_rng(0).gamma(1.0, 2.0, (48, 2)) * factor
    data = xarray.Dataset(
        {name: (("time", "basin"), flow, {"units": units})},
        {"basin": list(ids), "time": times},
    )
    if area is not None:
        data["area"] = ("basin", area)
    data.to_netcdf(path)
    return flow


@pytest.mark.parametrize(
    ("units", "step", "factor"),
    [("mm d-1", "1D", 1.0), ("mm h-1", "1h", 24.0), ("m", "1h", 24000.0), ("mm", "1D", 1.0)],
)
def test_flow_becomes_millimetres_per_day(tmp_path, units, step, factor):
    flow = write(tmp_path / "a.nc", units, step=step)
    np.testing.assert_allclose(read_flow(tmp_path / "a.nc").values, flow * factor)


def test_volumes_need_areas(tmp_path):
    flow = write(tmp_path / "a.nc", "m3 s-1", area=[10.0, 20.0])
    expected = flow * 86.4 / np.array([10.0, 20.0])
    np.testing.assert_allclose(read_flow(tmp_path / "a.nc").values, expected)
    write(tmp_path / "b.nc", "m3 s-1")
    with pytest.raises(ResultsError, match="a variable 'area' is needed"):
        read_flow(tmp_path / "b.nc")


def test_hourly_results_are_compared_by_day(tmp_path):
    write(tmp_path / "a.nc", "mm h-1", step="1h")
    hourly = read_flow(tmp_path / "a.nc")
    daily = hourly.resample(time="1D").mean()
    assert compare(hourly, daily).scores["nse"].to_numpy() == pytest.approx(1.0)


def test_what_cannot_be_compared(tmp_path):
    write(tmp_path / "a.nc")
    write(tmp_path / "b.nc", ids=("c", "d"))
    with pytest.raises(ResultsError, match="results are of a, b, observations of c, d"):
        compare(read_flow(tmp_path / "a.nc"), read_flow(tmp_path / "b.nc"))
    ours = read_flow(tmp_path / "a.nc")
    later = ours.assign_coords(time=ours["time"].values + np.timedelta64(9999, "D"))
    with pytest.raises(ResultsError, match="no step is in both"):
        compare(ours, later)
    with pytest.raises(ResultsError, match="there is no flow level"):
        read_flow(tmp_path / "a.nc", "level")
    write(tmp_path / "c.nc", units="bananas")
    with pytest.raises(ResultsError, match="'bananas' is unknown"):
        read_flow(tmp_path / "c.nc")
    (tmp_path / "d.nc").write_text("text")
    with pytest.raises(ResultsError, match="not a readable NetCDF file"):
        read_flow(tmp_path / "d.nc")


def test_months_without_snow_to_show_are_left_open(tmp_path):
    means = np.full((12, 3), np.nan)
    means[2:6] = np.arange(12.0).reshape(4, 3)
    snow_seasons(tmp_path / "snow.png", {"simulated": means})
    assert (tmp_path / "snow.png").stat().st_size > 1000
