"""Routing by a unit hydrograph: how the runoff of a step leaves over the following days.

The gamma distribution of delays (Nash 1957; in differentiable models Feng et al. 2022). Weights are
taken from hourly values whatever the step, so that a daily step routes what its 24 hours would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .primitives import exp, log, maximum, minimum, power
from .process import Parameter, Process, between_bounds

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


# What published models route by (Feng et al. 2022): a shape of at least 0.1, and a scale of at
# least 0.5 days, which the mean delay is a multiple of. Their catchments' area has no effect.
_LEAST_SHAPE, _SHAPES = 0.1, 2.9
_LEAST_SCALE, _SCALES = 0.5, 6.5

PUBLISHED_PARAMETERS = (
    replace(PARAMETERS[0], lower=_LEAST_SHAPE, upper=_LEAST_SHAPE + _SHAPES),
    replace(
        PARAMETERS[1],
        lower=_LEAST_SHAPE * _LEAST_SCALE,
        upper=(_LEAST_SHAPE + _SHAPES) * (_LEAST_SCALE + _SCALES),
    ),
    PARAMETERS[2],
)


@dataclass(frozen=True)
class UnitHydrograph:
    """How a gamma distribution of delays becomes the shares of a process model's steps.

    Attributes
    ----------
    parameters : tuple of Parameter
        Their names are the same for all process models, their bounds are not.
    of_hours : bool
        Whether the distribution is taken hour by hour and runoff arrives evenly over its step, or
        in the middle of each step for runoff that arrives at its beginning.
    """

    parameters: tuple[Parameter, ...]
    of_hours: bool

    def lag_times(self, days: float) -> NDArray:
        """Return the middles of the intervals of the unit hydrograph, in days: (intervals,).

        Parameters
        ----------
        days : float
            Length of a step.
        """
        return _lag_times(days, self._intervals(days))

    def lag_matrix(self, days: float) -> NDArray | None:
        """Return the matrix from shares per interval to shares per step: (intervals, lags).

        Runoff is spread evenly over its step, so each interval of it arrives later than the step's
        start; what arrives within a step is added up. None where a step is one interval.
        """
        intervals = self._intervals(days)
        return None if intervals == 1 else _lag_matrix(days, intervals)

    def lags(self, days: float) -> int:
        """Return the lags of a unit hydrograph, in steps of `days` days."""
        intervals = self._intervals(days)
        return self.lag_times(days).size // intervals + (intervals > 1)

    def _intervals(self, days: float) -> int:
        """Return how many intervals, of about an hour, a step is divided into."""
        return max(1, round(days * 24)) if self.of_hours else 1


def placed(hydrograph: UnitHydrograph, shares: Any) -> list[Any]:
    """Turn what a network gives, between 0 and 1, into parameters of a unit hydrograph.

    Parameters
    ----------
    hydrograph : UnitHydrograph
    shares : sequence of array, shape (..., catchments)
        Of the shape, the delay and the exponent of area.

    Returns
    -------
    list of array
        One for each of `hydrograph.parameters`.
    """
    shape, delay, exponent = shares
    if hydrograph.of_hours:
        given = zip(shares, hydrograph.parameters, strict=True)
        return [between_bounds(share, item) for share, item in given]
    shapes = _LEAST_SHAPE + _SHAPES * shape
    return [shapes, shapes * (_LEAST_SCALE + _SCALES * delay), 0.0 * exponent]


_HYDROGRAPHS = {
    "gamma": UnitHydrograph(PARAMETERS, of_hours=True),
    "published_gamma": UnitHydrograph(PUBLISHED_PARAMETERS, of_hours=False),
}


def hydrograph_of(process: Process) -> UnitHydrograph:
    """Return the unit hydrograph that a process model goes with."""
    return _HYDROGRAPHS[process.hydrograph]


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
        From `UnitHydrograph.lag_times`.
    matrix : array, shape (intervals, lags), or None
        From `UnitHydrograph.lag_matrix`.

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


@cache
def _lag_times(days: float, intervals: int) -> NDArray:
    length = days / intervals
    times = (np.arange(round(MEMORY_DAYS / length)) + 0.5) * length
    times.flags.writeable = False
    return times


def stored_outputs(process: Process) -> frozenset[str]:
    """Return the outputs that are water in a store at the end of a step.

    All others pass during a step: those of substeps, or of several steps, add up.
    """
    return frozenset((*process.stored_names, ROUTING_STORE))


@cache
def _lag_matrix(days: float, intervals: int) -> NDArray:
    count = _lag_times(days, intervals).size
    matrix = np.zeros((count, count // intervals + 1))
    for start in range(intervals):
        steps = (np.arange(count) + start) // intervals
        np.add.at(matrix, (np.arange(count), steps), 1.0 / intervals)
    matrix.flags.writeable = False
    return matrix
