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
