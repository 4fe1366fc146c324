"""Weather, observed flow and attributes of many catchments, as training needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import CLIMATE
from ..catchments.climate import climate_indices, day_of_year
from ..catchments.soil_texture import soil_properties
from ..errors import TrainingError
from ..networks.learned_evapotranspiration import LearnedEvapotranspiration
from .gauges import GaugedRiver


@dataclass(frozen=True)
class TrainingData:
    """Daily records of catchments.

    Attributes
    ----------
    ids : array of str, shape (catchments,)
    dates : array of datetime64[D], shape (days,)
    forcing : array, shape (days, 3, catchments)
        Precipitation (mm d-1), temperature (degC), potential evapotranspiration (mm d-1).
    streamflow : array, shape (days, stations)
        Observed, mm d-1, NaN where missing. Stations are the catchments' outlets, or gauges.
    attributes : dict of array, shape (catchments,)
        By canonical name, those of climate from the whole of `forcing`, and `area`.
    flagged : array of bool, shape (catchments,)
        Whether the source doubts the record.
    fold : array of int, shape (catchments,)
        Spatial group, so that neighbours stay together.
    latitude, longitude : array, shape (catchments,)
    evapotranspiration : LearnedEvapotranspiration
        Says of which method the potential evapotranspiration is, where that is known.
    gauged : GaugedRiver, optional
        The river between catchments and gauges, where flow is that of gauges.
    gauges : array of str, shape (stations,), optional
        Ids of these gauges.
    targets : mapping of array, shape (days, catchments)
        What is observed beside flow, by the names of `evaluation.targets.TARGETS`, NaN where it is
        not: snow in mm, evapotranspiration in mm d-1.
    """

    ids: NDArray
    dates: NDArray
    forcing: NDArray
    streamflow: NDArray
    attributes: dict[str, NDArray]
    flagged: NDArray
    fold: NDArray
    latitude: NDArray
    longitude: NDArray
    evapotranspiration: LearnedEvapotranspiration = field(default_factory=LearnedEvapotranspiration)
    gauged: GaugedRiver | None = None
    gauges: NDArray | None = None
    targets: Mapping[str, NDArray] = field(default_factory=dict)

    @property
    def stations(self) -> NDArray:
        """Ids of the stations of `streamflow`."""
        return self.ids if self.gauges is None else self.gauges

    @property
    def records(self) -> tuple[NDArray, NDArray]:
        """First day with weather of each catchment, and the day after its last.

        In data sets that were joined they differ. A gap within a record is none of this: it is an
        error that training finds.
        """
        known = np.isfinite(self.forcing).all(axis=1)
        known[:, ~known.any(axis=0)] = True
        return known.argmax(axis=0), len(known) - known[::-1].argmax(axis=0)

    def catchments(self, chosen: NDArray) -> TrainingData:
        """Return the data of some catchments, given as indices or truth values.

        Raises
        ------
        TrainingError
            If flow is that of gauges, which need all that drain to them.
        """
        if self.gauged is not None:
            if np.array_equal(np.arange(len(self.ids))[chosen], np.arange(len(self.ids))):
                return self
            raise TrainingError(
                "catchments that drain to gauges cannot be held out one by one; leave out "
                "split.hold_out, or train on a network without those gauges"
            )
        return replace(
            self,
            ids=self.ids[chosen],
            forcing=np.ascontiguousarray(self.forcing[:, :, chosen]),
            streamflow=self.streamflow[:, chosen],
            attributes={name: values[chosen] for name, values in self.attributes.items()},
            flagged=self.flagged[chosen],
            fold=self.fold[chosen],
            latitude=self.latitude[chosen],
            longitude=self.longitude[chosen],
            targets={name: values[:, chosen] for name, values in self.targets.items()},
        )

    def period(self, start: str, end: str) -> TrainingData:
        """Return the records of the days from `start` to `end`, both included."""
        days = self.between(start, end)
        return replace(
            self,
            dates=self.dates[days],
            forcing=self.forcing[days],
            streamflow=self.streamflow[days],
            targets={name: values[days] for name, values in self.targets.items()},
        )

    def observed_in(self, start: str, end: str) -> TrainingData:
        """Return the catchments with at least a year of observed flow in these days."""
        count = np.isfinite(self.streamflow[self.between(start, end)]).sum(axis=0)
        return self.catchments(count >= 365)

    def climate_of(self, start: str, end: str) -> TrainingData:
        """Return the same data with climate attributes of the days from `start` to `end`."""
        days = self.between(start, end)
        dates = self.dates[days]
        day = day_of_year(dates)
        precipitation, temperature, pet = self.forcing[days].transpose(1, 0, 2).astype(float)
        indices = climate_indices(precipitation, temperature, pet, day)
        return replace(self, attributes={**self.attributes, **indices})

    def joined(self, other: TrainingData) -> TrainingData:
        """Return the catchments of both, over the days of both.

        Parameters
        ----------
        other : TrainingData
            Of other days too; its catchments whose ids are here already are left out, since a gauge
            that is in two data sets would count twice.

        Returns
        -------
        TrainingData
            With the attributes that both have, as they are (climate of their own days). Weather
            and flow are NaN on days that a catchment has no record of; so is what one of both has
            observed beside flow, for the catchments of the other.
        """
        other = other.catchments(~np.isin(other.ids, self.ids))
        first, last = min(self.dates[0], other.dates[0]), max(self.dates[-1], other.dates[-1])
        dates = np.arange(first, last + np.timedelta64(1, "D"))

        def over_all(one: NDArray, two: NDArray) -> NDArray:
            shape = (len(dates), *one.shape[1:-1], one.shape[-1] + two.shape[-1])
            whole = np.full(shape, np.nan, one.dtype)
            for data, values, columns in (
                (self, one, slice(0, one.shape[-1])),
                (other, two, slice(one.shape[-1], None)),
            ):
                start = int((data.dates[0] - first).astype(int))
                whole[start : start + len(values), ..., columns] = values
            return whole

        def both(one: NDArray, two: NDArray) -> NDArray:
            return np.concatenate([one, two])

        # Folds of two data sets are different groups of neighbours.
        apart = 1 + self.fold.max(initial=0)
        return replace(
            self,
            ids=both(self.ids, other.ids),
            dates=dates,
            forcing=over_all(self.forcing, other.forcing),
            streamflow=over_all(self.streamflow, other.streamflow),
            attributes={
                name: both(values, other.attributes[name])
                for name, values in self.attributes.items()
                if name in other.attributes
            },
            flagged=both(self.flagged, other.flagged),
            fold=both(self.fold, other.fold + apart),
            latitude=both(self.latitude, other.latitude),
            longitude=both(self.longitude, other.longitude),
            targets={
                name: over_all(self._target(name), other._target(name))
                for name in {**self.targets, **other.targets}
            },
        )

    def _target(self, name: str) -> NDArray:
        """Return observations of a target; NaN where there are none at all."""
        nothing = np.full((len(self.dates), len(self.ids)), np.nan, np.float32)
        return self.targets.get(name, nothing)

    def between(self, start: str, end: str) -> slice:
        """Return the days from `start` to `end`, both included."""
        first = int(np.searchsorted(self.dates, np.datetime64(start)))
        last = int(np.searchsorted(self.dates, np.datetime64(end), side="right"))
        return slice(first, last)


# Where files of gauged catchments keep what the vocabulary of `attributes` names.
_FILE_ATTRIBUTES = {
    "soil_porosity": "noah_poros",
    "wilting_point": "noah_wp",
    "clapp_hornberger_b": "noah_b",
    "log10_saturated_conductivity": "noah_log10_ksat",
    "forest_fraction": "forest_frac",
    "sand_percentage": "soil_sand_pct",
    "clay_percentage": "soil_clay_pct",
    "soil_depth": "soil_depth_pelletier",
    "maximum_water_content": "max_water_content",
    "leaf_area_index_maximum": "lai_max",
    "leaf_area_index_difference": "lai_diff",
    "greenness_maximum": "gvf_max",
    "greenness_difference": "gvf_diff",
    "carbonate_rocks_fraction": "carbonate_rocks_frac",
    "subsurface_permeability": "geol_permeability",
    "mean_elevation": "elev_m",
    "mean_slope": "slope_m_km",
    "area": "area_km2",
}


def read_gauged(path: Path) -> TrainingData:
    """Read a NetCDF file of gauged catchments: MOPEX, CAMELS.

    Parameters
    ----------
    path : Path
        With variables `prcp`, `tmean`, `pet`, `streamflow` (basin, time) in mm d-1 and degC,
        `attributes` (basin, attr), `qc_flag`, `fold_spatial`, `gauge_lat`, `gauge_lon` (basin).

    Returns
    -------
    TrainingData
        Climate attributes are those of the whole record; see `TrainingData.climate_of`. Soil
        properties that the file lacks are made of its texture (`catchments.soil_texture`), single
        values that are missing are the median of the others.
    """
    import xarray

    with xarray.open_dataset(path) as data:
        forcing = np.stack([data[name].values.T for name in ("prcp", "tmean", "pet")], axis=1)
        columns = dict(zip(data["attr"].values, data["attributes"].values.T, strict=True))
        flow = data["streamflow"].values.T
        result = TrainingData(
            ids=data["basin"].values.astype(str),
            dates=data["time"].values.astype("datetime64[D]"),
            forcing=forcing.astype(np.float32),
            streamflow=np.where(flow < 0.0, np.nan, flow).astype(np.float32),
            attributes=_vocabulary(columns),
            flagged=data["qc_flag"].values != 0,
            fold=data["fold_spatial"].values.astype(int),
            latitude=data["gauge_lat"].values,
            longitude=data["gauge_lon"].values,
        )
    complete = result.climate_of(str(result.dates[0]), str(result.dates[-1]))
    assert set(CLIMATE) <= set(complete.attributes)
    return complete


def _vocabulary(columns: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return the attributes of a file under the names of the vocabulary, without gaps."""
    found = {
        name: columns[source].astype(float)
        for name, source in _FILE_ATTRIBUTES.items()
        if source in columns
    }
    if "wilting_point" not in found and {"sand_percentage", "clay_percentage"} <= set(found):
        mineral = found["sand_percentage"] + found["clay_percentage"]
        if "soil_silt_pct" in columns:
            mineral = mineral + columns["soil_silt_pct"]
            sand, clay = (
                100.0 * found[name] / mineral for name in ("sand_percentage", "clay_percentage")
            )
        else:
            sand, clay = found["sand_percentage"], found["clay_percentage"]
        found = {**soil_properties(sand, clay), **found}
    return {
        name: np.where(np.isfinite(values), values, np.nanmedian(values))
        for name, values in found.items()
    }
