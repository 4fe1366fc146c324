"""Compare simulated with observed flow, catchment by catchment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError, listed
from ..units import SECONDS_PER_DAY
from . import metrics
from .series import averaged

if TYPE_CHECKING:
    import pandas
    import xarray


@dataclass(frozen=True)
class Comparison:
    """Simulated and observed flow of the same catchments and days.

    Attributes
    ----------
    scores : DataFrame
        A row for each catchment: `nse`, `kge`, `correlation`, `variability`, `bias_ratio`,
        `relative_bias`, `bias_high`, `bias_low`, baseflow index and annual trend (percent per
        decade) of both flows, `days`, `latitude`, `longitude`.
    dates : array of datetime64, shape (days,)
    simulated, observed : array, shape (steps, catchments)
        In mm d-1.
    seconds : int
        Length of the steps.
    without_flow : tuple of str
        Catchments that have no observation on a step that is simulated; they have no scores.
    """

    scores: pandas.DataFrame
    dates: NDArray
    simulated: NDArray
    observed: NDArray
    seconds: int = SECONDS_PER_DAY
    without_flow: tuple[str, ...] = ()


def compare(
    simulated: xarray.DataArray,
    observed: xarray.DataArray,
    warm_up_days: int = 0,
    start: np.datetime64 | None = None,
    end: np.datetime64 | None = None,
    seconds: int = SECONDS_PER_DAY,
) -> Comparison:
    """Score means of simulated flow where there is observed flow.

    Parameters
    ----------
    simulated, observed : DataArray
        Simulated and observed flow, as `series.read_flow` returns it.
    warm_up_days : int
        Days at the start of the simulation that do not count.
    start, end : datetime64, optional
        Start and end of the period that counts, `end` not included; all, unless given.
    seconds : int
        Length of the steps that are compared; a day, unless given.

    Raises
    ------
    ResultsError
        If they share no catchment, or no step, or one is in longer steps.
    """
    import pandas

    common = [s for s in simulated["station"].values if s in set(observed["station"].values)]
    if not common:
        raise ResultsError(
            f"results are of {listed(simulated['station'].values)}, observations of "
            f"{listed(observed['station'].values)}: no catchment is in both"
        )
    pair = [
        averaged(what, flow.sel(station=common), seconds)
        for what, flow in (("results", simulated), ("observations", observed))
    ]
    first = pair[0]["time"].values[0] + np.timedelta64(warm_up_days, "D")
    times = np.intersect1d(pair[0]["time"].values, pair[1]["time"].values)
    times = times[times >= first]
    if start is not None:
        times = times[times >= start]
    if end is not None:
        times = times[times < end]
    if not times.size:
        covered = [flow["time"].values[[0, -1]].astype("datetime64[m]") for flow in pair]
        wanted = "" if start is None and end is None else f" between {start} and {end}"
        raise ResultsError(
            f"results cover {covered[0][0]} to {covered[0][1]}, observations {covered[1][0]} to "
            f"{covered[1][1]}: no step is in both{wanted}, after {warm_up_days} days of warm-up"
        )
    both = [flow.sel(time=times).values for flow in pair]
    known = (np.isfinite(both[0]) & np.isfinite(both[1])).any(axis=0)
    if not known.any():
        raise ResultsError("no catchment has an observation on a step that is simulated")
    without_flow = tuple(name for name, there in zip(common, known, strict=True) if not there)
    common = [name for name, there in zip(common, known, strict=True) if there]
    ours, theirs = (values[:, known] for values in both)
    correlation, variability, bias = metrics.kge_parts(ours, theirs)
    high, low = metrics.bias_of_extremes(ours, theirs)
    days, our_days, their_days = _daily(times, ours, theirs, seconds)
    same_days = np.where(np.isfinite(their_days), our_days, np.nan)
    years = pandas.DatetimeIndex(days).year.to_numpy()
    frame = pandas.DataFrame(
        {
            "nse": metrics.nse(ours, theirs),
            "kge": metrics.kge(ours, theirs),
            "correlation": correlation,
            "variability": variability,
            "bias_ratio": bias,
            "relative_bias": bias - 1.0,
            "bias_high": high,
            "bias_low": low,
            "baseflow_index_observed": metrics.baseflow_index(their_days),
            "baseflow_index_simulated": metrics.baseflow_index(same_days),
            "trend_observed": metrics.annual_trend(their_days, years),
            "trend_simulated": metrics.annual_trend(same_days, years),
            "days": np.isfinite(theirs).sum(axis=0) * (seconds / SECONDS_PER_DAY),
        },
        index=pandas.Index(common, name="catchment"),
    )
    for name in ("latitude", "longitude"):
        source = simulated if name in simulated.coords else observed
        if name in source.coords:
            frame[name] = source.sel(station=common)[name].values
    return Comparison(frame, times, ours, theirs, seconds, without_flow)


def _daily(
    times: NDArray, ours: NDArray, theirs: NDArray, seconds: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Return days, and daily means of both flows, for what is only known of days."""
    if seconds == SECONDS_PER_DAY:
        return times, ours, theirs
    import xarray

    pair = [
        averaged(
            "flow", xarray.DataArray(flow, {"time": times}, ("time", "station")), SECONDS_PER_DAY
        )
        for flow in (ours, theirs)
    ]
    return pair[0]["time"].values, pair[0].values, pair[1].values
