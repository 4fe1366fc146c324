"""Equations without state, compiled to a loop over arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache as memoised

from numpy.typing import NDArray

from .. import cache
from ..ir.printing import OPTIONS, as_one, indented, module_of, operand, printed
from ..ir.program import trace


@memoised
def compiled(function: Callable[..., object]) -> Callable[[NDArray, NDArray], None]:
    """Compile a function of numbers to one of arrays, in float64.

    Parameters
    ----------
    function : callable
        A function over `physics.primitives` that returns one number.

    Returns
    -------
    callable
        `run(arguments, result)`, with `arguments` of shape (arguments, n) in the order of the
        function's, and `result` of shape (n,), written.
    """
    return cache.load(source_of(function), function.__name__)["run"]


def source_of(function: Callable[..., object]) -> str:
    """Print what `compiled` compiles."""
    program = trace(function)
    body = [
        "for i in range(result.shape[0]):",
        *indented([f"{name} = arguments[{k}, i]" for k, name in enumerate(program.inputs)]),
        *indented(printed(program)),
        f"    result[i] = {operand(program.outputs[0])}",
    ]
    lines = [
        "def run(arguments, result):",
        f"    {as_one(body, float, ['arguments', 'result'])}",
        "",
        f"run = numba.njit({OPTIONS})(run)",
    ]
    return module_of(f"{function.__name__} for many points", float, lines)
