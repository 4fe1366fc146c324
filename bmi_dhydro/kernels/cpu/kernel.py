"""The CPU kernel: loops around a process model's own step, printed as source, compiled by Numba.

Layout: parameter sets innermost and contiguous, catchments divided over threads, time inside. State
stays in the first-level cache while a block of time runs. Single steps and blocks are the same
compiled code, and the code has one order of rounding, so they agree bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache as memoised

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...machine import threads_of
from ...physics import Process
from ...physics.unit_hydrograph import DISCHARGE, ROUTING_STORE, stored_outputs
from ..interface import HostArrays, StepBlock
from ..ir.adjoint import PREFIX, differentiate
from ..ir.printing import indented, operand, printed
from ..ir.program import terms, trace
from .loop import BYTES_TOGETHER, CompiledLoop, LoopSource, one_thread, over_lanes

# Steps whose states fit the cache, so that the adjoint keeps them all.
SHORT = 2048

# Catchments that go through a block of time together.
_CATCHMENTS_TOGETHER = 16


def _forcing_loads(process: Process) -> list[str]:
    return [f"{name} = real(forcing[t, {k}, c])" for k, name in enumerate(process.forcing_names)]


# Quantities summed over parameter sets together.
_SUMMED_TOGETHER = 8


class _Sums:
    """Code that sums quantities over the parameter sets of a catchment, several together."""

    def __init__(self, count: int, parameter_sets: int, dtype: DTypeLike) -> None:
        lanes = BYTES_TOGETHER // np.dtype(dtype).itemsize
        # The narrowest group of parameter sets has to hold as many lanes as there are sums.
        while parameter_sets % lanes:
            lanes //= 2
        self.together = min(_SUMMED_TOGETHER, lanes)
        self.count = count
        self.groups = -(-count // self.together)

    def start(self, of: str = "sums") -> list[str]:
        zeros = ", ".join(["real(0.0)"] * self.together)
        return [f"{of}_{g} = totals({self.together}, {zeros})" for g in range(self.groups)]

    def add(self, values: Sequence[str], lanes: int) -> list[str]:
        padded = [*values, *["real(0.0)"] * (self.groups * self.together - self.count)]
        return [
            f"sums_{g} = add(sums_{g}, totals({lanes}, "
            f"{', '.join(padded[g * self.together : (g + 1) * self.together])}))"
            for g in range(self.groups)
        ]

    def value(self, k: int, of: str = "sums") -> str:
        return f"lane({of}_{k // self.together}, {k % self.together})"

    def means(self, kept: Sequence[int], substeps: int) -> tuple[list[str], list[str]]:
        """Return the code of means over parameter sets, before and in the substeps of a step.

        `means_0`, ... are those of the step, `part_0`, ... those of a substep.

        Parameters
        ----------
        kept : sequence of int
            Quantities of which the last substep counts; of others the sum of all does.
        substeps : int
        """
        groups = range(self.groups)
        if substeps == 1:
            return [], [f"means_{g} = mul(sums_{g}, share)" for g in groups]
        signs = "".join("0" if k in kept else "1" for k in range(self.groups * self.together))
        width = self.together
        switched = [
            f"grow_{g} = switches({signs[g * width : (g + 1) * width]!r}, means_{g})"
            for g in groups
        ]
        during = [f"part_{g} = mul(sums_{g}, share)" for g in groups]
        during += [f"means_{g} = add(mul(means_{g}, grow_{g}), part_{g})" for g in groups]
        return [*self.start("means"), *switched], during

    def stores(self, places: Mapping[int, int]) -> list[str]:
        """Return the code that writes means to outputs.

        Parameters
        ----------
        places : mapping
            Places among the outputs by the quantities', both increasing.
        """
        lines: list[str] = []
        for group in range(self.groups):
            own = [k for k in places if k // self.together == group]
            runs: list[list[int]] = []
            for k in own:
                if runs and k == runs[-1][-1] + 1 and places[k] == places[k - 1] + 1:
                    runs[-1].append(k)
                else:
                    runs.append([k])
            lines += (
                f"store_rows(outputs, t, {places[run[0]]}, c, means_{group}, "
                f"{run[0] % self.together}, {len(run)})"
                for run in runs
            )
        return lines


def _parameter_loads(
    process: Process, dynamic: Sequence[str], lanes: int, row: str = "c"
) -> list[str]:
    """Bind parameters: those that change with time come from an array of their own."""
    static = [
        f"{name} = load(parameters, {row}, {k}, m, {lanes})"
        for k, name in enumerate(process.parameter_names)
        if name not in dynamic
    ]
    return static + [
        f"{name} = load(dynamic, t * stride + c, {k}, m, {lanes})" for k, name in enumerate(dynamic)
    ]


def block_source(
    process: Process,
    outputs: Sequence[str],
    parameter_sets: int,
    dtype: DTypeLike,
    dynamic: Sequence[str] = (),
    substeps: int = 1,
) -> LoopSource:
    """Print the forward kernel of a process model for a choice of outputs.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`, `DISCHARGE` and `ROUTING_STORE`.
    parameter_sets : int
    dtype : float32 or float64
    dynamic : sequence of str
        Parameters that have a value for each step.
    substeps : int
        In which each step is done; parameters, unit hydrographs and `position` are those of
        substeps.

    Returns
    -------
    LoopSource
    """
    count = len(process.states)
    averaged = [name for name in outputs if name not in (DISCHARGE, ROUTING_STORE)]
    averaged = list(dict.fromkeys([process.runoff, *averaged]))
    positions = [*range(count), *(process.output_names.index(name) for name in averaged)]
    program = trace(process.step, process.argument_names).restricted(positions)
    results = [operand(name) for name in program.outputs]
    targets = dict(zip(averaged, program.outputs[count:], strict=True))
    # What is a sum of others that are averaged anyway is averaged by adding those up.
    derived = {}
    for name, target in targets.items():
        others = [t for n, t in targets.items() if isinstance(t, str) and n not in derived]
        found = terms(program, target, others)
        if found:
            derived[name] = found
    sums = [name for name in averaged if name not in derived]
    summed = _Sums(len(sums), parameter_sets, dtype)
    rows = {targets[name]: k for k, name in enumerate(sums)}
    stored = stored_outputs(process)

    def mean(name: str, of: str) -> str:
        terms = derived.get(name, [targets[name]])
        return " + ".join(summed.value(rows[term], of) for term in terms)

    def body(lanes: int) -> list[str]:
        return [
            *(
                f"{name} = load(state, {k}, c, m, {lanes})"
                for k, name in enumerate(process.state_names)
            ),
            *_parameter_loads(process, dynamic, lanes, "own"),
            *printed(program),
            *(f"store(state, {k}, c, m, {results[k]})" for k in range(count)),
            *summed.add([operand(targets[name]) for name in sums], lanes),
        ]

    substep = [
        *summed.start(),
        *over_lanes(parameter_sets, dtype, body),
        f"runoff_mean = ({mean(process.runoff, 'sums')}) * share",
        "head = (position + t) % length"
        if substeps == 1
        else f"head = (position + t * {substeps} + substep) % length",
        f"{DISCHARGE} {'' if substeps == 1 else '+'}= "
        "delay(pending, weights, reach, c, own, head, runoff_mean)",
    ]
    if ROUTING_STORE in outputs:
        substep.append(f"{ROUTING_STORE} = ring_sum(pending, reach, c, head)")
    kept = [k for k, name in enumerate(sums) if name in stored]
    before, during = summed.means(kept, substeps)
    substep += during
    # Sums of means add up substep by substep, so that a step is its parts to the last bit.
    adding: list[str] = []
    if substeps > 1:
        adding = [name for name in outputs if name in derived and name not in stored]
        substep += [f"{name}_sum += {mean(name, 'part')}" for name in adding]
    step = _forcing_loads(process)
    if substeps == 1:
        step += substep
    else:
        shares = process.forcing_shares(substeps).tolist()
        step += [
            *(
                f"{name} *= real({share!r})"
                for name, share in zip(process.forcing_names, shares, strict=True)
                if share != 1.0
            ),
            *before,
            *(f"{name}_sum = real(0.0)" for name in adding),
            f"{DISCHARGE} = real(0.0)",
            *([f"{ROUTING_STORE} = real(0.0)"] if ROUTING_STORE in outputs else ()),
            f"for substep in range({substeps}):",
            *indented(substep),
        ]
    places = {name: k for k, name in enumerate(outputs)}
    step += summed.stores({k: places[name] for k, name in enumerate(sums) if name in places})
    for name, k in places.items():
        value = mean(name, "means") if name in targets else name
        if name in adding:
            value = f"{name}_sum"
        if name not in sums:
            step.append(f"store(outputs, t, {k}, c, {value})")
    arguments = "forcing, parameters, state, weights, pending, reach, position, outputs"
    if dynamic:
        arguments += ", dynamic"
    function = [
        "stride = state.shape[1]",
        "shared = parameters.shape[0]",
        f"share = real(1.0 / {parameter_sets})",
        "length = pending.shape[1]",
        # Some catchments at a time: their states stay in the cache, and neighbours in memory are
        # read and written together.
        f"for first in range(start, stop, {_CATCHMENTS_TOGETHER}):",
        f"    last = min(first + {_CATCHMENTS_TOGETHER}, stop)",
        "    begin = first - first % shared",
        "    for t in range(forcing.shape[0]):",
        "        for c in range(first, last):",
        # The members of an ensemble come one after the other, and share their parameters.
        "            own = c - begin",
        "            while own >= shared:",
        "                own -= shared",
        *indented(step, 3),
    ]
    return LoopSource(f"{process.long_name}: a block of steps", dtype, arguments, function)


def _for_each(rows: int, parameter_sets: int, line: str) -> list[str]:
    """Repeat a line for each row `i` and parameter set `m`."""
    return [f"for i in range({rows}):", f"    for m in range({parameter_sets}):", f"        {line}"]


def adjoint_source(
    process: Process,
    outputs: Sequence[str],
    parameter_sets: int,
    dtype: DTypeLike,
    dynamic: Sequence[str] = (),
) -> LoopSource:
    """Print the backward kernel: gradients of chosen outputs of a block.

    The states inside the block are computed again, one catchment at a time, so that memory does
    not grow with the number of catchments. Of a long block only the states at the start of each
    segment are kept, and those inside are computed a second time. Arguments and result as
    `block_source`.
    """
    count, parameters = len(process.states), len(process.parameters)
    forcings = len(process.forcings)
    positions = [process.output_names.index(name) for name in outputs]
    forward = trace(process.step, process.argument_names)
    advance = forward.restricted(range(count))
    backward = differentiate(forward, [*range(count), *positions])
    gradients = [operand(name) for name in backward.outputs]
    summed = _Sums(forcings, parameter_sets, dtype)

    def state_loads(lanes: int) -> list[str]:
        return [
            f"{name} = load(trajectory, k, {k}, m, {lanes})"
            for k, name in enumerate(process.state_names)
        ]

    def forward_body(lanes: int) -> list[str]:
        return [
            *state_loads(lanes),
            *_parameter_loads(process, dynamic, lanes),
            *printed(advance),
            *(
                f"store(trajectory, k + 1, {k}, m, {operand(name)})"
                for k, name in enumerate(advance.outputs)
            ),
        ]

    def backward_body(lanes: int) -> list[str]:
        slopes = []
        for k, name in enumerate(process.parameter_names):
            gradient = gradients[count + forcings + k]
            if name in dynamic:
                place = f"dynamic_gradient, t * stride + c, {dynamic.index(name)}, m"
                slopes.append(f"store({place}, spread({gradient}, {lanes}))")
            else:
                place = f"slopes, 0, {k}, m"
                slopes.append(f"store({place}, add(load({place}, {lanes}), {gradient}))")
        return [
            *state_loads(lanes),
            *_parameter_loads(process, dynamic, lanes),
            *(f"{PREFIX}{k} = load(sensitivity, 0, {k}, m, {lanes})" for k in range(count)),
            *printed(backward),
            *(f"store(sensitivity, 0, {k}, m, {gradients[k]})" for k in range(count)),
            *summed.add(gradients[count : count + forcings], lanes),
            *slopes,
        ]

    arguments = (
        "forcing, parameters, state, output_gradient, final_gradient, segment, "
        "state_gradient, parameter_gradient, forcing_gradient"
    )
    if dynamic:
        arguments += ", dynamic, dynamic_gradient"
    forward_step = [
        *_forcing_loads(process),
        *over_lanes(parameter_sets, dtype, forward_body),
    ]
    made = ["starts", "trajectory", "sensitivity", "slopes"]
    before = [
        "steps = forcing.shape[0]",
        "segments = (steps + segment - 1) // segment",
        f"starts = np.empty((segments, {count}, {parameter_sets}), real)",
        f"trajectory = np.empty((min(segment, steps) + 1, {count}, {parameter_sets}), real)",
        f"sensitivity = np.empty((1, {count}, {parameter_sets}), real)",
        f"slopes = np.empty((1, {len(process.parameters)}, {parameter_sets}), real)",
    ]

    def each_state(target: str, value: str) -> list[str]:
        """Print an assignment for each state `i` and parameter set `m`."""
        return _for_each(count, parameter_sets, f"{target} = {value}")

    function = [
        f"share = real(1.0 / {parameter_sets})",
        "stride = state.shape[1]",
        "for c in range(start, stop):",
        *indented(each_state("starts[0, i, m]", "state[i, c, m]")),
        "    for s in range(1, segments):",
        *indented(each_state("trajectory[0, i, m]", "starts[s - 1, i, m]"), 2),
        "        for t in range((s - 1) * segment, s * segment):",
        "            k = t - (s - 1) * segment",
        *indented(forward_step, 3),
        *indented(each_state("starts[s, i, m]", "trajectory[segment, i, m]"), 2),
        *indented(each_state("sensitivity[0, i, m]", "final_gradient[i, c, m]")),
        *indented(_for_each(parameters, parameter_sets, "slopes[0, i, m] = real(0.0)")),
        "    for s in range(segments - 1, -1, -1):",
        "        first = s * segment",
        "        last = min(first + segment, steps)",
        *indented(each_state("trajectory[0, i, m]", "starts[s, i, m]"), 2),
        "        for t in range(first, last - 1):",
        "            k = t - first",
        *indented(forward_step, 3),
        "        for t in range(last - 1, first - 1, -1):",
        "            k = t - first",
        *indented(_forcing_loads(process), 3),
        *(
            f"            {PREFIX}{count + k} = output_gradient[t, {k}, c] * share"
            for k in range(len(positions))
        ),
        *indented(summed.start(), 3),
        *indented(over_lanes(parameter_sets, dtype, backward_body), 3),
        *(f"            forcing_gradient[t, {k}, c] = {summed.value(k)}" for k in range(forcings)),
        *indented(each_state("state_gradient[i, c, m]", "sensitivity[0, i, m]")),
        *indented(
            _for_each(parameters, parameter_sets, "parameter_gradient[c, i, m] = slopes[0, i, m]")
        ),
    ]
    title = f"{process.long_name}: gradients of a block"
    names = ["steps", "segments", *made]
    return LoopSource(title, dtype, arguments, function, before, names)


@memoised
def _block(
    process: Process,
    outputs: tuple[str, ...],
    parameter_sets: int,
    dtype: str,
    dynamic: tuple[str, ...],
    substeps: int,
) -> CompiledLoop:
    source = block_source(process, outputs, parameter_sets, dtype, dynamic, substeps)
    return CompiledLoop(source, f"{process.name}_block_{parameter_sets}_{dtype}")


@memoised
def _adjoint(
    process: Process,
    outputs: tuple[str, ...],
    parameter_sets: int,
    dtype: str,
    dynamic: tuple[str, ...],
) -> CompiledLoop:
    source = adjoint_source(process, outputs, parameter_sets, dtype, dynamic)
    return CompiledLoop(source, f"{process.name}_adjoint_{parameter_sets}_{dtype}")


class CpuKernel(HostArrays):
    """Runs a process model on the CPU, for a fixed choice of outputs.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        What `run` writes: names among `process.output_names`, `"discharge"`, `"routing_store"`.
    parameter_sets : int
    dtype : float32 or float64
    threads : int, optional
        All processors this process may use, unless given.
    dynamic : sequence of str
        Parameters that have a value for each step.
    substeps : int
        In which each step is done.
    """

    name = "cpu"

    def __init__(
        self,
        process: Process,
        outputs: Sequence[str],
        parameter_sets: int,
        dtype: DTypeLike = np.float64,
        threads: int | None = None,
        dynamic: Sequence[str] = (),
        substeps: int = 1,
    ) -> None:
        name = np.dtype(dtype).name
        self._loop = _block(process, tuple(outputs), parameter_sets, name, tuple(dynamic), substeps)
        self._serial = self._loop.serial
        self.threads = threads_of(threads)

    def serial(self, cells: int) -> CompiledLoop | None:
        """Return the loop where one thread runs it; None elsewhere.

        Parameters
        ----------
        cells : int
            Columns and parameter sets of a step.
        """
        return self._loop if one_thread(cells, self.threads) else None

    def run(self, block: StepBlock) -> None:
        """Advance all cells through a block of steps, in place."""
        forcing, ring, dynamic = block.forcing, block.ring, block.dynamic
        more = () if dynamic is None else (dynamic.reshape(-1, *dynamic.shape[2:]),)
        arguments = (
            forcing,
            block.parameters,
            block.state,
            ring.weights,
            ring.pending,
            ring.reach,
            ring.position,
            block.outputs,
            *more,
        )
        _, columns, parameter_sets = block.state.shape
        if columns == 1:
            self._serial(0, 1, *arguments)
            return
        self._loop(columns, columns * parameter_sets * len(forcing), self.threads, *arguments)


def gradients(
    process: Process,
    outputs: Sequence[str],
    forcing: NDArray,
    parameters: NDArray,
    state: NDArray,
    output_gradient: NDArray,
    final_gradient: NDArray,
    threads: int | None = None,
    segment: int | None = None,
    dynamic: NDArray | None = None,
    dynamic_names: Sequence[str] = (),
) -> tuple[NDArray, ...]:
    """Pull gradients of a block's outputs and final state back to what it started from.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        The differentiated outputs, among `process.output_names`; means over parameter sets.
    forcing : array, shape (steps, forcings, catchments)
    parameters : array, shape (catchments, parameters, parameter sets)
    state : array, shape (states, catchments, parameter sets)
        The state before the block.
    output_gradient : array, shape (steps, outputs, catchments)
    final_gradient : array, shape (states, catchments, parameter sets)
    threads : int, optional
    segment : int, optional
        Steps whose states are in memory at a time, beside those at the start of each segment:
        about the square root of the steps needs least. Up to `SHORT` steps all are, unless given.

    dynamic : array, shape (steps, catchments, dynamic parameters, parameter sets), optional
    dynamic_names : sequence of str
        Which parameters they are.

    Returns
    -------
    forcing_gradient, parameter_gradient, state_gradient : array
        Shapes of `forcing`, `parameters` and `state`.
    dynamic_gradient : array
        Shape of `dynamic`, if that is given.
    """
    steps, catchments, parameter_sets = (forcing.shape[0], *state.shape[1:])
    loop = _adjoint(process, tuple(outputs), parameter_sets, state.dtype.name, tuple(dynamic_names))
    results = np.empty_like(forcing), np.empty_like(parameters), np.empty_like(state)
    more: tuple[NDArray, ...] = ()
    if dynamic is not None:
        rows = dynamic.reshape(-1, *dynamic.shape[2:])
        more = rows, np.empty_like(rows)
    loop(
        catchments,
        catchments * parameter_sets * steps,
        threads_of(threads),
        forcing,
        parameters,
        state,
        output_gradient,
        final_gradient,
        segment or (steps if steps <= SHORT else math.isqrt(steps - 1) + 1),
        results[2],
        results[1],
        results[0],
        *more,
    )
    return results if dynamic is None else (*results, more[1].reshape(dynamic.shape))
