"""River reaches on the CPU: compiled from the equations of one reach, many reaches at a time.

Reaches are scheduled in groups of as many as a vector holds, each group after all that drains to
it. A group does all routing steps of a block before the next one begins, so that its geometry is
read once; what drains to it is summed in a fixed order. So results depend neither on the length of
blocks nor on how groups are divided among threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache as memoised
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...physics.reach import MOST_ITERATIONS, ReachProcess, step_with_depth
from .. import cache
from ..ir.adjoint import differentiate
from ..ir.printing import OPTIONS, as_one, indented, module_of, operand, printed
from ..ir.program import Program, trace

# Bytes of a vector of reaches: two registers of the usual 32 bytes.
_BYTES = 64

_FORWARD = "parameters, lateral, substeps, seconds, origins, groups, lanes, flow, depth, storage"
_FORWARD += ", inflow, mean, taken, remainders"
_BACKWARD = "parameters, lateral, substeps, seconds, outlets, flow, depth, storage, inflow, to_flow"
_BACKWARD += ", to_depth, to_storage, to_inflow, to_lateral, to_parameters"


def lanes_of(dtype: DTypeLike) -> int:
    """Return how many reaches are computed together."""
    return _BYTES // np.dtype(dtype).itemsize


def _assigned(names: Sequence[str], program: Program, lanes: int = 0) -> list[str]:
    """Print a program and give its outputs names; as vectors of so many lanes, if it is said."""
    values = [operand(value) for value in program.outputs]
    if lanes:
        values = [f"spread({value}, {lanes})" for value in values]
    # All are read before one is written: an output may be an input of another name.
    return [*printed(program), f"{', '.join(names)}, = {', '.join(values)},"]


def _loads(process: ReachProcess, lanes: int) -> list[str]:
    return [
        f"{name} = load(parameters, {k}, g, 0, {lanes})"
        for k, name in enumerate(process.parameter_names)
    ]


def _search(process: ReachProcess, lanes: int) -> list[str]:
    """Print the search for the depth of some reaches; those that have ended stay as they are."""
    if process.begin is None or process.iterate is None or process.settle is None:
        program = trace(process.flow, ("depth", *process.argument_names)).renamed("flow_")
        return [f"depth = spread(real(0.0), {lanes})", *_assigned(["q"], program)]
    unknowns, ended = process.unknowns, process.unknowns[-1]
    arguments = process.argument_names
    begin = trace(process.begin, ("depth_before", *arguments)).renamed("begin_")
    iterate = trace(process.iterate, (*unknowns, *arguments)).renamed("next_")
    settle = trace(process.settle, (*unknowns, *arguments)).renamed("end_")
    return [
        *_assigned(unknowns, begin, lanes),
        "iteration = 0",
        f"while iteration < {MOST_ITERATIONS} and some_below({ended}, real(0.5)):",
        *indented(_assigned([f"new_{name}" for name in unknowns], iterate, lanes)),
        f"    going = lt({ended}, real(0.5))",
        *(f"    {name} = where(going, new_{name}, {name})" for name in unknowns),
        "    iteration += 1",
        *_assigned(["depth", "q"], settle, lanes),
    ]


def forward_source(process: ReachProcess, dtype: DTypeLike) -> str:
    """Print `run(first_group, last_group, ...)`, which routes a block through these groups.

    Its further arguments are

    - parameters (parameters, groups, lanes), lateral (steps, groups, lanes): m3 s-1
    - substeps, seconds: routing steps of a step, and their length
    - origins (slots + 1,), groups, lanes: what drains to each slot, as rows of the two others
    - flow, depth, storage, inflow (groups, routing steps + 1, lanes): the first of each is known,
      but of inflow; written
    - mean, taken (steps, groups, lanes): mean flow and lateral inflow of each step; written
    - remainders (1, groups, lanes): what rounding took from storage; changed
    """
    lanes = lanes_of(dtype)
    arguments = ("q", "storage_before", "remainder", "inflow", "lateral_inflow", "seconds")
    balanced = trace(process.balance, arguments).renamed("balance_")
    before = ["inflow_before", "flow_before", "depth_before", "storage_before"]
    arrays = ["inflow", "flow", "depth", "storage"]
    names = {"inflow": "inflow_series", "flow": "flow_series"}
    names |= {"depth": "depth_series", "storage": "storage_series"}
    group = [
        f"for s in range({names['inflow']}.shape[1]):",
        f"    store({names['inflow']}, g, s, 0, spread(real(0.0), {lanes}))",
        f"for k in range({lanes}):",
        f"    slot = g * {lanes} + k",
        "    for origin in range(origins[slot], origins[slot + 1]):",
        "        above, place = groups[origin], lanes[origin]",
        f"        for s in range({names['inflow']}.shape[1]):",
        f"            {names['inflow']}[g, s, k] += {names['flow']}[above, s, place]",
        *_loads(process, lanes),
        *(f"{b} = load({names[a]}, g, 0, 0, {lanes})" for b, a in zip(before, arrays, strict=True)),
        f"remainder = load(remainders, 0, g, 0, {lanes})",
        "s = 0",
        "for t in range(lateral.shape[0]):",
        f"    lateral_inflow = load(lateral, t, g, 0, {lanes})",
        f"    total, kept = spread(real(0.0), {lanes}), spread(real(0.0), {lanes})",
        "    for substep in range(substeps):",
        "        s += 1",
        f"        inflow = load({names['inflow']}, g, s, 0, {lanes})",
        *indented(_search(process, lanes), 2),
        *indented(_assigned(["flow", "storage", "remainder", "gained"], balanced, lanes), 2),
        f"        store({names['flow']}, g, s, 0, flow)",
        f"        store({names['depth']}, g, s, 0, depth)",
        f"        store({names['storage']}, g, s, 0, storage)",
        "        total, kept = add(total, flow), add(kept, gained)",
        "        inflow_before, flow_before = inflow, flow",
        "        depth_before, storage_before = depth, storage",
        "    store(mean, t, g, 0, mul(total, share))",
        "    store(taken, t, g, 0, mul(kept, share))",
        "store(remainders, 0, g, 0, remainder)",
    ]
    signature = _FORWARD
    for name, series in names.items():
        signature = signature.replace(f", {name},", f", {series},")
    return _module(process, dtype, signature, "for g in range(first_group, last_group):", group)


def backward_source(process: ReachProcess, dtype: DTypeLike) -> str:
    """Print the adjoint of what `forward_source` prints: gradients of a block, from its end.

    Arguments that the other has not are

    - outlets (slots,): the slot that each drains to, or -1
    - to_flow, to_depth, to_storage (groups, routing steps + 1, lanes): gradients with respect to
      the series; on return the first holds those with respect to the first values
    - to_inflow (groups, routing steps + 1, lanes): written
    - to_lateral (steps, groups, lanes), to_parameters (parameters, groups, lanes): added to
    """
    lanes = lanes_of(dtype)
    arguments = process.argument_names
    program = trace(step_with_depth(process), ("depth", *arguments))
    step = differentiate(program, (0, 1)).renamed("back_")
    names = [f"to_{name}" for name in step.inputs[: 1 + len(arguments)]]
    given = step.inputs[-2:]
    implicit: list[str] = []
    if process.residual is not None:
        residual = differentiate(trace(process.residual, ("depth", *arguments)), (0,))
        slopes = [f"slope_{name}" for name in ("depth", *arguments)]
        implicit = [
            f"{residual.inputs[-1]} = real(1.0)",
            *_assigned(slopes, residual.renamed("implicit_"), lanes),
            "steep = gt(mul(slope_depth, slope_depth), real(1e-20))",
            "moved = where(steep, neg(div(to_depth, slope_depth)), real(0.0))",
            *(
                f"to_{name} = fma(moved, slope_{name}, to_{name})"
                for name in arguments
                if name != "seconds"
            ),
        ]
    parameters = process.parameter_names
    group = [
        f"for k in range({lanes}):",
        f"    outlet = outlets[g * {lanes} + k]",
        "    if outlet >= 0:",
        f"        below, place = outlet // {lanes}, outlet % {lanes}",
        "        for s in range(to_flow_series.shape[1]):",
        "            to_flow_series[g, s, k] += to_inflow_series[below, s, place]",
        *_loads(process, lanes),
        *(f"sum_{name} = load(to_parameters, {k}, g, 0, {lanes})" for k, name in _named(process)),
        f"to_flow_before = spread(real(0.0), {lanes})",
        f"to_storage_before = spread(real(0.0), {lanes})",
        f"to_inflow_before = spread(real(0.0), {lanes})",
        "s = flow_series.shape[1]",
        "for back in range(lateral.shape[0]):",
        "    t = lateral.shape[0] - 1 - back",
        f"    lateral_inflow = load(lateral, t, g, 0, {lanes})",
        f"    gathered = load(to_lateral, t, g, 0, {lanes})",
        "    for substep in range(substeps):",
        "        s -= 1",
        f"        inflow_before = load(inflow_series, g, s - 1, 0, {lanes})",
        f"        inflow = load(inflow_series, g, s, 0, {lanes})",
        f"        flow_before = load(flow_series, g, s - 1, 0, {lanes})",
        f"        storage_before = load(storage_series, g, s - 1, 0, {lanes})",
        f"        depth = load(depth_series, g, s, 0, {lanes})",
        f"        {given[0]} = add(to_flow_before, load(to_flow_series, g, s, 0, {lanes}))",
        f"        {given[1]} = add(to_storage_before, load(to_storage_series, g, s, 0, {lanes}))",
        "        later = to_inflow_before",
        *indented(_assigned(names, step, lanes), 2),
        f"        to_depth = add(to_depth, load(to_depth_series, g, s, 0, {lanes}))",
        *indented(implicit, 2),
        "        store(to_inflow_series, g, s, 0, add(later, to_inflow))",
        "        gathered = add(gathered, to_lateral_inflow)",
        *(f"        sum_{name} = add(sum_{name}, to_{name})" for name in parameters),
        "    store(to_lateral, t, g, 0, gathered)",
        "store(to_inflow_series, g, 0, 0, to_inflow_before)",
        f"start = add(to_flow_before, load(to_flow_series, g, 0, 0, {lanes}))",
        "store(to_flow_series, g, 0, 0, start)",
        f"start = add(to_storage_before, load(to_storage_series, g, 0, 0, {lanes}))",
        "store(to_storage_series, g, 0, 0, start)",
        *(f"store(to_parameters, {k}, g, 0, sum_{name})" for k, name in _named(process)),
    ]
    signature = _BACKWARD
    for name in ("flow", "depth", "storage", "inflow"):
        signature = signature.replace(f"{name},", f"{name}_series,")
    return _module(
        process, dtype, signature, "for g in range(last_group - 1, first_group - 1, -1):", group
    )


def _named(process: ReachProcess) -> list[tuple[int, str]]:
    return list(enumerate(process.parameter_names))


def _module(
    process: ReachProcess, dtype: DTypeLike, arguments: str, loop: str, group: Sequence[str]
) -> str:
    body = [
        "share = real(1.0 / substeps)",
        "seconds = real(seconds)",
        loop,
        *indented(group),
    ]
    lines = [
        f"def run(first_group, last_group, {arguments}):",
        f"    {as_one(body, dtype, ['first_group', 'last_group', *arguments.split(', ')])}",
        "",
        f"run_serial = numba.njit({OPTIONS})(run)",
        "",
        f"def run_parts(parts, {arguments}):",
        "    for part in numba.prange(parts.shape[0] - 1):",
        f"        run_serial(parts[part], parts[part + 1], {arguments})",
        "",
        "run_parallel = numba.njit(cache=CACHE, nogil=True, parallel=True)(run_parts)",
    ]
    return module_of(f"{process.long_name}, reaches", dtype, lines)


@memoised
def compiled(process: ReachProcess, dtype: str, backward: bool = False) -> dict[str, Any]:
    """Return `run_serial` and `run_parallel` of a model of reaches.

    Parameters
    ----------
    process : ReachProcess
    dtype : str
        float32 or float64.
    backward : bool
        Whether it is the adjoint.
    """
    source = (backward_source if backward else forward_source)(process, dtype)
    kind = "adjoint" if backward else "forward"
    return cache.load(source, f"{process.name}_reaches_{kind}")
