"""Values of printed code as LLVM instructions: names, arithmetic, elements of arrays, calls."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

# They offer functions, which `WRITTEN` finds by name.
from . import addresses, ring, rows, transfers, vectors  # noqa: F401
from .elements import Elements, whole
from .instructions import WRITTEN

_FOLDED: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

# Instructions for numbers and for whole numbers; of the latter all must be positive or zero where
# they are divided.
_OF_REALS = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_OF_WHOLE = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.FloorDiv: "sdiv",
    ast.Mod: "srem",
}
_COMPARED = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


class Value(NamedTuple):
    """A value of the code: its type for Numba; an LLVM value, or the elements of an array."""

    kind: Any
    value: Any


@dataclass(frozen=True)
class Slot:
    """A variable that a loop or a branch changes: memory, which LLVM turns into a register."""

    kind: Any
    address: Any


class Expressions:
    """Writes values of a text as instructions; `assembler` has its lines.

    Parameters
    ----------
    context, builder : object
        Of Numba and llvmlite.
    real : numba.types.Float
        Kind of constants with a point.
    values : mapping of Value
        What the text is given, by name.
    """

    def __init__(self, context: Any, builder: Any, real: Any, values: Mapping[str, Value]) -> None:
        self.context, self.builder, self._real = context, builder, real
        self.names: dict[str, Value | Slot] = {}
        for name, given in values.items():
            self.set_name(name, self.plain(given))

    # Variables.

    def room(self, kind: Any) -> Any:
        """Return memory for a variable, which lasts as long as the function runs."""
        with self.builder.goto_entry_block():
            return self.builder.alloca(self.context.get_value_type(kind))

    def store(self, slot: Slot, value: Any) -> None:
        """Change a variable that is in memory."""
        self.builder.store(value, slot.address)

    def plain(self, given: Value) -> Value:
        """Return arrays as their elements, whole numbers as wide as an index."""
        kind, value = given
        if isinstance(kind, types.Array) and not isinstance(value, Elements):
            return Value(kind, Elements(self.context, self.builder, kind, value))
        if isinstance(kind, types.Integer) and kind != types.intp:
            return Value(types.intp, self.cast(given, types.intp))
        return given

    def set_name(self, name: str, value: Value) -> None:
        """Give a name a value: its memory, where it has some, else a new one."""
        known = self.names.get(name)
        if isinstance(known, Slot):
            self.store(known, self.cast(value, known.kind))
        else:
            self.names[name] = value

    # Values.

    def value_of(self, node: ast.expr) -> Value:
        """Write an expression."""
        return getattr(self, f"_{type(node).__name__.lower()}")(node)

    def several(self, node: ast.expr) -> list[Value]:
        """Write an expression of several values: all of them before one is used."""
        if isinstance(node, ast.Tuple):
            return [self.value_of(element) for element in node.elts]
        found = self.value_of(node)
        values = cgutils.unpack_tuple(self.builder, found.value, len(found.kind))
        return [self.plain(Value(*pair)) for pair in zip(found.kind, values, strict=True)]

    def _name(self, node: ast.Name) -> Value:
        known = self.names.get(node.id)
        if known is None:
            raise NameError(f"printed code reads {node.id!r}, which has no value there")
        if isinstance(known, Slot):
            return Value(known.kind, self.builder.load(known.address))
        return known

    def _constant(self, node: ast.Constant) -> Value:
        return self._number(node.value)

    def _number(self, number: Any) -> Value:
        if isinstance(number, float):
            return Value(self._real, self.context.get_constant(self._real, number))
        if isinstance(number, int):
            return Value(types.literal(number), whole(number))
        return Value(types.literal(number), self.context.get_dummy_value())

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        assert isinstance(node.op, ast.USub)
        if isinstance(node.operand, ast.Constant):
            number: Any = node.operand.value
            return self._number(-number)
        kind, value = self.value_of(node.operand)
        negative = self.builder.neg if isinstance(kind, types.Integer) else self.builder.fneg
        return Value(types.unliteral(kind), negative(value))

    def _binop(self, node: ast.BinOp) -> Value:
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            fold = _FOLDED[type(node.op)]
            return self._number(fold(node.left.value, node.right.value))
        return self.calculated(node.op, self.value_of(node.left), node.right)

    def calculated(self, op: ast.operator, left: Value, right: ast.expr) -> Value:
        """Write an operation on two numbers."""
        kind, (a, b) = self._alike(left, self.value_of(right))
        if isinstance(op, ast.Div) and isinstance(kind, types.Integer):
            a, b = (self.cast(Value(kind, side), self._real) for side in (a, b))
            kind = self._real
        if isinstance(op, ast.Mod) and not isinstance(kind, types.Integer):
            return Value(kind, self._remainder(a, b))
        names = _OF_WHOLE if isinstance(kind, types.Integer) else _OF_REALS
        return Value(kind, getattr(self.builder, names[type(op)])(a, b))

    def _remainder(self, a: Any, b: Any) -> Any:
        """Return the remainder of a division by a positive number, from zero to that number."""
        left = self.builder.frem(a, b)
        below = self.builder.fcmp_ordered("<", left, ir.Constant(left.type, 0.0))
        return self.builder.select(below, self.builder.fadd(left, b), left)

    def _compare(self, node: ast.Compare) -> Value:
        kind, (a, b) = self._alike(self.value_of(node.left), self.value_of(node.comparators[0]))
        sign = _COMPARED[type(node.ops[0])]
        if isinstance(kind, types.Integer):
            return Value(types.boolean, self.builder.icmp_signed(sign, a, b))
        # What is not a number differs from all, itself too.
        compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return Value(types.boolean, compare(sign, a, b))

    def _boolop(self, node: ast.BoolOp) -> Value:
        """Write both sides, since reading them has no effect."""
        join = self.builder.and_ if isinstance(node.op, ast.And) else self.builder.or_
        a, b = (self.value_of(value).value for value in node.values)
        return Value(types.boolean, join(a, b))

    def _subscript(self, node: ast.Subscript) -> Value:
        if isinstance(node.value, ast.Attribute):
            assert node.value.attr == "shape"
            assert isinstance(node.slice, ast.Constant)
            return Value(types.intp, self.value_of(node.value.value).value.shape[node.slice.value])
        array, places = self.element(node)
        return self.plain(Value(array.kind.dtype, self.builder.load(array.value.at(*places))))

    def element(self, node: ast.Subscript) -> tuple[Value, list[Any]]:
        """Return an array and the place of an element."""
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return self.value_of(node.value), [self.value_of(place).value for place in places]

    def _call(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        given = [self.value_of(argument) for argument in node.args]
        if name == "real":
            return Value(self._real, self.cast(given[0], self._real))
        if name in ("min", "max"):
            kind, (a, b) = self._alike(*given)
            compare = self.builder.icmp_signed
            if not isinstance(kind, types.Integer):
                compare = self.builder.fcmp_ordered
            first = compare("<" if name == "min" else ">", a, b)
            return Value(kind, self.builder.select(first, a, b))
        kinds = [argument.kind for argument in given]
        values = [argument.value for argument in given]
        if name in self.names:
            return self._compiled(self.names[name].kind, kinds, values)
        signature, build = WRITTEN[name](self.context.typing_context, *kinds)
        taken = signature.args
        if taken and isinstance(taken[-1], types.BaseTuple):
            first = len(taken) - 1
            packed = self.context.make_tuple(self.builder, taken[-1], values[first:])
            values = [*values[:first], packed]
        result = build(self.context, self.builder, signature, values)
        return self.plain(Value(signature.return_type, result))

    def _compiled(self, function: Any, kinds: Sequence[Any], values: Sequence[Any]) -> Value:
        """Write a call of a function that Numba compiles."""
        context, builder = self.context, self.builder
        typing = context.typing_context
        plain = [types.unliteral(kind) for kind in kinds]
        signature = typing.resolve_function_type(function, tuple(plain), {})
        arguments = [
            value.array if isinstance(value, Elements) else self.cast(Value(kind, value), wanted)
            for kind, value, wanted in zip(plain, values, signature.args, strict=True)
        ]
        called = context.get_function(function, signature)
        context.add_linking_libs(getattr(called, "libs", ()))
        return self.plain(Value(signature.return_type, called(builder, arguments)))

    def _alike(self, left: Value, right: Value) -> tuple[Any, tuple[Any, Any]]:
        """Return two numbers as the wider of their kinds."""
        kinds = [types.unliteral(side.kind) for side in (left, right)]
        reals = [kind for kind in kinds if isinstance(kind, types.Float)]
        wider: Any = max(reals, key=lambda kind: kind.bitwidth) if reals else types.intp
        return wider, (self.cast(left, wider), self.cast(right, wider))

    def cast(self, given: Value, kind: Any) -> Any:
        """Return a value as one of another kind."""
        own = types.unliteral(given.kind)
        if own == kind:
            return given.value
        return self.context.cast(self.builder, given.value, own, kind)
