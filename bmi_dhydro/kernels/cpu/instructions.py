"""Functions of compiled code that are written as LLVM instructions, and where they are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import intrinsic

# What writes the instructions of each function, by name: it is given types, as Numba would give
# them, and returns a signature and the code. `assembler` finds them here.
WRITTEN: dict[str, Callable[..., Any]] = {}


def instructions(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes an intrinsic of Numba, and one that `assembler` finds.

    Parameters
    ----------
    options
        Those of `numba.extending.intrinsic`.
    """

    def offer(function: Callable[..., Any]) -> Any:
        WRITTEN[function.__name__] = function
        return intrinsic(**options)(function) if options else intrinsic(function)

    return offer
