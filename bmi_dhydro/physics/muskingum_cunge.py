"""Muskingum-Cunge routing with variable parameters in a trapezoidal channel with a flood plain.

The equations are those of the National Water Model (WRF-Hydro technical description, Gochis et al.
2020, section 3.6.3): Muskingum's method whose travel time and weight follow from the depth of the
water (Cunge 1969; Ponce and Yevjevich 1978), which is the one whose uniform flow by Manning's
equation is the flow that leaves. Where travel time and weight change from step to step the method
itself does not conserve water (Todini 2007, 10.5194/hess-11-1645-2007); the storage of a reach
counts what comes and goes.

`MUSKINGUM_CUNGE` encloses the depth and goes on until it is found to single precision; no more
leaves than there is. `MUSKINGUM_CUNGE_NWM` does what that model's kernel does: a secant that stops
at 1 % or 1 cm, and weights of inflow for half the flow and of at least 0.25, so that waves spread
half as much as in the channel (Hayami 1951), or less. So it gives that model's flows rather than
those of its equations; its storage is negative where more has left than there was.

At the bank the wetted perimeter jumps by the width of the flood plain, and uniform flow jumps down.
So two depths, one in the banks and one above, may fit the same flow. `MUSKINGUM_CUNGE` takes that
on the side of the depth before, where there is one; the other may go to and fro between them.
"""

from __future__ import annotations

from dataclasses import replace

from .primitives import exp, log, maximum, minimum, power, sqrt, where
from .process import Parameter
from .reach import ReachProcess, balance, unlimited_balance

# Keeps bases of powers and divisors above zero.
_TINY = 1e-9
# A channel that is narrower at its top than at its bottom has no flood plain (as in the NWM).
_BANKLESS = 1e5
# The flood plain begins above the bank by this share of its height.
_ABOVE = 1e-5
# The search for depth ends when it changes by less than this share, or is below this depth in m.
_TOLERANCE, _SHALLOWEST = 2e-6, 1e-6
# It begins at this depth in m, at least; flows below this (m3 s-1) count as none.
_FIRST, _NO_FLOW = 1e-4, 1e-20
# Stands for a depth that no river has.
_DEEPEST = 1e6


def bank_height(bottom_width, top_width, side_slope):
    """Return the depth (m) at which the channel is full."""
    rise = 0.5 * side_slope
    banks = where(top_width > bottom_width, (top_width - bottom_width) * rise, bottom_width * rise)
    return where(bottom_width > top_width, bottom_width * _BANKLESS, banks)


def hydraulics(
    depth,
    bottom_width,
    top_width,
    floodplain_width,
    manning_n,
    floodplain_manning_n,
    side_slope,
    slope,
):
    """Return celerity (m s-1), uniform flow (m3 s-1), width at the surface (m) and area (m2).

    `side_slope` is rise over run of the banks, as the channel's `ChSlp` of the National Water
    Model; the flood plain is a rectangle above the bank.
    """
    run = 1.0 / side_slope
    above = maximum(depth - bank_height(bottom_width, top_width, side_slope), 0.0)
    above = where(floodplain_width > 0.0, above, 0.0)
    within = depth - above
    channel = (bottom_width + within * run) * within
    plain = floodplain_width * above
    area = channel + plain
    side = sqrt(1.0 + run * run)
    channel_perimeter = bottom_width + 2.0 * within * side
    plain_perimeter = where(above > 0.0, floodplain_width + 2.0 * above, 0.0)
    perimeter = channel_perimeter + plain_perimeter
    radius = area / perimeter
    to_two_thirds = power(maximum(radius, _TINY), 2.0 / 3.0)
    root = sqrt(slope)
    in_channel = (root / manning_n) * to_two_thirds
    in_channel = in_channel * (
        5.0 / 3.0 - (4.0 / 3.0) * radius * side / (bottom_width + 2.0 * within * run)
    )
    on_plain = (root / floodplain_manning_n) * (5.0 / 3.0)
    on_plain = on_plain * power(maximum(above, _TINY), 2.0 / 3.0)
    celerity = (in_channel * channel + on_plain * plain) / maximum(area, _TINY)
    rough = channel_perimeter * manning_n + plain_perimeter * floodplain_manning_n
    uniform = perimeter / rough * area * to_two_thirds * root
    surface = where(above > 0.0, floodplain_width, bottom_width + 2.0 * run * depth)
    return maximum(celerity, 0.0), uniform, surface, area


def section(depth, length, *geometry):
    """Return the area of the cross section (m2) and uniform flow (m3 s-1)."""
    _, uniform, _, area = hydraulics(depth, *geometry)
    return area, uniform


def travel_time(celerity, length, seconds):
    """Return the time (s) in which a wave passes the reach; at least a step."""
    return where(celerity > 0.0, maximum(seconds, length / maximum(celerity, _TINY)), seconds)


def inflow_weight(flow, surface, slope, celerity, length):
    """Return the weight of inflow for which the scheme spreads waves as the channel does.

    Cunge (1969); of short reaches, whose weight would be negative, it is 0.
    """
    spread = flow / maximum(surface * slope * celerity * length, _TINY)
    return where(celerity > 0.0, minimum(0.5, maximum(0.0, 0.5 * (1.0 - spread))), 0.5)


def explicit_muskingum(
    weight, travel_time, inflow_before, inflow, flow_before, lateral_inflow, seconds
):
    """Return the flow at the end of a step by Muskingum's method, from flows before.

    Where travel time and weight are not those of the step before, water does not close.
    """
    half = 0.5 * seconds
    of_inflow = travel_time * weight
    of_flow = travel_time - of_inflow
    known = (
        (of_inflow + half) * inflow_before
        + (half - of_inflow) * inflow
        + (of_flow - half) * flow_before
        + seconds * lateral_inflow
    )
    return known / (of_flow + half)


def flow(
    depth,
    inflow_before,
    inflow,
    flow_before,
    storage_before,
    lateral_inflow,
    seconds,
    length,
    *geometry,
):
    """Return the flow that leaves; arguments as `physics.reach.ReachProcess.flow`."""
    celerity, _, surface, _ = hydraulics(depth, *geometry)
    time = travel_time(celerity, length, seconds)
    flows = (inflow_before, inflow, flow_before, lateral_inflow, seconds)
    unspread = explicit_muskingum(0.5, time, *flows)
    weight = inflow_weight(unspread, surface, geometry[-1], celerity, length)
    return maximum(0.0, explicit_muskingum(weight, time, *flows))


def residual(depth, *arguments):
    """Return by how much the flow that leaves exceeds uniform flow of the depth."""
    return flow(depth, *arguments) - hydraulics(depth, *arguments[7:])[1]


def storage(depth, inflow, flow, seconds, length, *geometry):
    """Return the water in a reach; arguments as `physics.reach.ReachProcess.storage`."""
    return maximum(hydraulics(depth, *geometry)[3] * length, seconds * flow)


def begin(depth_before, inflow_before, inflow, flow_before, lateral_inflow, seconds, *parameters):
    """Return bounds of the depth that is sought, and where to look first: at the one before."""
    return 0.0, _DEEPEST, maximum(depth_before, _FIRST), 0.0, 0.0, 0.0, 0.0


def search_within(tolerance: float):
    """Return `iterate`, which ends when the depth changes by less than this share."""
    narrowest = max(tolerance, 1e-6)

    def iterate(low, high, depth, last, at_last, slow, ended, *arguments):
        """Go a step by the secant of logarithms, or halve the interval where that leads out of it.

        The flow that leaves hardly depends on depth, and uniform flow is close to a power of it
        (5/3 in a wide channel), so that their ratio over depth is close to a line on logarithmic
        axes. From one side of the bank to the other the way is through both edges. After steps that
        do not get shorter the interval is halved (Brent 1973, chapter 4, on why).
        """
        _, bottom_width, top_width, _, _, _, side_slope, _ = arguments[6:]
        bank = bank_height(bottom_width, top_width, side_slope)
        over_bank = bank * (1.0 + _ABOVE)
        leaving = flow(depth, *arguments)
        uniform = hydraulics(depth, *arguments[7:])[1]
        here = log(maximum(leaving, _NO_FLOW) / maximum(uniform, _NO_FLOW))
        low = where(here > 0.0, depth, low)
        high = where(here > 0.0, high, depth)
        run = where(last > 0.0, log(depth / maximum(last, _TINY)), 1.0)
        run = where(maximum(run, -run) > _NO_FLOW, run, _NO_FLOW)
        steepness = where(last > 0.0, (here - at_last) / run, -5.0 / 3.0)
        steepness = where(steepness < -0.2, steepness, -5.0 / 3.0)
        reached = depth * exp(minimum(maximum(-here / steepness, -9.0), 3.0))
        # Not past an edge of the bank, unless it was tried.
        rising = where(depth < bank, minimum(reached, bank), maximum(reached, over_bank))
        falling = where(depth > over_bank, maximum(reached, over_bank), minimum(reached, bank))
        reached = where(here > 0.0, where(depth <= bank, rising, reached), reached)
        reached = where(here > 0.0, reached, where(depth >= over_bank, falling, reached))
        outside = where(reached > low, where(reached < high, 0.0, 1.0), 1.0)
        outside = where(slow > 2.5, 1.0, outside)
        far = maximum(reached - depth, depth - reached)
        close = where(far <= tolerance * depth, 1.0, where(high <= _SHALLOWEST, 1.0, 0.0))
        close = where(high - low <= narrowest * low, 1.0, close)
        middle = where(high < _DEEPEST, 0.5 * (low + high), 2.0 * depth)
        new = where(close > 0.5, reached, where(outside > 0.5, middle, reached))
        fast = where(far < 0.5 * maximum(last - depth, depth - last), 1.0, 0.0)
        slow = where(slow > 2.5, 0.0, where(fast > 0.5, 0.0, slow + 1.0))
        return low, high, new, depth, here, slow, close

    return iterate


def settle(low, high, depth, last, at_last, slow, ended, *arguments):
    """Return the depth that was found, and its flow."""
    return depth, flow(depth, *arguments)


# --- As the National Water Model's kernel does it

_NWM_SHARE, _NWM_DEPTH = 0.01, 0.01


def weight_nwm(flow, surface, slope, celerity, length, least):
    """Return the weight of inflow: that of half the flow, and at least as much as is said."""
    spread = flow / maximum(2.0 * surface * slope * celerity * length, _TINY)
    return where(celerity > 0.0, minimum(0.5, maximum(least, 0.5 * (1.0 - spread))), 0.5)


def begin_nwm(
    depth_before,
    inflow_before,
    inflow,
    flow_before,
    storage_before,
    lateral_inflow,
    seconds,
    *parameters,
):
    """Return two depths around the one before; a reach without any water is dry."""
    water = maximum(maximum(inflow_before, inflow), maximum(flow_before, lateral_inflow))
    wet = where(water > 0.0, 1.0, 0.0)
    depth = where(water > 0.0, 1.33 * depth_before + _NWM_DEPTH, 0.0)
    return depth, 0.67 * depth_before, 0.0, 0.0, 1.0 - wet


def iterate_nwm(
    depth,
    last,
    at_last,
    leaving,
    ended,
    inflow_before,
    inflow,
    flow_before,
    storage_before,
    lateral_inflow,
    seconds,
    *parameters,
):
    """Go a step by the secant.

    The weight of inflow at the last depth follows from the residual there of the step before, that
    at this depth from the flow that leaves by the former.
    """
    length, *geometry = parameters
    slope = geometry[-1]
    flows = (inflow_before, inflow, flow_before, lateral_inflow, seconds)
    celerity, uniform, surface, _ = hydraulics(last, *geometry)
    time = travel_time(celerity, length, seconds)
    weight = weight_nwm(at_last, surface, slope, celerity, length, 0.0)
    first = explicit_muskingum(weight, time, *flows)
    at_last = first - uniform
    celerity, uniform, surface, _ = hydraulics(depth, *geometry)
    time = travel_time(celerity, length, seconds)
    weight = weight_nwm(first, surface, slope, celerity, length, 0.25)
    leaving = explicit_muskingum(weight, time, *flows)
    here = leaving - uniform
    change = at_last - here
    steep = where(change >= 0.0, maximum(change, _TINY * _TINY), change)
    new = depth - here * (last - depth) / steep
    new = where(new < 0.0, depth, new)
    moved = maximum(new - depth, depth - new)
    close = where(moved <= _NWM_SHARE * depth, 1.0, where(moved < _NWM_DEPTH, 1.0, 0.0))
    close = where(new < _NWM_DEPTH, 1.0, close)
    # Where Muskingum's method gives less than nothing, two of its three terms.
    without_flow = explicit_muskingum(
        weight, time, inflow_before, inflow, 0.0, lateral_inflow, seconds
    )
    without_inflow = explicit_muskingum(
        weight, time, inflow_before, 0.0, flow_before, lateral_inflow, seconds
    )
    leaving = where(leaving < 0.0, maximum(without_flow, without_inflow), leaving)
    return new, depth, at_last, leaving, close


def settle_nwm(depth, last, at_last, leaving, ended, *arguments):
    """Return depth and flow."""
    return depth, maximum(0.0, leaving)


_PARAMETERS = (
    Parameter("length", "length of the reach", "m", 10.0, 1e5, scale="log", possible=(1e-3, 1e7)),
    Parameter(
        "bottom_width", "width of the bed", "m", 0.1, 500.0, scale="log", possible=(1e-6, 1e5)
    ),
    Parameter(
        "top_width",
        "width of the channel at its banks",
        "m",
        0.2,
        1000.0,
        scale="log",
        possible=(1e-6, 1e5),
    ),
    Parameter(
        "floodplain_width",
        "width of the flood plain, 0 for none",
        "m",
        0.5,
        3000.0,
        scale="log",
        possible=(0.0, 1e6),
    ),
    Parameter(
        "manning_n",
        "Manning's roughness of the channel",
        "s m-1/3",
        0.01,
        0.3,
        scale="log",
        possible=(1e-4, 10.0),
    ),
    Parameter(
        "floodplain_manning_n",
        "Manning's roughness of the flood plain",
        "s m-1/3",
        0.02,
        0.6,
        scale="log",
        possible=(1e-4, 10.0),
    ),
    Parameter(
        "side_slope",
        "rise over run of the banks",
        "1",
        0.02,
        5.0,
        scale="log",
        possible=(1e-4, 1e4),
    ),
    Parameter("slope", "slope of the bed", "1", 1e-5, 0.5, scale="log", possible=(1e-8, 10.0)),
)

_REFERENCE = "Cunge (1969); Ponce and Yevjevich (1978); Gochis et al. (2020)"


def muskingum_cunge(tolerance: float = _TOLERANCE) -> ReachProcess:
    """Return Muskingum-Cunge routing with variable parameters.

    Parameters
    ----------
    tolerance : float
        The search for depth ends when it changes by less than this share. Single precision cannot
        do better than the default; derivatives that should agree to many digits can.
    """
    return ReachProcess(
        name="muskingum_cunge",
        long_name="Muskingum-Cunge routing with variable parameters",
        reference=_REFERENCE,
        parameters=_PARAMETERS,
        flow=flow,
        balance=balance,
        storage=storage,
        section=section,
        residual=residual,
        unknowns=("low", "high", "depth", "last", "at_last", "slow", "ended"),
        begin=begin,
        iterate=search_within(tolerance),
        settle=settle,
    )


MUSKINGUM_CUNGE = muskingum_cunge()

MUSKINGUM_CUNGE_NWM = replace(
    MUSKINGUM_CUNGE,
    name="muskingum_cunge_nwm",
    long_name="Muskingum-Cunge routing as the National Water Model solves it",
    balance=unlimited_balance,
    unknowns=("depth", "last", "at_last", "leaving", "ended"),
    begin=begin_nwm,
    iterate=iterate_nwm,
    settle=settle_nwm,
)
