"""The memory that moves parameters from day to day, compiled: one catchment after the other.

The equations are those of `lstm` and `parameter_network`; here are only the loops, in one order of
adding, so that a catchment has the same values alone and among others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache as memoised

from ..kernels import cache
from ..kernels.printing import header, indented, operand, printed
from ..kernels.program import Program, trace
from ..physics import Parameter, between_bounds
from .lstm import cell_step
from .mlp import sigmoid


def _assigned(program: Program, targets: Sequence[str]) -> list[str]:
    """Print a program, and assign what it returns to some targets."""
    values = [operand(value) for value in program.outputs]
    return [*printed(program), *(f"{t} = {v}" for t, v in zip(targets, values, strict=True))]


@memoised
def compiled_memory(parameters: tuple[Parameter, ...], components: int) -> Callable[..., None]:
    """Compile the step of a memory and the parameters that it moves.

    Parameters
    ----------
    parameters : tuple of Parameter
        Those that move.
    components : int

    Returns
    -------
    callable
        `run(weather, static, hidden, cell, input_weights, hidden_weights, head, centres,
        new_hidden, new_cell, values)`, all float64: weather (catchments, forcings) normalised,
        static (catchments, 4 units) what attributes and bias add to the gates, hidden and cell
        (catchments, units), input_weights (forcings, 4 units), hidden_weights (units, 4 units),
        head (units, parameters x components), centres (parameters, catchments, components).
        Written: new_hidden, new_cell (catchments, units), values (catchments, parameters,
        components).
    """
    names = ("input_gate", "forget_gate", "candidate", "output_gate", "before")
    update = _assigned(trace(cell_step, names), ("new_hidden[c, u]", "new_cell[c, u]"))
    lines = [
        header("The memory of the weather", float),
        "def run(weather, static, hidden, cell, input_weights, hidden_weights, head, centres, "
        "new_hidden, new_cell, values):",
        "    units = hidden.shape[1]",
        f"    columns = {len(parameters) * components}",
        "    gates = np.empty(4 * units, real)",
        "    moved = np.empty(columns, real)",
        "    for c in range(hidden.shape[0]):",
        "        for g in range(4 * units):",
        "            gates[g] = static[c, g]",
        "        for i in range(weather.shape[1]):",
        "            for g in range(4 * units):",
        "                gates[g] += weather[c, i] * input_weights[i, g]",
        "        for i in range(units):",
        "            for g in range(4 * units):",
        "                gates[g] += hidden[c, i] * hidden_weights[i, g]",
        "        for u in range(units):",
        *indented(
            [
                f"{name} = gates[{k} * units + u]"
                for k, name in enumerate(("input_gate", "forget_gate", "candidate", "output_gate"))
            ],
            3,
        ),
        "            before = cell[c, u]",
        *indented(update, 3),
        "        for k in range(columns):",
        "            moved[k] = real(0.0)",
        "        for u in range(units):",
        "            for k in range(columns):",
        "                moved[k] += new_hidden[c, u] * head[u, k]",
    ]
    for k, item in enumerate(parameters):

        def placed(logit: object, item: Parameter = item) -> object:
            return between_bounds(sigmoid(logit), item)

        program = trace(placed, ("logit",))
        lines += [
            f"        for m in range({components}):",
            f"            logit = centres[{k}, c, m] + moved[{k * components} + m]",
            *indented(_assigned(program, (f"values[c, {k}, m]",)), 3),
        ]
    lines += ["", 'run = numba.njit(cache=CACHE, nogil=True, error_model="numpy")(run)']
    return cache.load("\n".join(lines) + "\n", "memory")["run"]
