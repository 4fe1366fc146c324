"""Elements of arrays inside LLVM code that is written by hand: reading, writing, loops.

A loop in Python takes Numba about 20 ms to compile, and LLVM as long again; of a step that is
mostly loops over few numbers this is most of what a first start takes. Written as LLVM instructions
it is a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils


class Elements:
    """The elements of an array that a compiled function was given.

    Parameters
    ----------
    context, builder : object
        Of the code that is written.
    kind : numba.types.Array
    value : object
        The array.

    Attributes
    ----------
    shape : list
        Lengths.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        self._context, self._builder, self._kind = context, builder, kind
        self.array = value
        array = context.make_array(kind)(context, builder, value)
        self.shape = cgutils.unpack_tuple(builder, array.shape)
        self._strides = cgutils.unpack_tuple(builder, array.strides)
        self._data = array.data

    def at(self, *places: Any) -> Any:
        """Return the address of an element; places count from 0 and are not checked."""
        return cgutils.get_item_pointer2(
            self._context,
            self._builder,
            self._data,
            self.shape,
            self._strides,
            self._kind.layout,
            list(places),
        )

    def read(self, *places: Any) -> Any:
        """Return an element; integers as wide as an index."""
        value = self._builder.load(self.at(*places))
        if isinstance(self._kind.dtype, types.Integer):
            return self._context.cast(self._builder, value, self._kind.dtype, types.intp)
        return value

    def read_double(self, *places: Any) -> Any:
        """Return an element in double precision."""
        value = self._builder.load(self.at(*places))
        return self._context.cast(self._builder, value, self._kind.dtype, types.float64)

    def write_double(self, value: Any, *places: Any) -> None:
        """Write a number in double precision, rounded to the array's kind."""
        value = self._context.cast(self._builder, value, types.float64, self._kind.dtype)
        self._builder.store(value, self.at(*places))

    def add_double(self, value: Any, *places: Any) -> None:
        """Add a number to an element of double precision."""
        address = self.at(*places)
        self._builder.store(self._builder.fadd(self._builder.load(address), value), address)


def elements_of(
    context: Any, builder: Any, kinds: Sequence[Any], values: Sequence[Any]
) -> list[Any]:
    """Return the elements of arrays among the arguments of an intrinsic, others as an index."""
    return [
        value
        if isinstance(value, Elements)
        else Elements(context, builder, kind, value)
        if isinstance(kind, types.Array)
        else context.cast(builder, value, kind, types.intp)
        for kind, value in zip(kinds, values, strict=True)
    ]


def whole(number: int) -> ir.Constant:
    """Return a constant index."""
    return ir.Constant(cgutils.intp_t, number)
