"""Arrays by their addresses inside Numba functions, and arrays of their own.

Handing an array to a compiled function costs about 0.1 us, and more where its description is not in
the processor's cache. A function that takes many arrays in each step is handed one address instead:
that of a table of the addresses and shapes of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import populate_array
from numpy.typing import DTypeLike, NDArray

from .elements import elements_of
from .instructions import instructions

_NUMBERS = {kind.name: kind for kind in (types.float64, types.float32, types.int64, types.int32)}

_CACHE_LINE = 64


@instructions(prefer_literal=True)
def arrays_at(typingctx: Any, table: Any, kinds: Any) -> Any:
    """Return the arrays of a table that `table_of` made; `kinds` is a text (a constant) of `loads`.

    All of them in one operation: `numba.carray`, and even single operations of our own, take longer
    to compile than many a loop.
    """
    found = [
        types.Array(_NUMBERS[name], int(dimensions), "C")
        for name, dimensions in (kind.split(" ") for kind in kinds.literal_value.split(", "))
    ]
    result = types.Tuple(found)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.get_value_type(types.intp)
        entry = builder.inttoptr(arguments[0], whole.as_pointer())
        place = 0

        def following() -> Any:
            nonlocal place
            place += 1
            return builder.load(builder.gep(entry, [whole(place - 1)]))

        made = []
        for kind in found:
            element = context.get_data_type(kind.dtype)
            data = builder.inttoptr(following(), element.as_pointer())
            lengths = [following() for _ in range(kind.ndim)]
            made.append(_array(context, builder, kind, data, lengths))
        return context.make_tuple(builder, result, made)

    return result(types.intp, kinds), build


def _array(context: Any, builder: Any, kind: Any, data: Any, lengths: Sequence[Any]) -> Any:
    """Return the description of a contiguous array."""
    element = context.get_data_type(kind.dtype)
    size = context.get_constant(types.intp, context.get_abi_sizeof(element))
    strides = [size]
    for length in reversed(lengths[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = context.make_array(kind)(context, builder)
    populate_array(array, data=data, shape=lengths, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()


@instructions()
def plane(typingctx: Any, array: Any, number: Any) -> Any:
    """Return what stands under one number of the first dimension of a contiguous array."""
    result = types.Array(array.dtype, array.ndim - 1, "C")

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole, place = elements_of(context, builder, signature.args, arguments)
        first = context.get_constant(types.intp, 0)
        lengths = whole.shape[1:]
        data = whole.at(place, *(first for _ in lengths))
        return _array(context, builder, result, data, lengths)

    return result(array, number), build


@instructions(prefer_literal=True)
def work_arrays(typingctx: Any, shapes: Any) -> Any:
    """Return arrays of zeros, float64 and of known shapes, that last as long as the caller runs.

    `shapes` is a text (a constant) such as "8 1 512, 8 1 3". They lie on the stack, all in one
    operation: each `np.zeros` takes about as long to compile as many a loop.
    """
    sizes = [
        [int(length) for length in shape.split(" ")] for shape in shapes.literal_value.split(", ")
    ]
    kinds = [types.Array(types.float64, len(lengths), "C") for lengths in sizes]
    result = types.Tuple(kinds)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = []
        for kind, lengths in zip(kinds, sizes, strict=True):
            count = math.prod(lengths)
            # Numba's own `alloca_once` would fill it number by number, which takes LLVM a second.
            with builder.goto_entry_block():
                data = builder.alloca(ir.DoubleType(), ir.Constant(ir.IntType(32), count))
            data.align = _CACHE_LINE
            cgutils.memset(builder, data, context.get_constant(types.intp, 8 * count), 0)
            constants = [context.get_constant(types.intp, length) for length in lengths]
            made.append(_array(context, builder, kind, data, constants))
        return context.make_tuple(builder, result, made)

    return result(shapes), build


@instructions()
def call_at(
    typingctx: Any, function: Any, start: Any, stop: Any, forcing: Any, address: Any, values: Any
) -> Any:
    """Call the loop of `CompiledLoop.address` by its address.

    Called by its name, it would be compiled a second time, with its caller.
    """
    whole, result = types.intp, types.none
    taken = whole, whole, forcing, whole, values

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, first, last, weather, table, target = elements_of(
            context, builder, signature.args, arguments
        )
        given = first, last, weather.array, table, target.array
        convention = context.call_conv
        pointer = convention.get_function_type(result, taken).as_pointer()
        called = builder.inttoptr(place, pointer)
        status, _ = convention.call_function(builder, called, result, taken, given)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(function, start, stop, forcing, address, values), build


def table_of(arrays: Sequence[NDArray], kinds: Sequence[tuple[str, DTypeLike, int]]) -> NDArray:
    """Return the address and the shape of each array, one after the other.

    Parameters
    ----------
    arrays : sequence of array
        Contiguous. Whoever keeps the table must keep them.
    kinds : sequence of (name, type, number of dimensions)
        What `loads` will find.

    Returns
    -------
    array of int64

    Raises
    ------
    ValueError
        If one is not contiguous, or not what it is said to be: other memory would be read.
    """
    for array, (name, kind, dimensions) in zip(arrays, kinds, strict=True):
        right = array.dtype == kind and array.ndim == dimensions
        if not (right and array.flags.c_contiguous):
            raise ValueError(
                f"{name} is no contiguous array of {np.dtype(kind)} with {dimensions} dimensions, "
                "and cannot be handed over by its address"
            )
    return np.array([x for a in arrays for x in (a.ctypes.data, *a.shape)], np.int64)


def loads(arrays: Sequence[tuple[str, DTypeLike, int]], table: str) -> list[str]:
    """Print the code that finds arrays in a table again.

    Parameters
    ----------
    arrays : sequence of (name, type, number of dimensions)
        In the order of `table_of`.
    table : str
        Name of the variable that holds the table's address.

    Returns
    -------
    list of str
    """
    names = ", ".join(name for name, _, _ in arrays)
    kinds = ", ".join(f"{np.dtype(kind).name} {dimensions}" for _, kind, dimensions in arrays)
    return [f"{names} = arrays_at({table}, {kinds!r})"]
