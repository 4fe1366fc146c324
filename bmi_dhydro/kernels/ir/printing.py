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
    add, cos, div, exp2, fma, ge, gt, lane, le, load, load_row, log2, lt, maximum, minimum, mul,
    neg, sin, some_below, spread, sqrt, store, store_row, sub, totals, where, wide,
)
real = np.{dtype}
'''

# How the operations of a Program that are not functions of `vectors` are composed of them.
_COMPOSED = {
    "fms": "fma({0}, {1}, neg({2}))",
    "fnma": "fma(neg({0}), {1}, {2})",
    "power": "exp2(mul({1}, log2({0})))",
    "exp": "exp2(mul({0}, real(1.4426950408889634)))",
    "log": "mul(log2({0}), real(0.6931471805599453))",
    "arccos": "math.acos({0})",
}


def header(title: str, dtype: DTypeLike) -> str:
    """Return the imports of a generated module; `real` is its kind of number."""
    return _HEADER.format(title=title, dtype=np.dtype(dtype))


def operand(value: str | float) -> str:
    """Return a name as it is, a constant as one of the module's kind of number."""
    return value if isinstance(value, str) else f"real({value!r})"


def printed(program: Program) -> list[str]:
    """Return the operations of a program as lines of code for Numba.

    Parameters
    ----------
    program : Program

    Returns
    -------
    list of str
        An assignment for each operation, in the names of the program.
    """
    lines = []
    for op in fused(program).operations:
        arguments = [operand(a) for a in op.arguments]
        template = _COMPOSED.get(op.name)
        value = template.format(*arguments) if template else f"{op.name}({', '.join(arguments)})"
        lines.append(f"{op.target} = {value}")
    return lines


def indented(lines: Sequence[str], levels: int = 1) -> list[str]:
    """Return lines of code, further to the right."""
    return [" " * 4 * levels + line for line in lines]
