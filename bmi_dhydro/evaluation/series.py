"""Series of catchments from NetCDF files: results of runs, and observations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError, UnitsError, listed
from ..io.netcdf import READ_ERRORS, Reader, identifier, loaded
from ..units import SECONDS_PER_DAY, conversion, dimension
from ..variables import RUNOFF_FLUX, quantile_of

if TYPE_CHECKING:
    import xarray

_log = logging.getLogger(__name__)

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
    # Of a band, its median.
    quantile_of(RUNOFF_FLUX, 0.5),
)
# Depths that are water in a store, not water that passes in a step.
STORES = ("snowpack__liquid-equivalent_depth", "snow_water_equivalent", "swe", "SWE")

# Dimension of the members of an ensemble in results.
MEMBER = "member"


def read_flow(path: Path, variable: str | None = None) -> xarray.DataArray:
    """Read flow as mm d-1.

    Parameters
    ----------
    path : Path
        NetCDF file with a catchment and a time dimension, in either order. Flow is a depth per
        step, a rate, or a volume per time with a variable `area` (km2). Of an ensemble the mean of
        the members is taken. What is below zero (-999 stands for a gap in many files) or not finite
        is a gap.
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
    return _without_gaps(path, _series(path, data, name))


def read_members(path: Path) -> xarray.DataArray | None:
    """Read the flow of each member of an ensemble, as mm d-1.

    Parameters
    ----------
    path : Path
        As for `read_flow`.

    Returns
    -------
    DataArray, dimensions (time, member, station), or None
        None where results have one member.
    """
    import xarray

    if members_in(path) == 1:
        return None
    data = _loaded(path, _FLOW_NAMES)
    name = next(name for name in _FLOW_NAMES if name in data)
    members = [
        _series(path, data.isel({MEMBER: number}), name) for number in range(data.sizes[MEMBER])
    ]
    return xarray.concat(members, MEMBER).transpose("time", MEMBER, "station")


def members_in(path: Path) -> int:
    """Return how many members the results in a file have; 1 where they are no ensemble."""
    reader = _opened(path)
    try:
        dimensions = reader.data.dimensions
        return len(dimensions[MEMBER]) if MEMBER in dimensions else 1
    finally:
        reader.close()


def is_simulated(path: Path) -> bool:
    """Return whether a file has results of this package."""
    reader = _opened(path)
    try:
        return "trained_model_fingerprint" in reader.data.ncattrs()
    finally:
        reader.close()


def _without_gaps(path: Path, flow: xarray.DataArray) -> xarray.DataArray:
    """Turn flow that cannot be into NaN, and say so."""
    values = flow.values
    wrong = (values < 0.0) | np.isinf(values)
    if wrong.any():
        step, column = np.argwhere(wrong)[0]
        _log.warning(
            "%s: %d values of flow are negative or not finite and left out, the first (%g mm d-1) "
            "of %s at %s",
            path,
            int(wrong.sum()),
            values[step, column],
            flow["station"].values[column],
            flow["time"].values[step].astype("datetime64[s]"),
        )
        flow = flow.where(~wrong)
    return flow


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


def read_other(
    path: Path, names: Sequence[str], stored: bool | None = None
) -> xarray.DataArray | None:
    """Read a flux as mm d-1, or a store as mm, if a file has it.

    Parameters
    ----------
    path : Path
        As for `read_flow`.
    names : sequence of str
        What it may be called; those in `STORES` are stores.
    stored : bool, optional
        Whether it is a store, whatever it is called.

    Returns
    -------
    DataArray or None
        As `read_flow`.
    """
    data = _loaded(path, names)
    name = next((name for name in names if name in data), None)
    return None if name is None else _series(path, data, name, stored)


def _opened(path: Path) -> Reader:
    try:
        return Reader(path)
    except READ_ERRORS as error:
        raise ResultsError(f"{path}: not a readable NetCDF file ({error})") from None


def _all(path: Path) -> str:
    reader = _opened(path)
    try:
        return ", ".join(reader.data.variables)
    finally:
        reader.close()


def _loaded(path: Path, names: Sequence[str]) -> xarray.Dataset:
    try:
        return loaded(path, names)
    except READ_ERRORS as error:
        raise ResultsError(f"{path}: not a readable NetCDF file ({error})") from None


def _series(
    path: Path, data: xarray.Dataset, name: str, stored: bool | None = None
) -> xarray.DataArray:
    import xarray

    key = identifier(data.variables)
    if key is None or data[key].ndim != 1:
        raise ResultsError(
            f"{path}: no variable names the catchments; give one cf_role = 'timeseries_id', or "
            "call it station_id"
        )
    station = str(data[key].dims[0])
    values = data[name]
    if MEMBER in values.dims and station != MEMBER:
        values = values.mean(MEMBER, keep_attrs=True)
    if set(values.dims) != {"time", station}:
        raise ResultsError(
            f"{path}: {name} has dimensions {', '.join(map(str, values.dims))}; expected time and "
            f"{station}"
        )
    values = values.transpose("time", station).load()
    result = xarray.DataArray(
        _converted(path, values, data, name in STORES if stored is None else stored),
        dims=("time", "station"),
        coords={
            "time": _times(path, data),
            "station": np.char.strip(data[key].values.astype(str)),
        },
    )
    for target, candidates in (
        ("latitude", ("latitude", "lat", "gauge_lat")),
        ("longitude", ("longitude", "lon", "gauge_lon")),
    ):
        found = next((key for key in candidates if key in data.variables), None)
        if found is not None:
            result = result.assign_coords({target: ("station", data[found].values)})
    return result


def _times(path: Path, data: xarray.Dataset) -> NDArray:
    """Return the times of a file, which must increase."""
    times = data["time"].values if "time" in data.variables else np.empty(0)
    if times.ndim != 1 or times.size == 0 or times.dtype.kind != "M":
        raise ResultsError(
            f"{path}: has no times that can be read; give a variable 'time' with units such as "
            "'days since 1990-01-01', of the real calendar"
        )
    if np.isnat(times).any():
        raise ResultsError(f"{path}: time has missing values")
    wrong = np.diff(times) <= np.timedelta64(0, "ns")
    if wrong.any():
        where = times[int(np.argmax(wrong))].astype("datetime64[s]")
        raise ResultsError(f"{path}: time does not increase after {where}; sort the file")
    return times


def averaged(path: object, flow: xarray.DataArray, seconds: int) -> xarray.DataArray:
    """Return means over steps of a length; NaN for steps that are not there as a whole.

    Parameters
    ----------
    path : Path or str
        What to call the series in errors.
    flow : DataArray, dimensions (time, station)
        Flow as returned by `read_flow` or `read_other`.
    seconds : int
        Length of the steps, which begin at midnight.

    Raises
    ------
    ResultsError
        If the series is in longer steps.
    """
    import xarray

    times = flow["time"].values
    if times.size == 0:
        return flow
    own = float(seconds)
    if times.size > 1:
        own = float(np.median(np.diff(times)) / np.timedelta64(1, "s"))
    if own > seconds * 1.001:
        raise ResultsError(
            f"{path}: is in steps of {own:.0f} s, but is needed in steps of {seconds} s; what "
            "happens within its steps is not known"
        )
    midnight, length = times[0].astype("datetime64[D]"), np.timedelta64(seconds, "s")
    steps, begins = np.unique((times - midnight) // length, return_index=True)
    counts = np.diff([*begins, times.size])[:, None]
    means = np.add.reduceat(flow.values, begins, axis=0) / counts
    covered = np.arange(steps[0], steps[-1] + 1)
    values = np.full((covered.size, flow.sizes["station"]), np.nan)
    # A mean of the hours that are there is not that of the day.
    values[steps - steps[0]] = np.where(counts >= round(seconds / own), means, np.nan)
    axis = (midnight + covered * length).astype("datetime64[ns]")
    return xarray.DataArray(
        values,
        {"time": axis, "station": flow["station"]},
        ("time", "station"),
        flow.name,
        flow.attrs,
    )


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
    flow = averaged(path, read_flow_of(ids, path, variable), SECONDS_PER_DAY)
    return flow.reindex(time=dates.astype("datetime64[ns]")).values


def _converted(path: Path, values: Any, data: xarray.Dataset, stored: bool) -> Any:
    """Turn a flux into mm d-1 and a store into mm."""
    units = str(values.attrs.get("units", ""))
    try:
        kind = dimension(units)
        if kind == "depth":
            if stored:
                return values.values * conversion(units, "mm")[0]
            times = _times(path, data)
            if times.size < 2:
                raise ResultsError(
                    f"{path}: {values.name} is a depth of a step of unknown length; give it as a "
                    "rate, such as mm d-1"
                )
            step = np.median(np.diff(times)) / np.timedelta64(1, "D")
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
