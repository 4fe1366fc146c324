"""Catchments and weather to files that the component reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import GEOGRAPHY, Catchments
from ..catchments.synthetic import Weather
from ..files.whole import append_digest, replaced
from .netcdf import netcdf4
from .stations import define_stations


def columns(catchments: Catchments) -> dict[str, NDArray]:
    """Return the columns of a catchment table."""
    table: dict[str, NDArray] = {"id": catchments.ids}
    for name in GEOGRAPHY:
        values = getattr(catchments, name)
        if np.isfinite(values).any():
            table[name] = values
    table.update({name: values for name, values in catchments.attributes.items() if name != "area"})
    return table


def write_catchments(
    path: Path, catchments: Catchments, number: str = "%.6g", digest: bool = False
) -> None:
    """Write a catchment table as CSV.

    Parameters
    ----------
    path : Path
    catchments : Catchments
    number : str
        Format of numbers.
    digest : bool
        Whether the table ends with a digest, for `files.whole.digest_holds`.
    """
    import pandas

    with replaced(path) as temporary:
        pandas.DataFrame(columns(catchments)).to_csv(temporary, index=False, float_format=number)
        if digest:
            append_digest(temporary)


def write_weather(path: Path, catchments: Catchments, weather: Weather) -> None:
    """Write weather as a CF NetCDF file with dimensions (station, time)."""
    rows = (
        (
            "precipitation",
            "mm h-1",
            "precipitation",
            weather.precipitation * (3600.0 / weather.step_seconds),
        ),
        ("temperature", "degC", "mean air temperature", weather.temperature),
        (
            "temperature_minimum",
            "degC",
            "lowest air temperature of the day",
            weather.temperature_minimum,
        ),
        (
            "temperature_maximum",
            "degC",
            "highest air temperature of the day",
            weather.temperature_maximum,
        ),
    )
    steps = weather.precipitation.shape[0]
    with replaced(path) as temporary, netcdf4().Dataset(temporary, "w") as data:
        data.setncatts({"Conventions": "CF-1.10", "featureType": "timeSeries"})
        data.title = "Made-up weather"
        define_stations(data, catchments)
        data.createDimension("time", steps)
        time = data.createVariable("time", "f8", ("time",))
        time.units = f"seconds since {str(weather.start).replace('T', ' ')}"
        time.standard_name = "time"
        time.calendar = "proleptic_gregorian"
        time[:] = np.arange(steps) * float(weather.step_seconds)
        for name, units, long_name, values in rows:
            variable = data.createVariable(name, "f4", ("station", "time"), compression="zlib")
            variable.setncatts({"units": units, "long_name": long_name})
            variable[:] = values.T
