"""The vector-Jacobian product of a step, derived from the step itself.

Reverse-mode differentiation of a `Program`: the result is again a `Program`, so that every kernel
can run it. One rule for each primitive; none for a process model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .program import COMPARISON, Operand, Program, Symbol

PREFIX = "adjoint_of_"

Rule = Callable[..., tuple[Operand | None, ...]]


def _where(program: Program, condition: Operand, a: Operand, b: Operand) -> Operand:
    return program.emit("where", condition, a, b)


def _pick(
    program: Program, comparison: str, g: Operand, a: Operand, b: Operand
) -> tuple[Operand, Operand]:
    first = program.emit(comparison, a, b)
    return _where(program, first, g, 0.0), _where(program, first, 0.0, g)


def _power(
    p: Program, g: Operand, result: Operand, x: Operand, y: Operand
) -> tuple[Operand, Operand | None]:
    to_base = g * y * (result / x)
    to_exponent = g * result * p.emit("log", x) if isinstance(y, Symbol) else None
    return to_base, to_exponent


# name: (program, gradient of the result, result, *arguments) -> gradients of the arguments
_RULES: dict[str, Rule] = {
    "add": lambda p, g, r, a, b: (g, g),
    "sub": lambda p, g, r, a, b: (g, -g),
    "mul": lambda p, g, r, a, b: (g * b, g * a),
    "div": lambda p, g, r, a, b: (g / b, -(g * (r / b))),
    "neg": lambda p, g, r, a: (-g,),
    "minimum": lambda p, g, r, a, b: _pick(p, "lt", g, a, b),
    "maximum": lambda p, g, r, a, b: _pick(p, "gt", g, a, b),
    "where": lambda p, g, r, c, a, b: (
        None,
        _where(p, c, g, 0.0),
        _where(p, c, 0.0, g),
    ),
    "power": _power,
    "exp": lambda p, g, r, a: (g * r,),
    "log": lambda p, g, r, a: (g / a,),
    "sqrt": lambda p, g, r, a: (g / (2.0 * r),),
    "sin": lambda p, g, r, a: (g * p.emit("cos", a),),
    "cos": lambda p, g, r, a: (-(g * p.emit("sin", a)),),
    "arccos": lambda p, g, r, a: (-(g / p.emit("sqrt", 1.0 - a * a)),),
}


def differentiate(program: Program, outputs: Sequence[int]) -> Program:
    """Derive the vector-Jacobian product of some outputs of `program`.

    Parameters
    ----------
    program : Program
        Straight-line code, for instance of one step.
    outputs : sequence of int
        Positions of the outputs whose gradients are given.

    Returns
    -------
    Program
        Inputs: those of `program`, then one gradient for each given output, named `PREFIX` and
        its place in `outputs` (which may hold an output twice). Outputs: the gradient of each
        input of `program`, in order.
    """
    given = tuple(f"{PREFIX}{order}" for order in range(len(outputs)))
    result = Program(program.inputs + given)

    def operand(name: str | float) -> Operand:
        return values[name] if isinstance(name, str) else name

    values: dict[str, Operand] = {name: result.symbol(name) for name in result.inputs}
    for operation in program.operations:
        values[operation.target] = result.emit(
            operation.name, *(operand(a) for a in operation.arguments)
        )

    gradients: dict[str, Operand] = {}

    def accumulate(name: str, gradient: Operand) -> None:
        gradients[name] = gradients[name] + gradient if name in gradients else gradient

    for index, name in zip(outputs, given, strict=True):
        target = program.outputs[index]
        if isinstance(target, str):
            accumulate(target, values[name])
    for operation in reversed(program.operations):
        gradient = gradients.get(operation.target)
        if gradient is None or operation.name in COMPARISON:
            continue
        contributions = _RULES[operation.name](
            result, gradient, values[operation.target], *map(operand, operation.arguments)
        )
        for argument, contribution in zip(operation.arguments, contributions, strict=True):
            if isinstance(argument, str) and contribution is not None:
                accumulate(argument, contribution)

    final = [gradients.get(name, 0.0) for name in program.inputs]
    result.outputs = tuple(g.name if isinstance(g, Symbol) else float(g) for g in final)
    return result.restricted(range(len(final)))
