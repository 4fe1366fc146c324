"""Noise of an ensemble, made on a GPU: the numbers of `cpu.noise`, where they are needed."""

from __future__ import annotations

import math
from functools import cache as memoised
from typing import Any

from torch import Tensor

from .. import cache
from ..cpu.noise import GOLDEN, LAST_SHIFT, MIX, SPARE_BITS
from .launch import launched_at
from .source import HEADER, function

# Columns of a program, of four warps.
SIZE = 256

# As signed numbers: all there are in some versions of Triton's language.
_GOLDEN = int(GOLDEN) - 2**64
_MIX = tuple((int(bits), int(factor) - 2**64) for bits, factor in MIX)


def _shifted(value: str, bits: int) -> str:
    """Print a shift to the right that fills with zeros, as that of unsigned numbers does."""
    return f"(({value} >> {bits}) & {(1 << (64 - bits)) - 1})"


def _mixed(name: str, value: str) -> list[str]:
    """Print 64 well-mixed bits of a number."""
    return [
        f"{name} = ({value}) + ({_GOLDEN})",
        *(f"{name} = ({name} ^ {_shifted(name, bits)}) * ({factor})" for bits, factor in _MIX),
        f"{name} = {name} ^ {_shifted(name, LAST_SHIFT)}",
    ]


def _uniform(bits: str) -> str:
    """Print a number between 0 and 1, neither included."""
    return f"(({_shifted(bits, SPARE_BITS)}).to(tl.float64) + 0.5) * {2.0**-53!r}"


def _normal(name: str, knot: str) -> list[str]:
    """Print a standard normal number for each key at a knot."""
    return [
        *_mixed("bits", f"key + ({_GOLDEN}) * {knot}"),
        f"radius = tl.sqrt(-2.0 * tl.log({_uniform('bits')}))",
        *_mixed("bits", "bits"),
        f"{name} = radius * tl.cos({2.0 * math.pi!r} * {_uniform('bits')})",
    ]


def source(remembers: bool) -> str:
    """Print the kernel.

    Parameters
    ----------
    remembers : bool
        Whether the noise has a correlation time.

    Returns
    -------
    str
        A function `noise(keys, moment, result, columns, SECONDS, ...)`; as for `correlated_noise`.
    """
    if remembers:
        lines = [
            *_mixed("shift", f"key ^ ({_GOLDEN})"),
            f"place = now.to(tl.float64) / SECONDS + {_uniform('shift')}",
            "knot = tl.floor(place).to(tl.int64)",
            *_normal("first", "knot"),
            *_normal("second", "(knot + 1)"),
            f"angle = (place - knot.to(tl.float64)) * {math.pi / 2!r}",
            "value = tl.cos(angle) * first + tl.sin(angle) * second",
        ]
    else:
        lines = _normal("value", "now")
    body = [
        "at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)",
        "inside = at < columns",
        "key = tl.load(keys + at, mask=inside, other=0)",
        "now = tl.load(moment)",
        *lines,
        "tl.store(result + at, value, mask=inside)",
    ]
    arguments = "keys, moment, result, columns, SECONDS: tl.constexpr, SIZE: tl.constexpr"
    title = "Noise of an ensemble, for a GPU"
    return HEADER.format(title=title) + function("noise", arguments, body)


@memoised
def _kernel(remembers: bool) -> Any:
    return cache.load_file(source(remembers), "noise_gpu")["noise"]


def correlated_noise(keys: Tensor, moment: Tensor, hours: float, result: Tensor) -> None:
    """Make standard normal noise that forgets itself in time, for one time.

    Parameters
    ----------
    keys : Tensor of int64, shape (columns,)
        The bits of the unsigned keys of `cpu.noise.correlated_noise`, whose numbers these
        are.
    moment : Tensor of int64, shape (1,)
        Time in seconds.
    hours : float
        Correlation time; 0 for noise that does not remember.
    result : Tensor of float64, shape (columns,)
        Written.
    """
    columns = len(keys)
    with launched_at(keys):
        _kernel(hours > 0.0)[(-(-columns // SIZE),)](
            keys, moment, result, columns, SECONDS=hours * 3600.0, SIZE=SIZE, num_warps=4
        )
