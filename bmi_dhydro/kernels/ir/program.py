"""A step function as a list of single operations, found by running it on symbols.

The list (static single assignment) is what kernels print as code and what `adjoint`
differentiates.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Union

from ...physics import primitives
from .binding import bind

Operand = Union["Symbol", float]

COMPARISON = ("lt", "le", "gt", "ge")

_FOLD: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}


@dataclass(frozen=True)
class Operation:
    """`target = name(*arguments)`; arguments are names of earlier targets or constants."""

    target: str
    name: str
    arguments: tuple[str | float, ...]


@dataclass
class Program:
    """Straight-line code: named inputs, operations in order, and what it returns."""

    inputs: tuple[str, ...]
    operations: list[Operation] = field(default_factory=list)
    outputs: tuple[str | float, ...] = ()
    _known: dict[tuple[object, ...], str] = field(default_factory=dict, repr=False)

    def symbol(self, name: str) -> Symbol:
        """Return the symbol of a name of this program."""
        return Symbol(self, name)

    def emit(self, name: str, *arguments: Operand) -> Operand:
        """Append an operation, unless it is trivial or was already computed."""
        operands = tuple(a if isinstance(a, Symbol) else float(a) for a in arguments)
        names = tuple(a.name if isinstance(a, Symbol) else a for a in operands)
        simpler = _simplify(name, operands)
        if simpler is not None:
            return simpler
        key = (name, *names)
        if key not in self._known:
            target = f"v{len(self.operations)}"
            self.operations.append(Operation(target, name, names))
            self._known[key] = target
        return Symbol(self, self._known[key])

    def renamed(self, prefix: str) -> Program:
        """Return the same program with other names for what it computes."""
        names: dict[str | float, str] = {op.target: prefix + op.target for op in self.operations}
        operations = [
            Operation(prefix + op.target, op.name, tuple(names.get(a, a) for a in op.arguments))
            for op in self.operations
        ]
        return Program(self.inputs, operations, tuple(names.get(v, v) for v in self.outputs))

    def restricted(self, outputs: Sequence[int]) -> Program:
        """Return the program that computes only the outputs at these positions."""
        kept = tuple(self.outputs[index] for index in outputs)
        needed = {name for name in kept if isinstance(name, str)}
        operations = []
        for operation in reversed(self.operations):
            if operation.target in needed:
                operations.append(operation)
                needed.update(a for a in operation.arguments if isinstance(a, str))
        return Program(self.inputs, operations[::-1], kept)


def terms(program: Program, name: str | float, known: Collection[str]) -> list[str] | None:
    """Return the known values that `name` is the sum of, if it is one.

    Parameters
    ----------
    program : Program
    name : str or float
        A target of the program.
    known : collection of str
        Targets (or inputs) that may be terms; `name` itself is not taken for one.

    Returns
    -------
    list of str or None
        At least two terms, or None.
    """
    operations = {op.target: op for op in program.operations}

    def expanded(value: str | float) -> list[str] | None:
        if isinstance(value, str) and value in known and value != name:
            return [value]
        operation = operations.get(value) if isinstance(value, str) else None
        if operation is None or operation.name != "add":
            return None
        parts = [expanded(argument) for argument in operation.arguments]
        return None if None in parts else [term for part in parts if part for term in part]

    return expanded(name)


def fused(program: Program) -> Program:
    """Join each product that is used once, in a sum or difference, to a fused multiply-add.

    Explicit, so that the result does not depend on what a compiler finds worth joining.
    `fma(a, b, c)` is a b + c, `fms` a b - c, `fnma` c - a b.
    """
    uses: dict[str | float, int] = {}
    for name in [a for op in program.operations for a in op.arguments] + list(program.outputs):
        uses[name] = uses.get(name, 0) + 1
    products = {
        op.target: op for op in program.operations if op.name == "mul" and uses.get(op.target) == 1
    }
    joined: set[str] = set()
    operations = []
    for op in program.operations:
        if op.name in ("add", "sub"):
            left, right = op.arguments
            candidates = (
                (left, right, "fma" if op.name == "add" else "fms"),
                (right, left, "fma" if op.name == "add" else "fnma"),
            )
            for product, other, name in candidates:
                if isinstance(product, str) and product in products:
                    joined.add(product)
                    op = Operation(op.target, name, (*products[product].arguments, other))
                    break
        operations.append(op)
    kept = [op for op in operations if op.target not in joined]
    return Program(program.inputs, kept, program.outputs)


def _simplify(name: str, arguments: tuple[Operand, ...]) -> Operand | None:
    if name in _FOLD:
        a, b = arguments
        if isinstance(a, float) and isinstance(b, float):
            return _FOLD[name](a, b)
        if name == "add" and a == 0.0:
            return b
        if name in ("add", "sub") and b == 0.0:
            return a
        if name == "mul" and (a == 0.0 or b == 0.0):
            return 0.0
        if name == "mul" and a == 1.0:
            return b
        if name in ("mul", "div") and b == 1.0:
            return a
        if name == "div" and a == 0.0:
            return 0.0
    if name == "neg" and isinstance(arguments[0], float):
        return -arguments[0]
    if name == "where" and arguments[1] is arguments[2]:
        return arguments[1]
    if name == "where" and arguments[1] == 0.0 and arguments[2] == 0.0:
        return 0.0
    return None


class Symbol:
    """Stands for a number while a function is being traced."""

    __slots__ = ("name", "program")

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.name = name

    def __bool__(self) -> bool:
        raise TypeError(
            "a process equation branched on a value; use where(condition, a, b) instead of if"
        )

    def __add__(self, other: Operand) -> Operand:
        return self.program.emit("add", self, other)

    def __radd__(self, other: float) -> Operand:
        return self.program.emit("add", other, self)

    def __sub__(self, other: Operand) -> Operand:
        return self.program.emit("sub", self, other)

    def __rsub__(self, other: float) -> Operand:
        return self.program.emit("sub", other, self)

    def __mul__(self, other: Operand) -> Operand:
        return self.program.emit("mul", self, other)

    def __rmul__(self, other: float) -> Operand:
        return self.program.emit("mul", other, self)

    def __truediv__(self, other: Operand) -> Operand:
        return self.program.emit("div", self, other)

    def __rtruediv__(self, other: float) -> Operand:
        return self.program.emit("div", other, self)

    def __pow__(self, other: Operand) -> Operand:
        return self.program.emit("power", self, other)

    def __neg__(self) -> Operand:
        return self.program.emit("neg", self)

    def __lt__(self, other: Operand) -> Operand:
        return self.program.emit("lt", self, other)

    def __le__(self, other: Operand) -> Operand:
        return self.program.emit("le", self, other)

    def __gt__(self, other: Operand) -> Operand:
        return self.program.emit("gt", self, other)

    def __ge__(self, other: Operand) -> Operand:
        return self.program.emit("ge", self, other)


def _traced(name: str) -> Callable[..., Operand]:
    def primitive(*arguments: Operand) -> Operand:
        program = next(a.program for a in arguments if isinstance(a, Symbol))
        return program.emit(name, *arguments)

    return primitive


_PRIMITIVES = {name: _traced(name) for name in primitives.NAMES}


def trace(function: Callable[..., object], inputs: Sequence[str] = ()) -> Program:
    """Run `function` on symbols and return the operations it performed.

    Parameters
    ----------
    function : callable
        A function of numbers written over `physics.primitives`, without branches on values.
    inputs : sequence of str
        Names of its arguments; those it is written with, unless given.

    Returns
    -------
    Program
        Outputs in the order in which the function returns them.

    Raises
    ------
    TypeError
        If the function branches on a value.
    """
    program = Program(tuple(inputs or inspect.signature(function).parameters))
    results = bind(function, _PRIMITIVES)(*(program.symbol(name) for name in program.inputs))
    if not isinstance(results, tuple):
        results = (results,)
    program.outputs = tuple(r.name if isinstance(r, Symbol) else float(r) for r in results)
    return program
