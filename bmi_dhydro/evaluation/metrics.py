"""Measures of how well simulated flow follows observed flow, one value for each catchment.

Arrays have shape (steps, catchments); steps without an observation (NaN) do not count. A catchment
without observations, or whose observations do not vary, gets NaN where the measure has no meaning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _paired(simulated: NDArray, observed: NDArray) -> tuple[NDArray, NDArray]:
    simulated = np.asarray(simulated, dtype=float)
    observed = np.asarray(observed, dtype=float)
    if simulated.shape != observed.shape:
        raise ValueError(
            f"simulated flow has shape {simulated.shape}, observed flow {observed.shape}; "
            "both must be (steps, catchments)"
        )
    missing = np.isnan(observed) | np.isnan(simulated)
    return np.where(missing, np.nan, simulated), np.where(missing, np.nan, observed)


def _mean(values: NDArray) -> NDArray:
    count = np.sum(~np.isnan(values), axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _divide(a: NDArray, b: NDArray) -> NDArray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=np.asarray(b) != 0)


def nse(simulated: NDArray, observed: NDArray) -> NDArray:
    """Return the Nash-Sutcliffe efficiency (1970), shape (catchments,)."""
    simulated, observed = _paired(simulated, observed)
    error = _mean((simulated - observed) ** 2)
    return 1.0 - _divide(error, _mean((observed - _mean(observed)) ** 2))


def kge_parts(simulated: NDArray, observed: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return correlation, ratio of standard deviations and ratio of means."""
    simulated, observed = _paired(simulated, observed)
    mean_s, mean_o = _mean(simulated), _mean(observed)
    covariance = _mean((simulated - mean_s) * (observed - mean_o))
    spread_s = np.sqrt(_mean((simulated - mean_s) ** 2))
    spread_o = np.sqrt(_mean((observed - mean_o) ** 2))
    return (
        _divide(covariance, spread_s * spread_o),
        _divide(spread_s, spread_o),
        _divide(mean_s, mean_o),
    )


def kge(simulated: NDArray, observed: NDArray) -> NDArray:
    """Return the Kling-Gupta efficiency (Gupta et al. 2009, 10.1016/j.jhydrol.2009.08.003)."""
    correlation, variability, bias = kge_parts(simulated, observed)
    return 1.0 - np.sqrt((correlation - 1.0) ** 2 + (variability - 1.0) ** 2 + (bias - 1.0) ** 2)


def relative_bias(simulated: NDArray, observed: NDArray) -> NDArray:
    """Return the error of the mean flow as a share of observed mean flow."""
    return kge_parts(simulated, observed)[2] - 1.0


# Shares of the flow duration curve that count as high and as low (Yilmaz et al. 2008,
# 10.1029/2007WR006716).
HIGH_SHARE = 0.02
LOW_SHARE = 0.30


def bias_of_extremes(simulated: NDArray, observed: NDArray) -> tuple[NDArray, NDArray]:
    """Return the relative bias of high and of low flows.

    Both flows are sorted apart, so that it is the distribution that is compared, not the timing.

    Returns
    -------
    high, low : array, shape (catchments,)
        Biases of the highest 2 % and the lowest 30 % of days with an observation.
    """
    simulated, observed = _paired(simulated, observed)
    high = np.full(observed.shape[1], np.nan)
    low = np.full(observed.shape[1], np.nan)
    for k in range(observed.shape[1]):
        known = np.isfinite(observed[:, k])
        count = int(known.sum())
        if count == 0:
            continue
        ours, theirs = np.sort(simulated[known, k]), np.sort(observed[known, k])
        top, bottom = max(1, round(HIGH_SHARE * count)), max(1, round(LOW_SHARE * count))
        for result, part in ((high, slice(count - top, count)), (low, slice(0, bottom))):
            total = theirs[part].sum()
            if total > 0:
                result[k] = ours[part].sum() / total - 1.0
    return high, low


def share_within(observed: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """Return the share of observed steps that lie in a band.

    Parameters
    ----------
    observed, low, high : array, shape (steps, catchments)
        A step counts where all three are known.

    Returns
    -------
    array, shape (catchments,)
        NaN where nothing counts.
    """
    known = np.isfinite(observed) & np.isfinite(low) & np.isfinite(high)
    inside = known & (observed >= low) & (observed <= high)
    steps = known.sum(axis=0)
    return np.divide(inside.sum(axis=0), steps, out=np.full(steps.shape, np.nan), where=steps > 0)


def baseflow_index(flow: NDArray, parameter: float = 0.925) -> NDArray:
    """Return the share of baseflow in daily flow, by the filter of Lyne and Hollick (1979).

    Three passes, forward, backward and forward, as in Ladson et al. (2013). Gaps are filled by the
    last flow before them for the filter, and do not count in the index.

    Parameters
    ----------
    flow : array, shape (days, catchments)
    parameter : float
        Parameter of the filter.

    Returns
    -------
    array, shape (catchments,)
        NaN where there is no flow.
    """
    known = np.isfinite(flow)
    last = np.maximum.accumulate(np.where(known, np.arange(len(flow))[:, None], 0), axis=0)
    base = np.nan_to_num(np.take_along_axis(np.asarray(flow, dtype=float), last, axis=0))
    total = np.where(known, base, 0.0).sum(axis=0)
    for backward in (False, True, False):
        stream = base[::-1] if backward else base
        quick = np.zeros_like(stream)
        for day in range(1, len(stream)):
            rise = 0.5 * (1.0 + parameter) * (stream[day] - stream[day - 1])
            quick[day] = np.clip(parameter * quick[day - 1] + rise, 0.0, stream[day])
        base = (stream - quick)[::-1] if backward else stream - quick
    return _divide(np.where(known, base, 0.0).sum(axis=0), total)


def annual_trend(flow: NDArray, years: NDArray) -> NDArray:
    """Return the slope of mean annual flow, in percent of its mean per decade.

    Parameters
    ----------
    flow : array, shape (days, catchments)
    years : array of int, shape (days,)
        Year that each day belongs to. Years with fewer than 330 days of flow do not count.

    Returns
    -------
    array, shape (catchments,)
        NaN where fewer than five years count.
    """
    labels = np.unique(years)
    means = np.full((labels.size, flow.shape[1]), np.nan)
    for row, year in enumerate(labels):
        part = flow[years == year]
        enough = np.isfinite(part).sum(axis=0) >= 330
        means[row, enough] = np.nanmean(part[:, enough], axis=0)
    known = np.isfinite(means)
    result = np.full(flow.shape[1], np.nan)
    for k in np.flatnonzero(known.sum(axis=0) >= 5):
        values, when = means[known[:, k], k], labels[known[:, k]]
        if values.mean() > 0:
            result[k] = np.polyfit(when, values, 1)[0] / values.mean() * 1000.0
    return result
