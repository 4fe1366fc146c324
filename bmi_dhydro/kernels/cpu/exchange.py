"""Moving values between a host's arrays and the model's, compiled: the ends of every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .. import cache
from ..ir.printing import indented

# Scales inputs to weather; returns the place of the first value that is out of bounds.
RECEIVE = """
for k in range(inputs.shape[0]):
    for c in range(inputs.shape[1]):
        value = inputs[k, c]
        if not (lowest[k] <= value <= highest[k]):
            return k * inputs.shape[1] + c
        weather[k, c] = max(value * scale[k], floor[k])
""".strip().splitlines()

# Scales outputs of the model to those of the interface, and adds up what went in and out.
PUBLISH = """
for k in range(published.shape[0]):
    row = sources[k] - outputs.shape[1]
    for c in range(published.shape[1]):
        value = forcing[0, row, c] if row >= 0 else outputs[0, sources[k], c]
        published[k, c] = value * factors[k, c]
for c in range(published.shape[1]):
    flows[0, c] += forcing[0, inflow, c]
    for k in range(gains.shape[0]):
        flows[0, c] += outputs[0, gains[k], c]
    flows[1, c] += outputs[0, losses[0], c] + outputs[0, losses[1], c]
""".strip().splitlines()


def _module() -> str:
    """Print both as functions."""
    taken = "outputs, forcing, sources, factors, published, inflow, gains, losses, flows"
    lines = [
        '"""Exchange of values with a host; generated, do not edit."""',
        "import numba",
        "",
        "",
        "def receive(inputs, lowest, highest, scale, floor, weather):",
        *indented(RECEIVE),
        "    return -1",
        "",
        "",
        f"def publish({taken}):",
        *indented(PUBLISH),
        "",
        "",
        "receive = numba.njit(cache=CACHE, nogil=True)(receive)",
        "publish = numba.njit(cache=CACHE, nogil=True)(publish)",
    ]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=1)
def exchange() -> tuple[Callable[..., int], Callable[..., None]]:
    """Return `receive` and `publish`; arrays have catchments last.

    Returns
    -------
    receive : callable
        `receive(inputs, lowest, highest, scale, floor, weather)`
    publish : callable
        `publish(outputs, forcing, sources, factors, published, inflow, gains, losses, flows)`:
        outputs (1, outputs of the model, columns), forcing (1, forcings, columns); sources count
        the outputs of the model first, then its forcings.
    """
    module: dict[str, Any] = cache.load(_module(), "exchange")
    return module["receive"], module["publish"]
