"""What the benchmark scripts share: timing, a table, and limits that a number must keep."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


class Report:
    """Rows of results, some with a limit."""

    def __init__(self, title: str, columns: tuple[str, ...]) -> None:
        self._table = Table(title=f"{title} ({processor()})", title_justify="left")
        for column in columns:
            self._table.add_column(column, justify="left" if column == columns[0] else "right")
        self._missed: list[str] = []

    def row(self, name: str, *cells: str, limit: str = "", kept: bool = True) -> None:
        """Add a row; `limit` says what the number should be, `kept` whether it is."""
        verdict = "" if not limit else f"{limit} {'ok' if kept else 'MISSED'}"
        blank = [""] * (len(self._table.columns) - 2 - len(cells))
        self._table.add_row(name, *cells, *blank, verdict)
        # What is known is shown at once: the table comes when all is.
        print(name, *filter(None, (*cells, verdict)), sep=", ", file=sys.stderr, flush=True)
        if not kept:
            self._missed.append(f"{name} ({', '.join(cells)}; {limit})")

    def finish(self, check: bool) -> None:
        """Print the table; with `check`, exit with 1 where a limit is missed and say which."""
        Console(width=110).print(self._table)
        if check and self._missed:
            print("missed: " + "; ".join(self._missed))
            sys.exit(1)
        if check:
            print("all limits kept")


def peak_resident_megabytes() -> float:
    """Return the most memory that this process has had resident so far."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def processor() -> str:
    """Return the name of this machine's processor and how many this process may use."""
    from bmi_dhydro.machine import processors

    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        pass
    return f"{name}, {processors()} processors"
