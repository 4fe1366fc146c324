"""Forecasts in files: one CF NetCDF for each, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..catchments.catchments import Catchments
from ..errors import ResultsError
from ..files.whole import replaced
from ..io.netcdf import netcdf4
from ..io.stations import define_members, define_stations
from ..variables import OUTPUTS, RUNOFF_FLUX
from .cycle import Forecast

_EPOCH = "seconds since 1970-01-01 00:00:00"
_VOLUME = next(item for item in OUTPUTS if item.conversion == "depth_to_m3_per_second")


def quantiles(flow: NDArray, shares: Sequence[float]) -> NDArray:
    """Return quantiles over members: shape (steps, shares, catchments)."""
    return np.quantile(flow, list(shares), axis=1).transpose(1, 0, 2)


def write(
    path: Path,
    forecast: Forecast,
    catchments: Catchments,
    step_seconds: int,
    shares: Sequence[float],
) -> None:
    """Write a forecast.

    Parameters
    ----------
    path : Path
    forecast : Forecast
    catchments : Catchments
        Stations of the forecast: catchments, or gauges with the area that drains to them.
    step_seconds : int
    shares : sequence of float
        Quantiles to write beside the members.

    Raises
    ------
    ResultsError
        If the file cannot be written; an earlier one is untouched then.
    """
    try:
        with replaced(path) as temporary, netcdf4().Dataset(temporary, "w") as data:
            _write(data, forecast, catchments, step_seconds, shares)
    except (OSError, RuntimeError) as error:
        raise ResultsError(
            f"{path}: the forecast cannot be written ({error}); is the folder writable, and the "
            "disk not full?"
        ) from None


def _write(
    data: Any,
    forecast: Forecast,
    catchments: Catchments,
    step_seconds: int,
    shares: Sequence[float],
) -> None:
    analysis = forecast.analysis
    begin = str(analysis.began)
    data.setncatts(
        {
            "Conventions": "CF-1.10",
            "featureType": "timeSeries",
            "title": f"Forecast of {forecast.time}",
            "source": f"bmi_dhydro {__version__}",
            "trained_model_fingerprint": analysis.state.fingerprint,
            "analysis_begins": begin,
            "analysis_ends": str(analysis.reached),
            "observations_used": np.int32(analysis.used),
            "observations_left_out": np.int32(analysis.left_out),
            "notes": "; ".join(forecast.notes),
        }
    )
    steps, members, _ = forecast.flow.shape
    data.createDimension("time", steps)
    data.createDimension("quantile", len(shares))
    define_members(data, members)
    define_stations(data, catchments)
    start = int(forecast.time.astype("datetime64[s]").astype(int))
    leads = np.arange(steps) * step_seconds
    _variable(
        data,
        "forecast_reference_time",
        (),
        np.int64(start),
        {"standard_name": "forecast_reference_time", "units": _EPOCH},
    )
    _variable(
        data,
        "time",
        ("time",),
        start + leads,
        {"standard_name": "time", "long_name": "start of the step", "units": _EPOCH, "axis": "T"},
    )
    _variable(
        data,
        "lead_time",
        ("time",),
        leads,
        {"standard_name": "forecast_period", "long_name": "to the start of the step", "units": "s"},
    )
    _variable(data, "quantile", ("quantile",), np.array(shares), {"units": "1"})
    rate = forecast.flow * (3600.0 / step_seconds)
    of_members = quantiles(rate, shares)
    flux = next(item for item in OUTPUTS if item.name == RUNOFF_FLUX)
    text = {"coordinates": "station_id latitude longitude lead_time forecast_reference_time"}
    _variable(
        data,
        flux.name,
        ("time", "member", "station"),
        rate.astype(np.float32),
        {"units": flux.units, "long_name": flux.long_name, **text},
    )
    for item, values in (
        (flux, of_members),
        (_VOLUME, of_members * (catchments.area / 3.6)),
    ):
        _variable(
            data,
            f"{item.name}_quantile",
            ("time", "quantile", "station"),
            values.astype(np.float32),
            {"units": item.units, "long_name": f"{item.long_name}: quantiles of members", **text},
        )
    _variable(
        data,
        "precipitation",
        ("time", "station"),
        (forecast.precipitation * (3600.0 / step_seconds)).astype(np.float32),
        {"units": flux.units, "long_name": "precipitation, mean of members", **text},
    )
    _variable(
        data,
        "water_added",
        ("station",),
        analysis.added,
        {"units": "mm", "long_name": "water that assimilation has added during the analysis"},
    )


def _variable(
    data: Any, name: str, dimensions: tuple[str, ...], values: Any, attributes: dict[str, Any]
) -> None:
    variable = data.createVariable(name, np.asarray(values).dtype, dimensions)
    variable.setncatts(attributes)
    variable[...] = values
