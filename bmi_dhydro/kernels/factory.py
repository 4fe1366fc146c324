"""Kernels by name; only then is what they need imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from ..machine import required
from ..physics import Process
from .interface import KERNELS, Kernel

if TYPE_CHECKING:
    from .gpu.resident import MovingFactory


@dataclass(frozen=True)
class Execution:
    """How a model is executed.

    Attributes
    ----------
    kernel : {"cpu", "reference", "gpu"}
    dtype : float32 or float64
        Type of parameters and state.
    threads : int, optional
        Threads of the cpu kernel; all processors, unless given.
    device : str
        Device that the gpu kernel runs on; see `gpu.devices.devices_of`.
    """

    kernel: str = "cpu"
    dtype: DTypeLike = np.float64
    threads: int | None = None
    device: str = "cuda"


def make_kernel(
    execution: Execution,
    process: Process,
    outputs: Sequence[str],
    parameter_sets: int,
    dynamic: Sequence[str] = (),
    substeps: int = 1,
    moving: MovingFactory | None = None,
) -> Kernel:
    """Make a kernel; only then is what it needs imported.

    Parameters
    ----------
    execution : Execution
    process, outputs, parameter sets, dynamic
        As `cpu.kernel.CpuKernel`.
    substeps : int
        In which each step is done.
    moving : callable, optional
        Gives dynamic parameters to the gpu kernel; see `gpu.resident.GpuKernel`.

    Raises
    ------
    ValueError
        If the kernel is unknown, or there is no such device.
    """
    name, dtype, threads = execution.kernel, execution.dtype, execution.threads
    if name == "cpu":
        from .cpu.kernel import CpuKernel

        return CpuKernel(process, outputs, parameter_sets, dtype, threads, dynamic, substeps)
    if name == "gpu":
        required("torch", "device: cuda")
        from .gpu.devices import devices_of
        from .gpu.resident import GpuKernel

        return GpuKernel(process, outputs, dynamic, substeps, devices_of(execution.device), moving)
    if name == "reference":
        required("torch", "kernel: reference")
        from .division import DividedKernel
        from .reference import ReferenceKernel

        whole = ReferenceKernel(process, outputs, parameter_sets, dtype, threads, dynamic)
        return whole if substeps == 1 else DividedKernel(whole, process, outputs, substeps)
    raise ValueError(f"kernel {name!r} is unknown; known: {', '.join(KERNELS)}")
