"""Moving values between a host's arrays and the model's, compiled: the ends of every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .. import cache
from ..ir.printing import OPTIONS


def _module() -> str:
    """Print both as functions."""
    given = "inputs, lowest, highest, scale, floor, weather"
    taken = "outputs, forcing, sources, factors, published, inflow, gains, losses, flows"
    lines = [
        '"""Exchange of values with a host; generated, do not edit."""',
        "import numba",
        "from bmi_dhydro.kernels.cpu.transfers import published_outputs, scaled_inputs",
        "",
        "",
        f"def receive({given}):",
        f"    return scaled_inputs({given})",
        "",
        "",
        f"def publish({taken}):",
        f"    published_outputs({taken})",
        "",
        "",
        f"receive = numba.njit({OPTIONS})(receive)",
        f"publish = numba.njit({OPTIONS})(publish)",
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
