"""The report of a comparison: tables and pictures of skill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..files.whole import replaced
from ..units import SECONDS_PER_DAY
from . import plots
from .comparison import Comparison
from .water_balance import WaterBalance

if TYPE_CHECKING:
    pass


# Days that hydrographs show, and steps where they are shorter.
_HYDROGRAPH_DAYS, _HYDROGRAPH_STEPS = 730, 2160


def write_report(
    folder: Path, comparison: Comparison, balance: WaterBalance | None = None
) -> list[Path]:
    """Write a report to a folder.

    `scores.csv`, `skill.png` (distribution), `hydrographs.png` (the best, the median and the worst
    catchment), `untrained.png` (quantities that no loss saw), where there are coordinates
    `map.png`, and where results have what they need `budyko.png` (runoff ratio against aridity)
    and `snow.png` (the year of the snowpack).

    Parameters
    ----------
    folder : Path
    comparison : Comparison
    balance : WaterBalance, optional
        Water balance of the same catchments.

    Returns
    -------
    list of Path
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores = comparison.scores
    if balance is not None:
        scores = scores.join(balance.table)
    written = [folder / "scores.csv"]
    with replaced(written[0]) as temporary:
        scores.to_csv(temporary, float_format="%.5g")
    written.append(folder / "skill.png")
    plots.skill_distribution(
        written[-1], {"NSE": scores["nse"].to_numpy(), "KGE": scores["kge"].to_numpy()}
    )
    ranked = np.argsort(-scores["nse"].fillna(-np.inf).to_numpy())
    ranked = ranked[: int(scores["nse"].notna().sum())]
    if ranked.size:
        written.append(folder / "hydrographs.png")
        _draw_hydrographs(written[-1], comparison, ranked)
    written.append(folder / "untrained.png")
    plots.agreement(
        written[-1],
        {
            title: (
                scores[f"{name}_observed"].to_numpy(),
                scores[f"{name}_simulated"].to_numpy(),
            )
            for title, name in (
                ("baseflow index", "baseflow_index"),
                ("annual trend, % per decade", "trend"),
            )
        },
    )
    if {"latitude", "longitude"} <= set(scores.columns):
        longitude, latitude = scores["longitude"].to_numpy(), scores["latitude"].to_numpy()
        if np.isfinite(longitude).any():
            written.append(folder / "map.png")
            plots.skill_map(written[-1], longitude, latitude, scores["nse"].to_numpy(), "NSE")
    if balance is not None and balance.has_climate:
        written.append(folder / "budyko.png")
        plots.budyko(
            written[-1],
            scores["aridity"].to_numpy(),
            {
                "observed": scores["runoff_ratio_observed"].to_numpy(),
                "simulated": scores["runoff_ratio_simulated"].to_numpy(),
            },
        )
    if balance is not None and balance.snow:
        written.append(folder / "snow.png")
        plots.snow_seasons(written[-1], balance.snow)
    return written


def _draw_hydrographs(path: Path, comparison: Comparison, ranked: NDArray) -> None:
    """Draw the last two observed years of the best, the median and the worst catchment."""
    known = np.isfinite(comparison.observed[:, ranked]).any(axis=1)
    last = int(np.flatnonzero(known)[-1]) + 1
    steps = _HYDROGRAPH_DAYS if comparison.seconds == SECONDS_PER_DAY else _HYDROGRAPH_STEPS
    shown = slice(max(0, last - steps), last)
    panels = []
    for label, place in (("best", 0), ("median", ranked.size // 2), ("worst", ranked.size - 1)):
        k = ranked[place]
        name, row = comparison.scores.index[k], comparison.scores.iloc[k]
        panels.append(
            {
                "title": f"{label}: {name}, NSE {row['nse']:.2f}, KGE {row['kge']:.2f}",
                "simulated": comparison.simulated[shown, k],
                "observed": comparison.observed[shown, k],
            }
        )
    plots.hydrographs(path, comparison.dates[shown], panels, "Simulated and observed flow")
