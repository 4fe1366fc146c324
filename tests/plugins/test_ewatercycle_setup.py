"""Configurations and weather of runs that eWaterCycle sets up."""

import numpy as np
import pytest
import xarray
import yaml

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError, ForcingError
from bmi_dhydro.plugins.ewatercycle_setup import (
    catchment_ids,
    configuration,
    weather_of,
    write_checked,
)

DAYS = np.arange("2000-10-01", "2001-12-01", dtype="datetime64[D]").astype("datetime64[ns]")


def write_forcing(folder, catchments=None):
    """Files as ESMValTool's recipes of lumped forcing leave them: CMOR, one for each variable."""
    random = np.random.default_rng(0)
    season = 10.0 * np.sin(np.arange(DAYS.size) / 58.0)
    rows = {
        "pr": (random.gamma(0.3, 8.0, DAYS.size) / 86400.0, "kg m-2 s-1"),
        "tas": (280.0 + season, "K"),
        "tasmin": (275.0 + season, "K"),
        "tasmax": (286.0 + season, "K"),
    }
    files = {}
    for name, (values, units) in rows.items():
        dims, coords = ("time",), {"time": DAYS, "lat": 47.0, "lon": 8.0}
        if catchments is not None:
            dims, values = ("time", "id"), np.stack([values] * len(catchments), axis=1)
            coords = {"time": DAYS, "id": catchments}
        data = xarray.Dataset({name: (dims, values, {"units": units})}, coords)
        if catchments is None:
            data["time_bnds"] = (("time", "bnds"), np.stack([DAYS, DAYS], axis=1))
            data = data.expand_dims({"shape_id": 1}).transpose("time", ...)
        files[name] = folder / f"OBS6_ERA5_day_{name}.nc"
        data.to_netcdf(files[name])
    return files


@pytest.fixture
def base(tmp_path):
    return write_example(tmp_path / "set", 3, 730, "1d", "file")


def test_a_configuration_is_what_it_starts_from_changed(base, tmp_path):
    wanted = configuration(base, {"model": "fast", "time": {"step": "6h"}})
    path = write_checked(wanted, tmp_path / "config.yaml")
    before, after = read_config(base), read_config(path)
    assert (after.model, after.time.step, after.grid) == ("fast", "6h", "points")
    assert after.time.units == "seconds since <start>"
    # Paths are those of the parameter set, from wherever the run is.
    assert after.catchments == before.catchments
    assert after.forcing == before.forcing
    assert catchment_ids(wanted) == ["cat-1", "cat-2", "cat-3"]
    wanted = configuration(base, {"catchments": {"select": ["cat-2"]}})
    assert catchment_ids(wanted) == ["cat-2"]


def test_times_of_a_forcing(base):
    wanted = configuration(
        base, {"start_time": "2001-01-01T00:00:00Z", "end_time": "2001-03-01T00:00:00Z"}
    )
    assert wanted["time"]["start"] == "2001-01-01T00:00:00"
    assert wanted["time"]["end"] == "2001-03-01T00:00:00"


def test_weather_of_a_lumped_forcing_is_that_of_all(tmp_path):
    path = tmp_path / "weather.nc"
    weather_of(write_forcing(tmp_path), ["a", "b"], path)
    with xarray.open_dataset(path) as data:
        assert data["id"].values.tolist() == ["a", "b"]
        assert set(data.data_vars) == {"pr", "tas", "tasmin", "tasmax"}
        assert data["pr"].dims == ("time", "catchment")
        assert data["pr"].attrs["units"] == "kg m-2 s-1"
        assert (data["tas"][:, 0] == data["tas"][:, 1]).all()


def test_weather_of_catchments_by_their_names(tmp_path):
    path = tmp_path / "weather.nc"
    weather_of(write_forcing(tmp_path, ["b", "a"]), ["a", "b"], path)
    with xarray.open_dataset(path) as data:
        assert data["id"].values.tolist() == ["b", "a"]
    with pytest.raises(ForcingError, match="its catchments, b, a, are not those"):
        weather_of(write_forcing(tmp_path, ["b", "a"]), ["a", "c"], path)
    with pytest.raises(ForcingError, match="has 2 catchments, and the configuration has 1"):
        weather_of(write_forcing(tmp_path, ["b", "a"]), ["a"], path)


def test_bad_input(base, tmp_path):
    with pytest.raises(ConfigError, match="catchments: nothing says which"):
        configuration(None, {"model": "fast"})
    with pytest.raises(ConfigError, match="time.stop"):
        write_checked(configuration(base, {"time": {"stop": 3}}), tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="start_time"):
        configuration(base, {"start_time": "yesterday"})
    files = write_forcing(tmp_path)
    with pytest.raises(ForcingError, match="has no variable pr; it has tas"):
        weather_of({"pr": files["tas"]}, ["a"], tmp_path / "weather.nc")
    with pytest.raises(ForcingError, match=r"gone.nc: cannot be read"):
        weather_of({"pr": tmp_path / "gone.nc"}, ["a"], tmp_path / "weather.nc")
    grid = xarray.Dataset(
        {"pr": (("time", "lat", "lon"), np.zeros((DAYS.size, 2, 3)))}, {"time": DAYS}
    )
    grid.to_netcdf(tmp_path / "grid.nc")
    with pytest.raises(ForcingError, match="pr is a grid of lat x lon"):
        weather_of({"pr": tmp_path / "grid.nc"}, ["a"], tmp_path / "weather.nc")
    assert not (tmp_path / "weather.nc").exists()


def test_no_inline_value_is_lost(tmp_path):
    path = write_example(tmp_path / "one", 1, 60, "1d", "host")
    wanted = configuration(path, {})
    written = yaml.safe_load(path.read_text())["catchments"]["inline"]
    assert wanted["catchments"]["inline"] == written
