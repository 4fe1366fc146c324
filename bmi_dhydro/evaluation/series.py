"""Series of catchments from NetCDF files: results of runs, and observations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError, UnitsError, listed
from ..io.netcdf import Reader, loaded
from ..units import conversion, dimension
from ..variables import RUNOFF_FLUX

if TYPE_CHECKING:
    import xarray

_FLOW_NAMES = (
    RUNOFF_FLUX,
    "land_surface_water__runoff_depth",
    "channel_exit_water_x-section__volume_flow_rate",
    "streamflow",
    "discharge",
    "qobs",
    "QObs",
    "runoff",
    "flow",
    "q",
    "Q",
)
# Depths that are water in a store, not water that passes in a step.
STORES = ("snowpack__liquid-equivalent_depth", "snow_water_equivalent", "swe", "SWE")

_ID_NAMES = ("station_id", "ids", "basin", "catchment", "gauge_id", "station", "id")


def read_flow(path: Path, variable: str | None = None) -> xarray.DataArray:
    """Read flow as mm d-1.

    Parameters
    ----------
    path : Path
        NetCDF file with a catchment and a time dimension, in either order. Flow is a depth per
        step, a rate, or a volume per time with a variable `area` (km2).
    variable : str, optional
        Name of the flow; recognised, unless given.

    Returns
    -------
    DataArray, dimensions (time, station)
        With coordinates `station`, and `latitude`, `longitude` where the file has them.

    Raises
    ------
    ResultsError
        If the file is missing, or its flow, ids or units are not recognised.
    """
    names = [variable] if variable else list(_FLOW_NAMES)
    data = _loaded(path, names)
    name = next((name for name in names if name in data), None)
    if name is None:
        raise ResultsError(
            f"{path}: there is no flow {variable or ''} (it has {_all(path)}); name it"
        )
    return _series(path, data, name)


def read_flow_of(ids: NDArray, path: Path, variable: str | None = None) -> xarray.DataArray:
    """Read flow of some catchments as mm d-1, in their order; NaN where the file has none.

    Parameters
    ----------
    ids : array of str, shape (catchments,)
    path, variable
        As for `read_flow`.

    Raises
    ------
    ResultsError
        As `read_flow`, and if the file has none of the catchments.
    """
    flow = read_flow(path, variable)
    stations = flow["station"].values
    if not set(ids.tolist()) & set(stations.tolist()):
        raise ResultsError(
            f"{path}: has flow of {listed(stations)}, but of none of the catchments {listed(ids)}"
        )
    return flow.reindex(station=ids)


def read_other(path: Path, names: Sequence[str]) -> xarray.DataArray | None:
    """Read a flux as mm d-1, or a store as mm, if a file has it.

    Parameters
    ----------
    path : Path
        As for `read_flow`.
    names : sequence of str
        What it may be called; those in `STORES` are stores.

    Returns
    -------
    DataArray or None
        As `read_flow`.
    """
    data = _loaded(path, names)
    name = next((name for name in names if name in data), None)
    return None if name is None else _series(path, data, name)


def _all(path: Path) -> str:
    reader = Reader(path)
    try:
        return ", ".join(reader.data.variables)
    finally:
        reader.close()


def _loaded(path: Path, names: Sequence[str]) -> xarray.Dataset:
    try:
        return loaded(path, names)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not a readable NetCDF file ({error})") from None


def _series(path: Path, data: xarray.Dataset, name: str) -> xarray.DataArray:
    import xarray

    identifier = next((key for key in _ID_NAMES if key in data.variables), None)
    if identifier is None:
        raise ResultsError(f"{path}: no variable names the catchments; call it station_id")
    station = str(data[identifier].dims[0])
    values = data[name].transpose("time", station).load()
    result = xarray.DataArray(
        _converted(path, values, data),
        dims=("time", "station"),
        coords={"time": data["time"].values, "station": data[identifier].values.astype(str)},
    )
    for target, candidates in (
        ("latitude", ("latitude", "lat", "gauge_lat")),
        ("longitude", ("longitude", "lon", "gauge_lon")),
    ):
        found = next((key for key in candidates if key in data.variables), None)
        if found is not None:
            result = result.assign_coords({target: ("station", data[found].values)})
    return result


def read_daily_flow(path: Path, variable: str | None, ids: NDArray, dates: NDArray) -> NDArray:
    """Read observed flow of some catchments and days.

    Parameters
    ----------
    path, variable
        As for `read_flow`.
    ids : array of str, shape (catchments,)
    dates : array of datetime64, shape (days,)

    Returns
    -------
    array, shape (days, catchments)
        In mm d-1, NaN where there is none.

    Raises
    ------
    ResultsError
        As `read_flow_of`.
    """
    flow = read_flow_of(ids, path, variable).resample(time="1D").mean(skipna=False)
    return flow.reindex(time=dates.astype("datetime64[ns]")).values


def _converted(path: Path, values: Any, data: xarray.Dataset) -> Any:
    """Turn a flux into mm d-1 and a store into mm."""
    units = str(values.attrs.get("units", ""))
    step = np.median(np.diff(data["time"].values)) / np.timedelta64(1, "D")
    try:
        kind = dimension(units)
        if kind == "depth":
            if values.name in STORES:
                return values.values * conversion(units, "mm")[0]
            return values.values * (conversion(units, "mm")[0] / step)
        if kind == "rate":
            return values.values * conversion(units, "mm d-1")[0]
        scale = conversion(units, "m3 d-1")[0]
    except UnitsError as error:
        raise ResultsError(f"{path}: {values.name}: {error}") from None
    if "area" not in data:
        raise ResultsError(
            f"{path}: {values.name} is a volume ({units}); a variable 'area' is needed"
        )
    return values.values * (scale * 1e3 / (data["area"].values * 1e6))
