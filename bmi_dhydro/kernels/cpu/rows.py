"""Rows of arrays that are copied, added and compared inside Numba functions, as LLVM instructions.

A row is what stands from [i, 0, ...] on: arrays have their columns of a model first and are
contiguous. All are of double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .elements import Elements, elements_of, whole
from .instructions import instructions


def _row(array: Elements, number: Any) -> Any:
    """Return the address of a row."""
    return array.at(number, *(whole(0) for _ in array.shape[1:]))


@contextmanager
def _pairs(
    context: Any, builder: Any, signature: Any, arguments: Any
) -> Iterator[tuple[Any, Any, Any]]:
    """Write a loop over pairs of rows: their addresses, and how many of their numbers count.

    Arguments are an array and its first row, another and its first row, rows, and numbers.
    """
    ours, low, theirs, start, count, length = elements_of(
        context, builder, signature.args, arguments
    )
    with cgutils.for_range(builder, count, intp=length.type) as loop:
        here = _row(ours, builder.add(low, loop.index))
        there = _row(theirs, builder.add(start, loop.index))
        yield here, there, length


@instructions()
def zero_rows(typingctx: Any, target: Any, rows: Any) -> tuple[Any, Callable[..., Any]]:
    """Fill the first `rows` rows with zeros."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, count = elements_of(context, builder, signature.args, arguments)
        size = whole(context.get_abi_sizeof(context.get_value_type(target.dtype)))
        for length in (*array.shape[1:], count):
            size = builder.mul(size, length)
        cgutils.memset(builder, _row(array, whole(0)), size, 0)
        return context.get_dummy_value()

    return types.void(target, rows), build


@instructions()
def copy_rows(
    typingctx: Any, target: Any, first: Any, source: Any, begin: Any, rows: Any, width: Any
) -> tuple[Any, Callable[..., Any]]:
    """Copy the first `width` numbers of `rows` rows, from `begin` of the source to `first`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        size = context.get_abi_sizeof(context.get_value_type(target.dtype))
        with _pairs(context, builder, signature, arguments) as (here, there, length):
            cgutils.raw_memcpy(builder, here, there, length, size)
        return context.get_dummy_value()

    return types.void(target, first, source, begin, rows, width), build


@instructions()
def add_rows(
    typingctx: Any, target: Any, first: Any, source: Any, begin: Any, rows: Any, width: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add the first `width` numbers of `rows` rows, of the source from `begin` on, to `target`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        with (
            _pairs(context, builder, signature, arguments) as (here, there, length),
            cgutils.for_range(builder, length, intp=length.type) as inner,
        ):
            address = builder.gep(here, [inner.index])
            one = builder.load(builder.gep(there, [inner.index]))
            builder.store(builder.fadd(one, builder.load(address)), address)
        return context.get_dummy_value()

    return types.void(target, first, source, begin, rows, width), build


@instructions()
def rows_differ(
    typingctx: Any, one: Any, first: Any, other: Any, begin: Any, rows: Any, width: Any
) -> tuple[Any, Callable[..., Any]]:
    """Return whether any of the first `width` numbers of `rows` rows differ; NaN always does."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        differ = cgutils.alloca_once_value(builder, cgutils.false_bit)
        with (
            _pairs(context, builder, signature, arguments) as (here, there, length),
            cgutils.for_range(builder, length, intp=length.type) as inner,
        ):
            pair = (builder.load(builder.gep(row, [inner.index])) for row in (here, there))
            apart = builder.fcmp_unordered("!=", *pair)
            builder.store(builder.or_(builder.load(differ), apart), differ)
        return builder.load(differ)

    return types.boolean(one, first, other, begin, rows, width), build


@instructions()
def day_total(typingctx: Any, window: Any, column: Any, forcing: Any) -> tuple[Any, Any]:
    """Return the sum of [column, forcing, :], added in the order of memory."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, c, f = elements_of(context, builder, signature.args, arguments)
        steps = array.shape[2]
        total = cgutils.alloca_once_value(builder, ir.Constant(ir.DoubleType(), 0.0))
        with cgutils.for_range(builder, steps, intp=steps.type) as loop:
            one = array.read(c, f, loop.index)
            builder.store(builder.fadd(builder.load(total), one), total)
        return builder.load(total)

    return types.float64(window, column, forcing), build


@instructions()
def begin_window(
    typingctx: Any, window: Any, forcing: Any, first: Any, rows: Any
) -> tuple[Any, Callable[..., Any]]:
    """Let the first step of `forcing` (steps, forcings, columns) stand for the whole day before.

    `window` has shape (columns, forcings, steps of a day); `rows` columns from `first` on.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, weather, begin, count = elements_of(context, builder, signature.args, arguments)
        _, kinds, steps = array.shape
        with cgutils.for_range(builder, count, intp=steps.type) as row:
            c = builder.add(begin, row.index)
            with cgutils.for_range(builder, kinds, intp=steps.type) as kind:
                value = weather.read_double(whole(0), kind.index, c)
                with cgutils.for_range(builder, steps, intp=steps.type) as step:
                    array.write_double(value, c, kind.index, step.index)
        return context.get_dummy_value()

    return types.void(window, forcing, first, rows), build
