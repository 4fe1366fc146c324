"""Forecasts of the past, as a chain would have made them, and how good they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..errors import ConfigError
from ..evaluation import metrics, plots
from ..files.whole import replaced
from ..machine import installed
from ..model.state import SavedState
from ..run.workers import Mapper, here
from ..units import SECONDS_PER_DAY
from .config import ForecastConfig
from .cycle import Forecaster
from .division import Division
from .observed_flow import ObservedFlow
from .river import stations

if TYPE_CHECKING:
    import pandas

# What is compared.
FORECAST, OPEN_LOOP, PERSISTENCE = "forecast", "without assimilation", "persistence"


@dataclass(frozen=True)
class Hindcast:
    """Forecasts of a past period, and what was observed.

    Attributes
    ----------
    ids : array of str, shape (stations,)
        Catchments, or gauges of the rivers that they drain to.
    times : array of datetime64[s], shape (forecasts,)
    lead_seconds : array of int, shape (leads,)
        At the end of each observed step.
    flow : dict of array, shape (forecasts, leads, members, stations)
        Mean flow of observed steps, in mm d-1, by kind.
    observed : array, shape (forecasts, leads, stations)
        NaN where there is none.
    """

    ids: NDArray
    times: NDArray
    lead_seconds: NDArray
    flow: dict[str, NDArray]
    observed: NDArray


@dataclass(frozen=True)
class Job:
    """What one worker does: a hindcast of some catchments, of one kind.

    Attributes
    ----------
    config : ForecastConfig
    catchments : Catchments
    times : array of datetime64[s]
    """

    config: ForecastConfig
    catchments: Catchments
    times: NDArray


def reference_times(
    first: np.datetime64, last: np.datetime64, every_seconds: int, step_seconds: int
) -> NDArray:
    """Return the times at which forecasts start: from the first to the last, both included.

    Raises
    ------
    ConfigError
        If there is none, or they do not fall on steps.
    """
    if every_seconds % step_seconds:
        raise ConfigError(
            f"--every: {every_seconds} s is no multiple of the step, {step_seconds} s"
        )
    if last < first:
        raise ConfigError(f"--to: {last} is before --from, {first}")
    count = int((last - first).astype(int)) // every_seconds + 1
    return first + np.arange(count) * np.timedelta64(every_seconds, "s")


def flows(job: Job, advance: Callable[[], object] = lambda: None) -> NDArray:
    """Return the forecasts of some catchments: shape (forecasts, steps, members, stations).

    What a chain that is called at each of the times would make, in mm per step; the states between
    are in memory.
    """
    forecaster = Forecaster(job.config, job.catchments)
    states: dict[np.datetime64, SavedState] = {}
    results = []
    try:
        for time in job.times:
            latest = job.config.latest_state(time)
            early = [when for when in states if when <= latest]
            forecast = forecaster.forecast(time, states[max(early)] if early else None)
            if forecast.analysis.reached == time:
                states[time] = forecast.analysis.state
            for when in early:
                if when != max(early):
                    del states[when]
            results.append(forecast.flow)
            advance()
    finally:
        forecaster.close()
    return np.stack(results)


def _kinds(config: ForecastConfig) -> dict[str, ForecastConfig]:
    """Return the configurations to compare."""
    if config.assimilation is None:
        return {FORECAST: config}
    return {FORECAST: config, OPEN_LOOP: msgspec.structs.replace(config, assimilation=None)}


def tasks(
    config: ForecastConfig, catchments: Catchments, forecasts: int, mapper: Mapper, workers: int
) -> int:
    """Return how often `hindcast` will call `advance`."""
    if mapper is here:
        return len(_kinds(config)) * forecasts
    return len(_kinds(config)) * len(Division.of(config, catchments, workers).rows)


def hindcast(
    config: ForecastConfig,
    catchments: Catchments,
    times: NDArray,
    mapper: Mapper = here,
    count: int = 1,
    advance: Callable[[], object] = lambda: None,
) -> Hindcast:
    """Make forecasts of the past, with assimilation and without, and find what was observed.

    Parameters
    ----------
    config : ForecastConfig
        With observed flow.
    catchments : Catchments
        With all attributes that the network needs.
    times : array of datetime64[s]
        From which forecasts start.
    mapper : callable
        Mapper, as `workers.workers` returns it.
    count : int
        Number of workers.
    advance : callable
        Called for each share that is done; in this process for each forecast.

    Raises
    ------
    ConfigError
        If the configuration names no observed flow, or the horizon is shorter than its steps.
    """
    if config.observed is None:
        raise ConfigError("observed: a hindcast needs observed flow; give observed.file")
    ids = stations(config.network, catchments).ids
    observed = ObservedFlow(config.observed, ids, config.step_seconds)
    per = observed.seconds // config.step_seconds
    leads = config.horizon_steps // per
    if leads < 1:
        raise ConfigError(
            f"forecast.horizon: {config.forecast.horizon!r} is shorter than a step of the observed "
            f"flow, {observed.seconds} s, by which forecasts are scored; look further ahead"
        )
    kinds = _kinds(config)
    parts = {kind: Division.of(own, catchments, count) for kind, own in kinds.items()}
    shares = [
        Job(own, catchments.subset(rows), times)
        for part in parts.values()
        for rows, own in zip(part.rows, part.configs, strict=True)
    ]
    if mapper is here:
        found = [flows(share, advance) for share in shares]
    else:
        found = mapper(flows, shares, advance)
    to_rate = SECONDS_PER_DAY / observed.seconds
    flow: dict[str, NDArray] = {}
    for k, (kind, part) in enumerate(parts.items()):
        many = len(part.rows)
        own = part.placed(found[k * many : (k + 1) * many]).astype(float)
        shape = (len(times), leads, per, *own.shape[2:])
        flow[kind] = own[:, : leads * per].reshape(shape).sum(axis=2) * to_rate
    places = np.array([observed.first_after(time) for time in times])
    flow[PERSISTENCE] = np.repeat(
        _rows(observed.values, places - 1)[:, None, None] * to_rate, leads, axis=1
    )
    seen = np.stack([_rows(observed.values, places + lead) for lead in range(leads)], axis=1)
    lead_seconds = (np.arange(leads) + 1) * observed.seconds
    return Hindcast(ids, times, lead_seconds, flow, seen * to_rate)


def _rows(values: NDArray, places: NDArray) -> NDArray:
    """Return some rows, NaN where there are none."""
    inside = (places >= 0) & (places < len(values))
    result = np.full((len(places), values.shape[1]), np.nan)
    result[inside] = values[places[inside]]
    return result


def continuous_ranked_probability_score(members: NDArray, observed: NDArray) -> NDArray:
    """Return the mean continuous ranked probability score of forecasts, each catchment.

    The fair estimate, which does not depend on how many members there are (Ferro 2014,
    10.1002/qj.2270); the absolute error where there is one.

    Parameters
    ----------
    members : array, shape (forecasts, members, catchments)
    observed : array, shape (forecasts, catchments)

    Returns
    -------
    array, shape (catchments,)
    """
    count = members.shape[1]
    apart = np.abs(members - observed[:, None]).mean(axis=1)
    if count > 1:
        ordered = np.sort(members, axis=1)
        weights = 2.0 * np.arange(1, count + 1) - count - 1.0
        spread = (ordered * weights[:, None]).sum(axis=1) / (count * (count - 1))
        apart = apart - spread
    known = np.isfinite(apart)
    total = np.where(known, apart, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def scores(result: Hindcast) -> pandas.DataFrame:
    """Score the mean of members by lead time.

    Forecasts and persistence count where there is an observation and persistence has one too, so
    that all are scored alike.

    Returns
    -------
    DataFrame
        A row for each kind, lead and catchment: `rmse` and `crps` in mm d-1, `nse`, `kge`, and
        `forecasts`, how many there were.
    """
    import pandas

    known = np.isfinite(result.observed) & np.isfinite(result.flow[PERSISTENCE][:, :, 0])
    frames = []
    for kind, flow in result.flow.items():
        for lead, seconds in enumerate(result.lead_seconds):
            observed = np.where(known[:, lead], result.observed[:, lead], np.nan)
            mean = flow[:, lead].mean(axis=1)
            error = np.where(known[:, lead], mean - observed, np.nan)
            count = known[:, lead].sum(axis=0)
            squares = np.nansum(error**2, axis=0) / np.maximum(count, 1)
            frames.append(
                pandas.DataFrame(
                    {
                        "kind": kind,
                        "lead_days": seconds / SECONDS_PER_DAY,
                        "catchment": result.ids,
                        "rmse": np.where(count, np.sqrt(squares), np.nan),
                        "crps": continuous_ranked_probability_score(flow[:, lead], observed),
                        "nse": metrics.nse(mean, observed),
                        "kge": metrics.kge(mean, observed),
                        "forecasts": count,
                    }
                )
            )
    return pandas.concat(frames, ignore_index=True)


def summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return medians over the catchments that have observations, by lead and kind."""
    known = table[table["forecasts"] > 0]
    medians = known.groupby(["lead_days", "kind"], sort=False)[["rmse", "crps", "nse", "kge"]]
    result = medians.median()
    result["catchments"] = known.groupby(["lead_days", "kind"], sort=False).size()
    return result.reset_index()


def write_report(folder: Path, result: Hindcast) -> list[Path]:
    """Write `scores.csv` and, where matplotlib is installed, `skill_by_lead.png`; return paths."""
    table = scores(result)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "scores.csv"]
    with replaced(paths[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    if installed("matplotlib"):
        medians = summary(table)
        paths.append(folder / "skill_by_lead.png")
        plots.skill_by_lead(paths[1], medians, int(medians["catchments"].max()))
    return paths
