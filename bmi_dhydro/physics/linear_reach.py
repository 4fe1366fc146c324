"""Muskingum's method with constant coefficients, for rivers of which no cross section is known.

With a weight of 0 a reach is a linear reservoir; a cascade of them delays like a gamma
distribution. McCarthy (1938); Chow, Maidment and Mays (1988, section 8.4).
"""

from __future__ import annotations

from .primitives import maximum, minimum
from .process import Parameter
from .reach import ReachProcess, balance, muskingum, muskingum_storage


def coefficients(length, celerity, weight, seconds):
    """Return weight and travel time (s), within which no flow becomes negative.

    The travel time is at least half a step over `1 - weight`; the weight at most half a step over
    the travel time.
    """
    travel_time = maximum(length / celerity, 0.5 * seconds / (1.0 - weight))
    return minimum(weight, 0.5 * seconds / travel_time), travel_time


def flow(
    depth,
    inflow_before,
    inflow,
    flow_before,
    storage_before,
    lateral_inflow,
    seconds,
    length,
    celerity,
    weight,
):
    """Return the flow at the end of a step; arguments as `physics.reach.ReachProcess.flow`."""
    weight, travel_time = coefficients(length, celerity, weight, seconds)
    return muskingum(weight, travel_time, inflow, storage_before, lateral_inflow, seconds)


def storage(depth, inflow, flow, seconds, length, celerity, weight):
    """Return the water in a reach; arguments as `physics.reach.ReachProcess.storage`."""
    weight, travel_time = coefficients(length, celerity, weight, seconds)
    return muskingum_storage(weight, travel_time, inflow, flow, seconds)


LINEAR = ReachProcess(
    name="linear",
    long_name="Muskingum's method with constant coefficients",
    reference="McCarthy (1938); Chow, Maidment and Mays (1988)",
    parameters=(
        Parameter(
            "length", "length of the reach", "m", 10.0, 1e5, scale="log", possible=(1e-3, 1e7)
        ),
        Parameter(
            "celerity",
            "celerity of flood waves",
            "m s-1",
            0.1,
            5.0,
            scale="log",
            possible=(1e-6, 100.0),
        ),
        Parameter("weight", "weight of inflow in storage", "1", 0.0, 0.5, possible=(0.0, 0.5)),
    ),
    flow=flow,
    balance=balance,
    storage=storage,
)
