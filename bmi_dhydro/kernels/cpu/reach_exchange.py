"""Moving values between a river and the arrays that its kernel takes, compiled: a step's ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .. import cache
from ..ir.printing import OPTIONS

_SOURCE = '''"""What a step of a river begins and ends with; generated, do not edit."""
import numba


def enter(states, lateral, start, slots, steps, flow, depth, storage, remainder, offered):
    """Place states and lateral inflow of reaches in the series of a step."""
    for k in range(lateral.shape[0]):
        flow[start[k]] = states[0, k]
        depth[start[k]] = states[1, k]
        storage[start[k]] = states[2, k]
        remainder[slots[k]] = states[3, k]
        offered[steps[k]] = lateral[k]


def leave(
    states, start, slots, ends, steps, flow, depth, storage, remainder, offered, mean, taken,
    account, outputs
):
    """Take states and outputs out of the series of a step, and count the water."""
    for k in range(states.shape[1]):
        end, step = ends[k], steps[k]
        inflow = offered[step]
        # Only losses may not be taken as they are offered.
        account[0, k] += inflow if inflow >= 0.0 else taken[step]
        account[1, k] += inflow
        account[2, k] += mean[step]
        account[3, k] += storage[end]
        account[3, k] -= states[2, k]
        states[0, k] = flow[end]
        states[1, k] = depth[end]
        states[2, k] = storage[end]
        states[3, k] = remainder[slots[k]]
        outputs[0, k] = flow[end]
        outputs[1, k] = mean[step]
        outputs[2, k] = depth[end]
        outputs[3, k] = storage[end]


'''

_COMPILED = f"""
enter = numba.njit({OPTIONS})(enter)
leave = numba.njit({OPTIONS})(leave)
"""


@lru_cache(maxsize=1)
def reach_exchange() -> tuple[Callable[..., None], Callable[..., None]]:
    """Return `enter` and `leave`.

    Returns
    -------
    enter : callable
        `enter(states, lateral, start, slots, steps, flow, depth, storage, remainder, offered)`:
        states (4, reaches), lateral inflow (reaches,), and series of a step, flattened, with the
        places of reaches in them.
    leave : callable
        `leave(states, start, slots, ends, steps, flow, depth, storage, remainder, offered, mean,
        taken, account, outputs)`: account (4, reaches) as `river.Account` has it, outputs
        (4, reaches) flow, mean flow, depth and storage; both float64.
    """
    module: dict[str, Any] = cache.load(_SOURCE + _COMPILED, "reach_exchange")
    return module["enter"], module["leave"]
