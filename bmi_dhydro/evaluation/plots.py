"""Pictures of results: hydrographs, distributions of skill, maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import counted
from ..files.whole import replaced

if TYPE_CHECKING:
    import pandas

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_OBSERVED, _SIMULATED, _RAIN, _SNOW = "#222222", "#0b62a4", "#7f9fbf", "#8fc1d9"


def _figure(rows: int = 1, columns: int = 1, **options: Any) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> None:
    with replaced(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def hydrographs(
    path: Path,
    dates: NDArray,
    panels: Sequence[Mapping[str, Any]],
    title: str,
) -> None:
    """Draw the flow of some catchments, with precipitation from above and snow behind.

    Parameters
    ----------
    path : Path
        PNG file.
    dates : array of datetime64, shape (steps,)
    panels : sequence of mapping
        `title`, `simulated` (mm d-1), and optionally `observed` (mm d-1), `precipitation`
        (mm d-1), `snow` (mm): arrays of shape (steps,).
    title : str
    """
    figure, axes = _figure(len(panels), figsize=(10.0, 1.2 + 2.1 * len(panels)))
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        axis.plot(dates, panel["simulated"], color=_SIMULATED, lw=1.0, label="simulated flow")
        if "observed" in panel:
            axis.plot(
                dates, panel["observed"], color=_OBSERVED, lw=0.8, alpha=0.8, label="observed flow"
            )
        highest = max(np.nanmax(panel["simulated"]), np.nanmax(panel.get("observed", [0.0])))
        axis.set_ylim(0.0, max(highest, 0.1) * 1.6)
        axis.set_xlim(dates[0], dates[-1])
        axis.set_ylabel("flow, mm d$^{-1}$")
        axis.set_title(panel["title"], loc="left", fontsize=10)
        if "snow" in panel and panel["snow"].max() > 1.0:
            scale = 0.5 * axis.get_ylim()[1] / panel["snow"].max()
            axis.fill_between(
                dates,
                panel["snow"] * scale,
                color=_SNOW,
                alpha=0.35,
                lw=0,
                zorder=0,
                label=f"snow (at most {panel['snow'].max():.0f} mm)",
            )
        handles, labels = axis.get_legend_handles_labels()
        place = "upper right"
        if "precipitation" in panel:
            other = axis.twinx()
            other.fill_between(
                dates,
                panel["precipitation"],
                step="post",
                color=_RAIN,
                lw=0,
                label="precipitation",
            )
            other.set_ylim(max(float(panel["precipitation"].max()), 1.0) * 3.0, 0.0)
            other.set_ylabel("rain and snow,\nmm d$^{-1}$")
            more, names = other.get_legend_handles_labels()
            handles, labels = handles + more, labels + names
            place = "center right"  # below the precipitation
        axis.legend(handles, labels, loc=place, fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=12)
    _save(figure, path)


def skill_distribution(path: Path, scores: Mapping[str, NDArray]) -> None:
    """Draw the share of catchments below each value of some scores.

    Parameters
    ----------
    path : Path
        PNG file.
    scores : mapping of array, shape (catchments,)
    """
    figure, axes = _figure(figsize=(6.0, 4.5))
    axis = axes[0, 0]
    for name, values in scores.items():
        known = np.sort(values[np.isfinite(values)])
        if known.size:
            share = np.arange(1, known.size + 1) / known.size
            axis.step(known, share, where="post", label=f"{name}: median {np.median(known):.2f}")
    axis.set(xlim=(-0.5, 1.0), ylim=(0.0, 1.0), xlabel="score", ylabel="share of catchments below")
    axis.axhline(0.5, color="0.7", lw=0.7)
    axis.grid(alpha=0.3)
    most = max(int(np.isfinite(values).sum()) for values in scores.values())
    if most:
        axis.legend(loc="upper left")
    axis.set_title(f"Skill over {counted(most, 'catchment')}", loc="left")
    _save(figure, path)


def skill_map(path: Path, longitude: NDArray, latitude: NDArray, score: NDArray, name: str) -> None:
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
    figure, axes = _figure(figsize=(8.0, 4.8))
    axis = axes[0, 0]
    known = np.isfinite(score)
    axis.scatter(longitude[~known], latitude[~known], s=16, color="0.8", marker="x")
    points = axis.scatter(
        longitude[known],
        latitude[known],
        c=score[known],
        s=26,
        vmin=0.0,
        vmax=1.0,
        cmap="viridis",
        edgecolor="0.3",
        linewidth=0.3,
    )
    figure.colorbar(points, label=name, extend="min", shrink=0.85)
    middle = np.deg2rad(np.nanmean(latitude)) if np.isfinite(latitude).any() else 0.0
    axis.set_aspect(1.0 / max(np.cos(middle), 0.1))
    axis.set(xlabel="longitude, degrees east", ylabel="latitude, degrees north")
    axis.set_title(f"{name} of {counted(int(known.sum()), 'catchment')}", loc="left")
    axis.grid(alpha=0.3)
    _save(figure, path)


def agreement(path: Path, panels: Mapping[str, tuple[NDArray, NDArray]]) -> None:
    """Draw simulated against observed values of some quantities, a point for each catchment.

    Parameters
    ----------
    path : Path
        PNG file.
    panels : mapping
        By title: observed and simulated values, shape (catchments,).
    """
    figure, axes = _figure(1, len(panels), figsize=(4.2 * len(panels), 4.4))
    for axis, (title, (observed, simulated)) in zip(axes[0], panels.items(), strict=True):
        known = np.isfinite(observed) & np.isfinite(simulated)
        axis.scatter(observed[known], simulated[known], s=12, color=_SIMULATED, alpha=0.6, lw=0)
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
    _save(figure, path)


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
    figure, axes = _figure(figsize=(7.0, 4.2))
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
    axis.legend(handles + more, labels + names, fontsize=7)
    _save(figure, path)


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
    figure, axes = _figure(figsize=(6.5, 4.8))
    axis = axes[0, 0]
    known = aridity[np.isfinite(aridity)]
    highest = max(2.0, 1.1 * float(known.max())) if known.size else 2.0
    x = np.linspace(0.01, highest, 300)
    axis.plot(x, np.minimum(x, 1.0), color="0.6", lw=0.9, label="limits of energy and water")
    curve = np.sqrt(x * np.tanh(1.0 / x) * (1.0 - np.exp(-x)))
    axis.plot(x, curve, color="0.3", lw=1.2, ls="--", label="Budyko (1974)")
    colors = {"observed": _OBSERVED, "simulated": _SIMULATED}
    for label, ratio in runoff_ratios.items():
        axis.scatter(aridity, 1.0 - ratio, s=12, alpha=0.6, lw=0, color=colors[label], label=label)
    axis.set(
        xlim=(0.0, highest),
        ylim=(min(0.0, 1.0 - max(np.nanmax(r) for r in runoff_ratios.values())), 1.1),
        xlabel="potential evapotranspiration / precipitation",
        ylabel="1 - runoff / precipitation",
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    axis.set_title(f"Water balance of {counted(known.size, 'catchment')}", loc="left")
    _save(figure, path)


def snow_seasons(path: Path, monthly: Mapping[str, NDArray]) -> None:
    """Draw the year of the snowpack: the median catchment, and the middle 80 %.

    Parameters
    ----------
    path : Path
        PNG file.
    monthly : mapping of array, shape (12, catchments)
        Monthly means of snow water equivalent in mm, January first, by `simulated`, `observed`.
    """
    figure, axes = _figure(figsize=(6.5, 4.2))
    axis = axes[0, 0]
    order = np.roll(np.arange(12), 3)  # a water year, from October
    colors = {"observed": _OBSERVED, "simulated": _SIMULATED}
    for label, means in monthly.items():
        low, middle, high = np.nanpercentile(means[order], [10.0, 50.0, 90.0], axis=1)
        axis.fill_between(range(12), low, high, color=colors[label], alpha=0.15, lw=0)
        axis.plot(range(12), middle, "o-", ms=3, color=colors[label], label=f"{label}, median")
    axis.set_xticks(range(12), [_MONTHS[k] for k in order])
    axis.set_ylabel("snow water equivalent, mm")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    count = next(iter(monthly.values())).shape[1]
    axis.set_title(
        f"Snow of {counted(count, 'catchment')}, monthly means; band: 10 to 90 %", loc="left"
    )
    _save(figure, path)


def forecast(
    path: Path, times: NDArray, flow: NDArray, shares: Sequence[float], title: str
) -> None:
    """Draw the forecast of a catchment: its members, and the band of the outer quantiles.

    Parameters
    ----------
    path : Path
        PNG file.
    times : array of datetime64, shape (steps,)
    flow : array, shape (steps, members)
        In m3 s-1.
    shares : sequence of float
        Quantiles of the band: the lowest and the highest of them.
    title : str
    """
    figure, axes = _figure(figsize=(8.0, 3.6))
    axis = axes[0, 0]
    several = flow.shape[1] > 1
    axis.plot(
        times, flow, color=_SIMULATED, lw=0.5 if several else 1.6, alpha=0.5 if several else 1
    )
    if several and shares:
        low, high = np.quantile(flow, [min(shares), max(shares)], axis=1)
        label = f"{min(shares):.0%} to {max(shares):.0%} of {flow.shape[1]} members"
        axis.fill_between(times, low, high, color=_SIMULATED, alpha=0.2, lw=0.0, label=label)
        axis.plot(times, np.median(flow, axis=1), color=_SIMULATED, lw=1.8, label="median")
        axis.legend(frameon=False, loc="upper left")
    axis.set_ylim(0.0, max(float(flow.max()), 1e-3) * 1.35)
    axis.set_xlim(times[0], times[-1])
    axis.set_ylabel("discharge (m³ s⁻¹)")
    axis.set_title(title, loc="left")
    axis.tick_params(axis="x", rotation=20)
    _save(figure, path)


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
    figure, axes = _figure(1, 2, figsize=(9.0, 3.6))
    styles = ((_SIMULATED, 2.0), (_RAIN, 1.6), (_OBSERVED, 1.2))
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
    axes[0, 0].legend(frameon=False)
    figure.suptitle(f"Forecasts, {counted(catchments, 'catchment')}", x=0.01, ha="left")
    _save(figure, path)
