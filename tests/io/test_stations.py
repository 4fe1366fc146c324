"""Catchments are stations of CF, members are realizations."""

import netCDF4
import numpy as np

from bmi_dhydro.catchments.synthetic import make_catchments
from bmi_dhydro.io.stations import define_members, define_stations


def test_stations_and_members(tmp_path):
    catchments = make_catchments(3)
    with netCDF4.Dataset(tmp_path / "data.nc", "w") as data:
        define_stations(data, catchments)
        define_members(data, 4)
    with netCDF4.Dataset(tmp_path / "data.nc") as data:
        assert data["station_id"].cf_role == "timeseries_id"
        assert data["station_id"][:].tolist() == catchments.ids.tolist()
        np.testing.assert_allclose(data["area"][:], catchments.area)
        assert (data["latitude"].units, data["longitude"].units) == (
            "degrees_north",
            "degrees_east",
        )
        assert data["member"][:].tolist() == [0, 1, 2, 3]
        assert data["member"].standard_name == "realization"
