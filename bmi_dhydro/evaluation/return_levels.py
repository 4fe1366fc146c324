"""Flow that is reached once in some years, from a record of observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Years that a record must have, and the share of a year's steps that must be observed to count.
_FEWEST_YEARS, _MOST_GAPS = 10, 0.1

# Return periods that are drawn, in years.
PERIODS = (2.0, 10.0, 50.0)

_EULER = 0.5772156649015329


def annual_maxima(times: NDArray, flow: NDArray) -> NDArray:
    """Return the largest flow of each calendar year that is observed nearly as a whole.

    Parameters
    ----------
    times : array of datetime64, shape (steps,)
        In equal steps.
    flow : array, shape (steps,)
        NaN where there is no observation.

    Returns
    -------
    array, shape (years,)
    """
    years = times.astype("datetime64[Y]").astype(int)
    length = float(np.median(np.diff(times)) / np.timedelta64(1, "s")) if times.size > 1 else 1.0
    needed = (1.0 - _MOST_GAPS) * 365.25 * 86400.0 / length
    maxima = []
    for year in np.unique(years):
        own = flow[years == year]
        known = own[np.isfinite(own)]
        if known.size >= needed:
            maxima.append(known.max())
    return np.array(maxima)


def return_levels(maxima: NDArray, periods: Sequence[float] = PERIODS) -> dict[float, float]:
    """Return the flow that annual maxima exceed once in so many years.

    A Gumbel distribution, fitted by L-moments (Hosking 1990, 10.1111/j.2517-6161.1990.tb01775.x).

    Parameters
    ----------
    maxima : array, shape (years,)
        From `annual_maxima`.
    periods : sequence of float
        Return periods in years, above 1.

    Returns
    -------
    dict of float
        By period; empty where there are fewer than ten years.
    """
    count = maxima.size
    if count < _FEWEST_YEARS:
        return {}
    ordered = np.sort(maxima)
    first = float(ordered.mean())
    weights = np.arange(count) / (count - 1)
    second = 2.0 * float((weights * ordered).mean()) - first
    scale = second / np.log(2.0)
    place = first - _EULER * scale
    return {period: float(place - scale * np.log(-np.log1p(-1.0 / period))) for period in periods}
