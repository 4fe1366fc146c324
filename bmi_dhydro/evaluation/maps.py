"""Maps of values of catchments, over the outlines of lands (Natural Earth, public domain)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import counted
from .figures import figure, grid, save

_FOLDER = Path(__file__).parent

# Around the catchments, as a share of how far they lie apart, and at least so many degrees.
_MARGIN, _LEAST_MARGIN = 0.08, 0.5


@cache
def outlines() -> NDArray:
    """Return coasts and borders of Natural Earth, 1:110 million: longitude and latitude.

    Returns
    -------
    array, shape (points, 2)
        In degrees; NaN between two lines.
    """
    lines: NDArray = np.load(_FOLDER / "outlines.npy", allow_pickle=False)
    return lines


def frame(longitude: NDArray, latitude: NDArray) -> tuple[float, float, float, float]:
    """Return west, east, south and north of a map that holds some places."""
    ends = []
    for values in (longitude, latitude):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        margin = max(_LEAST_MARGIN, _MARGIN * (high - low))
        ends += [low - margin, high + margin]
    west, east, south, north = ends
    # No strip: half as high as wide at least, and the other way round.
    narrower = 1.0 / stretch(south, north)
    width, height = (east - west) * narrower, north - south
    more = max(0.0, 0.5 * width - height) / 2.0
    south, north = south - more, north + more
    more = max(0.0, 0.5 * height - width) / narrower / 2.0
    return west - more, east + more, south, north


def stretch(south: float, north: float) -> float:
    """Return how much longer a degree of latitude is than one of longitude, at most 10."""
    return 1.0 / max(float(np.cos(np.deg2rad(0.5 * (south + north)))), 0.1)


def worth_a_map(longitude: NDArray, latitude: NDArray) -> bool:
    """Return whether there are two places at least whose coordinates are known."""
    return int((np.isfinite(longitude) & np.isfinite(latitude)).sum()) > 1


def draw_map(
    axis: Any,
    longitude: NDArray,
    latitude: NDArray,
    values: NDArray,
    limits: tuple[float, float] | None = None,
    scale: str = "viridis",
) -> Any:
    """Draw values where catchments are; a cross where there is none. Return the points.

    Parameters
    ----------
    axis : matplotlib Axes
    longitude, latitude, values : array, shape (catchments,)
    limits : (float, float), optional
        Values of the ends of the colours; the middle 96 % of the values, unless given.
    scale : str
        Name of a colour map.
    """
    west, east, south, north = frame(longitude, latitude)
    lines = outlines()
    axis.plot(lines[:, 0], lines[:, 1], color="0.55", lw=0.6, zorder=0)
    known = np.isfinite(values)
    axis.scatter(longitude[~known], latitude[~known], s=16, color="0.7", marker="x", lw=0.8)
    if limits is None:
        chosen = values[known] if known.any() else np.zeros(1)
        limits = float(np.quantile(chosen, 0.02)), float(np.quantile(chosen, 0.98))
    points = axis.scatter(
        longitude[known],
        latitude[known],
        c=values[known],
        s=24,
        vmin=limits[0],
        vmax=limits[1] if limits[1] > limits[0] else limits[0] + 1.0,
        cmap=scale,
        edgecolor="0.3",
        linewidth=0.3,
    )
    axis.set(xlim=(west, east), ylim=(south, north))
    axis.set_aspect(stretch(south, north))
    axis.tick_params(labelsize=7)
    return points


def score_map(path: Path, longitude: NDArray, latitude: NDArray, score: NDArray, name: str) -> None:
    """Draw a score where the catchments are.

    Parameters
    ----------
    path : Path
        PNG file.
    longitude, latitude : array, shape (catchments,)
        In degrees.
    score : array, shape (catchments,)
        Best at 1.
    name : str
    """
    made, axes = figure(figsize=(8.0, 4.8))
    axis = axes[0, 0]
    points = draw_map(axis, longitude, latitude, score, (0.0, 1.0))
    made.colorbar(points, label=name, extend="min", shrink=0.85)
    axis.set(xlabel="longitude, degrees east", ylabel="latitude, degrees north")
    count = counted(int(np.isfinite(score).sum()), "catchment")
    axis.set_title(f"{name} of {count}", loc="left")
    save(made, path)


def value_maps(
    path: Path,
    longitude: NDArray,
    latitude: NDArray,
    values: dict[str, NDArray],
    title: str,
) -> None:
    """Draw several values of the same catchments, a map for each.

    Parameters
    ----------
    path : Path
        PNG file.
    longitude, latitude : array, shape (catchments,)
        In degrees.
    values : dict of array, shape (catchments,)
        By what is written above the map: name and units.
    title : str
    """
    columns = min(4, max(1, int(np.ceil(np.sqrt(len(values))))))
    made, axes = grid(len(values), columns, 3.6, 2.7, 0.6)
    for axis, (name, own) in zip(axes, values.items(), strict=True):
        points = draw_map(axis, longitude, latitude, own)
        made.colorbar(points, ax=axis, shrink=0.8, extend="both").ax.tick_params(labelsize=7)
        axis.set_title(name, loc="left", fontsize=9)
    made.suptitle(title, fontsize=12)
    save(made, path)
