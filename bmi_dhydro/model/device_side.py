"""What concerns a model on GPUs alone: the work of its kernel that a host does not see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import DTypeLike, NDArray

from ..kernels.interface import Kernel
from ..networks.dynamics import Dynamics

if TYPE_CHECKING:
    from ..kernels.gpu.resident import MovingFactory, Resident
    from ..networks.resident_dynamics import ResidentDynamics


def moving_factory(dynamics: Dynamics, substep_days: float, dtype: DTypeLike) -> MovingFactory:
    """Return what makes dynamic parameters on a device.

    Parameters
    ----------
    dynamics : Dynamics
    substep_days : float
        Length of a step, or of a substep of one where it is done in substeps, in days.
    dtype : float32 or float64
    """
    from ..networks.resident_dynamics import ResidentDynamics

    def make(device: Any, columns: NDArray) -> ResidentDynamics:
        return ResidentDynamics(dynamics, columns, substep_days, dtype, device)

    return make


class HostSide(Protocol):
    """The model itself, as this needs it; see `model.Model`."""

    steps: int

    @property
    def resident(self) -> bool:
        """Whether state and parameters are on a GPU."""

    def snapshot(self) -> dict[str, NDArray]:
        """Return copies of all that the next steps depend on."""

    def restore(self, snapshot: Mapping[str, NDArray]) -> None:
        """Take on what `snapshot` returned."""


class DeviceSide:
    """The side of a model that is on GPUs.

    Parameters
    ----------
    model : HostSide
    kernel : Kernel
        Kernel of the model.
    load : callable
        Lets the GPUs take over what was changed on the host; returns what is on each.
    """

    def __init__(
        self, model: HostSide, kernel: Kernel, load: Callable[[Any], list[Resident]]
    ) -> None:
        self._model, self._load = model, load
        self._kernel: Any = kernel

    def residents(self) -> list[Resident]:
        """Return what is on each GPU, after it has taken over what was changed here."""
        return self._load(self._kernel)

    def moved(self, steps: int) -> None:
        """Say that the residents have done steps by themselves."""
        self._kernel.moved(steps)
        self._model.steps += steps

    def want(self, outputs: Iterable[int]) -> None:
        """Say which outputs (by place) steps copy from a GPU to the host; else all."""
        self._kernel.want(outputs)

    def bring(self, outputs: Sequence[int], results: NDArray) -> None:
        """Copy more outputs of the last block to the host; `results` as in `Model.run`."""
        self._kernel.bring(outputs, results)

    def bookmark(self) -> Any:
        """Return copies of all that the next steps depend on, kept where they are.

        For `return_to`; `Model.snapshot` copies them to the host.
        """
        if not self._model.resident:
            return self._model.snapshot()
        self.residents()
        return self._kernel.snapshot()

    def return_to(self, bookmark: Any) -> None:
        """Take on what `bookmark` or `Model.snapshot` returned; the clock stays as it is."""
        if isinstance(bookmark, Mapping):
            self._model.restore(bookmark)
        else:
            self._kernel.restore(bookmark)
