"""Pictures of forecasts: what was before, members as a fan, and what is reached once in years."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..evaluation.hydrograph import Hydrograph, hydrographs
from ..evaluation.return_levels import annual_maxima, return_levels
from ..evaluation.series import read_flow_of
from ..io.netcdf import READ_ERRORS, loaded
from ..units import SECONDS_PER_DAY
from ..variables import RUNOFF_FLUX
from .config import ForecastConfig
from .cycle import Forecast, stamp
from .states import time_of

_log = logging.getLogger(__name__)

# How much of the past is drawn before a forecast.
_PAST = np.timedelta64(30, "D")


@dataclass(frozen=True)
class Before:
    """What is known before a forecast, and of a long record.

    Attributes
    ----------
    times : array of datetime64, shape (forecasts,)
        Starts of earlier forecasts.
    flow : array, shape (forecasts, stations)
        Median of members of their first steps, in mm d-1.
    observed_times : array of datetime64, shape (steps,)
    observed : array, shape (steps, stations)
        In mm d-1, NaN where there is none.
    thresholds : mapping of dict
        Flow in mm d-1 that is reached once in so many years, by station and years.
    """

    times: NDArray
    flow: NDArray
    observed_times: NDArray
    observed: NDArray
    thresholds: Mapping[str, Mapping[float, float]]


def before(
    config: ForecastConfig, folder: Path, time: np.datetime64, where: Catchments, drawn: list[str]
) -> Before:
    """Read what is known before a forecast.

    Parameters
    ----------
    config : ForecastConfig
    folder : Path
        That forecasts are written to.
    time : datetime64[s]
        Time of the forecast: what is later is not looked at.
    where : Catchments
        Stations of the forecast.
    drawn : list of str
        Those that are drawn.

    Returns
    -------
    Before

    Raises
    ------
    ResultsError
        If observed flow cannot be read, or there is none of any station.
    """
    times, rows = [], []
    for path in sorted(folder.glob("*.nc")):
        began = time_of(path)
        if began is None or not time - _PAST <= began < time:
            continue
        try:
            data = loaded(path, (RUNOFF_FLUX,))
            names = np.char.strip(data["station_id"].values.astype(str)).tolist()
            if names != where.ids.tolist():
                continue
            rows.append(np.median(data[RUNOFF_FLUX].values[0], axis=0) * 24.0)
            times.append(began)
        except (*READ_ERRORS, KeyError) as error:
            _log.warning("%s: is not drawn, since it cannot be read (%s)", path, error)
    observed_times = np.empty(0, "datetime64[s]")
    observed = np.empty((0, len(where)))
    thresholds: dict[str, dict[float, float]] = {}
    if config.observed is not None:
        flow = read_flow_of(where.ids, Path(config.observed.file), config.observed.variable)
        every = flow["time"].values.astype("datetime64[s]")
        past = every < time
        for name in drawn:
            own = flow.sel(station=name).values[past]
            thresholds[name] = return_levels(annual_maxima(every[past], own))
        late = past & (every >= time - _PAST)
        observed_times, observed = every[late], flow.values[late]
    return Before(
        np.array(times, "datetime64[s]"),
        np.array(rows).reshape(len(rows), len(where)),
        observed_times,
        observed,
        thresholds,
    )


def draw(
    config: ForecastConfig,
    folder: Path,
    forecast: Forecast,
    where: Catchments,
    known: Before,
    name: str,
) -> Path:
    """Draw the forecast of a station, in m3 s-1.

    Parameters
    ----------
    config : ForecastConfig
    folder : Path
    forecast : Forecast
    where : Catchments
        Its stations.
    known : Before
    name : str
        Station.

    Returns
    -------
    Path
        PNG file beside the forecast.
    """
    row = where.ids.tolist().index(name)
    step = np.timedelta64(config.step_seconds, "s")
    per_day = SECONDS_PER_DAY / config.step_seconds
    to_volume = float(where.area[row]) * 1e3 / SECONDS_PER_DAY  # of mm d-1
    panel = Hydrograph(
        f"{name}: forecast of {forecast.time}",
        forecast.time + np.arange(len(forecast.flow)) * step,
        forecast.flow[:, :, row] * per_day * to_volume,
        precipitation=forecast.precipitation[:, row] * per_day,
        shares=config.quantiles,
        start=forecast.time,
        past=(known.times, known.flow[:, row] * to_volume),
        past_observed=(known.observed_times, known.observed[:, row] * to_volume),
        thresholds={
            years: flow * to_volume for years, flow in known.thresholds.get(name, {}).items()
        },
        units="m$^3$ s$^{-1}$",
        label="forecast",
    )
    path = folder / f"{stamp(forecast.time)}_{name}.png"
    hydrographs(path, [panel], "")
    return path
