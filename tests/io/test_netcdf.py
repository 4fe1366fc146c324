"""Ids of catchments in NetCDF files, however they are kept."""

import netCDF4
import numpy as np
import pytest
import xarray

from bmi_dhydro.io.netcdf import Reader, identifier, loaded, texts


@pytest.mark.parametrize("name", ["ids", "station_id", "divide_id", "gauge_id", "basin"])
def test_usual_names_are_known(tmp_path, name):
    path = tmp_path / "data.nc"
    xarray.Dataset({"flow": (name, [1.0, 2.0])}, {name: ["01", "2"]}).to_netcdf(path)
    with netCDF4.Dataset(path) as data:
        assert identifier(data.variables) == name
        assert texts(data[name]).tolist() == ["01", "2"]
    with xarray.open_dataset(path) as data:
        assert identifier(data.variables) == name


def test_a_role_comes_before_a_name(tmp_path):
    path = tmp_path / "data.nc"
    role = ("n", ["a", "b"], {"cf_role": "timeseries_id"})
    xarray.Dataset({"gauge": ("n", ["x", "y"]), "code": role}).to_netcdf(path)
    with netCDF4.Dataset(path) as data:
        assert identifier(data.variables) == "code"
    assert identifier({}) is None


def test_characters_and_numbers_are_texts(tmp_path):
    path = tmp_path / "data.nc"
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("n", 2)
        data.createDimension("width", 4)
        letters = data.createVariable("letters", "S1", ("n", "width"))
        letters[:] = netCDF4.stringtochar(np.array(["ab", "cde"], "S4"))
        data.createVariable("numbers", "i4", ("n",))[:] = [7, 12]
    with netCDF4.Dataset(path) as data:
        assert texts(data["letters"]).tolist() == ["ab", "cde"]
        assert texts(data["numbers"]).tolist() == ["7", "12"]


def test_the_chosen_table_is_loaded_and_all_series(tmp_path):
    path = tmp_path / "data.nc"
    tables = {name: (("n", "time"), np.ones((2, 3))) for name in ("a", "b")}
    xarray.Dataset({**tables, "area": ("n", [3.0, 4.0])}).to_netcdf(path)
    data = loaded(path, ["none", "b", "a"])
    path.unlink()
    assert set(data.variables) == {"b", "area"}
    assert data["area"].values.tolist() == [3.0, 4.0]
    assert data["b"].shape == (2, 3)


def test_a_reader_that_was_closed_gives_no_data(tmp_path):
    path = tmp_path / "data.nc"
    xarray.Dataset({"a": ("n", [1.0, 2.0])}).to_netcdf(path)
    reader = Reader(path)
    assert reader.data["a"][:].tolist() == [1.0, 2.0]
    reader.close()
    with pytest.raises(AssertionError, match="the file is closed"):
        _ = reader.data
