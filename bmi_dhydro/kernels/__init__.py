"""How equations are executed.

`reference` (torch, slow, differentiable by autograd), `cpu` (Numba) and `gpu` (Triton) run the same
step functions of `physics`; `autograd` and `gpu` make the compiled ones differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from numpy.typing import DTypeLike, NDArray

from ..physics import Process

KERNELS = ("cpu", "reference", "gpu")


class Kernel(Protocol):
    """What `Model` needs of a kernel; see `cpu.CpuKernel`."""

    def fetch(self, state: NDArray, pending: NDArray, position: int) -> None: ...

    def forget_state(self) -> None: ...

    def forget_parameters(self) -> None: ...

    def run(
        self,
        forcing: NDArray,
        parameters: NDArray,
        state: NDArray,
        weights: NDArray,
        pending: NDArray,
        position: int,
        outputs: NDArray,
        dynamic: NDArray | None = None,
    ) -> None: ...


class HostArrays:
    """A kernel whose arrays are the host's own: there is nothing to bring or to forget."""

    def fetch(self, state: NDArray, pending: NDArray, position: int) -> None:
        """Do nothing; see `resident.GpuKernel.fetch`."""

    def forget_state(self) -> None:
        """Do nothing, see `fetch`."""

    def forget_parameters(self) -> None:
        """Do nothing, see `fetch`."""


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
) -> Kernel:
    """Make a kernel by name; only then is what it needs imported.

    Parameters
    ----------
    name : {"cpu", "reference", "gpu"}
    process, outputs, components, dtype, threads, dynamic
        As `cpu.CpuKernel`.
    device : str
        Of the gpu kernel; see `resident.device_of`.
    parts : int
        In which each step is done.

    Raises
    ------
    ValueError
        If the name is unknown, or there is no such device.
    """
    if name == "cpu":
        from .cpu import CpuKernel

        return CpuKernel(process, outputs, components, dtype, threads, dynamic, parts)
    if parts > 1:
        from .division import DividedKernel

        whole = make_kernel(name, process, outputs, components, dtype, threads, dynamic, device)
        return DividedKernel(whole, process, outputs, parts)
    if name == "reference":
        from .reference import ReferenceKernel

        return ReferenceKernel(process, outputs, components, dtype, threads, dynamic)
    if name == "gpu":
        from .resident import GpuKernel, device_of

        return GpuKernel(process, outputs, components, dtype, dynamic, device_of(device))
    raise ValueError(f"kernel {name!r} is unknown; known: {', '.join(KERNELS)}")
