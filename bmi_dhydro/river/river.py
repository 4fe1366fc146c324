"""A river network that runs: states, blocks of steps, water balance."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..errors import NetworkError, listed
from ..kernels.cpu.loop import parallel_region
from ..kernels.cpu.reach_exchange import reach_exchange
from ..kernels.cpu.reaches import compiled, lanes_of
from ..machine import threads_of
from ..physics import MUSKINGUM_CUNGE, REACH_PROCESSES
from ..physics.reach import ReachProcess
from .network import Network, Schedule, schedule

STATES = ("flow", "depth", "storage", "remainder")

# Usual length of a routing step, in s.
ROUTING_SECONDS = 300

# Routing steps that are computed together, so that memory stays bounded.
_STEPS_TOGETHER = 96

# Waking threads costs about as much time as this many routing steps of a reach.
_WORTH_THREADS = 4096


@dataclass
class Series:
    """Reaches over the routing steps of a block, as kernels take them.

    Attributes
    ----------
    flow, depth, storage, inflow : array, shape (groups, routing steps + 1, lanes)
        From before the block on.
    lateral, mean, taken : array, shape (steps, groups, lanes)
        Lateral inflow that is offered, mean flow, and lateral inflow that was taken.
    remainder : array, shape (1, groups, lanes)
        What rounding took from storage.
    start : array of int, shape (reaches,)
        Where in the series, flattened, each reach is before the block.
    ends : array of int, shape (steps, reaches)
        Where it is at the end of each step.
    steps : array of int, shape (steps, reaches)
        Where it is in `lateral`, `mean` and `taken`, flattened.
    flat : tuple of array
        Flow, depth, storage, remainder, lateral inflow, mean flow and what was taken, flattened.
    """

    flow: NDArray
    depth: NDArray
    storage: NDArray
    inflow: NDArray
    lateral: NDArray
    mean: NDArray
    taken: NDArray
    remainder: NDArray
    start: NDArray
    ends: NDArray
    steps: NDArray
    flat: tuple[NDArray, ...] = ()

    def __post_init__(self) -> None:
        arrays = (self.flow, self.depth, self.storage, self.remainder, self.lateral, self.mean)
        self.flat = tuple(values.reshape(-1) for values in (*arrays, self.taken))

    @classmethod
    def empty(cls, plan: Schedule, steps: int, substeps: int, dtype: DTypeLike) -> Series:
        """Return series of zeros."""
        series = (plan.groups, steps * substeps + 1, plan.lanes)
        step = (steps, plan.groups, plan.lanes)
        shapes = (series,) * 4 + (step,) * 3 + ((1, plan.groups, plan.lanes),)
        group, lane = np.divmod(plan.slots, plan.lanes)
        start = group * series[1] * plan.lanes + lane
        each = np.arange(steps)[:, None]
        flow, depth, storage, inflow, lateral, mean, taken, remainder = (
            np.zeros(shape, dtype) for shape in shapes
        )
        return cls(
            flow,
            depth,
            storage,
            inflow,
            lateral,
            mean,
            taken,
            remainder,
            start,
            start + (each + 1) * substeps * plan.lanes,
            plan.slots + each * plan.groups * plan.lanes,
        )


class Account:
    """Counts the water of each reach, in float64, and adds up when it is asked.

    Parameters
    ----------
    reaches : int
    """

    def __init__(self, reaches: int) -> None:
        # Lateral inflow that was taken and that was offered, flow, m3 s-1; change of storage, m3.
        self.values = np.zeros((4, reaches))
        self._taken, self._offered, self._left, self._stored = self.values

    def add(
        self,
        offered: NDArray,
        left: NDArray,
        taken: NDArray,
        storage: NDArray,
        before: Mapping[str, NDArray],
    ) -> None:
        """Count a block: series (steps, reaches), storage after it, and the states before."""
        for total, values in (
            (self._offered, offered),
            (self._left, left),
            (self._taken, taken),
        ):
            total += values[0] if len(values) == 1 else values.sum(axis=0, dtype=float)
        self._stored += storage
        self._stored -= before["storage"]

    def sums(
        self, outlets: NDArray, seconds: int, states: Mapping[str, NDArray]
    ) -> dict[str, float]:
        """Return the sums of all reaches, in m3; see `River.balance`."""
        taken = self._taken.sum() * seconds
        return {
            "in": taken,
            "out": self._left[outlets].sum() * seconds,
            "stored": self._stored.sum() + states["remainder"].sum(dtype=float),
            "lost": taken - self._offered.sum() * seconds,
        }


@dataclass(frozen=True)
class Flows:
    """What a block of steps gives: arrays of shape (steps, reaches).

    Attributes
    ----------
    flow : array
        At the end of each step, in m3 s-1.
    mean_flow : array
        Mean of each step, in m3 s-1.
    depth : array
        At the end of each step, in m; 0 without geometry.
    velocity : array
        At the end of each step, in m s-1; 0 without geometry.
    storage : array
        Water in the reach at the end of each step, in m3.
    """

    flow: NDArray
    mean_flow: NDArray
    depth: NDArray
    velocity: NDArray
    storage: NDArray


OUTPUTS = tuple(item.name for item in fields(Flows))


class River:
    """Reaches of a network, from lateral inflow to flow.

    Parameters
    ----------
    network : Network
    process : ReachProcess or str
        The model of a reach, or its name in `physics.REACH_PROCESSES`.
    step_seconds : int
        Length of a step.
    routing_seconds : int, optional
        Longest routing step; a step is done in equal ones. 300 s, unless given.
    dtype : float32 or float64
    threads : int, optional
        All processors of this process, unless given.

    Attributes
    ----------
    states : dict of array, shape (reaches,)
        `flow` (m3 s-1) and `depth` (m) at the end of the last routing step, `storage` (m3), and its
        `remainder` (what rounding took from it, in m3). May be changed in place; `set_flow` makes
        them agree.

    Raises
    ------
    NetworkError
        If parameters are missing or impossible.
    """

    def __init__(
        self,
        network: Network,
        process: ReachProcess | str = MUSKINGUM_CUNGE,
        step_seconds: int = 3600,
        routing_seconds: int = ROUTING_SECONDS,
        dtype: DTypeLike = np.float32,
        threads: int | None = None,
    ) -> None:
        self.network = network
        self.process = REACH_PROCESSES[process] if isinstance(process, str) else process
        self.step_seconds = step_seconds
        self.substeps = max(1, math.ceil(step_seconds / routing_seconds))
        self.seconds = step_seconds / self.substeps
        self.dtype = np.dtype(dtype)
        self.threads = threads_of(threads)
        self.plan = schedule(network, lanes_of(dtype), self.threads)
        self.place_parameters(network.parameters_of(self.process))
        self._kernel = compiled(self.process, self.dtype.name)
        self._series: dict[int, Series] = {}
        self._exchange = reach_exchange()
        self._hold_states(np.zeros((len(STATES), len(network)), dtype))
        self._account = Account(len(network))

    @property
    def steps_together(self) -> int:
        """Steps that are computed at once, so that memory stays bounded."""
        return max(1, _STEPS_TOGETHER // self.substeps)

    def place_parameters(self, values: NDArray) -> None:
        """Take on parameters (parameters, reaches)."""
        shape = (len(values), self.plan.groups, self.plan.lanes)
        flat = np.empty((len(values), shape[1] * shape[2]), self.dtype)
        # A slot without a reach has those of the first.
        flat[:] = values[:, :1]
        flat[:, self.plan.slots] = values
        self.placed_parameters = flat.reshape(shape)

    def parameter(self, name: str) -> NDArray:
        """Return a parameter of all reaches: shape (reaches,)."""
        k = self.process.parameter_names.index(name)
        return self.placed_parameters[k].reshape(-1)[self.plan.slots]

    def set_parameter(self, name: str, values: ArrayLike, places: NDArray | slice) -> None:
        """Set a parameter of some reaches.

        Raises
        ------
        NetworkError
            If the equations do not hold for a value; nothing is changed then.
        """
        k = self.process.parameter_names.index(name)
        rows = self.parameters.astype(float)
        rows[k, places] = values
        checked = Network(
            self.network.ids,
            self.network.to,
            dict(zip(self.process.parameter_names, rows, strict=True)),
        ).parameters_of(self.process)
        self.place_parameters(checked)

    @property
    def parameters(self) -> NDArray:
        """Parameters of all reaches: a copy of shape (parameters, reaches)."""
        return self.placed_parameters.reshape(len(self.placed_parameters), -1)[:, self.plan.slots]

    def set_flow(self, flow: ArrayLike) -> None:
        """Let reaches start with a flow, and the depth and storage that go with it.

        Parameters
        ----------
        flow : array, shape (reaches,)
            In m3 s-1, as if it had been steady.

        Raises
        ------
        NetworkError
            If a value is negative or no number; names reaches.
        """
        values = np.asarray(flow, dtype=float)
        wrong = ~(np.isfinite(values) & (values >= 0.0))
        if wrong.any():
            raise NetworkError(
                f"initial flow of reach {listed(self.network.ids[wrong])} is negative or no number"
            )
        parameters = self.parameters.astype(float)
        depth = normal_depth(self.process, values, parameters)
        above = np.zeros(len(self.network))
        drained = self.network.to >= 0
        np.add.at(above, self.network.to[drained], values[drained])
        storage = self.process.storage(depth, above, values, self.seconds, *parameters)
        for name, found in zip(STATES, (values, depth, storage, 0.0), strict=True):
            self.states[name][:] = found

    def start_steady(self, lateral_inflow: ArrayLike) -> None:
        """Let reaches start with the flow that lateral inflow (reaches,) would keep up.

        In m3 s-1; a loss keeps up none.
        """
        kept = np.maximum(np.asarray(lateral_inflow, dtype=float), 0.0)
        self.set_flow(self.network.accumulated(kept))

    def run(self, lateral_inflow: ArrayLike) -> Flows:
        """Route some steps.

        Parameters
        ----------
        lateral_inflow : array, shape (steps, reaches)
            In m3 s-1, mean of each step; what is negative is a loss.

        Raises
        ------
        NetworkError
            If a value is no number; names reach and step. Nothing is changed then.
        """
        lateral = np.asarray(lateral_inflow, dtype=self.dtype)
        if lateral.ndim != 2 or lateral.shape[1] != len(self.network):
            raise NetworkError(
                f"lateral inflow has the shape {lateral.shape}: should be (steps, "
                f"{len(self.network)} reaches)"
            )
        if not np.isfinite(lateral).all():
            step, place = np.argwhere(~np.isfinite(lateral))[0]
            raise NetworkError(
                f"lateral inflow of reach {self.network.ids[place]} in step {step} is no number"
            )
        if not len(lateral):
            return Flows(*np.zeros((len(OUTPUTS), 0, len(self.network)), self.dtype))
        together = self.steps_together
        parts = [self.block(lateral[k : k + together]) for k in range(0, len(lateral), together)]
        flow, mean, depth, storage = (np.concatenate(values) for values in zip(*parts, strict=True))
        return Flows(flow, mean, depth, self.velocity(flow, depth), storage)

    def block(self, lateral: NDArray) -> tuple[NDArray, ...]:
        """Route some steps at once; return flow, mean flow, depth and storage, as `Flows` has them.

        Parameters
        ----------
        lateral : array, shape (steps, reaches)
            As for `run`, of the type `dtype`, and not checked.
        """
        series = self.series_of(lateral)
        self.route(series)
        flow, storage = series.flow.take(series.ends), series.storage.take(series.ends)
        if self.process.section is None:
            depth = np.zeros_like(flow)
        else:
            depth = series.depth.take(series.ends)
        mean = series.mean.take(series.steps)
        # Only losses may not be taken as they are offered.
        taken = lateral if lateral.min() >= 0.0 else series.taken.take(series.steps)
        self._account.add(lateral, mean, taken, storage[-1], self.states)
        self.states["flow"][:] = flow[-1]
        self.states["depth"][:] = depth[-1]
        self.states["storage"][:] = storage[-1]
        self.states["remainder"][:] = series.remainder.take(self.plan.slots)
        return flow, mean, depth, storage

    def step(self, lateral: NDArray, outputs: NDArray) -> None:
        """Route a step, in the fewest calls; the same as `block` to the last bit.

        Parameters
        ----------
        lateral : array, shape (reaches,)
            Lateral inflow in m3 s-1, not checked.
        outputs : array of float64, shape (4, reaches)
            Flow, mean flow, depth and storage, as `Flows` has them; written.
        """
        series, slots = self._series_of_steps(1), self.plan.slots
        flow, depth, storage, remainder, offered, mean, taken = series.flat
        start, ends, steps = series.start, series.ends[0], series.steps[0]
        enter, leave = self._exchange
        enter(self._held, lateral, start, slots, steps, flow, depth, storage, remainder, offered)
        self.route(series)
        leave(
            self._held,
            start,
            slots,
            ends,
            steps,
            flow,
            depth,
            storage,
            remainder,
            offered,
            mean,
            taken,
            self._account.values,
            outputs,
        )

    @property
    def balance(self) -> dict[str, float]:
        """What came and went since the start, in m3.

        `in` (lateral inflow that was taken), `out` (at outlets), `stored` (change of storage) and
        `lost` (losses that were asked for where there was no water).
        """
        return self._account.sums(self.network.to < 0, self.step_seconds, self.states)

    def series_of(self, lateral: NDArray) -> Series:
        """Return the series of a block (steps, reaches) that starts from the present states."""
        series = self._series_of_steps(len(lateral))
        for name, values in (
            ("flow", series.flow),
            ("depth", series.depth),
            ("storage", series.storage),
        ):
            values.reshape(-1)[series.start] = self.states[name]
        series.remainder.reshape(-1)[self.plan.slots] = self.states["remainder"]
        series.lateral.reshape(-1)[series.steps] = lateral
        return series

    def _series_of_steps(self, steps: int) -> Series:
        """Return the series of blocks of a length, which are kept for the next."""
        if steps not in self._series:
            self._series = {steps: Series.empty(self.plan, steps, self.substeps, self.dtype)}
        return self._series[steps]

    def _hold_states(self, states: NDArray) -> None:
        """Let the rows of an array be the states."""
        self._held = states
        self.states = dict(zip(STATES, states, strict=True))

    def route(self, series: Series) -> None:
        """Fill the series of a block."""
        plan = self.plan
        arguments = (
            self.placed_parameters,
            series.lateral,
            self.substeps,
            self.seconds,
            plan.origins,
            plan.origin_groups,
            plan.origin_lanes,
            series.flow,
            series.depth,
            series.storage,
            series.inflow,
            series.mean,
            series.taken,
            series.remainder,
        )
        self.in_parts(self._kernel, series.flow.size, arguments)
        if plan.trunk < plan.groups:
            self._kernel["run_serial"](plan.trunk, plan.groups, *arguments)

    def in_parts(self, kernel: Mapping[str, Any], work: int, arguments: tuple[Any, ...]) -> None:
        """Run a kernel for all parts of the schedule: at once, where that is worth the threads."""
        parts = self.plan.parts
        if len(parts) == 2 or work < _WORTH_THREADS:
            kernel["run_serial"](0, self.plan.trunk, *arguments)
            return
        with parallel_region(len(parts) - 1):
            kernel["run_parallel"](parts, *arguments)

    def velocity(self, flow: NDArray, depth: NDArray) -> NDArray:
        """Return the mean velocity (m s-1) of a flow (m3 s-1) at a depth (m)."""
        if self.process.section is None:
            return np.zeros_like(flow)
        area = self.process.section(depth, *self.parameters)[0]
        return np.where(area > 0.0, flow / np.maximum(area, 1e-9), 0.0).astype(self.dtype)

    def twin(self) -> River:
        """Return a river of the same network and kernels, with states and an account of its own."""
        other = copy.copy(self)
        other._hold_states(self._held.copy())
        other._account = Account(len(self.network))
        return other

    def snapshot(self) -> dict[str, NDArray]:
        """Return copies of what the next steps depend on: arrays of shape (reaches,)."""
        return {name: values.copy() for name, values in self.states.items()}

    def restore(self, snapshot: Mapping[str, NDArray]) -> None:
        """Take on what `snapshot` returned."""
        for name in STATES:
            self.states[name][:] = snapshot[name]


def normal_depth(process: ReachProcess, flow: NDArray, parameters: NDArray) -> NDArray:
    """Return the depth (m) at which uniform flow is this flow; 0 for a model without geometry.

    Parameters
    ----------
    process : ReachProcess
    flow : array, shape (reaches,)
        In m3 s-1.
    parameters : array, shape (parameters, reaches)

    Returns
    -------
    array, shape (reaches,)
        The lower one, where a depth in the banks and one above fit.
    """
    if process.section is None:
        return np.zeros_like(flow)
    low, high = np.zeros_like(flow), np.full_like(flow, 1e-3)
    for _ in range(60):
        short = process.section(high, *parameters)[1] < flow
        if not short.any():
            break
        high = np.where(short, 2.0 * high, high)
    for _ in range(80):
        middle = 0.5 * (low + high)
        short = process.section(middle, *parameters)[1] < flow
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.where(flow > 0.0, 0.5 * (low + high), 0.0)
