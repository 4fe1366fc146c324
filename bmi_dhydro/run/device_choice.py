"""The faster device for a number of catchments, from what was measured on this machine.

A GPU needs some ten microseconds to begin anything, so a few catchments are faster on a CPU. From
how many on it is not depends on both; so it is measured here, once, and kept in the cache folder.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import time
from collections.abc import Callable
from functools import cache as memoised
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files.whole import replaced
from ..kernels.cache import cache_folder
from ..kernels.factory import Execution
from ..model.model import Model
from ..physics import Parameter, Process, unit_hydrograph
from ..physics.unit_hydrograph import DISCHARGE

_log = logging.getLogger(__name__)

# Catchments for which a step is timed, and how often.
_FEW, _MANY = 16, 20_000
_REPEATS = 30

# What drivers of GPUs offer; without any of these torch need not be loaded to know.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@memoised
def _usable_gpu() -> str | None:
    """Return the name of the GPU that torch and triton can use; None, said once, where none is."""
    reason: str | None = "there is no GPU"
    if any(Path(driver).exists() for driver in _DRIVERS):
        reason = "torch is not installed"
        if importlib.util.find_spec("torch") is not None:
            from ..kernels.gpu.devices import has_gpu, triton_problem

            reason = triton_problem() if has_gpu() else "torch cannot use the GPU"
    if reason is None:
        import torch

        return torch.cuda.get_device_name()
    _log.warning("device: auto: %s, so the cpu kernel runs", reason)
    return None


def choose_device(
    process: Process,
    parameter_sets: int,
    step_seconds: int,
    dtype: str,
    threads: int | None,
    columns: int,
) -> str:
    """Return the device on which a step of a number of columns is faster: `cpu` or `cuda`.

    Parameters
    ----------
    process : Process
    parameter_sets : int
    step_seconds : int
    dtype : {"float32", "float64"}
    threads : int, optional
        Threads of the cpu kernel.
    columns : int
    """
    gpu = _usable_gpu()
    if gpu is None:
        return "cpu"
    threshold = _threshold(process, parameter_sets, step_seconds, dtype, threads, gpu)
    return "cuda" if columns >= threshold else "cpu"


@memoised
def _threshold(
    process: Process,
    parameter_sets: int,
    step_seconds: int,
    dtype: str,
    threads: int | None,
    gpu: str,
) -> float:
    """Return from how many columns on the GPU is faster, measured if it is not known."""
    count = threads or len(os.sched_getaffinity(0))
    key = f"{process.name} {parameter_sets} {step_seconds} {dtype}, {count} threads, {gpu}"
    path = cache_folder() / "device_thresholds.json"
    known = _read(path)
    if key not in known:
        _log.info("device: auto: steps are timed once on this machine, to be kept in %s", path)

        def timed(device: str) -> Callable[[int], float]:
            return lambda columns: _step_seconds(
                _model(process, parameter_sets, step_seconds, dtype, threads, device, columns)
            )

        known[key] = crossing(timed("cpu"), timed("cuda"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced(path) as temporary:
                temporary.write_text(json.dumps(known, indent=1))
        except OSError as error:
            _log.warning("device: auto: will be timed again: %s", error)
        _log.info("device: auto: the GPU is faster from %.0f catchments on", known[key])
    return known[key]


def _read(path: Path) -> dict[str, float]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(key): float(value) for key, value in values.items()}


def crossing(one: Callable[[int], float], other: Callable[[int], float]) -> float:
    """Return from how many columns on `other` is faster than `one`, if times grow linearly.

    Parameters
    ----------
    one, other : callable
        Seconds of a step, of the number of columns.

    Returns
    -------
    float
        Infinity where `other` never is.
    """
    few = one(_FEW) - other(_FEW)
    gained = (one(_MANY) - other(_MANY) - few) / (_MANY - _FEW)
    if few >= 0.0 and gained >= 0.0:
        return 0.0
    if gained <= 0.0:
        return float("inf")
    return _FEW - few / gained


def _model(
    process: Process,
    parameter_sets: int,
    step_seconds: int,
    dtype: str,
    threads: int | None,
    device: str,
    columns: int,
) -> Model:
    """Return a model with parameters in the middle of their bounds."""

    def middle(item: Parameter, shape: tuple[int, ...]) -> NDArray:
        return np.full(shape, 0.5 * (item.lower + item.upper))

    return Model(
        process,
        np.stack([middle(item, (columns, parameter_sets)) for item in process.parameters]),
        np.stack([middle(item, (columns,)) for item in unit_hydrograph.PARAMETERS]),
        np.full(columns, 10.0),
        step_seconds=step_seconds,
        execution=Execution(
            kernel="cpu" if device == "cpu" else "gpu", device=device, dtype=dtype, threads=threads
        ),
        outputs=(DISCHARGE,),
    )


def _step_seconds(model: Model) -> float:
    """Return the median time of a step, after the first ones."""
    forcing = np.ones((len(model.process.forcings), model.columns), dtype=model.dtype)
    for _ in range(3):
        model.step(forcing)
    times = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        model.step(forcing)
        times.append(time.perf_counter() - begin)
    return float(np.median(times))
