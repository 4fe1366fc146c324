"""The GPU kernels of a process model as source code for Triton.

The same lists of operations as the CPU's, forward and adjoint, inside loops over time: a program
has some catchments and all their parameter sets, and keeps their states and parameters in registers
while a block of time runs. `forward` and `backward` are the process alone, for training;
`simulate` is the whole model: steps in substeps, members, and routing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...physics import Process
from ...physics.unit_hydrograph import DISCHARGE, ROUTING_STORE
from ..ir.adjoint import PREFIX, differentiate
from ..ir.printing import indented
from ..ir.program import Program, trace

HEADER = '''"""{title}; generated, do not edit."""
import triton
import triton.language as tl
'''

# The operations of a Program in Triton's language.
_OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "minimum": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "maximum": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "where": "tl.where({0}, {1}, {2})",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "power": "tl.exp2({1} * tl.log2({0}))",
    "exp": "tl.exp({0})",
    "log": "tl.log({0})",
    "sqrt": "tl.sqrt({0})",
    "sin": "tl.sin({0})",
    "cos": "tl.cos({0})",
}


def operand(value: str | float) -> str:
    """Return a name as it is, a constant as a number."""
    return value if isinstance(value, str) else repr(float(value))


def printed(program: Program) -> list[str]:
    """Return the operations of a program as lines of code for Triton."""
    return [
        f"{op.target} = {_OPERATIONS[op.name].format(*map(operand, op.arguments))}"
        for op in program.operations
    ]


# Where the values of a program's cells lie: catchments down, parameter sets across.
_CELLS = (
    "c = tl.program_id(0) * CATCHMENTS + tl.arange(0, CATCHMENTS)",
    "m = tl.arange(0, LANES)",
    "inside = c < columns",
    "here = inside[:, None] & (m < PARAMETER_SETS)[None, :]",
    "cell = c[:, None] * PARAMETER_SETS + m[None, :]",
    # Where one state of all cells ends and the next begins.
    "plane = columns.to(tl.int64) * PARAMETER_SETS",
)

_CONSTANTS = "PARAMETER_SETS: tl.constexpr, CATCHMENTS: tl.constexpr, LANES: tl.constexpr"


def _loads(names: Sequence[str], pointer: str, plane: str = "plane") -> list[str]:
    """Load values of cells that lie one after the other in planes."""
    return [
        f"{name} = tl.load({pointer} + {k} * {plane} + cell, mask=here, other=0.0)"
        for k, name in enumerate(names)
    ]


def _stores(values: Sequence[str], pointer: str) -> list[str]:
    return [
        f"tl.store({pointer} + {k} * plane + cell, {value}, mask=here)"
        for k, value in enumerate(values)
    ]


def _parameter_loads(
    process: Process, dynamic: Sequence[str], plane: str = "plane", cell: str = "cell"
) -> list[str]:
    """Load parameters that do not change with time; a store that is never read is full of ones."""
    return [
        f"{name} = tl.load(parameters + {k} * {plane} + {cell}, mask=here, other=1.0)"
        for k, name in enumerate(process.parameter_names)
        if name not in dynamic
    ]


def _step_loads(process: Process, dynamic: Sequence[str]) -> list[str]:
    """Load what a step has of its own; `weather` and `moving` point to it."""
    return [
        *(
            f"{name} = tl.load(weather + {k} * columns + c, mask=inside, other=0.0)[:, None]"
            for k, name in enumerate(process.forcing_names)
        ),
        *(
            f"{name} = tl.load(moving + {k} * plane + cell, mask=here, other=1.0)"
            for k, name in enumerate(dynamic)
        ),
    ]


def _sum(value: str) -> str:
    """Print the sum over parameter sets; what lies beyond them is nothing.

    In place, not as a function of its own, which the interpreter of Triton is slow to call.
    """
    inside = f"tl.where((m < PARAMETER_SETS)[None, :], {value}, 0.0)"
    return f"(tl.sum({value}, axis=1) if PARAMETER_SETS == LANES else tl.sum({inside}, axis=1))"


def forward_source(process: Process, outputs: Sequence[str], dynamic: Sequence[str]) -> str:
    """Print the forward kernel: a block of steps, with chosen outputs.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`: their means over parameter sets are stored.
    dynamic : sequence of str
        Parameters that have a value for each step.

    Returns
    -------
    str
        A function `forward(forcing, parameters, state, outputs, moving, starts, steps, segment,
        columns, KEEP, ...)`; arrays as for `gpu.launch.advance`. Stored to `starts` are no states
        (`KEEP` of 0), those at the start of each segment (1), or those of each step (2).
    """
    states = process.state_names
    positions = [*range(len(states)), *(process.output_names.index(name) for name in outputs)]
    program = trace(process.step, process.argument_names).restricted(positions)
    results = [operand(value) for value in program.outputs]
    means = results[len(states) :]
    step = [
        *_step_loads(process, dynamic),
        *printed(program),
        *(
            f"tl.store(results + {k} * columns + c, {_sum(value)} / PARAMETER_SETS, mask=inside)"
            for k, value in enumerate(means)
        ),
        *(f"{name} = {results[k]}" for k, name in enumerate(states)),
        f"weather += {len(process.forcings)} * columns",
        f"results += {len(outputs)} * columns",
        *([f"moving += {len(dynamic)} * plane"] if dynamic else []),
    ]
    body = [
        *_CELLS,
        *_loads(states, "state"),
        *_parameter_loads(process, dynamic),
        "weather = forcing",
        "results = outputs",
        "kept = starts",
        "due = segment * 0",
        "for t in range(steps):",
        "    if KEEP == 2:",
        *indented(_stores(states, "kept"), 2),
        f"        kept += {len(states)} * plane",
        "    if KEEP == 1:",
        "        if t == due:",
        *indented(_stores(states, "kept"), 3),
        f"            kept += {len(states)} * plane",
        "            due += segment",
        *indented(step),
        *_stores(states, "state"),
    ]
    arguments = (
        "forcing, parameters, state, outputs, moving, starts, steps, segment, columns, "
        f"KEEP: tl.constexpr, {_CONSTANTS}"
    )
    return function("forward", arguments, body)


# Routing of a substep of a step: `runoff` is added to the ring of flows on their way, and the first
# of them leaves. What another thread has written a substep ago is seen after the barrier.
_ROUTING = (
    "tl.debug_barrier()",
    "leaving = tl.zeros([LAGS, CATCHMENTS], runoff.dtype)",
    "for first in range(0, used, LAGS):",
    "    k = first + lag",
    "    row = head + k",
    "    row = tl.where(row >= length, row - length, row).to(tl.int64)[:, None]",
    "    there = k[:, None] < far[None, :]",
    "    place = pending + row * columns + c[None, :]",
    "    weight = tl.load(weights + k.to(tl.int64)[:, None] * catchments + own[None, :], "
    "mask=there, other=0.0)",
    "    flow = tl.load(place, mask=there, other=0.0) + weight * runoff[None, :]",
    "    now = (k == 0)[:, None]",
    "    leaving += tl.where(now, flow, 0.0)",
    "    flow = tl.where(now, 0.0, flow)",
    "    tl.store(place, flow, mask=there)",
)


def simulate_source(
    process: Process, outputs: Sequence[str], dynamic: Sequence[str], substeps: int
) -> str:
    """Print the kernel of the whole model: a block of steps, each in substeps, and their routing.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`, discharge and the routing store.
    dynamic : sequence of str
        Parameters that have a value for each step.
    substeps : int
        In which a step is done.

    Returns
    -------
    str
        A function `simulate(forcing, parameters, state, results, moving, weights, pending, reach,
        position, rejected, steps, columns, catchments, length, ...)`; arrays as for
        `gpu.launch.simulate`.
    """
    states = process.state_names
    routed = (DISCHARGE, ROUTING_STORE)
    averaged = list(dict.fromkeys([process.runoff, *(n for n in outputs if n not in routed)]))
    positions = [process.output_names.index(name) for name in averaged]
    program = trace(process.step, process.argument_names).restricted(
        [*range(len(states)), *positions]
    )
    values = [operand(value) for value in program.outputs]
    passed = [name for name in averaged if name not in process.stored_names and name in outputs]
    stored = [name for name in averaged if name in process.stores]
    value_of = dict(zip(averaged, values[len(states) :], strict=True))
    under_way = ROUTING_STORE in outputs
    substep = [
        *printed(program),
        f"runoff = {_sum(value_of[process.runoff])} / PARAMETER_SETS",
        *(f"{name} = {values[k]} + nothing" for k, name in enumerate(states)),
        *(f"total_{name} += {value_of[name]}" for name in passed),
        *(f"total_{name} = {value_of[name]} + nothing" for name in stored),
        *(["waiting = tl.zeros([LAGS, CATCHMENTS], runoff.dtype)"] if under_way else []),
        *_ROUTING,
        *(["    waiting += flow"] if under_way else []),
        f"total_{DISCHARGE} += tl.sum(leaving, axis=0)",
        *([f"total_{ROUTING_STORE} = tl.sum(waiting, axis=0)"] if under_way else []),
        "head = tl.where(head + 1 == length, 0, head + 1)",
    ]
    none = "tl.zeros([CATCHMENTS], nothing.dtype)"
    means = {
        **{name: f"{_sum(name)} / PARAMETER_SETS" for name in states},
        **{name: f"{_sum(f'total_{name}')} / PARAMETER_SETS" for name in (*passed, *stored)},
        **{name: f"total_{name}" for name in routed},
    }
    shares = process.forcing_shares(substeps)
    step = [
        *_step_loads(process, dynamic),
        *(
            f"{name} = {name} * {share!r}"
            for name, share in zip(process.forcing_names, shares.tolist(), strict=True)
            if share != 1.0
        ),
        *(f"total_{name} = nothing" for name in (*passed, *stored)),
        f"total_{DISCHARGE} = {none}",
        *([f"total_{ROUTING_STORE} = {none}"] if under_way else []),
        *([f"for substep in range({substeps}):", *indented(substep)] if substeps > 1 else substep),
        *(
            f"tl.store(results + {k} * columns + c, {means[name]}, mask=inside)"
            for k, name in enumerate(outputs)
        ),
        f"weather += {len(process.forcings)} * columns",
        f"results += {len(outputs)} * columns",
        *([f"moving += {len(dynamic)} * plane"] if dynamic else []),
    ]
    body = [
        *_CELLS,
        # Members of a catchment share its parameters and its unit hydrograph.
        "own = c % catchments",
        "shared = own[:, None] * PARAMETER_SETS + m[None, :]",
        "shared_plane = catchments.to(tl.int64) * PARAMETER_SETS",
        "lag = tl.arange(0, LAGS)",
        *_loads(states, "state"),
        "nothing = tl.zeros_like(" + states[0] + ")",
        *_parameter_loads(process, dynamic, "shared_plane", "shared"),
        "weather = forcing",
        "head = tl.load(position).to(tl.int32)",
        "far = tl.load(reach + c, mask=inside, other=0)",
        "used = tl.max(far, axis=0)",
        "for t in range(tl.where(tl.load(rejected) == 0, steps, 0)):",
        *indented(step),
        *_stores(states, "state"),
    ]
    arguments = (
        "forcing, parameters, state, results, moving, weights, pending, reach, position, rejected, "
        f"steps, columns, catchments, length, {_CONSTANTS}, LAGS: tl.constexpr"
    )
    return function("simulate", arguments, body)


def backward_source(process: Process, outputs: Sequence[str], dynamic: Sequence[str]) -> str:
    """Print the backward kernel: the adjoint of one segment of a block.

    Arguments as `forward_source`. The function `backward` goes back through the steps of a segment,
    whose states are in `trajectory`; with `AGAIN` it computes them first, from those in `starts`.
    Slopes of parameters are added to what is there, unless `FRESH`; those of forcing are stored
    with `OF_FORCING`.
    """
    states, forcings = process.state_names, process.forcings
    count = len(states)
    positions = [process.output_names.index(name) for name in outputs]
    forward = trace(process.step, process.argument_names)
    advance = forward.restricted(range(count))
    adjoint = differentiate(forward, [*range(count), *positions])
    gradients = [operand(value) for value in adjoint.outputs]
    sensitivities = [f"{PREFIX}{k}" for k in range(count)]
    static = [name for name in process.parameter_names if name not in dynamic]
    slopes = dict(zip(process.parameter_names, gradients[count + len(forcings) :], strict=True))
    again = [
        *_stores(states, "kept"),
        f"kept += {count} * plane",
        *_step_loads(process, dynamic),
        *printed(advance),
        *(
            f"{name} = {operand(value)}"
            for name, value in zip(states, advance.outputs, strict=True)
        ),
        f"weather += {len(forcings)} * columns",
        *([f"moving += {len(dynamic)} * plane"] if dynamic else []),
    ]
    loads = [
        *_loads(states, "kept"),
        *_step_loads(process, dynamic),
        *(
            f"{PREFIX}{count + k} = tl.load(seeds + {k} * columns + c, mask=inside, "
            "other=0.0)[:, None] / PARAMETER_SETS"
            for k in range(len(outputs))
        ),
    ]
    strides = [
        ("kept", f"{count} * plane"),
        ("weather", f"{len(forcings)} * columns"),
        ("seeds", f"{len(outputs)} * columns"),
        *([("moving", f"{len(dynamic)} * plane")] if dynamic else []),
    ]
    # What the step before needs is on its way while this one is computed.
    before = [
        *(f"{pointer} -= {stride}" for pointer, stride in strides),
        *(f"next_{line}" for line in loads),
    ]
    loaded = [line.partition(" = ")[0] for line in loads]
    ahead = [
        *(f"{name} = next_{name}" for name in loaded),
        "further = tl.where(t + 1 < steps, 1, 0).to(tl.int64)",
        *(f"{pointer} -= further * {stride}" for pointer, stride in strides),
        *(f"next_{line}" for line in loads),
    ]
    back = [
        *ahead,
        f"weather_slope -= {len(forcings)} * columns",
        *([f"moving_slope -= {len(dynamic)} * plane"] if dynamic else []),
        *printed(adjoint),
        "if OF_FORCING:",
        *(
            f"    tl.store(weather_slope + {k} * columns + c, "
            f"{_sum(gradients[count + k])}, mask=inside)"
            for k in range(len(forcings))
        ),
        *(
            f"tl.store(moving_slope + {k} * plane + cell, {slopes[name]}, mask=here)"
            for k, name in enumerate(dynamic)
        ),
        *(f"slope_of_{name} += {slopes[name]}" for name in static),
        *(f"{name} = {gradients[k]} + nothing" for k, name in enumerate(sensitivities)),
    ]
    places = [process.parameter_names.index(name) for name in static]
    body = [
        *_CELLS,
        *_loads(sensitivities[:1], "state_gradient"),
        f"nothing = tl.zeros_like({sensitivities[0]})",
        *_parameter_loads(process, dynamic),
        f"weather = forcing + steps.to(tl.int64) * {len(forcings)} * columns",
        f"kept = trajectory + steps.to(tl.int64) * {count} * plane",
        *([f"moving += steps.to(tl.int64) * {len(dynamic)} * plane"] if dynamic else []),
        "if AGAIN:",
        *indented(
            [
                *_loads(states, "starts"),
                "weather = forcing",
                "kept = trajectory",
                *([f"moving -= steps.to(tl.int64) * {len(dynamic)} * plane"] if dynamic else []),
                "for t in range(steps):",
                *indented(again),
            ]
        ),
        *_loads(sensitivities, "state_gradient"),
        *(f"slope_of_{name} = nothing" for name in static),
        "if not FRESH:",
        *(
            f"    slope_of_{name} = tl.load(parameter_gradient + {k} * plane + cell, mask=here, "
            "other=0.0)"
            for k, name in zip(places, static, strict=True)
        ),
        f"weather_slope = forcing_gradient + steps.to(tl.int64) * {len(forcings)} * columns",
        f"seeds = output_gradient + steps.to(tl.int64) * {len(outputs)} * columns",
        *(
            [f"moving_slope = dynamic_gradient + steps.to(tl.int64) * {len(dynamic)} * plane"]
            if dynamic
            else []
        ),
        *before,
        "for t in range(steps):",
        *indented(back),
        *_stores(sensitivities, "state_gradient"),
        *(
            f"tl.store(parameter_gradient + {k} * plane + cell, slope_of_{name}, mask=here)"
            for k, name in zip(places, static, strict=True)
        ),
    ]
    arguments = (
        "forcing, parameters, starts, moving, trajectory, output_gradient, forcing_gradient, "
        "parameter_gradient, state_gradient, dynamic_gradient, steps, columns, "
        f"AGAIN: tl.constexpr, FRESH: tl.constexpr, OF_FORCING: tl.constexpr, {_CONSTANTS}"
    )
    return function("backward", arguments, body)


def function(name: str, arguments: str, body: Sequence[str]) -> str:
    """Print a kernel of Triton.

    Parameters
    ----------
    name, arguments : str
    body : sequence of str
    """
    # Lengths are not specialised: the same code serves blocks of one step and of many.
    lengths = [
        name
        for name in (
            "steps",
            "columns",
            "catchments",
            "segment",
            "length",
            "wave",
            "substeps",
            "reaches",
            "most",
        )
        if f" {name}," in arguments
    ]
    decorator = f"@triton.jit(do_not_specialize={lengths})"
    return "\n".join(["", "", decorator, f"def {name}({arguments}):", *indented(body)]) + "\n"


def block_module(process: Process, outputs: Sequence[str], dynamic: Sequence[str] = ()) -> str:
    """Print a module with `forward` and `backward`; arguments as `forward_source`."""
    return (
        HEADER.format(title=f"{process.long_name}, for a GPU")
        + forward_source(process, outputs, dynamic)
        + backward_source(process, outputs, dynamic)
    )


def model_module(
    process: Process, outputs: Sequence[str], dynamic: Sequence[str] = (), substeps: int = 1
) -> str:
    """Print a module with `simulate`; arguments as `simulate_source`."""
    title = f"{process.long_name} and its routing, for a GPU"
    return HEADER.format(title=title) + simulate_source(process, outputs, dynamic, substeps)
