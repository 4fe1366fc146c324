"""What a step begins and ends with, as LLVM instructions: inputs, outputs, the water account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .elements import elements_of, whole
from .instructions import instructions


@instructions()
def scaled_inputs(
    typingctx: Any, inputs: Any, lowest: Any, highest: Any, scale: Any, floor: Any, weather: Any
) -> tuple[Any, Callable[..., Any]]:
    """Scale a host's inputs to weather, none below `floor`.

    Arrays: inputs and weather (quantities, columns), the others (quantities,). Returns the place of
    the first input that is not between `lowest` and `highest`, in the order of memory; -1 if none.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, low, high, factor, least, target = elements_of(
            context, builder, signature.args, arguments
        )
        none = whole(-1)
        wrong = cgutils.alloca_once_value(builder, none)
        rows, columns = given.shape
        with cgutils.for_range(builder, rows, intp=none.type) as row:
            k = row.index
            limits = low.read(k), high.read(k)
            gain, bottom = factor.read(k), least.read(k)
            with cgutils.for_range(builder, columns, intp=none.type) as column:
                c = column.index
                value = given.read(k, c)
                fits = builder.and_(
                    builder.fcmp_ordered("<=", limits[0], value),
                    builder.fcmp_ordered("<=", value, limits[1]),
                )
                before = builder.load(wrong)
                first = builder.and_(builder.not_(fits), builder.icmp_signed("==", before, none))
                place = builder.add(builder.mul(k, columns), c)
                builder.store(builder.select(first, place, before), wrong)
                scaled = builder.fmul(value, gain)
                below = builder.fcmp_ordered("<", scaled, bottom)
                target.write_double(builder.select(below, bottom, scaled), k, c)
        return builder.load(wrong)

    return types.intp(inputs, lowest, highest, scale, floor, weather), build


@instructions()
def published_outputs(
    typingctx: Any,
    outputs: Any,
    forcing: Any,
    sources: Any,
    factors: Any,
    published: Any,
    inflow: Any,
    gains: Any,
    losses: Any,
    flows: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Scale outputs of a model to those of the interface, and add up what went in and out.

    Arrays: outputs (1, outputs of the model, columns), forcing (1, forcings, columns), both of one
    kind; sources (outputs of the interface,), which count the outputs of the model first, then its
    forcings; factors, published (outputs of the interface, columns); gains (any,), losses (2,),
    among the outputs of the model; flows (2, columns), changed. `inflow` is among the forcings.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, weather, source, factor, target, entering, gaining, losing, account = elements_of(
            context, builder, signature.args, arguments
        )
        none = whole(0)
        shown, columns = target.shape
        with cgutils.for_range(builder, shown, intp=none.type) as row:
            k = row.index
            number = source.read(k)
            beyond = builder.sub(number, rows.shape[1])
            of_weather = builder.icmp_signed(">=", beyond, none)
            with builder.if_else(of_weather) as (yes, no):
                for branch, own, place in ((yes, weather, beyond), (no, rows, number)):
                    with branch, cgutils.for_range(builder, columns, intp=none.type) as column:
                        c = column.index
                        value = own.read_double(none, place, c)
                        target.write_double(builder.fmul(value, factor.read(k, c)), k, c)
        with cgutils.for_range(builder, columns, intp=none.type) as column:
            c = column.index
            account.add_double(weather.read_double(none, entering, c), none, c)
            with cgutils.for_range(builder, gaining.shape[0], intp=none.type) as row:
                gain = rows.read_double(none, gaining.read(row.index), c)
                account.add_double(gain, none, c)
            lost = builder.fadd(*(rows.read(none, losing.read(whole(k)), c) for k in range(2)))
            kind = signature.args[0].dtype
            account.add_double(context.cast(builder, lost, kind, types.float64), whole(1), c)
        return context.get_dummy_value()

    taken = outputs, forcing, sources, factors, published, inflow, gains, losses, flows
    return types.void(*taken), build


@instructions()
def counted_step(
    typingctx: Any,
    clock: Any,
    current: Any,
    outputs: Any,
    stored_rows: Any,
    flows: Any,
    opened: Any,
    leaked: Any,
    balance: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Count a step, and write the balance of the first column in m, where there is room for it.

    Arrays: clock, current, opened, leaked (1,), stored_rows (stores,), which are among the outputs
    of the model (1, outputs, columns), flows (2, columns), and balance (4,) or (0,): what went in,
    what went out, what was stored more than at first, what was lost. `current` is whether it was.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        steps, now, rows, stores, account, first, lost, written = elements_of(
            context, builder, signature.args, arguments
        )
        none = whole(0)
        builder.store(builder.add(steps.read(none), whole(1)), steps.at(none))
        wanted = builder.icmp_signed(">", written.shape[0], none)
        builder.store(builder.zext(wanted, none.type), now.at(none))
        with builder.if_then(wanted):
            double = ir.DoubleType()
            stored = cgutils.alloca_once_value(builder, ir.Constant(double, 0.0))
            with cgutils.for_range(builder, stores.shape[0], intp=none.type) as row:
                one = rows.read_double(none, stores.read(row.index), none)
                builder.store(builder.fadd(builder.load(stored), one), stored)
            more = builder.fsub(builder.load(stored), first.read(none))
            parts = account.read(none, none), account.read(whole(1), none), more, lost.read(none)
            for k, part in enumerate(parts):
                written.write_double(builder.fmul(part, ir.Constant(double, 1e-3)), whole(k))
        return context.get_dummy_value()

    taken = clock, current, outputs, stored_rows, flows, opened, leaked, balance
    return types.void(*taken), build
