"""Hydrographs: flow with rain from above, snow behind, observations, members, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figures import OBSERVED, RAIN, SIMULATED, SNOW, figure, save

# Snow less than this, in mm, is not drawn.
_LEAST_SNOW = 1.0

# Members up to which each is drawn, thin, behind the bands.
_FEW_MEMBERS = 60

# What is shown of a long run, in steps of a day and in shorter ones.
_DAYS, _SHORT_STEPS = 730, 2160


@dataclass(frozen=True)
class Hydrograph:
    """The flow of one place.

    Attributes
    ----------
    title : str
    dates : array of datetime64, shape (steps,)
        Starts of the steps.
    simulated : array, shape (steps,) or (steps, members)
    observed : array, shape (steps,), optional
        NaN where there is none.
    precipitation : array, shape (steps,), optional
        In mm d-1.
    snow : array, shape (steps,), optional
        Snow water equivalent in mm.
    shares : sequence of float
        Quantiles of members: the outermost are the band, with others inside it.
    start : datetime64, optional
        Where a forecast begins; what is before is the past.
    past : (dates, flow), optional
        Flow that was simulated before `start`.
    past_observed : (dates, flow), optional
        Flow that was observed before `start`.
    thresholds : mapping
        Flow that is reached once in so many years, by the years.
    units : str
        Of flow, as matplotlib writes them.
    label : str
        What `simulated` is.
    band : (lower, upper), optional
        Arrays of shape (steps,): between what nine tenths of observations should lie.
    """

    title: str
    dates: NDArray
    simulated: NDArray
    observed: NDArray | None = None
    precipitation: NDArray | None = None
    snow: NDArray | None = None
    shares: Sequence[float] = (0.1, 0.5, 0.9)
    start: np.datetime64 | None = None
    past: tuple[NDArray, NDArray] | None = None
    past_observed: tuple[NDArray, NDArray] | None = None
    thresholds: Mapping[float, float] = field(default_factory=dict)
    units: str = "mm d$^{-1}$"
    label: str = "simulated flow"
    band: tuple[NDArray, NDArray] | None = None

    @property
    def highest(self) -> float:
        """The largest flow that is drawn, thresholds apart."""
        drawn = [self.simulated]
        drawn += [flow for flow in (self.observed,) if flow is not None]
        drawn += [] if self.band is None else [self.band[1]]
        drawn += [pair[1] for pair in (self.past, self.past_observed) if pair is not None]
        known = [float(np.nanmax(flow)) for flow in drawn if np.isfinite(flow).any()]
        return max(known, default=0.0)


def last_steps(stop: int, daily: bool) -> slice:
    """Return the steps that a hydrograph shows of a long run: two years of days, or 90 of hours.

    Parameters
    ----------
    stop : int
        Where to end.
    daily : bool
        Whether steps are days, or shorter.
    """
    return slice(max(0, stop - (_DAYS if daily else _SHORT_STEPS)), stop)


def hydrographs(path: Path, panels: Sequence[Hydrograph], title: str) -> None:
    """Draw the flow of some places, one above the other.

    Parameters
    ----------
    path : Path
        PNG file.
    panels : sequence of Hydrograph
    title : str
    """
    made, axes = figure(len(panels), figsize=(10.0, 1.2 + 2.3 * len(panels)))
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        draw(axis, panel)
    if title:
        made.suptitle(title, fontsize=12)
    save(made, path)


def draw(axis: Any, panel: Hydrograph) -> None:
    """Draw one hydrograph into an axis of matplotlib.

    Parameters
    ----------
    axis : matplotlib Axes
    panel : Hydrograph
    """
    _flow(axis, panel)
    top = _thresholds(axis, panel)
    axis.set_ylim(0.0, max(panel.highest, top, 1e-3) * (1.6 if _has_rain(panel) else 1.15))
    first = panel.dates[0]
    for pair in (panel.past, panel.past_observed):
        if pair is not None and len(pair[0]):
            first = min(first, pair[0][0])
    axis.set_xlim(first, panel.dates[-1])
    axis.set_ylabel(f"flow, {panel.units}")
    axis.set_title(panel.title, loc="left", fontsize=10)
    handles, labels = axis.get_legend_handles_labels()
    beside = 0
    if _has_rain(panel):
        assert panel.precipitation is not None
        other = axis.twinx()
        other.fill_between(
            panel.dates, panel.precipitation, step="post", color=RAIN, lw=0, label="precipitation"
        )
        other.set_ylim(max(float(np.nanmax(panel.precipitation)), 1.0) * 3.0, 0.0)
        other.set_ylabel("rain and snowfall,\nmm d$^{-1}$", fontsize=8)
        handles, labels = _more(other, handles, labels)
        beside = 1
    deepest = 0.0
    if panel.snow is not None and np.isfinite(panel.snow).any():
        deepest = float(np.nanmax(panel.snow))
    if panel.snow is not None and deepest > _LEAST_SNOW:
        pack = axis.twinx()
        # Beside the axis of rain, where there is one; the pack itself is behind the flow.
        pack.spines["right"].set_position(("outward", 52.0 * beside))
        pack.fill_between(
            panel.dates, panel.snow, color=SNOW, alpha=0.35, lw=0, label="water in the snowpack"
        )
        pack.set_ylim(0.0, deepest * 2.2)
        pack.set_ylabel("snowpack, mm", fontsize=8)
        handles, labels = _more(pack, handles, labels)
        axis.set_zorder(pack.get_zorder() + 1)
        axis.patch.set_visible(False)
    # Above the axes, so that it covers nothing.
    axis.legend(
        handles,
        labels,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(labels),
        fontsize=7,
        frameon=False,
        borderaxespad=0.2,
    )


def _has_rain(panel: Hydrograph) -> bool:
    return panel.precipitation is not None and bool(np.isfinite(panel.precipitation).any())


def _more(axis: Any, handles: list[Any], labels: list[str]) -> tuple[list[Any], list[str]]:
    more, names = axis.get_legend_handles_labels()
    return handles + more, labels + names


def _flow(axis: Any, panel: Hydrograph) -> None:
    """Draw flow: a line, or members as a fan; the past before a forecast; observations."""
    simulated = panel.simulated
    if panel.band is not None:
        axis.fill_between(
            panel.dates, *panel.band, color=SIMULATED, alpha=0.18, lw=0.0, label="5 to 95 %"
        )
    if simulated.ndim == 1 or simulated.shape[1] == 1:
        values = simulated if simulated.ndim == 1 else simulated[:, 0]
        axis.plot(panel.dates, values, color=SIMULATED, lw=1.2, label=panel.label)
    else:
        _fan(axis, panel)
    if panel.past is not None and len(panel.past[0]):
        axis.plot(*panel.past, color=SIMULATED, lw=1.0, ls="--", label="first step of earlier ones")
    for pair in ((panel.dates, panel.observed), panel.past_observed or (None, None)):
        dates, flow = pair
        if dates is not None and flow is not None and np.isfinite(flow).any():
            dots = panel.start is not None
            axis.plot(
                dates,
                flow,
                color=OBSERVED,
                lw=0.8,
                alpha=0.85,
                marker="." if dots else None,
                ms=3,
                label="observed flow",
            )
    if panel.start is not None:
        axis.axvline(panel.start, color="0.5", lw=0.8)


def _fan(axis: Any, panel: Hydrograph) -> None:
    members = panel.simulated.shape[1]
    if members <= _FEW_MEMBERS:
        axis.plot(panel.dates, panel.simulated, color=SIMULATED, lw=0.4, alpha=0.3)
    shares = sorted(panel.shares)
    while len(shares) > 1:
        low, high = np.quantile(panel.simulated, [shares[0], shares[-1]], axis=1)
        axis.fill_between(
            panel.dates,
            low,
            high,
            color=SIMULATED,
            alpha=0.22,
            lw=0.0,
            label=f"{shares[0]:.0%} to {shares[-1]:.0%} of {members} members",
        )
        shares = shares[1:-1]
    middle = np.median(panel.simulated, axis=1)
    axis.plot(panel.dates, middle, color=SIMULATED, lw=1.8, label="median")


def _thresholds(axis: Any, panel: Hydrograph) -> float:
    """Draw what is reached once in some years; return the lowest that is above all flow."""
    shown = 0.0
    for years, flow in sorted(panel.thresholds.items()):
        if shown > panel.highest:
            break  # one above what flows is enough: the next would flatten the rest
        shown = flow
        axis.axhline(flow, color="#b03a2e", lw=0.8, ls=":")
        axis.annotate(
            f"once in {years:g} years",
            (0.005, flow),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            color="#b03a2e",
            va="bottom",
        )
    return shown
