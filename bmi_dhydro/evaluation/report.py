"""The report of a comparison: tables and pictures of skill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..files.whole import replaced
from ..machine import installed
from ..units import SECONDS_PER_DAY
from . import plots
from .comparison import Comparison
from .flow_band import read_band
from .hydrograph import Hydrograph, hydrographs, last_steps
from .maps import score_map, worth_a_map
from .series import STORES, read_other
from .water_balance import WaterBalance, aligned

if TYPE_CHECKING:
    import pandas


def write_report(
    folder: Path,
    comparison: Comparison,
    balance: WaterBalance | None = None,
    results: Path | None = None,
    more: pandas.DataFrame | None = None,
) -> list[Path]:
    """Write a report to a folder.

    `scores.csv`, `hydrographs.png` (the best, the median and the worst catchment, or the only one),
    of several catchments `skill.png` (distribution), `untrained.png` (quantities that no loss saw)
    and, where there are coordinates, `map.png`; where results have what they need `budyko.png`
    (runoff ratio against aridity) and `snow.png` (the year of the snowpack). Where matplotlib is
    not installed, `scores.csv` alone.

    Parameters
    ----------
    folder : Path
    comparison : Comparison
    balance : WaterBalance, optional
        Water balance of the same catchments.
    results : Path, optional
        The results that are compared: their precipitation and snow are drawn with the flow.
    more : DataFrame, optional
        Other scores of the same catchments, for `scores.csv`.

    Returns
    -------
    list of Path
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores = comparison.scores
    if balance is not None:
        scores = scores.join(balance.table)
    if more is not None:
        scores = scores.join(more)
    written = [folder / "scores.csv"]
    with replaced(written[0]) as temporary:
        scores.to_csv(temporary, float_format="%.5g")
    if not installed("matplotlib"):
        return written
    if len(scores) > 1:
        written.append(folder / "skill.png")
        plots.skill_distribution(
            written[-1], {"NSE": scores["nse"].to_numpy(), "KGE": scores["kge"].to_numpy()}
        )
    ranked = np.argsort(-scores["nse"].fillna(-np.inf).to_numpy())
    ranked = ranked[: int(scores["nse"].notna().sum())]
    if ranked.size:
        written.append(folder / "hydrographs.png")
        _draw_hydrographs(written[-1], comparison, ranked, results)
    if len(scores) > 1:
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
        if worth_a_map(longitude, latitude):
            written.append(folder / "map.png")
            score_map(written[-1], longitude, latitude, scores["nse"].to_numpy(), "NSE")
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


def _draw_hydrographs(
    path: Path, comparison: Comparison, ranked: NDArray, results: Path | None
) -> None:
    """Draw the last two observed years of the best, the median and the worst catchment."""
    daily = comparison.seconds == SECONDS_PER_DAY
    weather = {} if results is None else weather_and_snow(results, comparison)
    ends = None if results is None else read_band(results)
    band = None if ends is None else [aligned(series, comparison) for series in ends]
    # One catchment is shown once, two as best and worst.
    places = {0: "best", ranked.size - 1: "worst"}
    if ranked.size > 2:
        places[ranked.size // 2] = "median"
    panels = []
    for place in sorted(places):
        k = ranked[place]
        # Each has its own years: where another one is observed it may not be.
        known = np.flatnonzero(np.isfinite(comparison.observed[:, k]))
        shown = last_steps(int(known[-1]) + 1, daily)
        name, row = comparison.scores.index[k], comparison.scores.iloc[k]
        label = "" if ranked.size == 1 else f"{places[place]}: "
        panels.append(
            Hydrograph(
                f"{label}{name}, NSE {row['nse']:.2f}, KGE {row['kge']:.2f}",
                comparison.dates[shown],
                comparison.simulated[shown, k],
                comparison.observed[shown, k],
                **{key: values[shown, k] for key, values in weather.items()},
                band=None if band is None else (band[0][shown, k], band[1][shown, k]),
            )
        )
    hydrographs(path, panels, "Simulated and observed flow")


def weather_and_snow(results: Path, comparison: Comparison) -> dict[str, Any]:
    """Return precipitation (mm d-1) and snow (mm) of results, where they have them.

    Parameters
    ----------
    results : Path
    comparison : Comparison
        Its steps and catchments are those of the arrays.

    Returns
    -------
    dict of array, shape (steps, catchments)
        By the names of `Hydrograph`.
    """
    found = {}
    for key, names in (("precipitation", ("precipitation",)), ("snow", STORES)):
        series = read_other(results, names)
        if series is not None:
            found[key] = aligned(series, comparison)
    return found
