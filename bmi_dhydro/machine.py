"""What this machine has, and what does not fit into it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from .errors import ConfigError

# Where Linux says how much memory a container may have.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of(wanted: int | None) -> int:
    """Return how many threads to start: as many as are wanted, or all processors; never more."""
    return processors() if wanted is None else min(wanted, processors())


@cache
def memory() -> float:
    """Return the memory that processes on this machine can have, in bytes."""
    try:
        size = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
    for limit in _LIMITS:
        try:
            size = min(size, float(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return size


def check_memory(needed: float, what: str) -> None:
    """Refuse what does not fit into the memory of this machine, before it is allocated.

    Parameters
    ----------
    needed : float
        In bytes.
    what : str
        That needs it, as the beginning of a sentence.

    Raises
    ------
    ConfigError
        With what is needed and what there is, in GB.
    """
    available = memory()
    if needed > available:
        raise ConfigError(
            f"{what} need {needed / 1e9:.3g} GB of memory, but this machine has "
            f"{available / 1e9:.3g} GB; take fewer at a time, or divide the catchments "
            "(catchments.select, or workers on several machines)"
        )
