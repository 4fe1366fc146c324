"""Arithmetic on short vectors of numbers inside Numba functions, as LLVM instructions.

The CPU kernel advances several parameter sets at once. Left to itself a compiler turns conditional
expressions into branches, calls the C library for powers and checks arrays for overlap in each
step; these functions are branch-free, and round the same way whatever surrounds them, so that a
single step and a block of steps agree bit for bit. Each accepts numbers and vectors mixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from .elements import elements_of
from .instructions import instructions

# Layout of an IEEE number: bits, mantissa bits, exponent bias, terms of the two series.
_LAYOUT: dict[Any, tuple[int, int, int, int, int]] = {
    types.float32: (32, 23, 127, 5, 7),
    types.float64: (64, 52, 1023, 10, 13),
}


class Vector(types.Type):
    """`lanes` numbers (or truth values) that move together."""

    def __init__(self, scalar: Any, lanes: int) -> None:
        self.scalar = scalar
        self.lanes = lanes
        super().__init__(name=f"Vector({scalar}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        element = (
            ir.IntType(1)
            if vector.scalar is types.boolean
            else manager.lookup(vector.scalar).get_value_type()
        )
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def _lanes(*kinds: Any) -> int:
    return max(kind.lanes if isinstance(kind, Vector) else 0 for kind in kinds)


def _scalar(kind: Any) -> Any:
    return kind.scalar if isinstance(kind, Vector) else kind


def _widened(scalar: Any, lanes: int) -> Any:
    return Vector(scalar, lanes) if lanes else scalar


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    if not lanes or isinstance(value.type, ir.VectorType):
        return value
    wide = ir.VectorType(value.type, lanes)
    first = builder.insert_element(
        ir.Constant(wide, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(wide, ir.Undefined), zeros)


def _constant(kind: Any, number: float) -> Any:
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [number] * kind.count)
    return ir.Constant(kind, number)


def _integers(kind: Any, bits: int) -> Any:
    whole = ir.IntType(bits)
    return ir.VectorType(whole, kind.count) if isinstance(kind, ir.VectorType) else whole


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    """Call an LLVM intrinsic that is defined for numbers and vectors of any kind alike."""
    kind = arguments[0].type
    scalar = kind.element if isinstance(kind, ir.VectorType) else kind
    width = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    suffix = f"{width}{'f32' if isinstance(scalar, ir.FloatType) else 'f64'}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(arguments)), f"llvm.{name}.{suffix}"
    )
    return builder.call(function, arguments)


def _operation(name: str, build: Callable[..., Any], result: Any = None) -> Any:
    """Make an intrinsic of an LLVM instruction on numbers or vectors of one kind."""

    def unary(typingctx: Any, a: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return build(builder, *arguments)

        return a(a), codegen

    def binary(typingctx: Any, a: Any, b: Any) -> Any:
        lanes = _lanes(a, b)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return build(builder, *(_splat(builder, value, lanes) for value in arguments))

        return _widened(result or _scalar(a), lanes)(a, b), codegen

    def ternary(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        lanes = _lanes(a, b, c)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return build(builder, *(_splat(builder, value, lanes) for value in arguments))

        return _widened(_scalar(b), lanes)(a, b, c), codegen

    function: Any = {1: unary, 2: binary, 3: ternary}[build.__code__.co_argcount - 1]
    function.__name__ = function.__qualname__ = name
    return instructions()(function)


def _extreme(comparison: str) -> Callable[..., Any]:
    def build(builder: Any, a: Any, b: Any) -> Any:
        picked = builder.select(builder.fcmp_ordered(comparison, a, b), a, b)
        # No comparison with what is not a number holds, so that `b` is picked: `a` must not vanish.
        return builder.select(builder.fcmp_unordered("uno", a, a), a, picked)

    return build


def _compare(comparison: str) -> Callable[..., Any]:
    def build(builder: Any, a: Any, b: Any) -> Any:
        return builder.fcmp_ordered(comparison, a, b)

    return build


add = _operation("add", lambda builder, a, b: builder.fadd(a, b))
sub = _operation("sub", lambda builder, a, b: builder.fsub(a, b))
mul = _operation("mul", lambda builder, a, b: builder.fmul(a, b))
div = _operation("div", lambda builder, a, b: builder.fdiv(a, b))
fma = _operation("fma", lambda builder, a, b, c: _call(builder, "fma", a, b, c))
neg = _operation("neg", lambda builder, a: builder.fneg(a))
minimum = _operation("minimum", _extreme("<"))
maximum = _operation("maximum", _extreme(">"))
where = _operation("where", lambda builder, condition, a, b: builder.select(condition, a, b))
lt = _operation("lt", _compare("<"), types.boolean)
le = _operation("le", _compare("<="), types.boolean)
gt = _operation("gt", _compare(">"), types.boolean)
ge = _operation("ge", _compare(">="), types.boolean)


def _library(name: str) -> Any:
    """Make an intrinsic that calls the LLVM (in the end the C) mathematical library."""

    def build(builder: Any, a: Any) -> Any:
        return _call(builder, name, a)

    return _operation(name, build)


@instructions()
def arccos(typingctx: Any, x: Any) -> Any:
    """Return the angle of a cosine, by the C library; of a number, not of a vector."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        name = "acosf" if x == types.float32 else "acos"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind]), name
        )
        return builder.call(function, arguments)

    return x(x), codegen


sqrt = _library("sqrt")
sin = _library("sin")
cos = _library("cos")


def _polynomial(builder: Any, x: Any, coefficients: list[float]) -> Any:
    """Evaluate a polynomial by Estrin's scheme, which waits less for itself than Horner's."""
    level: list[Any] = [_constant(x.type, coefficient) for coefficient in coefficients]
    while len(level) > 1:
        pairs = [
            _call(builder, "fma", level[k + 1], x, level[k]) for k in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(pairs) * 2 :]
        x = builder.fmul(x, x)
    return level[0]


def _log2(kind: Any) -> Callable[..., Any]:
    bits, mantissa, bias, terms, _ = _LAYOUT[kind]

    def build(builder: Any, value: Any) -> Any:
        real = value.type
        whole = _integers(real, bits)

        def integer(number: int) -> Any:
            return _constant(whole, number)

        # Shift so that the exponent of numbers in [sqrt(1/2), sqrt(2)) reads as `bias`.
        root_half = int(math.sqrt(0.5) * 2.0 * 2.0**mantissa) - (1 << mantissa)
        offset = ((bias - 1) << mantissa) + root_half
        raw = builder.bitcast(value, whole)
        shifted = builder.add(raw, integer((bias << mantissa) - offset))
        exponent = builder.lshr(shifted, integer(mantissa))
        unbiased = builder.shl(builder.sub(exponent, integer(bias)), integer(mantissa))
        scaled = builder.bitcast(builder.sub(raw, unbiased), real)
        # An integer below 2**mantissa becomes a float by setting it as the mantissa of 2**mantissa.
        magic = (bias + mantissa) << mantissa
        exponent_value = builder.fsub(
            builder.bitcast(builder.or_(exponent, integer(magic)), real),
            _constant(real, 2.0**mantissa + bias),
        )
        one = _constant(real, 1.0)
        s = builder.fdiv(builder.fsub(scaled, one), builder.fadd(scaled, one))
        series = [2.0 / math.log(2.0) / (2 * k + 1) for k in range(terms)]
        result = _call(
            builder, "fma", s, _polynomial(builder, builder.fmul(s, s), series), exponent_value
        )
        return builder.select(builder.fcmp_unordered("uno", value, value), value, result)

    return build


def _exp2(kind: Any) -> Callable[..., Any]:
    bits, mantissa, bias, _, terms = _LAYOUT[kind]

    def build(builder: Any, value: Any) -> Any:
        real = value.type
        whole = _integers(real, bits)
        highest = _constant(real, float(bias))
        lowest = _constant(real, float(1 - bias))
        # Unordered comparisons hold for what is not a number, so that it stays.
        value = builder.select(builder.fcmp_unordered("<", value, highest), value, highest)
        value = builder.select(builder.fcmp_unordered(">", value, lowest), value, lowest)
        # Adding 1.5 * 2**mantissa rounds to an integer and leaves it in the low bits.
        magic = _constant(real, 1.5 * 2.0**mantissa)
        rounded = builder.fadd(value, magic)
        fraction = builder.fsub(value, builder.fsub(rounded, magic))
        series = [math.log(2.0) ** k / math.factorial(k) for k in range(terms)]
        power = builder.shl(
            builder.add(builder.bitcast(rounded, whole), _constant(whole, bias)),
            _constant(whole, mantissa),
        )
        return builder.fmul(_polynomial(builder, fraction, series), builder.bitcast(power, real))

    return build


@instructions()
def log2(typingctx: Any, x: Any) -> Any:
    """Base-2 logarithm of a positive normal number, to about two units in the last place.

    What is not a number stays so.

    The exponent is read off the bits; the mantissa m in [sqrt(1/2), sqrt(2)) goes through
    log(m) = 2 artanh((m - 1) / (m + 1)).
    """
    build = _log2(_scalar(x))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return build(builder, arguments[0])

    return x(x), codegen


@instructions()
def exp2(typingctx: Any, x: Any) -> Any:
    """Two to the power `x`; beyond the range of normal numbers the nearest of them.

    What is not a number stays so.
    """
    build = _exp2(_scalar(x))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return build(builder, arguments[0])

    return x(x), codegen


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any, lanes: int) -> Any:
    """Return the address of an element, as that of a vector which starts there."""
    kind = signature.args[0]
    array, *indices = elements_of(
        context, builder, signature.args[: 1 + kind.ndim], arguments[: 1 + kind.ndim]
    )
    address = array.at(*indices)
    element = context.get_value_type(kind.dtype)
    wide = ir.VectorType(element, lanes) if lanes > 1 else element
    return builder.bitcast(address, wide.as_pointer()), context.get_abi_sizeof(element)


def _read(array: Any, places: tuple[Any, ...], lanes: Any) -> Any:
    """Return the signature and the code of reading an array of as many dimensions as places."""
    count = lanes.literal_value
    result = Vector(array.dtype, count) if count > 1 else array.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, align = _pointer(context, builder, signature, arguments, count)
        return builder.load(pointer, align=align)

    return result(array, *places, lanes), codegen


def _written(array: Any, places: tuple[Any, ...], value: Any) -> Any:
    """Return the signature and the code of writing to such an array."""
    count = _lanes(value) or 1

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, align = _pointer(context, builder, signature, arguments, count)
        builder.store(arguments[-1], pointer, align=align)
        return context.get_dummy_value()

    return types.void(array, *places, value), codegen


@instructions(prefer_literal=True)
def load(typingctx: Any, array: Any, i: Any, j: Any, k: Any, lanes: Any) -> Any:
    """Read `lanes` (a constant) contiguous elements of a 3-D array from [i, j, k] on."""
    return _read(array, (i, j, k), lanes)


@instructions(prefer_literal=True)
def load_row(typingctx: Any, array: Any, i: Any, k: Any, lanes: Any) -> Any:
    """Read `lanes` (a constant) contiguous elements of a 2-D array from [i, k] on."""
    return _read(array, (i, k), lanes)


@instructions()
def store_row(typingctx: Any, array: Any, i: Any, k: Any, value: Any) -> Any:
    """Write a vector (or a number) to a 2-D array from [i, k] on."""
    return _written(array, (i, k), value)


@instructions()
def wide(typingctx: Any, value: Any) -> Any:
    """Return a vector (or a number) in double precision."""
    result = _widened(types.float64, _lanes(value))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _scalar(value) == types.float64:
            return arguments[0]
        return builder.fpext(arguments[0], context.get_value_type(result))

    return result(value), codegen


@instructions()
def store(typingctx: Any, array: Any, i: Any, j: Any, k: Any, value: Any) -> Any:
    """Write a vector (or a number) to a 3-D array from [i, j, k] on."""
    return _written(array, (i, j, k), value)


@instructions()
def store_rounded(
    typingctx: Any, array: Any, i: Any, j: Any, k: Any, m: Any, value: Any
) -> tuple[Any, Callable[..., Any]]:
    """Write a vector (or a number) of double precision to a 4-D array, rounded to its kind."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = _lanes(value) or 1
        pointer, align = _pointer(context, builder, signature, arguments, lanes)
        rounded = arguments[-1]
        if array.dtype != types.float64:
            rounded = builder.fptrunc(rounded, pointer.type.pointee)
        builder.store(rounded, pointer, align=align)
        return context.get_dummy_value()

    return types.void(array, i, j, k, m, value), codegen


@instructions(prefer_literal=True)
def store_rows(
    typingctx: Any, array: Any, i: Any, j: Any, k: Any, value: Any, first: Any, count: Any
) -> Any:
    """Write `count` lanes of a vector from lane `first` on to [i, j, k], [i, j + 1, k], ...

    `first` and `count` are constants.
    """
    lanes = range(first.literal_value, first.literal_value + count.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, plane, first_row, column = elements_of(
            context, builder, signature.args[:4], arguments[:4]
        )
        for number, one in enumerate(lanes):
            row = builder.add(first_row, ir.Constant(first_row.type, number))
            address = data.at(plane, row, column)
            position = ir.Constant(ir.IntType(32), one)
            builder.store(builder.extract_element(arguments[4], position), address)
        return context.get_dummy_value()

    return types.void(array, i, j, k, value, first, count), codegen


@instructions(prefer_literal=True)
def switches(typingctx: Any, pattern: Any, like: Any) -> Any:
    """Return a vector of ones and zeros, as a text (a constant) says, of the numbers of another."""
    numbers = [float(sign) for sign in pattern.literal_value]

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(like), numbers)

    return like(pattern, like), codegen


@instructions(prefer_literal=True)
def spread(typingctx: Any, value: Any, lanes: Any) -> Any:
    """Return a vector of `lanes` (a constant) equal numbers; a vector stays as it is."""
    count = lanes.literal_value
    result = _widened(_scalar(value), count if count > 1 else 0)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _splat(builder, arguments[0], count if count > 1 else 0)

    return result(value, lanes), codegen


def _shuffled(builder: Any, a: Any, b: Any, lanes: range) -> Any:
    """Return a vector of these lanes of `a` and, counted on from its last, of `b`."""
    positions = [ir.Constant(ir.IntType(32), lane) for lane in lanes]
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(positions)), positions)
    return builder.shuffle_vector(a, b, mask)


def folded(builder: Any, vector: Any, lanes: int) -> Any:
    """Add half of the lanes of a vector to the other half, until there are `lanes` of them."""
    half = vector.type.count
    while half > lanes:
        half //= 2
        lower = _shuffled(builder, vector, vector, range(half))
        vector = builder.fadd(lower, _shuffled(builder, vector, vector, range(half, 2 * half)))
    return vector


@instructions(prefer_literal=True)
def totals(typingctx: Any, lanes: Any, *values: Any) -> Any:
    """Sum the lanes of each of n vectors into the n lanes of one; n a power of two.

    `lanes` (a constant) is how many each vector has; a number stands for as many equal ones.
    Vectors are folded to n lanes; then neighbours are added, two vectors at a time, which takes
    about half the instructions of summing one vector after the other.
    """
    count, width = len(values), lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = [
            folded(builder, _splat(builder, vector, width), count)
            for vector in cgutils.unpack_tuple(builder, arguments[1], count)
        ]
        while len(vectors) > 1:
            vectors = [
                builder.fadd(
                    _shuffled(builder, a, b, range(0, 2 * count, 2)),
                    _shuffled(builder, a, b, range(1, 2 * count, 2)),
                )
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        return vectors[0]

    result = Vector(_scalar(values[0]), count)
    return result(lanes, types.StarArgTuple(values)), codegen


@instructions()
def some_below(typingctx: Any, values: Any, limit: Any) -> Any:
    """Return whether a lane of a vector (or a number) is below a limit."""
    lanes = _lanes(values)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        below = builder.fcmp_ordered("<", arguments[0], _splat(builder, arguments[1], lanes))
        if not lanes:
            return below
        bits = builder.bitcast(below, ir.IntType(lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(lanes), 0))

    return types.boolean(values, limit), codegen


@instructions()
def lane(typingctx: Any, value: Any, index: Any) -> Any:
    """Return one lane of a vector."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        position = context.cast(builder, arguments[1], index, types.int32)
        return builder.extract_element(arguments[0], position)

    return _scalar(value)(value, index), codegen
