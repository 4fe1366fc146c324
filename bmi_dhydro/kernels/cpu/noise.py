"""Noise of an ensemble, compiled: a function of key and time alone, correlated in time."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...machine import threads_of
from ..ir.printing import indented, operand
from .loop import CompiledLoop, LoopSource

# Constants of splitmix64 (Steele et al. 2014, 10.1145/2714064.2660195), a hash that fills 64 bits,
# and bits of a number of double precision.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
LAST_SHIFT, SPARE_BITS = 31, 11


def mixed(values: NDArray) -> NDArray:
    """Return 64 well-mixed bits of each of some numbers."""
    with np.errstate(over="ignore"):
        values = values + GOLDEN
        for shift, factor in MIX:
            values = (values ^ (values >> shift)) * factor
        return values ^ (values >> np.uint64(LAST_SHIFT))


def _mixed(name: str, value: str) -> list[str]:
    """Print what `mixed` does with a number."""
    return [
        f"{name} = {value} + np.uint64({GOLDEN})",
        *(
            f"{name} = ({name} ^ ({name} >> np.uint64({shift}))) * np.uint64({factor})"
            for shift, factor in MIX
        ),
        f"{name} = {name} ^ ({name} >> np.uint64({LAST_SHIFT}))",
    ]


def _uniform(bits: str) -> str:
    """Print a number between 0 and 1, neither included."""
    scale, half = operand(2.0**-53), operand(0.5)
    return f"((real({bits} >> np.uint64({SPARE_BITS})) + {half}) * {scale})"


def _normal(name: str, knot: str) -> list[str]:
    """Print a standard normal number of a key at a knot (Box and Muller 1958)."""
    return [
        *_mixed("bits", f"(key + np.uint64({GOLDEN}) * np.uint64({knot}))"),
        f"radius = math.sqrt({operand(-2.0)} * math.log({_uniform('bits')}))",
        *_mixed("bits", "bits"),
        f"{name} = radius * math.cos({operand(2.0 * math.pi)} * {_uniform('bits')})",
    ]


@lru_cache(maxsize=1)
def _compiled() -> CompiledLoop:
    """Compile the noise of columns `start` to `stop` at some times."""
    between = [
        f"place = real(times[t]) / seconds + {_uniform('shift')}",
        "knot = np.int64(math.floor(place))",
        "if t == 0 or knot != known:",
        *indented(_normal("first", "knot")),
        *indented(_normal("second", "(knot + 1)")),
        "    known = knot",
        f"angle = (place - real(knot)) * {operand(0.5 * math.pi)}",
        "result[t, c] = math.cos(angle) * first + math.sin(angle) * second",
    ]
    lines = [
        f"first = second = {operand(0.0)}",
        "known = np.int64(0)",
        "for c in range(start, stop):",
        "    key = keys[c]",
        *indented(_mixed("shift", f"(key ^ np.uint64({GOLDEN}))")),
        "    for t in range(times.size):",
        f"        if seconds > {operand(0.0)}:",
        *indented(between, 3),
        "        else:",
        *indented(_normal("first", "times[t]"), 3),
        "            result[t, c] = first",
    ]
    arguments = "keys, times, seconds, result"
    return CompiledLoop(LoopSource("Noise of an ensemble", float, arguments, before=lines), "noise")


def correlated_noise(
    keys: NDArray, times: NDArray, hours: float, threads: int | None = None
) -> NDArray:
    """Return standard normal noise that forgets itself in time.

    Independent numbers at knots a correlation time apart, and between two of them
    `cos(u) a + sin(u) b`, which is standard normal everywhere. The knots of each key are shifted at
    random. The correlation is 0.32 after a correlation time and 0 after two.

    Parameters
    ----------
    keys : array of uint64, shape (columns,)
    times : array of int64, shape (steps,)
        In seconds, increasing.
    hours : float
        Correlation time; 0 for noise that does not remember.
    threads : int, optional
        All processors of this process, unless given.

    Returns
    -------
    array, shape (steps, columns)
    """
    result = np.empty((len(times), len(keys)))
    times = np.ascontiguousarray(times, dtype=np.int64)
    _compiled()(
        len(keys),
        result.size,
        threads_of(threads),
        np.ascontiguousarray(keys),
        times,
        float(hours) * 3600.0,
        result,
    )
    return result
