"""Kernels by name; only then is what they need imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import DTypeLike

from ..physics import Process
from .interface import KERNELS, Kernel

if TYPE_CHECKING:
    from .gpu.resident import MovingFactory


def make_kernel(
    name: str,
    process: Process,
    outputs: Sequence[str],
    components: int,
    dtype: DTypeLike,
    threads: int | None,
    dynamic: Sequence[str] = (),
    device: str = "cuda",
    parts: int = 1,
    moving: MovingFactory | None = None,
) -> Kernel:
    """Make a kernel by name; only then is what it needs imported.

    Parameters
    ----------
    name : {"cpu", "reference", "gpu"}
    process, outputs, components, dtype, threads, dynamic
        As `cpu.CpuKernel`.
    device : str
        Device that the gpu kernel runs on; see `gpu.devices.devices_of`.
    parts : int
        In which each step is done.
    moving : callable, optional
        Gives dynamic parameters to the gpu kernel; see `resident.GpuKernel`.

    Raises
    ------
    ValueError
        If the name is unknown, or there is no such device.
    """
    if name == "cpu":
        from .cpu.kernel import CpuKernel

        return CpuKernel(process, outputs, components, dtype, threads, dynamic, parts)
    if name == "gpu":
        from .gpu.devices import devices_of
        from .gpu.resident import GpuKernel

        return GpuKernel(process, outputs, dynamic, parts, devices_of(device), moving)
    if name == "reference":
        from .division import DividedKernel
        from .reference import ReferenceKernel

        whole = ReferenceKernel(process, outputs, components, dtype, threads, dynamic)
        return whole if parts == 1 else DividedKernel(whole, process, outputs, parts)
    raise ValueError(f"kernel {name!r} is unknown; known: {', '.join(KERNELS)}")
