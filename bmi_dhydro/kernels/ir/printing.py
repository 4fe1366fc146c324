"""Programs as source code for Numba."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .program import Program, fused

_HEADER = '''"""{title}; generated, do not edit."""
import math
import numba
import numpy as np
from bmi_dhydro.kernels.cpu.assembler import assembled
real = np.{dtype}
'''

# How functions are compiled. Nobody calls them from C, and most make no arrays: Numba need not
# prepare for that, which takes it a fifth of the time.
MAKES_ARRAYS = 'cache=CACHE, nogil=True, error_model="numpy", no_cfunc_wrapper=True'
OPTIONS = MAKES_ARRAYS + ", _nrt=False"

# A constant in generated code.
_CONSTANT = re.compile(r"\breal\((-?[0-9][0-9.e+-]*)\)")

# How the operations of a Program that are not functions of `vectors` are composed of them.
_COMPOSED = {
    "fms": "fma({0}, {1}, neg({2}))",
    "fnma": "fma(neg({0}), {1}, {2})",
    "power": "exp2(mul({1}, log2({0})))",
    "exp": "exp2(mul({0}, real(1.4426950408889634)))",
    "log": "mul(log2({0}), real(0.6931471805599453))",
}


def module_of(title: str, dtype: DTypeLike, lines: Sequence[str]) -> str:
    """Return a generated module: its imports, constants and code; `real` is its kind of number.

    Constants are converted once, when the module is read: each conversion inside a function takes
    Numba about as long to compile as an operation on numbers.

    Parameters
    ----------
    title : str
    dtype : float32 or float64
    lines : sequence of str
        Code, in which constants stand as `operand` prints them.
    """
    text = "\n".join(lines)
    numbers = dict.fromkeys(_CONSTANT.findall(text))
    names = {number: f"number_{k}" for k, number in enumerate(numbers)}
    constants = "".join(f"{name} = real({number})\n" for number, name in names.items())
    code = _CONSTANT.sub(lambda found: names[found[1]], text)
    return f"{_HEADER.format(title=title, dtype=np.dtype(dtype))}{constants}\n{code}\n"


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


def as_one(lines: Sequence[str], dtype: DTypeLike, names: Sequence[str]) -> str:
    """Print lines as one operation of Numba, which compiles in a fraction of the time.

    Parameters
    ----------
    lines : sequence of str
        In the language of `assembler.assembled`.
    dtype : float32 or float64
        Kind of number of constants.
    names : sequence of str
        What of the function around the lines read.

    Returns
    -------
    str
        A value: what the lines return.
    """
    text = "\n".join(_CONSTANT.sub(r"\1", line) for line in lines)
    given = ", ".join(names)
    return f"assembled({np.dtype(dtype).name!r}, {given!r}, '''\n{text}\n''', {given})"


def indented(lines: Sequence[str], levels: int = 1) -> list[str]:
    """Return lines of code, further to the right."""
    return [" " * 4 * levels + line for line in lines]
