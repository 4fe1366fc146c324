"""Pictures of results alone, or beside observations: what `bmi-dhydro plot` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError, listed
from . import plots
from .flow_band import read_band
from .hydrograph import Hydrograph, hydrographs, last_steps
from .maps import value_maps, worth_a_map
from .series import read_flow, read_members, read_other
from .targets import TARGETS
from .water_balance import monthly_means

if TYPE_CHECKING:
    import xarray

# Catchments that are drawn one by one, unless they are named.
_MOST_PANELS = 4

# Other series of results, by what pictures call them, and their names in files.
_OTHERS: dict[str, tuple[str, ...]] = {
    "precipitation": ("precipitation",),
    **{str(name): target.names for name, target in TARGETS.items()},
}


@dataclass(frozen=True)
class Overview:
    """Series of a run that are drawn.

    Attributes
    ----------
    flow : DataArray, dimensions (time, station)
        In mm d-1; the mean of members.
    members : DataArray or None
        Flow of each member, dimensions (time, member, station).
    observed : DataArray or None
        Observed flow of the same stations and times, NaN where there is none.
    others : dict of DataArray, dimensions (time, station)
        Precipitation and evapotranspiration in mm d-1, snow in mm: those that results have.
    band : (DataArray, DataArray) or None
        Between what nine tenths of observed days should lie, in mm d-1.
    """

    flow: xarray.DataArray
    members: xarray.DataArray | None = None
    observed: xarray.DataArray | None = None
    others: Mapping[str, xarray.DataArray] = field(default_factory=dict)
    band: tuple[xarray.DataArray, xarray.DataArray] | None = None

    @classmethod
    def read(
        cls,
        results: Path,
        observed: Path | None = None,
        start: np.datetime64 | None = None,
        end: np.datetime64 | None = None,
        variable: str | None = None,
    ) -> Overview:
        """Read results, and observations of the same catchments.

        Parameters
        ----------
        results : Path
            NetCDF file of a run.
        observed : Path, optional
            NetCDF file of observed flow, in the steps of the results.
        start, end : datetime64, optional
            Period that is drawn, `end` not included; all, unless given.
        variable : str, optional
            Name of observed flow, where it is not recognised.

        Raises
        ------
        ResultsError
            If a file cannot be read, or nothing is left in the period.
        """
        period = slice(start, None if end is None else end - np.timedelta64(1, "s"))
        flow = read_flow(results).sel(time=period)
        if not flow.sizes["time"]:
            raise ResultsError(f"{results}: has no results between {start} and {end}")
        others = {name: read_other(results, names) for name, names in _OTHERS.items()}
        theirs = None
        if observed is not None:
            theirs = read_flow(observed, variable).reindex_like(flow)
            if not np.isfinite(theirs.values).any():
                raise ResultsError(
                    f"{observed}: has no observation at the times and catchments of {results}"
                )
        members, band = read_members(results), read_band(results)
        return cls(
            flow,
            None if members is None else members.sel(time=period),
            theirs,
            {name: one.sel(time=period) for name, one in others.items() if one is not None},
            None if band is None else (band[0].sel(time=period), band[1].sel(time=period)),
        )

    @property
    def ids(self) -> list[str]:
        """Ids of the catchments."""
        return [str(name) for name in self.flow["station"].values]

    def chosen(self, wanted: Sequence[str]) -> list[int]:
        """Return the rows of some catchments; of a few from dry to wet, unless any are named.

        Raises
        ------
        ResultsError
            If one is not there.
        """
        ids = self.ids
        absent = [name for name in wanted if name not in ids]
        if absent:
            raise ResultsError(f"there is no catchment {listed(absent)}; there are {listed(ids)}")
        if wanted:
            return [ids.index(name) for name in wanted]
        known = np.arange(len(ids))
        if self.observed is not None:
            known = np.flatnonzero(np.isfinite(self.observed.values).any(axis=0))
        order = known[np.argsort(np.nanmean(self.flow.values[:, known], axis=0))]
        places = np.linspace(0, order.size - 1, min(_MOST_PANELS, order.size)).round().astype(int)
        return [int(order[place]) for place in places]

    def hydrograph(self, row: int, whole: bool = False) -> Hydrograph:
        """Return the hydrograph of a catchment: its last two years, those that are observed.

        Parameters
        ----------
        row : int
        whole : bool
            Whether all of the period is drawn.
        """
        times = self.flow["time"].values
        daily = times.size < 2 or times[1] - times[0] >= np.timedelta64(1, "D")
        stop = times.size
        if self.observed is not None:
            known = np.flatnonzero(np.isfinite(self.observed.values[:, row]))
            stop = int(known[-1]) + 1 if known.size else stop
        shown = slice(0, stop) if whole else last_steps(stop, daily)
        own = self.flow if self.members is None else self.members
        return Hydrograph(
            self.ids[row],
            times[shown],
            own.values[shown, ..., row],
            None if self.observed is None else self.observed.values[shown, row],
            self._other("precipitation", shown, row),
            self._other("snow", shown, row),
            band=None
            if self.band is None
            else (self.band[0].values[shown, row], self.band[1].values[shown, row]),
        )

    def _other(self, name: str, shown: slice, row: int) -> NDArray | None:
        return self.others[name].values[shown, row] if name in self.others else None

    def means(self) -> dict[str, NDArray]:
        """Return what maps show of each catchment, by name and units."""
        flow = self.flow.values
        found = {"runoff, mm yr$^{-1}$": 365.25 * np.nanmean(flow, axis=0)}
        if "precipitation" in self.others:
            rain = np.nansum(self.others["precipitation"].values, axis=0)
            total = np.nansum(flow, axis=0)
            found["runoff / precipitation"] = np.divide(
                total, rain, out=np.full(total.shape, np.nan), where=rain > 0.0
            )
        if "snow" in self.others:
            found["largest snowpack, mm"] = np.nanmax(self.others["snow"].values, axis=0)
        if self.observed is not None:
            known = np.isfinite(self.observed.values)
            ours = np.where(known, flow, 0.0).sum(axis=0)
            theirs = np.where(known, self.observed.values, 0.0).sum(axis=0)
            found["error of runoff, %"] = np.divide(
                100.0 * (ours - theirs), theirs, out=np.full(ours.shape, np.nan), where=theirs > 0
            )
        return found

    def coordinates(self) -> tuple[NDArray, NDArray] | None:
        """Return longitudes and latitudes, where two places at least have some."""
        if not {"longitude", "latitude"} <= set(self.flow.coords):
            return None
        pair = self.flow["longitude"].values.astype(float), self.flow["latitude"].values
        return pair if worth_a_map(*pair) else None


def draw_overview(
    folder: Path,
    overview: Overview,
    wanted: Sequence[str] = (),
    whole: bool = False,
    parameters: Mapping[str, NDArray] | None = None,
) -> list[Path]:
    """Draw results.

    `hydrographs.png`, `regime.png` (means of each month), `flow_duration.png`, and of several
    catchments with coordinates `map.png` and, where they are given, `parameters.png`.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    overview : Overview
    wanted : sequence of str
        Catchments that are drawn one by one; some from dry to wet, unless given.
    whole : bool
        Whether hydrographs show all, instead of the last two years.
    parameters : mapping of array, shape (catchments,), optional
        Parameters of the same catchments, by name and units.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ResultsError
        If a catchment is not there.
    """
    rows = overview.chosen(wanted)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in ("hydrographs.png", "regime.png", "flow_duration.png")]
    title = "Simulated flow" if overview.observed is None else "Simulated and observed flow"
    hydrographs(written[0], [overview.hydrograph(row, whole) for row in rows], title)
    ids = overview.ids
    plots.regimes(written[1], {ids[row]: _regime(overview, row) for row in rows})
    durations = {}
    for row in rows:
        series = {"simulated": overview.flow.values[:, row]}
        if overview.observed is not None:
            series["observed"] = overview.observed.values[:, row]
        durations[ids[row]] = series
    plots.flow_duration(written[2], durations, "mm d$^{-1}$")
    where = overview.coordinates()
    if where is not None:
        written.append(folder / "map.png")
        value_maps(written[-1], *where, overview.means(), f"{len(ids)} catchments")
        if parameters:
            written.append(folder / "parameters.png")
            title = f"Parameters of {len(ids)} catchments, means of parallel parameter sets"
            value_maps(written[-1], *where, dict(parameters), title)
    return written


def _regime(overview: Overview, row: int) -> dict[str, NDArray]:
    """Return monthly means of a catchment, in mm d-1."""
    import pandas

    months = pandas.DatetimeIndex(overview.flow["time"].values).month.to_numpy()
    series = {
        name: overview.others[name].values
        for name in ("precipitation", "evapotranspiration")
        if name in overview.others
    }
    series["simulated flow"] = overview.flow.values
    if overview.observed is not None:
        observed = overview.observed.values
        # Of the same days, so that both can be compared.
        series["simulated flow"] = np.where(np.isfinite(observed), overview.flow.values, np.nan)
        series["observed flow"] = observed
    return {name: monthly_means(values[:, [row]], months)[:, 0] for name, values in series.items()}
