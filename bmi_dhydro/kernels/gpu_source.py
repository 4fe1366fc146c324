"""The GPU kernels of a process model as source code for Triton.

The same lists of operations as the CPU's, forward and adjoint, inside loops over time: a program
has some catchments and all their components, and keeps their states and parameters in registers
while a block of time runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..physics import Process
from .adjoint import PREFIX, differentiate
from .printing import indented
from .program import Program, trace

_HEADER = '''"""{title}; generated, do not edit."""
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
    "minimum": "tl.where({0} < {1}, {0}, {1})",
    "maximum": "tl.where({0} > {1}, {0}, {1})",
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


def _operand(value: str | float) -> str:
    return value if isinstance(value, str) else repr(float(value))


def _printed(program: Program) -> list[str]:
    return [
        f"{op.target} = {_OPERATIONS[op.name].format(*map(_operand, op.arguments))}"
        for op in program.operations
    ]


# Where the values of a program's cells lie: catchments down, components across.
_CELLS = (
    "c = tl.program_id(0) * CATCHMENTS + tl.arange(0, CATCHMENTS)",
    "m = tl.arange(0, LANES)",
    "inside = c < catchments",
    "here = inside[:, None] & (m < COMPONENTS)[None, :]",
    "cell = c[:, None] * COMPONENTS + m[None, :]",
    # Where one state of all cells ends and the next begins.
    "plane = catchments.to(tl.int64) * COMPONENTS",
)

_CONSTANTS = "COMPONENTS: tl.constexpr, CATCHMENTS: tl.constexpr, LANES: tl.constexpr"


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


def _parameter_loads(process: Process, dynamic: Sequence[str]) -> list[str]:
    """Load parameters that do not change with time; a store that is never read is full of ones."""
    return [
        f"{name} = tl.load(parameters + {k} * plane + cell, mask=here, other=1.0)"
        for k, name in enumerate(process.parameter_names)
        if name not in dynamic
    ]


def _step_loads(process: Process, dynamic: Sequence[str]) -> list[str]:
    """Load what a step has of its own; `weather` and `moving` point to it."""
    return [
        *(
            f"{name} = tl.load(weather + {k} * catchments + c, mask=inside, other=0.0)[:, None]"
            for k, name in enumerate(process.forcing_names)
        ),
        *(
            f"{name} = tl.load(moving + {k} * plane + cell, mask=here, other=1.0)"
            for k, name in enumerate(dynamic)
        ),
    ]


def _sum(value: str) -> str:
    return f"tl.sum(tl.where(here, {value}, 0.0), axis=1)"


def forward_source(process: Process, outputs: Sequence[str], dynamic: Sequence[str]) -> str:
    """Print the forward kernel: a block of steps, with chosen outputs.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`: their means over components are stored.
    dynamic : sequence of str
        Parameters that have a value for each step.

    Returns
    -------
    str
        A function `forward(forcing, parameters, state, outputs, moving, starts, steps, segment,
        catchments, KEEP, ...)`; arrays as for `gpu.advance`. With `KEEP` the states at the
        start of each segment are stored to `starts`.
    """
    states = process.state_names
    positions = [*range(len(states)), *(process.output_names.index(name) for name in outputs)]
    program = trace(process.step, process.argument_names).restricted(positions)
    results = [_operand(value) for value in program.outputs]
    means = results[len(states) :]
    step = [
        *_step_loads(process, dynamic),
        *_printed(program),
        *(
            f"tl.store(results + {k} * catchments + c, {_sum(value)} / COMPONENTS, mask=inside)"
            for k, value in enumerate(means)
        ),
        *(f"{name} = {results[k]}" for k, name in enumerate(states)),
        f"weather += {len(process.forcings)} * catchments",
        f"results += {len(outputs)} * catchments",
        *([f"moving += {len(dynamic)} * plane"] if dynamic else []),
    ]
    body = [
        *_CELLS,
        *_loads(states, "state"),
        *_parameter_loads(process, dynamic),
        "weather = forcing",
        "results = outputs",
        "kept = starts",
        "for t in range(steps):",
        "    if KEEP:",
        "        if t % segment == 0:",
        *indented(_stores(states, "kept"), 3),
        f"            kept += {len(states)} * plane",
        *indented(step),
        *_stores(states, "state"),
    ]
    arguments = (
        "forcing, parameters, state, outputs, moving, starts, steps, segment, catchments, "
        f"KEEP: tl.constexpr, {_CONSTANTS}"
    )
    return _function("forward", arguments, body)


def backward_source(process: Process, outputs: Sequence[str], dynamic: Sequence[str]) -> str:
    """Print the backward kernel: the adjoint of one segment of a block.

    Arguments as `forward_source`. The function `backward` computes the states inside the segment
    again, into `trajectory`, and then goes back through its steps.
    """
    states, forcings = process.state_names, process.forcings
    count = len(states)
    positions = [process.output_names.index(name) for name in outputs]
    forward = trace(process.step, process.argument_names)
    advance = forward.restricted(range(count))
    adjoint = differentiate(forward, [*range(count), *positions])
    gradients = [_operand(value) for value in adjoint.outputs]
    sensitivities = [f"{PREFIX}{k}" for k in range(count)]
    static = [name for name in process.parameter_names if name not in dynamic]
    slopes = dict(zip(process.parameter_names, gradients[count + len(forcings) :], strict=True))
    again = [
        *_stores(states, "kept"),
        f"kept += {count} * plane",
        *_step_loads(process, dynamic),
        *_printed(advance),
        *(
            f"{name} = {_operand(value)}"
            for name, value in zip(states, advance.outputs, strict=True)
        ),
        f"weather += {len(forcings)} * catchments",
        *([f"moving += {len(dynamic)} * plane"] if dynamic else []),
    ]
    back = [
        f"kept -= {count} * plane",
        f"weather -= {len(forcings)} * catchments",
        f"weather_slope -= {len(forcings)} * catchments",
        f"seeds -= {len(outputs)} * catchments",
        *([f"moving -= {len(dynamic)} * plane"] if dynamic else []),
        *([f"moving_slope -= {len(dynamic)} * plane"] if dynamic else []),
        *_loads(states, "kept"),
        *_step_loads(process, dynamic),
        *(
            f"{PREFIX}{count + k} = tl.load(seeds + {k} * catchments + c, mask=inside, "
            "other=0.0)[:, None] / COMPONENTS"
            for k in range(len(outputs))
        ),
        *_printed(adjoint),
        *(
            f"tl.store(weather_slope + {k} * catchments + c, "
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
        *_loads(states, "starts"),
        "nothing = tl.zeros_like(" + states[0] + ")",
        *_parameter_loads(process, dynamic),
        "weather = forcing",
        "kept = trajectory",
        "for t in range(steps):",
        *indented(again),
        *_loads(sensitivities, "state_gradient"),
        *(
            f"slope_of_{name} = tl.load(parameter_gradient + {k} * plane + cell, mask=here, "
            "other=0.0)"
            for k, name in zip(places, static, strict=True)
        ),
        f"weather_slope = forcing_gradient + steps.to(tl.int64) * {len(forcings)} * catchments",
        f"seeds = output_gradient + steps.to(tl.int64) * {len(outputs)} * catchments",
        *(
            [f"moving_slope = dynamic_gradient + steps.to(tl.int64) * {len(dynamic)} * plane"]
            if dynamic
            else []
        ),
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
        "parameter_gradient, state_gradient, dynamic_gradient, steps, catchments, "
        f"{_CONSTANTS}"
    )
    return _function("backward", arguments, body)


def _function(name: str, arguments: str, body: Sequence[str]) -> str:
    # Lengths are not specialised: the same code serves blocks of one step and of many.
    lengths = ["steps", "catchments", *(["segment"] if "segment" in arguments else [])]
    decorator = f"@triton.jit(do_not_specialize={lengths})"
    return "\n".join(["", "", decorator, f"def {name}({arguments}):", *indented(body)]) + "\n"


def module_source(process: Process, outputs: Sequence[str], dynamic: Sequence[str] = ()) -> str:
    """Print a module with `forward` and `backward`; arguments as `forward_source`."""
    return (
        _HEADER.format(title=f"{process.long_name}, for a GPU")
        + forward_source(process, outputs, dynamic)
        + backward_source(process, outputs, dynamic)
    )
