"""Bands of flow in results: what may be observed, and how much of what was observed lies in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..networks.flow_errors import SHARES
from ..variables import FLOWS, quantile_of
from .metrics import share_within
from .series import read_other
from .water_balance import aligned

if TYPE_CHECKING:
    import pandas
    import xarray

    from .comparison import Comparison


def read_band(path: Path) -> tuple[xarray.DataArray, xarray.DataArray] | None:
    """Read the lower and the upper end of a band of flow, where results have one.

    Parameters
    ----------
    path : Path

    Returns
    -------
    (DataArray, DataArray) or None
        As `series.read_flow`.
    """
    low, high = (
        read_other(path, [quantile_of(item.name, share) for item in FLOWS])
        for share in (SHARES[0], SHARES[-1])
    )
    return None if low is None or high is None else (low, high)


def band_coverage(results: Path, comparison: Comparison) -> pandas.DataFrame:
    """Return the share of observed days that lie in the band of each catchment.

    Parameters
    ----------
    results : Path
    comparison : Comparison
        Of the flow in the same file.

    Returns
    -------
    DataFrame
        A row for each catchment: `days_in_band`; no column where results have no band.
    """
    import pandas

    table = pandas.DataFrame(index=comparison.scores.index)
    band = read_band(results)
    if band is None:
        return table
    low, high = (aligned(series, comparison) for series in band)
    table["days_in_band"] = share_within(comparison.observed, low, high)
    return table
