"""Weather, observed flow and attributes of many catchments, as training needs them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import CLIMATE
from ..catchments.climate import climate_indices, day_of_year
from ..networks.learned_evapotranspiration import LearnedEvapotranspiration


@dataclass(frozen=True)
class TrainingData:
    """Daily records of catchments.

    Attributes
    ----------
    ids : array of str, shape (catchments,)
    dates : array of datetime64[D], shape (days,)
    forcing : array, shape (days, 3, catchments)
        Precipitation (mm d-1), temperature (degC), potential evapotranspiration (mm d-1).
    streamflow : array, shape (days, catchments)
        Observed, mm d-1, NaN where missing.
    attributes : dict of array, shape (catchments,)
        By canonical name, those of climate from the whole of `forcing`, and `area`.
    flagged : array of bool, shape (catchments,)
        Whether the source doubts the record.
    fold : array of int, shape (catchments,)
        Spatial group, so that neighbours stay together.
    latitude, longitude : array, shape (catchments,)
    evapotranspiration : LearnedEvapotranspiration
        Says of which method the potential evapotranspiration is, where that is known.
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

    def catchments(self, chosen: NDArray) -> TrainingData:
        """Return the data of some catchments, given as indices or truth values."""
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
        )

    def period(self, start: str, end: str) -> TrainingData:
        """Return the records of the days from `start` to `end`, both included."""
        days = self.between(start, end)
        return replace(
            self,
            dates=self.dates[days],
            forcing=self.forcing[days],
            streamflow=self.streamflow[days],
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

    def between(self, start: str, end: str) -> slice:
        """Return the days from `start` to `end`, both included."""
        first = int(np.searchsorted(self.dates, np.datetime64(start)))
        last = int(np.searchsorted(self.dates, np.datetime64(end), side="right"))
        return slice(first, last)


# Where the MOPEX file keeps what the vocabulary of `attributes` names.
_MOPEX_ATTRIBUTES = {
    "soil_porosity": "noah_poros",
    "wilting_point": "noah_wp",
    "clapp_hornberger_b": "noah_b",
    "log10_saturated_conductivity": "noah_log10_ksat",
    "forest_fraction": "forest_frac",
    "area": "area_km2",
}


def read_mopex(path: Path) -> TrainingData:
    """Read a NetCDF file of MOPEX catchments (Duan et al. 2006, 10.1016/j.jhydrol.2005.07.031).

    Parameters
    ----------
    path : Path
        With variables `prcp`, `tmean`, `pet`, `streamflow` (basin, time) in mm d-1 and degC,
        `attributes` (basin, attr), `qc_flag`, `fold_spatial`, `gauge_lat`, `gauge_lon` (basin).

    Returns
    -------
    TrainingData
        Climate attributes are those of the whole record; see `TrainingData.climate_of`.
    """
    import xarray

    with xarray.open_dataset(path) as data:
        forcing = np.stack([data[name].values.T for name in ("prcp", "tmean", "pet")], axis=1)
        names = list(data["attr"].values)
        table = data["attributes"].values
        result = TrainingData(
            ids=data["basin"].values.astype(str),
            dates=data["time"].values.astype("datetime64[D]"),
            forcing=forcing.astype(np.float32),
            streamflow=data["streamflow"].values.T.astype(np.float32),
            attributes={
                name: table[:, names.index(source)].astype(float)
                for name, source in _MOPEX_ATTRIBUTES.items()
            },
            flagged=data["qc_flag"].values != 0,
            fold=data["fold_spatial"].values.astype(int),
            latitude=data["gauge_lat"].values,
            longitude=data["gauge_lon"].values,
        )
    complete = result.climate_of(str(result.dates[0]), str(result.dates[-1]))
    assert set(CLIMATE) <= set(complete.attributes)
    return complete
