"""Programs as source code for Numba."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .program import Program, fused

_HEADER = '''"""{title}; generated, do not edit."""
import math
import numba
import numpy as np
from bmi_dhydro.kernels.cpu.vectors import (
    add, compute, div, fma, ge, gt, lane, le, load, lt, maximum, minimum, mul, neg, some_below,
    spread, sqrt, store, sub, totals, where, wide,
)
real = np.{dtype}
'''


def header(title: str, dtype: DTypeLike) -> str:
    """Return the imports of a generated module; `real` is its kind of number."""
    return _HEADER.format(title=title, dtype=np.dtype(dtype))


def operand(value: str | float) -> str:
    """Return a name as it is, a constant as one of the module's kind of number."""
    return value if isinstance(value, str) else f"real({value!r})"


def printed(program: Program) -> list[str]:
    """Return a program as lines of code for Numba.

    Parameters
    ----------
    program : Program

    Returns
    -------
    list of str
        They assign the outputs of the program, in its names; see `vectors.compute`. What is
        computed on the way has no name there.
    """
    joined = fused(program.restricted(range(len(program.outputs))))
    made = {op.target for op in joined.operations}
    outputs = list(dict.fromkeys(name for name in joined.outputs if name in made))
    if not outputs:
        return []
    read = {a for op in joined.operations for a in op.arguments if isinstance(a, str)} - made
    inputs = [name for name in joined.inputs if name in read]
    text = ";".join(
        [
            " ".join(inputs),
            *(
                " ".join([op.target, op.name, *(_word(a) for a in op.arguments)])
                for op in joined.operations
            ),
            " ".join(map(str, outputs)),
        ]
    )
    return [f"{', '.join(map(str, outputs))}, = compute({text!r}, {', '.join(inputs)})"]


def _word(argument: str | float) -> str:
    """Return an argument as `vectors.compute` reads it: a name, or a number with all its digits."""
    return argument if isinstance(argument, str) else repr(float(argument))


def indented(lines: Sequence[str], levels: int = 1) -> list[str]:
    """Return lines of code, further to the right."""
    return [" " * 4 * levels + line for line in lines]
