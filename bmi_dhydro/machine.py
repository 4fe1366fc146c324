"""What this machine has, and what does not fit into it."""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cache
from pathlib import Path

from .errors import ConfigError, MissingPackageError

# What brings each package that not every installation has.
_EXTRAS = {
    "torch": "train",
    "triton": "gpu",
    "plotly": "page",
    "matplotlib": "plot",
    "emcee": "posterior",
    "pyproj": "ngen",
}

# Where Linux says how much memory a container may have.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def required(package: str, what: str) -> None:
    """Import a package that not every installation has.

    Parameters
    ----------
    package : str
    what : str
        That needs it, as the beginning of a sentence.

    Raises
    ------
    MissingPackageError
        If it is not installed; says how to install it.
    """
    try:
        importlib.import_module(package)
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"{what} needs {package}, which is not installed: {install_command(package)}"
        ) from None


def installed(package: str) -> bool:
    """Return whether a package that not every installation has is there."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def install_command(package: str) -> str:
    """Return the command that installs a package that not every installation has."""
    return f"pip install 'bmi_dhydro[{_EXTRAS[package]}]'"


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of(wanted: int | None) -> int:
    """Return how many threads to start: as many as are wanted, or all processors; never more."""
    return processors() if wanted is None else min(wanted, processors())


# Where launchers of MPI say which of how many processes this one is.
_RANKS = {
    "OMPI_COMM_WORLD_RANK": "OMPI_COMM_WORLD_SIZE",
    "PMI_RANK": "PMI_SIZE",
    "MV2_COMM_WORLD_RANK": "MV2_COMM_WORLD_SIZE",
}


def rank_of_processes() -> tuple[int, int]:
    """Return the rank of this process, and how many there are, where MPI has started it."""
    for rank, size in _RANKS.items():
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


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
    """Reject what does not fit into the memory of this machine, before it is allocated.

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
