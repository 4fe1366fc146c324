"""How equations are executed.

`reference` (torch, slow, differentiable by autograd), `cpu` (Numba) and `gpu` (Triton) run the same
step functions of `physics`; `autograd` and `gpu` make the compiled ones differentiable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from .cpu.loop import CompiledLoop

KERNELS = ("cpu", "reference", "gpu")


@dataclass
class Ring:
    """Unit hydrographs, and flows on their way to the outlet.

    Attributes
    ----------
    weights : array, shape (catchments, lags)
        Shares of a step's runoff that leave after each lag.
    pending : array, shape (columns, lags)
        The routing store as a ring of flows yet to leave; changed in place.
    reach : array of int32, shape (columns,)
        Lags from the next flow on beyond which neither weights nor flows are; one at least.
    position : int
        Index in the ring of the flow that leaves next.
    """

    weights: NDArray
    pending: NDArray
    reach: NDArray
    position: int = 0


@dataclass(slots=True)
class StepBlock:
    """A block of steps: what a kernel reads, changes and writes.

    Attributes
    ----------
    forcing : array, shape (steps, forcings, columns)
        A column is a member of a catchment; those of the first member come first.
    parameters : array, shape (catchments, parameters, parameter sets)
        Values per step, or per substep where it is divided; so is `ring`.
    state : array, shape (states, columns, parameter sets)
        Changed in place.
    ring : Ring
        Changed in place.
    outputs : array, shape (steps, outputs, columns)
        Written.
    dynamic : array, shape (steps, columns, dynamic parameters, parameter sets), optional
        Values per step of the parameters that change with time.
    """

    forcing: NDArray
    parameters: NDArray
    state: NDArray
    ring: Ring
    outputs: NDArray
    dynamic: NDArray | None = None


class Kernel(Protocol):
    """What `Model` needs of a kernel; see `cpu.CpuKernel` and, for arrays, `resident.GpuKernel`."""

    resident: bool

    def fetch(self, state: NDArray, pending: NDArray) -> None:
        """Copy state and flows to the host, where they are on a GPU."""

    def want(self, rows: Iterable[int]) -> None:
        """Take note of the rows of outputs that steps copy from a GPU to the host."""

    def bring(self, rows: Sequence[int], outputs: NDArray) -> None:
        """Copy more rows of the outputs of the last block to the host."""

    def forget_state(self) -> None:
        """Take the state from the host before the next step: somebody may have changed it."""

    def forget_parameters(self) -> None:
        """Take the parameters from the host before the next step."""

    def serial(self, cells: int) -> CompiledLoop | None:
        """Return the compiled loop that one thread runs; None where there is none."""

    def run(self, block: StepBlock) -> None:
        """Advance all cells through a block of steps."""


class HostArrays:
    """A kernel whose arrays are the host's own: there is nothing to bring or to forget."""

    resident = False

    def fetch(self, state: NDArray, pending: NDArray) -> None:
        """Do nothing; see `resident.GpuKernel.fetch`."""

    def want(self, rows: Iterable[int]) -> None:
        """Do nothing: all outputs are written."""

    def bring(self, rows: Sequence[int], outputs: NDArray) -> None:
        """Do nothing, see `want`."""

    def forget_state(self) -> None:
        """Do nothing, see `fetch`."""

    def forget_parameters(self) -> None:
        """Do nothing, see `fetch`."""

    def serial(self, cells: int) -> CompiledLoop | None:
        """Return None: a step is no compiled loop; see `cpu.CpuKernel.serial`."""
        return None
