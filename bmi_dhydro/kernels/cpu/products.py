"""Products of a few rows with a packed matrix inside Numba functions, as LLVM instructions.

Written as loops in Python they take Numba longer to compile than the rest of a network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import DTypeLike, NDArray

# Numbers that are multiplied together, and rows that share what is read of a matrix.
LANES = 8
ROWS = 8

# Groups of a matrix that go through a product at a time, of rows that are together and of one (a
# multiple of the former); found by trying: 1.8 times as fast as one group of four rows.
GROUPS_TOGETHER, GROUPS_ALONE = 2, 4

# Rows from which on doing all is faster, whatever stands in the others.
_WORTH_ALL = 3


def filled(columns: int) -> int:
    """Return how many columns a packed matrix has: a whole number of `GROUPS_ALONE` groups."""
    whole = LANES * GROUPS_ALONE
    return -(-columns // whole) * whole


def packed(matrix: NDArray, dtype: DTypeLike) -> tuple[NDArray, NDArray]:
    """Return a matrix as `add_product` reads it, and where its columns are other than zero.

    Parameters
    ----------
    matrix : array, shape (rows, columns)
    dtype : float32 or float64
        Kind of its numbers: single precision where that holds them, since reading the matrix is
        what most of the time goes to.

    Returns
    -------
    groups : array, shape (groups, rows, `LANES`)
        Columns beyond the last, up to `filled`, are zero.
    spans : array of int, shape (groups / `GROUPS_TOGETHER`, 2)
        First row, and the one after the last, with a number in these groups other than zero: of
        networks that were joined each has its own rows and columns.
    """
    rows, columns = matrix.shape
    groups = filled(columns) // LANES
    padded = np.zeros((rows, groups * LANES), dtype)
    padded[:, :columns] = matrix
    some = (padded.reshape(rows, groups // GROUPS_TOGETHER, LANES * GROUPS_TOGETHER) != 0).any(
        axis=2
    )
    numbers = np.arange(rows)[:, None]
    first = np.where(some, numbers, rows).min(axis=0, initial=rows)
    last = np.where(some, numbers + 1, 0).max(axis=0, initial=0)
    spans = np.stack([np.minimum(first, last), last], axis=1)
    together = padded.reshape(rows, groups, LANES).transpose(1, 0, 2)
    return np.ascontiguousarray(together), np.ascontiguousarray(spans, dtype=np.int64)


class _Operands:
    """Addresses of the four arrays of a product, all contiguous."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self._builder = builder
        source, self._matrix, spans, target = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:4], arguments[:4], strict=True)
        )
        self._spans = spans.data
        self._source, self._target = source.data, target.data
        single = signature.args[1].dtype == types.float32
        self._packed = ir.VectorType(ir.FloatType() if single else ir.DoubleType(), LANES)
        self.vector = ir.VectorType(ir.DoubleType(), LANES)
        self.groups, self.inner, _ = cgutils.unpack_tuple(builder, self._matrix.shape)
        self.whole = self.inner.type
        self._columns = cgutils.unpack_tuple(builder, target.shape)[2]

    def span(self, step: Any, together: int) -> tuple[Any, Any]:
        """Return the first row, and the one after the last, that some groups of columns need."""
        builder = self._builder
        parts = together // GROUPS_TOGETHER
        first, last = None, None
        for part in range(parts):
            number = builder.add(builder.mul(step, self.whole(parts)), self.whole(part))
            begin, end = (
                builder.load(
                    builder.gep(
                        self._spans,
                        [builder.add(builder.mul(number, self.whole(2)), self.whole(k))],
                    )
                )
                for k in range(2)
            )
            first = begin if first is None else self._either("<", first, begin)
            last = end if last is None else self._either(">", last, end)
        return first, last

    def _either(self, relation: str, one: Any, other: Any) -> Any:
        builder = self._builder
        return builder.select(builder.icmp_signed(relation, one, other), one, other)

    def sums_at(self, row: Any, group: Any) -> Any:
        """Return the address of the sums of a row and a group of columns."""
        builder = self._builder
        column = builder.mul(group, self.whole(LANES))
        place = builder.add(builder.mul(row, self._columns), column)
        return builder.bitcast(builder.gep(self._target, [place]), self.vector.as_pointer())

    def weights(self, group: Any, i: Any) -> Any:
        """Read a row of a group of the matrix, in double precision."""
        builder = self._builder
        row = builder.add(builder.mul(group, self.inner), i)
        place = builder.mul(row, self.whole(LANES))
        address = builder.gep(self._matrix.data, [place])
        element = 4 if self._packed.element == ir.FloatType() else 8
        read = builder.load(builder.bitcast(address, self._packed.as_pointer()), align=element)
        return read if element == 8 else builder.fpext(read, self.vector)

    def factor(self, row: Any, i: Any) -> Any:
        """Read an element of the source, as a vector of equal numbers."""
        builder = self._builder
        place = builder.add(builder.mul(row, self.inner), i)
        number = builder.load(builder.gep(self._source, [place]))
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, undefined, zeros)


def _add(builder: Any, arrays: _Operands, rows: Sequence[Any], together: int) -> None:
    """Add the products of some rows, for a few groups of columns at a time.

    Each sum waits for itself, so several are under way at a time.
    """
    whole, vector = arrays.whole, arrays.vector
    name = f"llvm.fma.v{LANES}f64"
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), name
    )
    sums = [[cgutils.alloca_once(builder, vector) for _ in range(together)] for _ in rows]
    steps = builder.udiv(arrays.groups, whole(together))
    with cgutils.for_range(builder, steps, intp=whole) as step:
        first = builder.mul(step.index, whole(together))
        groups = [builder.add(first, whole(g)) for g in range(together)]
        for row, own in zip(rows, sums, strict=True):
            for group, kept in zip(groups, own, strict=True):
                builder.store(builder.load(arrays.sums_at(row, group), align=8), kept)
        begin, end = arrays.span(step.index, together)
        with cgutils.for_range(builder, end, start=begin, intp=whole) as inner:
            weights = [arrays.weights(group, inner.index) for group in groups]
            for row, own in zip(rows, sums, strict=True):
                factor = arrays.factor(row, inner.index)
                for weight, kept in zip(weights, own, strict=True):
                    builder.store(builder.call(fma, [factor, weight, builder.load(kept)]), kept)
        for row, own in zip(rows, sums, strict=True):
            for group, kept in zip(groups, own, strict=True):
                builder.store(builder.load(kept), arrays.sums_at(row, group), align=8)


@intrinsic
def add_product(
    typingctx: Any, source: Any, matrix: Any, spans: Any, target: Any, count: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add the first `count` rows of a source times a packed matrix to rows of a target.

    `source` has shape (`ROWS`, 1, inner), `target` (`ROWS`, 1, columns), both float64; `matrix`
    and `spans` are what `packed` returns. Rows of `target` beyond `count` may be written too.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = _Operands(context, builder, signature, arguments)
        whole = arrays.whole
        rows = context.cast(builder, arguments[4], signature.args[4], types.intp)
        many = builder.icmp_signed(">=", rows, whole(_WORTH_ALL))
        with builder.if_else(many) as (all_rows, few):
            with all_rows:
                _add(builder, arrays, [whole(r) for r in range(ROWS)], GROUPS_TOGETHER)
            with few, cgutils.for_range(builder, rows, intp=whole) as row:
                _add(builder, arrays, [row.index], GROUPS_ALONE)
        return context.get_dummy_value()

    return types.void(source, matrix, spans, target, count), build
