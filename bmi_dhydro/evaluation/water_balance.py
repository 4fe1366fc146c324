"""What results say of the water balance and of snow, which no training saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .series import STORES, averaged, read_other

if TYPE_CHECKING:
    import pandas
    import xarray

    from .comparison import Comparison

# Catchments with less snow than this, in mm as the highest monthly mean, have no season of it.
_LEAST_SNOW = 5.0


@dataclass(frozen=True)
class WaterBalance:
    """Long-term ratios of the days of a comparison, and the year of the snowpack.

    Attributes
    ----------
    table : DataFrame
        A row for each catchment: `aridity` (potential evapotranspiration over precipitation),
        `runoff_ratio_observed`, `runoff_ratio_simulated` (flow over precipitation), `snow_peak`
        (highest monthly mean of snow water equivalent, mm), `snow_peak_month`, and
        `snow_peak_observed`, `snow_peak_month_observed`; those that can be known.
    snow : dict of array, shape (12, catchments)
        Monthly means of snow water equivalent in mm, `simulated` and, where there are any,
        `observed`, of catchments that have a season of snow.
    """

    table: pandas.DataFrame
    snow: Mapping[str, NDArray] = field(default_factory=dict)

    @property
    def has_climate(self) -> bool:
        """Whether runoff ratios and aridity are known."""
        return "aridity" in self.table


def water_balance(results: Path, observed: Path, comparison: Comparison) -> WaterBalance:
    """Compute what results, and observations, say of the water balance.

    Parameters
    ----------
    results : Path
        NetCDF file of a run; `precipitation` and `potential_evapotranspiration` give runoff ratios,
        snow water equivalent the year of the snowpack.
    observed : Path
        May have snow water equivalent too.
    comparison : Comparison
        Comparison made of the same files.
    """
    import pandas

    table = pandas.DataFrame(index=comparison.scores.index)
    precipitation = read_other(results, ("precipitation",))
    pet = read_other(results, ("potential_evapotranspiration",))
    if precipitation is not None and pet is not None:
        known = np.isfinite(comparison.observed)
        rain, demand, ours, theirs = (
            np.where(known, values, 0.0).sum(axis=0)
            for values in (
                aligned(precipitation, comparison),
                aligned(pet, comparison),
                comparison.simulated,
                comparison.observed,
            )
        )
        rain = np.where(rain > 0.0, rain, np.nan)
        table["aridity"] = demand / rain
        table["runoff_ratio_observed"] = theirs / rain
        table["runoff_ratio_simulated"] = ours / rain
    months = pandas.DatetimeIndex(comparison.dates).month.to_numpy()
    snow: dict[str, NDArray] = {}
    for label, path, suffix in (("simulated", results, ""), ("observed", observed, "_observed")):
        series = read_other(path, STORES)
        if series is None or not set(table.index) <= set(series["station"].values.tolist()):
            continue
        means = monthly_means(aligned(series, comparison), months)
        snow[label] = means
        known = np.isfinite(means).any(axis=0)
        filled = np.where(np.isfinite(means), means, -1.0)
        table[f"snow_peak{suffix}"] = np.where(known, filled.max(axis=0), np.nan)
        table[f"snow_peak_month{suffix}"] = np.where(known, filled.argmax(axis=0) + 1, np.nan)
    if "simulated" in snow:
        snowy = table["snow_peak"].to_numpy() > _LEAST_SNOW
        snow = {label: means[:, snowy] for label, means in snow.items()} if snowy.any() else {}
    return WaterBalance(table, snow if "simulated" in snow else {})


def aligned(series: xarray.DataArray, comparison: Comparison) -> NDArray:
    """Return means of the steps and catchments of a comparison; NaN where there are none.

    Parameters
    ----------
    series : DataArray, dimensions (time, station)
    comparison : Comparison

    Returns
    -------
    array, shape (steps, catchments)
    """
    daily = averaged(series.name or "series", series, comparison.seconds)
    return daily.reindex(station=list(comparison.scores.index), time=comparison.dates).values


def monthly_means(values: NDArray, months: NDArray) -> NDArray:
    """Return the mean of each month of the year.

    Parameters
    ----------
    values : array, shape (days, catchments)
        NaN where unknown.
    months : array, shape (days,)
        1 to 12.

    Returns
    -------
    array, shape (12, catchments)
        NaN where there is no day.
    """
    means = np.full((12, values.shape[1]), np.nan)
    for month in range(1, 13):
        chosen = values[months == month]
        known = np.isfinite(chosen)
        count = known.sum(axis=0)
        total = np.where(known, chosen, 0.0).sum(axis=0)
        means[month - 1] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
