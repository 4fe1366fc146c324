"""Flows yet to leave, which stand in a ring of memory, as LLVM instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from .elements import elements_of, whole
from .instructions import instructions
from .vectors import folded

# Lags that are summed together.
_LANES = 8


@instructions()
def delay(
    typingctx: Any,
    pending: Any,
    weights: Any,
    reach: Any,
    column: Any,
    own: Any,
    head: Any,
    runoff: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Add a step's runoff, by the weights of a unit hydrograph, and return what leaves in it.

    What leaves stands at `head` of the row `column` of `pending` (columns, lags), and is taken
    from it. Weights are the row `own`, of which the first `reach[column]` count.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *given, amount = arguments
        ring, shares, reaches, c, row, first = elements_of(
            context, builder, signature.args[:-1], given
        )
        length = ring.shape[1]
        end = builder.add(first, reaches.read(c))
        inside = builder.select(builder.icmp_signed("<", end, length), end, length)
        around = builder.sub(end, length)

        def added(begin: Any, stop: Any, earlier: Any) -> None:
            with cgutils.for_range(builder, stop, start=begin, intp=length.type) as loop:
                k = loop.index
                share = shares.read(row, builder.add(k, earlier))
                address = ring.at(c, k)
                more = builder.fadd(builder.load(address), builder.fmul(share, amount))
                builder.store(more, address)

        added(first, inside, builder.neg(first))
        added(whole(0), around, builder.sub(length, first))
        address = ring.at(c, first)
        leaving = builder.load(address)
        builder.store(ir.Constant(leaving.type, 0.0), address)
        return leaving

    return pending.dtype(pending, weights, reach, column, own, head, runoff), build


@instructions()
def ring_sum(
    typingctx: Any, pending: Any, reach: Any, column: Any, head: Any
) -> tuple[Any, Callable[..., Any]]:
    """Return the sum of what is yet to leave of a column, after what stands at `head`.

    A lag is added in the same order wherever in the ring it stands, so that the sum does not
    depend on the position: lags are summed several together while as many are left in the ring.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ring, reaches, c, first = elements_of(context, builder, signature.args, arguments)
        length = ring.shape[1]
        number = context.get_value_type(pending.dtype)
        vector = ir.VectorType(number, _LANES)
        lags = reaches.read(c)

        def around(lag: Any) -> Any:
            """Return the place of a lag: it goes on at the beginning of the ring."""
            place = builder.add(first, lag)
            beyond = builder.icmp_signed(">=", place, length)
            return builder.select(beyond, builder.sub(place, length), place)

        sums = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * _LANES))

        def together(lag: Any, gathered: bool) -> None:
            if gathered:
                found = ir.Constant(vector, ir.Undefined)
                for k in range(_LANES):
                    one = builder.load(ring.at(c, around(builder.add(lag, whole(k)))))
                    found = builder.insert_element(found, one, ir.Constant(ir.IntType(32), k))
            else:
                address = builder.bitcast(ring.at(c, around(lag)), vector.as_pointer())
                found = builder.load(address, align=context.get_abi_sizeof(number))
            builder.store(builder.fadd(builder.load(sums), found), sums)

        room = builder.sub(length, whole(_LANES - 1))
        stop = builder.select(builder.icmp_signed("<", room, lags), room, lags)
        several = whole(_LANES)
        with cgutils.for_range_slice(builder, whole(1), stop, several, length.type) as (lag, _):
            last = builder.add(around(lag), several)
            with builder.if_else(builder.icmp_signed("<=", last, length)) as (yes, no):
                with yes:
                    together(lag, False)
                with no:
                    together(lag, True)
        sum_of_lanes = folded(builder, builder.load(sums), 1)
        lane = builder.extract_element(sum_of_lanes, ir.Constant(ir.IntType(32), 0))
        total = cgutils.alloca_once_value(builder, lane)
        left = builder.srem(builder.sub(length, whole(1)), several)
        begin = builder.sub(length, left)
        with cgutils.for_range(builder, lags, start=begin, intp=length.type) as loop:
            one = builder.load(ring.at(c, around(loop.index)))
            builder.store(builder.fadd(builder.load(total), one), total)
        return builder.load(total)

    return pending.dtype(pending, reach, column, head), build
