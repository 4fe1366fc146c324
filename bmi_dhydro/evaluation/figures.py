"""What all pictures share: a figure without a screen, saved whole; colours of what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files.whole import replaced
from ..machine import required

OBSERVED, SIMULATED, RAIN, SNOW = "#222222", "#0b62a4", "#7f9fbf", "#8fc1d9"


def figure(rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """Return a figure and its axes, an array of (rows, columns); `options` are matplotlib's.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    """
    required("matplotlib", "a picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(layout="constrained", **options)
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, squeeze=False)


def grid(count: int, columns: int, width: float, height: float, head: float) -> tuple[Any, Any]:
    """Return a figure of some panels and the axes of each; places that are left stay empty.

    Parameters
    ----------
    count, columns : int
        Panels, and how many stand beside each other at most.
    width, height, head : float
        Of a panel, and what the title takes, in inches.
    """
    beside = min(columns, max(1, count))
    rows = -(-count // beside)
    made, axes = figure(rows, beside, figsize=(width * beside, head + height * rows))
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    return made, axes.flat[:count]


def save(made: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replaced(path) as temporary:
        made.savefig(temporary, format="png", dpi=130)
