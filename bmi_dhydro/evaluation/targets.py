"""What may be observed beside flow: snow and evapotranspiration, and scores of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError, listed
from ..units import SECONDS_PER_DAY
from . import metrics
from .series import STORES, averaged, read_other
from .water_balance import aligned

if TYPE_CHECKING:
    import pandas

    from .comparison import Comparison

TargetName = Literal["snow", "evapotranspiration"]


@dataclass(frozen=True)
class Target:
    """A quantity that may be observed beside flow.

    Attributes
    ----------
    output : str
        Name of the process model's output.
    long_name : str
    names : tuple of str
        What files call it.
    stored : bool
        Whether it is an amount at a time, rather than what passed in a step.
    """

    output: str
    long_name: str
    names: tuple[str, ...]
    stored: bool = False


TARGETS: dict[TargetName, Target] = {
    "snow": Target("snow_water_equivalent", "snow water equivalent", STORES, stored=True),
    "evapotranspiration": Target(
        "evapotranspiration",
        "actual evapotranspiration",
        (
            "land_surface_water__evaporation_volume_flux",
            "evapotranspiration",
            "actual_evapotranspiration",
            "evspsbl",
            "ET",
            "et",
            "AET",
            "aet",
        ),
    ),
}


def read_target(
    name: TargetName, path: Path, variable: str | None, ids: NDArray, dates: NDArray
) -> NDArray:
    """Read daily observations of a target.

    Parameters
    ----------
    name : {"snow", "evapotranspiration"}
    path : Path
        NetCDF file with a catchment and a time dimension; snow water equivalent is a depth,
        evapotranspiration a rate or a depth per step.
    variable : str or None
        Its name in the file, where it is not recognised.
    ids : array of str, shape (catchments,)
    dates : array of datetime64[D], shape (days,)

    Returns
    -------
    array, shape (days, catchments)
        In mm, or mm d-1; NaN where there is none.

    Raises
    ------
    ResultsError
        If the file has no such variable, or none of the catchments and days.
    """
    target = TARGETS[name]
    series = read_other(path, (variable,) if variable else target.names, target.stored)
    if series is None:
        wanted = variable or f"{target.long_name} ({', '.join(target.names)})"
        raise ResultsError(f"{path}: has no variable {wanted}; name it")
    daily = averaged(path, series, SECONDS_PER_DAY)
    values = daily.reindex(station=ids, time=dates.astype("datetime64[ns]")).values
    values = np.where(values < 0.0, np.nan, values)
    if not np.isfinite(values).any():
        raise ResultsError(
            f"{path}: has no {target.long_name} of {listed(ids)} between {dates[0]} and {dates[-1]}"
        )
    return values


def target_scores(results: Path, observed: Path, comparison: Comparison) -> pandas.DataFrame:
    """Score snow and evapotranspiration, where results and observations have them.

    Parameters
    ----------
    results, observed : Path
    comparison : Comparison
        Of the flow in the same files: its catchments and steps count.

    Returns
    -------
    DataFrame
        A row for each catchment: `snow_nse`, `snow_kge`, `snow_bias`, and those of
        `evapotranspiration`; no columns where there is nothing to compare.
    """
    import pandas

    table = pandas.DataFrame(index=comparison.scores.index)
    for name, target in TARGETS.items():
        pair = [read_other(path, target.names, target.stored) for path in (results, observed)]
        if pair[0] is None or pair[1] is None:
            continue
        ours, theirs = (aligned(series, comparison) for series in pair if series is not None)
        if not (np.isfinite(ours) & np.isfinite(theirs)).any():
            continue
        table[f"{name}_nse"] = metrics.nse(ours, theirs)
        table[f"{name}_kge"] = metrics.kge(ours, theirs)
        table[f"{name}_bias"] = metrics.kge_parts(ours, theirs)[2] - 1.0
    return table
