"""Loops over catchments, printed as source and compiled, run by one thread or by several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import cache
from ..ir.printing import MAKES_ARRAYS, OPTIONS, as_one, indented, module_of

# Waking the threads costs about as much time as this many cells take.
CELLS_WORTH_THREADS = 4096

# The default threading layer of Numba must not be entered by two threads at a time.
_parallel_region = threading.Lock()


@contextmanager
def parallel_region(threads: int) -> Iterator[None]:
    """Let Numba have so many threads (or as many as there are), and no other caller meanwhile."""
    import numba

    with _parallel_region:
        available = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        numba.set_num_threads(min(threads, available))
        yield


# Lanes advanced together: two registers of the usual 32 bytes, to hide the latency of each other.
BYTES_TOGETHER = 64


def over_lanes(
    parameter_sets: int, dtype: DTypeLike, body: Callable[[int], list[str]]
) -> list[str]:
    """Repeat the code for some lanes until it covers all of a number of parameter sets (or others).

    `body(lanes)` is the code for parameter sets `m` to `m + lanes`. Full groups are a loop; what
    remains is covered by groups of half as many lanes, and so on down to one.
    """
    lanes = BYTES_TOGETHER // np.dtype(dtype).itemsize
    lines: list[str] = []
    start = 0
    while start < parameter_sets:
        count = (parameter_sets - start) // lanes
        if count:
            stop = start + count * lanes
            lines.append(f"for m in range({start}, {stop}, {lanes}):")
            lines += indented(body(lanes))
            start = stop
        lanes //= 2
    return lines


@dataclass(frozen=True)
class LoopSource:
    """The code of a loop over catchments `start` to `stop`.

    Attributes
    ----------
    title : str
    dtype : float32 or float64
    arguments : str
        Names of what the code takes beside `start` and `stop`, with commas.
    lines : sequence of str
        In the language of `assembler.assembled`.
    before : sequence of str
        Lines for Numba itself, before the others: arrays that are made, and what that language
        lacks.
    names : sequence of str
        Names that `lines` read beside arguments: arrays that were made, compiled functions.
    """

    title: str
    dtype: DTypeLike
    arguments: str
    lines: Sequence[str] = ()
    before: Sequence[str] = ()
    names: Sequence[str] = ()

    def module(self) -> str:
        """Print a module that holds it as `run_serial` and `run_parallel`."""
        text = "".join(self.before)
        options = MAKES_ARRAYS if "np.empty(" in text or "np.zeros(" in text else OPTIONS
        names = ["start", "stop", *self.arguments.split(", "), *self.names]
        lines = [
            f"def run(start, stop, {self.arguments}):",
            *indented(self.before),
            *([f"    {as_one(self.lines, self.dtype, names)}"] if self.lines else ()),
            "",
            f"run_serial = numba.njit({options})(run)",
            "",
            f"def run_chunks(chunks, catchments, {self.arguments}):",
            "    for chunk in numba.prange(chunks):",
            "        first = chunk * catchments // chunks",
            f"        run_serial(first, (chunk + 1) * catchments // chunks, {self.arguments})",
            "",
            "run_parallel = numba.njit(cache=CACHE, nogil=True, parallel=True)(run_chunks)",
        ]
        return module_of(self.title, self.dtype, lines)


def one_thread(cells: int, threads: int | None) -> bool:
    """Return whether one thread does so much work, in cells, as fast as several."""
    return threads == 1 or cells < CELLS_WORTH_THREADS


class CompiledLoop:
    """A generated function over catchments, run by one thread or by several.

    Parameters
    ----------
    source : LoopSource
    name : str
        A readable part of the file's name.
    called : mapping of callable, optional
        As for `cache.load`.
    """

    def __init__(
        self,
        source: LoopSource,
        name: str,
        called: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        module = cache.load(source.module(), name, called)
        self.source = source
        self.serial: Any = module["run_serial"]
        self._parallel: Callable[..., None] = module["run_parallel"]

    def address(self, dtype: DTypeLike) -> int:
        """Return the address of a loop that takes forcing, the address of a table, and values.

        Parameters
        ----------
        dtype : float32 or float64
            Kind of `forcing`, of three dimensions, and of `values`, of four; see
            `addresses.call_at`.
        """
        from numba import from_dtype, types

        whole, kind = types.intp, from_dtype(np.dtype(dtype))
        forcing, values = (types.Array(kind, dimensions, "C") for dimensions in (3, 4))
        taken = whole, whole, forcing, whole, values
        self.serial.compile(taken)
        found = self.serial.overloads[taken]
        return found.library.get_pointer_to_function(found.fndesc.llvm_func_name)

    def __call__(self, catchments: int, cells: int, threads: int, *arguments: Any) -> None:
        """Run for catchments 0 to `catchments`; `cells` is the work, to judge threads by."""
        if catchments == 1 or one_thread(cells, threads):
            self.serial(0, catchments, *arguments)
            return
        with parallel_region(threads):
            self._parallel(min(threads, catchments), catchments, *arguments)
