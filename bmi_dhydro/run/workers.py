"""Catchments divided among processes: those of this machine, or of a Dask cluster.

Catchments do not depend on each other, so a share of them is computed anywhere, and again where a
worker was lost. Workers read the weather themselves.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..machine import processors

# Calls a function once for each item, anywhere, and returns the results in order; and hears of
# each that is done.
Mapper = Callable[[Callable[..., Any], Sequence[Any], Callable[[], object]], list[Any]]

# Shares for each worker: what a lost worker costs is one of them.
_SHARES_FOR_EACH = 4

# Catchments below which a share is not worth a worker.
_SMALLEST = 16

# How often a share is computed again after its worker was lost.
_RETRIES = 5

# How long a scheduler is waited for, in seconds.
_PATIENCE = 10


def divided(count: int, workers: int) -> list[NDArray]:
    """Divide catchments into shares.

    Parameters
    ----------
    count : int
        Number of catchments.
    workers : int

    Returns
    -------
    list of array of int
        The rows of each share.
    """
    shares = max(1, min(workers * _SHARES_FOR_EACH, count // _SMALLEST))
    if workers == 1:
        shares = 1
    return np.array_split(np.arange(count), shares)


def here(
    function: Callable[..., Any], items: Sequence[Any], advance: Callable[[], object]
) -> list[Any]:
    """Call a function for each item, in this process."""
    results = []
    for item in items:
        results.append(function(item))
        advance()
    return results


@contextmanager
def workers(count: int, scheduler: str | None = None) -> Iterator[tuple[Mapper, int]]:
    """Give a way to call functions in other processes.

    Parameters
    ----------
    count : int
        Processes to start on this machine; 1 for this process alone.
    scheduler : str, optional
        Address of a Dask scheduler (tcp://host:8786), to use its workers instead. They need this
        package, and the same files under the same names.

    Yields
    ------
    mapper : callable
    count : int
        Number of workers.

    Raises
    ------
    ConfigError
        If dask.distributed is not installed, or no scheduler answers.
    """
    if count <= 1 and scheduler is None:
        yield here, 1
        return
    try:
        import distributed
    except ImportError:
        raise ConfigError(
            "several workers need dask.distributed: pip install 'bmi_dhydro[dask]'"
        ) from None
    # Dask has threads, and files that are garbage must not be closed by one of them while this one
    # reads: HDF5 would crash.
    gc.collect()
    with _environment_kept(), _client(distributed, count, scheduler) as client:
        found = len(client.scheduler_info(n_workers=-1)["workers"])
        if not found:
            raise ConfigError(f"--scheduler: {scheduler} has no workers; start some: dask worker")

        def mapper(
            function: Callable[..., Any], items: Sequence[Any], advance: Callable[[], object]
        ) -> list[Any]:
            futures = client.map(function, items, pure=False, retries=_RETRIES)
            for _ in distributed.as_completed(futures):
                advance()
            return client.gather(futures)

        yield mapper, found


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Leave the environment as it was: Dask sets variables for its workers."""
    environment = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


@contextmanager
def _client(distributed: Any, count: int, scheduler: str | None) -> Iterator[Any]:
    """Give a client of a scheduler, or of a cluster of processes on this machine."""
    cluster = None
    try:
        if scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=40,
                env=_environment(count),
            )
        client = distributed.Client(cluster or scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        if cluster is not None:
            cluster.close()
        raise ConfigError(f"--scheduler: nothing answers at {scheduler} ({error})") from None
    try:
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _environment(count: int) -> dict[str, str]:
    """Return the environment of workers of this machine: they share its processors."""
    each = str(max(1, processors() // count))
    return {"OMP_NUM_THREADS": each, "NUMBA_NUM_THREADS": each, "MKL_NUM_THREADS": each}
