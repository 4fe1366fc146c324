"""A trained differentiable hydrology model behind the Basic Model Interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["BmiDhydro", "__version__"]

if TYPE_CHECKING:
    from .bmi import BmiDhydro


def __getattr__(name: str) -> Any:
    """Import the interface when it is first asked for, so that this import stays cheap."""
    if name == "BmiDhydro":
        from .bmi import BmiDhydro

        return BmiDhydro
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
