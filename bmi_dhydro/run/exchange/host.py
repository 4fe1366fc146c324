"""What a host reads and sets, wherever the model is.

On a CPU all of it is in the host's memory and current after each step. On a GPU only what was asked
for is: `gpu_coupled` where the host sets the weather, `gpu_ahead` where it is in a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class HostExchange:
    """Everything is in the host's memory, and current.

    Values that can be asked for are numbered: the outputs of the interface, all outputs of the
    model, and the forcing, one after the other (`Component.place`).
    """

    # Whether only what is kept is current.
    selective = False

    def keep(self, places: Iterable[int]) -> None:
        """Keep values current after each step from now on."""

    def bring(self, place: int) -> None:
        """Make values current that are not kept."""

    def on_device(self, place: int) -> Tensor | None:
        """Return values on the GPU where they are; None if they are not on one."""
        return None

    def set_on_device(self, row: int, values: Tensor) -> bool:
        """Set an input from an array on a GPU; return False where the host has to."""
        return False

    def take_from_host(self, row: int) -> None:
        """Bring an input up, and take it from the host again, after `set_on_device`."""

    def put(self) -> None:
        """Take outputs from the host, where they were restored."""

    def book(self, flows: NDArray) -> None:
        """Add what went in and out since the last time: shape (2, columns)."""

    def set_factors(self, factors: NDArray) -> None:
        """Take other factors of outputs: shape (outputs, columns)."""
