"""Catchments as the stations of a CF NetCDF file of time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..catchments.catchments import Catchments


def define_stations(data: Any, catchments: Catchments) -> None:
    """Define the dimension `station`, its ids (`ds.sel(station=ID)` in xarray), places and areas.

    Parameters
    ----------
    data : netCDF4.Dataset
    catchments : Catchments
    """
    data.createDimension("station", len(catchments))
    ids = data.createVariable("station_id", str, ("station",))
    ids.setncatts({"cf_role": "timeseries_id", "long_name": "catchment"})
    ids[:] = catchments.ids.astype(object)
    # A coordinate variable has the name of its dimension: by it xarray selects.
    label = data.createVariable("station", str, ("station",))
    label.setncatts({"long_name": "station_id again, to select by"})
    label[:] = catchments.ids.astype(object)
    for name, units, values in (
        ("latitude", "degrees_north", catchments.latitude),
        ("longitude", "degrees_east", catchments.longitude),
    ):
        variable = data.createVariable(name, "f8", ("station",))
        variable.setncatts({"standard_name": name, "units": units})
        variable[:] = values
    area = data.createVariable("area", "f8", ("station",))
    area.setncatts({"long_name": "catchment area", "units": "km2"})
    area[:] = catchments.area


def define_members(data: Any, members: int) -> None:
    """Define the dimension `member` and its numbers.

    Parameters
    ----------
    data : netCDF4.Dataset
    members : int
    """
    data.createDimension("member", members)
    number = data.createVariable("member", "i4", ("member",))
    number.setncatts({"standard_name": "realization", "long_name": "ensemble member", "units": "1"})
    number[:] = np.arange(members)
