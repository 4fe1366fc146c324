"""What a model of a river reach is: plain functions of one reach and one routing step.

A reach takes in flow from upstream and from the side, and passes flow on. Flows are those at the
ends of routing steps, in m3 s-1; lateral inflow is constant over a step. Where flow depends on the
depth of the water, the depth is found by iteration, and derivatives go through the equation that
holds where it ends (implicit function theorem).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .primitives import maximum, minimum
from .process import Parameter

# What every reach takes beside its parameters: flow from upstream at the start and at the end of
# the step, its own flow at the start (m3 s-1), what it stored then (m3), lateral inflow (m3 s-1),
# and the step's length in s.
ARGUMENTS = (
    "inflow_before",
    "inflow",
    "flow_before",
    "storage_before",
    "lateral_inflow",
    "seconds",
)


@dataclass(frozen=True)
class ReachProcess:
    """A model of a river reach.

    All functions are straight-line arithmetic over `physics.primitives`, and take `ARGUMENTS` and
    the parameters last.

    Attributes
    ----------
    name, long_name, reference : str
        Identifier, description, source of the equations.
    parameters : tuple of Parameter
    flow : callable
        `flow(depth, ...)` returns the flow at the end of the step in m3 s-1.
    balance : callable
        `balance(flow, storage, remainder, inflow, lateral_inflow, seconds)` returns flow, storage,
        remainder and lateral inflow at the end of the step.
    storage : callable
        `storage(depth, inflow, flow, seconds, *parameters)` returns the water in m3 in a reach that
        so much enters from upstream and leaves steadily.
    section : callable or None
        `section(depth, *parameters)` returns the area of the flow's cross section (m2) and the flow
        (m3 s-1) of that depth when it is uniform; None without geometry, and then depth is 0.
    residual : callable or None
        `residual(depth, ...)` is zero for the depth that is sought; None without one.
    unknowns : tuple of str
        What the search for the depth goes on with; the last is 1 when it has ended, 0 before.
    begin : callable or None
        `begin(depth_before, ...)` returns the first values of `unknowns`.
    iterate : callable or None
        `iterate(*unknowns, ...)` returns their next values.
    settle : callable or None
        `settle(*unknowns, ...)` returns depth and flow, when the search has ended.
    """

    name: str
    long_name: str
    reference: str
    parameters: tuple[Parameter, ...]
    flow: Callable
    balance: Callable
    storage: Callable
    section: Callable | None = None
    residual: Callable | None = None
    unknowns: tuple[str, ...] = ()
    begin: Callable | None = None
    iterate: Callable | None = None
    settle: Callable | None = None

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(item.name for item in self.parameters)

    @cached_property
    def argument_names(self) -> tuple[str, ...]:
        """What every function takes last, in order."""
        return ARGUMENTS + self.parameter_names


# Iterations after which a search for depth is taken as it is.
MOST_ITERATIONS = 100


def muskingum(weight, travel_time, inflow, storage_before, lateral_inflow, seconds):
    """Return the flow at the end of a step by Muskingum's method, from what is stored.

    What is stored is `travel_time (weight inflow + (1 - weight) flow)`; its change over the step is
    what came less what went, by the trapezoidal rule (Chow, Maidment and Mays 1988, section 8.4).
    With the storage as the state, water closes also where travel time and weight change from step
    to step (Todini 2007, 10.5194/hess-11-1645-2007).

    Parameters
    ----------
    weight : number
        Between 0 (a reservoir) and 0.5 (a wave that keeps its shape).
    travel_time : number
        In s.
    inflow, storage_before, lateral_inflow, seconds
        See `ARGUMENTS`; storage as `muskingum_storage` defines it.
    """
    half = 0.5 * seconds
    of_inflow = travel_time * weight
    known = storage_before + seconds * lateral_inflow + (half - of_inflow) * inflow
    return known / (travel_time - of_inflow + half)


def muskingum_storage(weight, travel_time, inflow, flow, seconds):
    """Return what is stored by Muskingum's method, in m3.

    It counts what comes and goes with the flows at the ends of steps, as `balance` does, and so
    holds half a step's difference more than the textbook's.
    """
    half = 0.5 * seconds
    return (travel_time * weight + half) * inflow + (travel_time * (1.0 - weight) - half) * flow


def balance(flow, storage, remainder, inflow, lateral_inflow, seconds):
    """Let a reach lose no more water than it has.

    Parameters
    ----------
    flow : number
        What the equation gives, in m3 s-1.
    storage, remainder : number
        Water in the reach at the start of the step, in m3, and what rounding took from it so far.
    inflow, lateral_inflow, seconds
        See `ARGUMENTS`.

    Returns
    -------
    flow, storage, remainder, lateral_inflow : number
        At the end of the step. Lateral inflow is as it was, or less of a loss where there is not
        that much water.
    """
    available = storage + seconds * (inflow + lateral_inflow)
    lacking = maximum(-available, 0.0)
    # Of two equal numbers the second is picked, so that derivatives of a dry reach are not zero.
    flow = minimum(maximum(0.0, available) / seconds, maximum(0.0, flow))
    lateral_inflow = lateral_inflow + lacking / seconds
    change = seconds * (inflow + lateral_inflow - flow) + remainder
    new = maximum(0.0, storage + change)
    return flow, new, change - (new - storage), lateral_inflow


def unlimited_balance(flow, storage, remainder, inflow, lateral_inflow, seconds):
    """Count what a reach loses as it is; arguments and result as `balance`.

    Storage can become negative: then more has left than there was.
    """
    change = seconds * (inflow + lateral_inflow - flow) + remainder
    new = storage + change
    return flow, new, change - (new - storage), lateral_inflow


def step_with_depth(process: ReachProcess) -> Callable:
    """Return a routing step whose depth is known: `step(depth, ...)` gives flow and storage."""
    leaving, count = process.flow, process.balance

    def step(depth, *arguments):
        _, inflow, _, storage, lateral_inflow, seconds = arguments[: len(ARGUMENTS)]
        flow = leaving(depth, *arguments)
        return count(flow, storage, 0.0, inflow, lateral_inflow, seconds)[:2]

    return step
