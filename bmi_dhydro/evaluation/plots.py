"""Pictures of many catchments at once: distributions of skill, ratios, seasons, durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import counted
from .figures import OBSERVED, RAIN, SIMULATED, figure, grid, save

if TYPE_CHECKING:
    import pandas

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def skill_distribution(path: Path, scores: Mapping[str, NDArray]) -> None:
    """Draw the share of catchments below each value of some scores.

    Parameters
    ----------
    path : Path
        PNG file.
    scores : mapping of array, shape (catchments,)
    """
    made, axes = figure(figsize=(6.0, 4.5))
    axis = axes[0, 0]
    for name, values in scores.items():
        known = np.sort(values[np.isfinite(values)])
        if known.size:
            share = np.arange(1, known.size + 1) / known.size
            axis.step(known, share, where="post", label=f"{name}: median {np.median(known):.2f}")
    axis.set(xlim=(-0.5, 1.0), ylim=(0.0, 1.0), xlabel="score", ylabel="share of catchments below")
    axis.axhline(0.5, color="0.7", lw=0.7)
    axis.grid(alpha=0.3)
    counts = {name: int(np.isfinite(values).sum()) for name, values in scores.items()}
    most = max(counts.values())
    if most:
        _legend_below(axis)
    fewer = ", ".join(f"{name} of {n}" for name, n in counts.items() if 0 < n < most)
    note = f" ({fewer})" if fewer else ""
    axis.set_title(f"Skill over {counted(most, 'catchment')}{note}", loc="left")
    save(made, path)


def agreement(path: Path, panels: Mapping[str, tuple[NDArray, NDArray]]) -> None:
    """Draw simulated against observed values of some quantities, a point for each catchment.

    Parameters
    ----------
    path : Path
        PNG file.
    panels : mapping
        By title: observed and simulated values, shape (catchments,).
    """
    made, axes = figure(1, len(panels), figsize=(4.2 * len(panels), 4.4))
    for axis, (title, (observed, simulated)) in zip(axes[0], panels.items(), strict=True):
        known = np.isfinite(observed) & np.isfinite(simulated)
        axis.scatter(observed[known], simulated[known], s=12, color=SIMULATED, alpha=0.6, lw=0)
        if known.any():
            both = np.concatenate([observed[known], simulated[known]])
            ends = np.quantile(both, [0.01, 0.99]) if both.size > 50 else [both.min(), both.max()]
            axis.plot(ends, ends, color="0.4", lw=0.8)
        agrees = np.corrcoef(observed[known], simulated[known])[0, 1] if known.sum() > 2 else np.nan
        axis.set_title(
            f"{title}\nr = {agrees:.2f}, {counted(int(known.sum()), 'catchment')}", loc="left"
        )
        axis.set(xlabel="observed", ylabel="simulated")
        axis.grid(alpha=0.3)
    save(made, path)


def training_curves(
    path: Path, runs: Mapping[str, tuple[Sequence[float], Sequence[tuple[int, float]]]]
) -> None:
    """Draw losses and validation scores of training runs.

    Parameters
    ----------
    path : Path
        PNG file.
    runs : mapping
        By name: the loss of each batch, and (batch, median NSE) of each validation.
    """
    made, axes = figure(figsize=(7.0, 4.2))
    axis = axes[0, 0]
    other = axis.twinx()
    for name, (losses, scores) in runs.items():
        window = max(1, len(losses) // 100)
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        axis.plot(np.arange(window, len(losses) + 1), smooth, lw=1.0, label=f"loss, {name}")
        if scores:
            batches, values = zip(*scores, strict=True)
            other.plot(batches, values, "o--", ms=3, lw=0.8, label=f"validation, {name}")
    axis.set(xlabel="batch", ylabel="loss", yscale="log")
    axis.set_title("Training", loc="left")
    axis.grid(alpha=0.3)
    handles, labels = axis.get_legend_handles_labels()
    more, names = other.get_legend_handles_labels()
    if more:
        other.set_ylabel("median NSE of validation")
    else:
        other.set_yticks([])
    _legend_below(axis, handles + more, labels + names)
    save(made, path)


def budyko(path: Path, aridity: NDArray, runoff_ratios: Mapping[str, NDArray]) -> None:
    """Draw the share of precipitation that does not run off against aridity.

    With the limits of water and energy, and the curve of Budyko (1974).

    Parameters
    ----------
    path : Path
        PNG file.
    aridity : array, shape (catchments,)
        Potential evapotranspiration over precipitation.
    runoff_ratios : mapping of array, shape (catchments,)
        By what they are of: `observed`, `simulated`.
    """
    made, axes = figure(figsize=(6.5, 4.8))
    axis = axes[0, 0]
    known = aridity[np.isfinite(aridity)]
    highest = max(2.0, 1.1 * float(known.max())) if known.size else 2.0
    x = np.linspace(0.01, highest, 300)
    axis.plot(x, np.minimum(x, 1.0), color="0.6", lw=0.9, label="limits of energy and water")
    curve = np.sqrt(x * np.tanh(1.0 / x) * (1.0 - np.exp(-x)))
    axis.plot(x, curve, color="0.3", lw=1.2, ls="--", label="Budyko (1974)")
    colors = {"observed": OBSERVED, "simulated": SIMULATED}
    pair = list(runoff_ratios.values())
    if len(pair) == 2:
        # Both points of a catchment are joined, so that its error is seen.
        axis.plot([aridity, aridity], 1.0 - np.array(pair), color="0.75", lw=0.6, zorder=1)
    for label, ratio in runoff_ratios.items():
        shown = np.isfinite(aridity) & np.isfinite(ratio)
        axis.scatter(
            aridity[shown],
            1.0 - ratio[shown],
            s=12,
            alpha=0.6,
            lw=0,
            color=colors[label],
            label=f"{label}, {int(shown.sum())}",
            zorder=2,
        )
    axis.set(
        xlim=(0.0, highest),
        ylim=(min(0.0, 1.0 - max(np.nanmax(r) for r in runoff_ratios.values())), 1.1),
        xlabel="potential evapotranspiration / precipitation",
        ylabel="1 - runoff / precipitation",
    )
    axis.grid(alpha=0.3)
    _legend_below(axis)
    axis.set_title(f"Water balance of {counted(known.size, 'catchment')}", loc="left")
    save(made, path)


def snow_seasons(path: Path, monthly: Mapping[str, NDArray]) -> None:
    """Draw the year of the snowpack: the median catchment, and the middle 80 %.

    Parameters
    ----------
    path : Path
        PNG file.
    monthly : mapping of array, shape (12, catchments)
        Monthly means of snow water equivalent in mm, January first, by `simulated`, `observed`.
    """
    made, axes = figure(figsize=(6.5, 4.2))
    axis = axes[0, 0]
    order = np.roll(np.arange(12), 3)  # a water year, from October
    colors = {"observed": OBSERVED, "simulated": SIMULATED}
    for label, means in monthly.items():
        # Results of less than a year have months without any snowpack to show.
        known = np.isfinite(means[order]).any(axis=1)
        low, middle, high = rows = np.full((3, 12), np.nan)
        rows[:, known] = np.nanpercentile(means[order][known], [10.0, 50.0, 90.0], axis=1)
        axis.fill_between(range(12), low, high, color=colors[label], alpha=0.15, lw=0)
        axis.plot(range(12), middle, "o-", ms=3, color=colors[label], label=f"{label}, median")
    axis.set_xticks(range(12), [_MONTHS[k] for k in order])
    axis.set_ylabel("snow water equivalent, mm")
    axis.grid(alpha=0.3)
    _legend_below(axis)
    count = next(iter(monthly.values())).shape[1]
    axis.set_title(
        f"Snow of {counted(count, 'catchment')}, monthly means; band: 10 to 90 %", loc="left"
    )
    save(made, path)


def skill_by_lead(path: Path, medians: pandas.DataFrame, catchments: int) -> None:
    """Draw the error and the skill of forecasts against lead time.

    Parameters
    ----------
    path : Path
        PNG file.
    medians : DataFrame
        Columns `kind`, `lead_days`, `rmse`, `nse`; see `forecast.hindcast.summary`.
    catchments : int
        How many they are of.
    """
    made, axes = figure(1, 2, figsize=(9.0, 3.6))
    styles = ((SIMULATED, 2.0), (RAIN, 1.6), (OBSERVED, 1.2))
    for axis, column, label in (
        (axes[0, 0], "rmse", "median RMSE (mm d⁻¹)"),
        (axes[0, 1], "nse", "median NSE"),
    ):
        for (kind, own), (color, width) in zip(
            medians.groupby("kind", sort=False), styles, strict=False
        ):
            days = own["lead_days"]
            axis.plot(days, own[column], marker="o", ms=3, label=kind, color=color, lw=width)
        axis.set_xlabel("lead time (days)")
        axis.set_ylabel(label)
    axes[0, 0].set_ylim(bottom=0.0)
    axes[0, 1].set_ylim(top=1.0)
    _legend_below(axes[0, 0])
    made.suptitle(f"Forecasts, {counted(catchments, 'catchment')}", x=0.01, ha="left")
    save(made, path)


def flow_duration(path: Path, panels: Mapping[str, Mapping[str, NDArray]], units: str) -> None:
    """Draw for what share of the time flow is exceeded, on a logarithmic axis.

    Parameters
    ----------
    path : Path
        PNG file.
    panels : mapping of mapping of array, shape (steps,)
        By catchment: flow by what it is (`observed`, `simulated`). Where both are given, steps
        without an observation do not count.
    units : str
        Of flow.
    """
    made, axes = grid(len(panels), 3, 4.0, 3.0, 0.8)
    colors = {"observed": OBSERVED, "simulated": SIMULATED}
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        known = np.all([np.isfinite(values) for values in series.values()], axis=0)
        for label, values in series.items():
            ordered = np.sort(values[known])[::-1]
            share = (np.arange(ordered.size) + 0.5) / max(ordered.size, 1)
            axis.plot(100.0 * share, ordered, color=colors[label], lw=1.2, label=label)
        axis.set(yscale="log", xlim=(0.0, 100.0), xlabel="time that flow is exceeded, %")
        axis.set_ylabel(f"flow, {units}")
        axis.set_title(f"{title}\n{counted(int(known.sum()), 'step')}", loc="left", fontsize=9)
        axis.grid(alpha=0.3)
        _legend_below(axis)
    save(made, path)


def regimes(path: Path, panels: Mapping[str, Mapping[str, NDArray]]) -> None:
    """Draw the year of some catchments: means of each month.

    Parameters
    ----------
    path : Path
        PNG file.
    panels : mapping of mapping of array, shape (12,)
        By catchment: monthly means in mm d-1, January first, by what they are of; `precipitation`
        is drawn as bars, all else as lines.
    """
    made, axes = grid(len(panels), 3, 4.0, 3.0, 0.8)
    order = np.roll(np.arange(12), 3)  # a water year, from October
    colors = {"observed flow": OBSERVED, "simulated flow": SIMULATED}
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        for label, means in series.items():
            if label == "precipitation":
                axis.bar(range(12), means[order], color=RAIN, alpha=0.6, label=label)
            else:
                color = colors.get(label, "#3d8b5f")
                axis.plot(range(12), means[order], "o-", ms=3, color=color, label=label)
        axis.set_xticks(range(12), [_MONTHS[k][0] for k in order])
        axis.set_ylabel("mm d$^{-1}$")
        axis.set_title(title, loc="left", fontsize=9)
        axis.grid(alpha=0.3)
        _legend_below(axis)
    save(made, path)


def _legend_below(axis: Any, *entries: Any) -> None:
    """Put the legend under the axis, where it covers nothing."""
    axis.legend(
        *entries,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2,
        fontsize=7,
        frameon=False,
    )
