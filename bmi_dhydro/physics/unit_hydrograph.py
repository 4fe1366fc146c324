"""Routing by a unit hydrograph: how the runoff of a step leaves over the following days.

The gamma distribution of delays (Nash 1957; in differentiable models Feng et al. 2022). Weights are
taken from hourly values whatever the step, so that a daily step routes what its 24 hours would.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .primitives import exp, log, maximum, minimum, power
from .process import Parameter, Process

# Outputs of every model beside those of its process.
DISCHARGE = "discharge"
ROUTING_STORE = "routing_store"

# The hydrograph is cut off, and the rest spread over it, after this many days.
MEMORY_DAYS = 15

# Catchment area at which the delay is the network's own, and the areas between which it varies.
REFERENCE_AREA = 1000.0
SMALLEST_AREA, LARGEST_AREA = 1.0, 20000.0

PARAMETERS = (
    Parameter(
        "route_shape",
        "shape of the distribution of routing delays",
        "1",
        0.3,
        3.0,
        possible=(0.05, 50),
    ),
    Parameter(
        "route_delay",
        "mean routing delay of a catchment of 1000 km2",
        "d",
        0.05,
        6.0,
        scale="log",
        possible=(0.001, 100),
    ),
    Parameter(
        "route_area_exponent",
        "growth of the delay with catchment area",
        "1",
        0.0,
        0.6,
        possible=(0.0, 2.0),
    ),
)


def delay(route_delay: Any, route_area_exponent: Any, area: Any) -> Any:
    """Return the mean delay of a catchment, in days.

    Parameters
    ----------
    route_delay : array
        Mean delay of a catchment of `REFERENCE_AREA`, in days.
    route_area_exponent : array
        Exponent of the power law, not negative.
    area : array
        Catchment area, in km2; limited to the range over which the law was learned and tested.
    """
    limited = minimum(maximum(area, SMALLEST_AREA), LARGEST_AREA)
    return route_delay * power(limited / REFERENCE_AREA, route_area_exponent)


def gamma_density(time: Any, shape: Any, mean_delay: Any) -> Any:
    """Return the gamma density at `time`, up to a factor that does not depend on it.

    Parameters
    ----------
    time : array
        Positive delays, in days.
    shape : array
    mean_delay : array
        In days.
    """
    return exp((shape - 1.0) * log(time / mean_delay) - shape * time / mean_delay)


def weights(shape: Any, mean_delay: Any, times: Any, matrix: Any) -> Any:
    """Return the share of a step's runoff that leaves after each lag.

    Parameters
    ----------
    shape, mean_delay : array, shape (catchments,)
    times : array, shape (intervals,)
        From `lag_times`.
    matrix : array, shape (intervals, lags), or None
        From `lag_matrix`.

    Returns
    -------
    array, shape (catchments, lags)
        Each row adds up to one.
    """
    density = gamma_density(times[None, :], shape[:, None], mean_delay[:, None])
    if matrix is None:
        return density / density.sum(1)[:, None]
    return (density @ matrix) / (density @ matrix.sum(1))[:, None]


def ended(weights: NDArray, precision: DTypeLike) -> NDArray:
    """End each unit hydrograph where what is still to come is beyond the digits of the whole.

    The last flow before has the rest, so that no water is lost.

    Parameters
    ----------
    weights : array, shape (catchments, lags)
    precision : float32 or float64

    Returns
    -------
    array, shape (catchments, lags)
        Zero after the end, mostly long before the last lag: kernels can stop there.
    """
    to_come = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    over = to_come < 0.5 * np.finfo(precision).eps
    last = np.argmax(over, axis=1) - 1
    catchments = np.flatnonzero(over.any(axis=1))
    result = np.where(over, 0.0, weights)
    result[catchments, last[catchments]] = to_come[catchments, last[catchments]]
    return result


def hours_per_step(days: float) -> int:
    """Return how many intervals of about an hour a step of `days` days is divided into."""
    return max(1, round(days * 24))


@cache
def lag_times(days: float) -> NDArray:
    """Return the middles of the intervals of the unit hydrograph, in days: shape (intervals,)."""
    intervals = hours_per_step(days)
    length = days / intervals
    times = (np.arange(round(MEMORY_DAYS / length)) + 0.5) * length
    times.flags.writeable = False
    return times


def lags(days: float) -> int:
    """Return the lags of a unit hydrograph, in steps of `days` days."""
    intervals = hours_per_step(days)
    return lag_times(days).size // intervals + (intervals > 1)


def stored_outputs(process: Process) -> frozenset[str]:
    """Return the outputs that are water in a store at the end of a step.

    All others pass during a step: those of substeps, or of several steps, add up.
    """
    return frozenset((*process.stored_names, ROUTING_STORE))


@cache
def lag_matrix(days: float) -> NDArray | None:
    """Return the matrix from shares per interval to shares per step: shape (intervals, lags).

    Runoff is spread evenly over its step, so each interval of it arrives later than the step's
    start; what arrives within a step is added up. None where a step is one interval.
    """
    intervals = hours_per_step(days)
    if intervals == 1:
        return None
    count = lag_times(days).size
    matrix = np.zeros((count, lags(days)))
    for start in range(intervals):
        steps = (np.arange(count) + start) // intervals
        np.add.at(matrix, (np.arange(count), steps), 1.0 / intervals)
    matrix.flags.writeable = False
    return matrix
