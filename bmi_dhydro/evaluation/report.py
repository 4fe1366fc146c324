"""Compare simulated with observed flow, catchment by catchment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ResultsError, UnitsError, listed
from ..files import replaced
from ..units import conversion, dimension
from . import metrics, plots

if TYPE_CHECKING:
    import pandas
    import xarray

_FLOW_NAMES = (
    "land_surface_water__runoff_volume_flux",
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
    import xarray

    try:
        data = xarray.open_dataset(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not a readable NetCDF file ({error})") from None
    with data:
        names = [variable] if variable else list(_FLOW_NAMES)
        name = next((name for name in names if name in data), None)
        if name is None:
            raise ResultsError(
                f"{path}: there is no flow {variable or ''} (it has {', '.join(map(str, data))}); "
                "name it"
            )
        identifier = next((name for name in _ID_NAMES if name in data.variables), None)
        if identifier is None:
            raise ResultsError(f"{path}: no variable names the catchments; call it station_id")
        dimension_name = data[identifier].dims[0]
        flow = data[name].transpose("time", dimension_name).load()
        values = _millimetres_per_day(path, flow, data, str(dimension_name))
        result = xarray.DataArray(
            values,
            dims=("time", "station"),
            coords={"time": data["time"].values, "station": data[identifier].values.astype(str)},
        )
        for target, candidates in (
            ("latitude", ("latitude", "lat", "gauge_lat")),
            ("longitude", ("longitude", "lon", "gauge_lon")),
        ):
            found = next((name for name in candidates if name in data.variables), None)
            if found is not None:
                result = result.assign_coords({target: ("station", data[found].values)})
    return result


def _millimetres_per_day(path: Path, flow: Any, data: Any, station: str) -> Any:
    units = str(flow.attrs.get("units", ""))
    step = np.median(np.diff(data["time"].values)) / np.timedelta64(1, "D")
    try:
        kind = dimension(units)
        if kind == "depth":
            return flow.values * (conversion(units, "mm")[0] / step)
        if kind == "rate":
            return flow.values * conversion(units, "mm d-1")[0]
        scale = conversion(units, "m3 d-1")[0]
    except UnitsError as error:
        raise ResultsError(f"{path}: {flow.name}: {error}") from None
    if "area" not in data:
        raise ResultsError(
            f"{path}: {flow.name} is a volume ({units}); a variable 'area' is needed"
        )
    return flow.values * (scale * 1e3 / (data["area"].values * 1e6))


def compare(
    simulated: xarray.DataArray, observed: xarray.DataArray, warm_up_days: int = 0
) -> pandas.DataFrame:
    """Score daily means of simulated flow where there is observed flow.

    Parameters
    ----------
    simulated, observed : DataArray
        Of `read_flow`.
    warm_up_days : int
        Days at the start of the simulation that do not count.

    Returns
    -------
    DataFrame
        A row for each catchment that both have: `nse`, `kge`, `correlation`, `variability`,
        `bias_ratio`, `relative_bias`, `days`, `latitude`, `longitude`.

    Raises
    ------
    ResultsError
        If they share no catchment, or no day.
    """
    import pandas

    common = [s for s in simulated["station"].values if s in set(observed["station"].values)]
    if not common:
        raise ResultsError(
            f"results are of {listed(simulated['station'].values)}, observations of "
            f"{listed(observed['station'].values)}: no catchment is in both"
        )
    daily = [
        flow.sel(station=common).resample(time="1D").mean(skipna=False)
        for flow in (simulated, observed)
    ]
    first = daily[0]["time"].values[0] + np.timedelta64(warm_up_days, "D")
    times = np.intersect1d(daily[0]["time"].values, daily[1]["time"].values)
    times = times[times >= first]
    if not times.size:
        raise ResultsError(
            f"results cover {daily[0]['time'].values[0]} to {daily[0]['time'].values[-1]}, "
            f"observations {daily[1]['time'].values[0]} to {daily[1]['time'].values[-1]}: no day "
            "is in both"
        )
    ours, theirs = (flow.sel(time=times).values for flow in daily)
    correlation, variability, bias = metrics.kge_parts(ours, theirs)
    frame = pandas.DataFrame(
        {
            "nse": metrics.nse(ours, theirs),
            "kge": metrics.kge(ours, theirs),
            "correlation": correlation,
            "variability": variability,
            "bias_ratio": bias,
            "relative_bias": bias - 1.0,
            "days": np.isfinite(theirs).sum(axis=0),
        },
        index=pandas.Index(common, name="catchment"),
    )
    for name in ("latitude", "longitude"):
        source = simulated if name in simulated.coords else observed
        if name in source.coords:
            frame[name] = source.sel(station=common)[name].values
    return frame


def write_report(folder: Path, scores: pandas.DataFrame) -> list[Path]:
    """Write `scores.csv`, `skill.png` (distribution) and `map.png` to a folder.

    Returns
    -------
    list of Path
        What was written; no map where there are no coordinates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "scores.csv", folder / "skill.png"]
    with replaced(written[0]) as temporary:
        scores.to_csv(temporary, float_format="%.5g")
    plots.skill_distribution(
        written[1], {"NSE": scores["nse"].to_numpy(), "KGE": scores["kge"].to_numpy()}
    )
    if {"latitude", "longitude"} <= set(scores.columns):
        longitude, latitude = scores["longitude"].to_numpy(), scores["latitude"].to_numpy()
        if np.isfinite(longitude).any():
            written.append(folder / "map.png")
            plots.skill_map(written[2], longitude, latitude, scores["nse"].to_numpy(), "NSE")
    return written
