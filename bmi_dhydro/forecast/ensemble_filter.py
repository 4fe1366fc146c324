"""Ensemble Kalman filter: stores of members corrected by their covariance with the flow.

Deterministic square-root form for one observation (Whitaker and Hamill 2002,
10.1175/1520-0493(2002)130<1913:EDAWPO>2.0.CO;2); each catchment by its own observation alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def corrected(
    states: NDArray, flow: NDArray, observed: NDArray, deviation: NDArray, outlier: float
) -> tuple[NDArray, NDArray]:
    """Correct the members of an ensemble by an observation of each catchment.

    Parameters
    ----------
    states : array, shape (members, catchments, values)
        Stores; none is below zero afterwards.
    flow : array, shape (members, catchments)
        What the members say is observed.
    observed : array, shape (catchments,)
        NaN where there is none: members stay as they are.
    deviation : array, shape (catchments,)
        Standard deviation of its error.
    outlier : float
        Observations further from the mean of members, in standard deviations of what is expected,
        are left out.

    Returns
    -------
    states : array, shape (members, catchments, values)
    left_out : array of bool, shape (catchments,)
    """
    members = len(flow)
    mean, flow_mean = states.mean(axis=0), flow.mean(axis=0)
    apart, flow_apart = states - mean, flow - flow_mean
    variance = (flow_apart**2).sum(axis=0) / (members - 1)
    total = variance + deviation**2
    innovation = observed - flow_mean
    known = np.isfinite(innovation) & (total > 0.0)
    left_out = known & (np.abs(innovation) > outlier * np.sqrt(total))
    use = known & ~left_out
    innovation = np.where(use, innovation, 0.0)
    covariance = np.einsum("enk,en->nk", apart, flow_apart) / (members - 1)
    gain = np.where(use, 1.0 / np.where(use, total, 1.0), 0.0)[:, None] * covariance
    reduced = 1.0 / (1.0 + np.where(use, deviation / np.sqrt(np.where(use, total, 1.0)), 0.0))
    result = mean + gain * innovation[:, None] + apart
    result -= (reduced[:, None] * gain)[None] * flow_apart[:, :, None]
    return np.maximum(result, 0.0), left_out
