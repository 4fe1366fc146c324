"""How equations are executed.

`reference` (torch, slow, differentiable by autograd) and `cpu` (Numba) run the same step functions
of `physics`; `autograd` makes the compiled ones differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from numpy.typing import DTypeLike, NDArray

from ..physics import Process

KERNELS = ("cpu", "reference")


class Kernel(Protocol):
    """What `Model` needs of a kernel; see `cpu.CpuKernel.run`."""

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


def make_kernel(
    name: str,
    process: Process,
    outputs: Sequence[str],
    components: int,
    dtype: DTypeLike,
    threads: int | None,
    dynamic: Sequence[str] = (),
) -> Kernel:
    """Make a kernel by name; only then is what it needs imported.

    Parameters
    ----------
    name : {"cpu", "reference"}
    process, outputs, components, dtype, threads, dynamic
        As `cpu.CpuKernel`.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "cpu":
        from .cpu import CpuKernel

        return CpuKernel(process, outputs, components, dtype, threads, dynamic)
    if name == "reference":
        from .reference import ReferenceKernel

        return ReferenceKernel(process, outputs, components, dtype, threads, dynamic)
    raise ValueError(f"kernel {name!r} is unknown; known: {', '.join(KERNELS)}")
