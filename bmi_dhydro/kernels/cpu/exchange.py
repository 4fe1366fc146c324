"""Moving values between a host's arrays and the model's, compiled: the ends of every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .. import cache

EXCHANGE_SOURCE = '''"""Exchange of values with a host; generated, do not edit."""
import numba


def receive(inputs, lowest, highest, scale, floor, weather):
    """Scale inputs to weather; return the index of the first value out of bounds, or -1."""
    for k in range(inputs.shape[0]):
        for c in range(inputs.shape[1]):
            value = inputs[k, c]
            if not (lowest[k] <= value <= highest[k]):
                return k * inputs.shape[1] + c
            weather[k, c] = max(value * scale[k], floor[k])
    return -1


def publish(rows, forcing, sources, factors, outputs, inflow, gains, losses, flows):
    """Scale model outputs to those of the interface, and add up what went in and out."""
    for k in range(outputs.shape[0]):
        row = sources[k] - rows.shape[0]
        for c in range(outputs.shape[1]):
            value = forcing[row, c] if row >= 0 else rows[sources[k], c]
            outputs[k, c] = value * factors[k, c]
    for c in range(outputs.shape[1]):
        flows[0, c] += forcing[inflow, c]
        for k in range(gains.shape[0]):
            flows[0, c] += rows[gains[k], c]
        flows[1, c] += rows[losses[0], c] + rows[losses[1], c]


receive = numba.njit(cache=CACHE, nogil=True)(receive)
publish = numba.njit(cache=CACHE, nogil=True)(publish)
'''


@lru_cache(maxsize=1)
def exchange() -> tuple[Callable[..., int], Callable[..., None]]:
    """Return `receive` and `publish`; arrays have catchments last.

    Returns
    -------
    receive : callable
        `receive(inputs, lowest, highest, scale, floor, weather)`
    publish : callable
        `publish(rows, forcing, sources, factors, outputs, inflow, gains, losses, flows)`; sources
        count the rows of the model first, then those of its forcing.
    """
    module: dict[str, Any] = cache.load(EXCHANGE_SOURCE, "exchange")
    return module["receive"], module["publish"]
