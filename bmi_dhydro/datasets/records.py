"""Daily records of gauged catchments, and the files that training, runs and evaluation take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import CLIMATE
from ..catchments.catchments import Catchments
from ..errors import CatchmentError, ForcingError, counted, listed
from ..files.whole import replaced
from ..io.export import write_catchments
from ..io.netcdf import netcdf4
from ..io.stations import define_stations
from ..weather.quantities import PET, PRECIPITATION, QUANTITIES, TEMPERATURE, TEMPERATURE_EXTREMES

# Shares of a catchment's areas, from two sources, beyond which they are said to differ.
_AREAS_DIFFER = 0.05

# Fewer days of weather are no record to learn from.
_LEAST_DAYS = 366

_NAMES = {
    PRECIPITATION: ("precipitation", "precipitation", "mm d-1"),
    TEMPERATURE: ("temperature", "mean air temperature", "degC"),
    TEMPERATURE_EXTREMES[0]: (
        "temperature_minimum",
        "lowest air temperature of the day",
        "degC",
    ),
    TEMPERATURE_EXTREMES[1]: (
        "temperature_maximum",
        "highest air temperature of the day",
        "degC",
    ),
    PET: ("potential_evapotranspiration", "potential evapotranspiration", "mm d-1"),
    "shortwave_radiation": ("shortwave_radiation", "shortwave radiation, mean of the day", "W m-2"),
}

_TRAINING = """\
# A training run on {name}. All keys are explained by: bmi-dhydro docs training
output: trained
catchments: {{table: catchments.csv, climate: forcing}}
forcing: {{file: weather.nc, potential_evapotranspiration: {method}}}
observed: {{file: observed.nc, variable: streamflow}}
split:
  train: [{train[0]}, {train[1]}]
  validate: [{validate[0]}, {validate[1]}]
attributes: [{attributes}]
name: trained on {name}
licence: {licence}
# Run it:  bmi-dhydro train {folder}/training.yaml
"""

_RUN = """\
# A run of {name}. All keys are explained by: bmi-dhydro docs config
model: default
catchments: {{table: catchments.csv, climate: forcing}}
forcing: {{file: weather.nc, potential_evapotranspiration: {method}}}
output: {{file: results.nc}}
# Run it:  bmi-dhydro run {folder}/config.yaml
# Judge it:  bmi-dhydro evaluate {folder}/results.nc {folder}/observed.nc
"""


@dataclass(frozen=True)
class Record:
    """The days of one catchment, as its files have them.

    Attributes
    ----------
    start : datetime64[D]
    weather : mapping of array, shape (days,)
        By the names of `weather.quantities.QUANTITIES`; NaN where missing.
    flow : array, shape (days,)
        mm d-1, NaN where missing.
    quality : array of int, shape (days,)
        Index into `GaugedRecords.qualities`.
    """

    start: np.datetime64
    weather: Mapping[str, NDArray]
    flow: NDArray
    quality: NDArray | None = None

    @property
    def days(self) -> int:
        """Number of days."""
        return len(self.flow)

    def between(self, start: np.datetime64, days: int) -> Record:
        """Return some days of the record."""
        first = int((start - self.start).astype(int))
        chosen = slice(first, first + days)
        return replace(
            self,
            start=start,
            weather={name: values[chosen] for name, values in self.weather.items()},
            flow=self.flow[chosen],
            quality=None if self.quality is None else self.quality[chosen],
        )


@dataclass(frozen=True)
class GaugedRecords:
    """Daily weather and observed flow of gauged catchments.

    Attributes
    ----------
    name : str
        What people call the data set.
    licence, reference : str
    catchments : Catchments
    start : datetime64[D]
    weather : dict of array, shape (days, catchments)
    flow : array, shape (days, catchments)
        mm d-1, NaN where missing.
    quality : array of int8, shape (days, catchments), optional
    qualities : tuple of str
        What the numbers of `quality` mean.
    notes : list of str
        What people should know: areas that differ, catchments that were left out.
    """

    name: str
    licence: str
    reference: str
    catchments: Catchments
    start: np.datetime64
    weather: dict[str, NDArray]
    flow: NDArray
    quality: NDArray | None = None
    qualities: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def days(self) -> int:
        """Number of days."""
        return len(self.flow)


def together(
    name: str,
    licence: str,
    reference: str,
    catchments: Catchments,
    records: Sequence[Record],
    qualities: tuple[str, ...] = (),
    notes: Sequence[str] = (),
) -> GaugedRecords:
    """Join the records of catchments over the days that all of them have.

    Parameters
    ----------
    name, licence, reference, catchments, qualities, notes
        As `GaugedRecords`.
    records : sequence of Record
        One for each catchment.

    Raises
    ------
    ForcingError
        If they share less than a year, or weather is missing on a day that all others have.
    """
    starts = np.array([record.start for record in records])
    ends = starts + np.array([record.days for record in records])
    start, end = starts.max(), ends.min()
    days = int((end - start).astype(int))
    if days < _LEAST_DAYS:
        late, early = catchments.ids[starts == start], catchments.ids[ends == end]
        raise ForcingError(
            f"{name}: the records share {max(days, 0)} days; the latest begins on {start} "
            f"({listed(late)}), the first ends on {end - 1} ({listed(early)}): choose catchments"
        )
    notes = list(notes)
    if (ends - starts).max() > days:
        notes.append(f"only the days that all catchments have are taken: {start} to {end - 1}")
    records = [record.between(start, days) for record in records]
    weather = {}
    for quantity in records[0].weather:
        weather[quantity] = np.stack([record.weather[quantity] for record in records], axis=1)
        missing = np.argwhere(~np.isfinite(weather[quantity]))
        if missing.size:
            day, column = missing[0]
            raise ForcingError(
                f"{name}: {quantity} is missing on {len(missing)} days, the first {start + day} of "
                f"{catchments.ids[column]}"
            )
    quality = None
    if qualities:
        own = [record.quality for record in records if record.quality is not None]
        quality = np.stack(own, axis=1).astype(np.int8)
    return GaugedRecords(
        name,
        licence,
        reference,
        catchments,
        start,
        weather,
        np.stack([record.flow for record in records], axis=1),
        quality,
        qualities,
        notes,
    )


def differing_areas(ids: NDArray, areas: Mapping[str, NDArray]) -> list[str]:
    """Return a note for each pair of sources whose areas differ.

    Parameters
    ----------
    ids : array of str, shape (catchments,)
    areas : mapping of array, shape (catchments,)
        In km2, by source; the first is the one that is used.
    """
    (used, own), *others = areas.items()
    notes = []
    for source, values in others:
        apart = np.abs(values / own - 1.0) > _AREAS_DIFFER
        if apart.any():
            notes.append(
                f"areas of {used} and {source} differ by more than {100 * _AREAS_DIFFER:g} % in "
                f"{counted(int(apart.sum()), 'catchment')} ({listed(ids[apart])}); {used} is taken"
            )
    return notes


def without_negative(flow: NDArray, what: str) -> tuple[NDArray, str | None]:
    """Return flow with negative values as gaps, and a note where there are some."""
    wrong = flow < 0.0
    note = f"{what}: {int(wrong.sum())} values are negative and taken as missing"
    return np.where(wrong, np.nan, flow), note if wrong.any() else None


def check_days(dates: NDArray, path: Path, without_leap_day: str = "") -> None:
    """Reject days that do not follow each other in the calendar.

    Parameters
    ----------
    dates : array of datetime64[D], shape (days,)
    path : Path
        Of the file, for errors.
    without_leap_day : str
        Hint to add where 1 March comes too early.

    Raises
    ------
    ForcingError
        At the first gap.
    """
    gaps = np.flatnonzero(np.diff(dates) != np.timedelta64(1, "D"))
    if gaps.size:
        before, after = dates[gaps[0]], dates[gaps[0] + 1]
        hint = without_leap_day if str(after).endswith("03-01") else ""
        raise ForcingError(f"{path}: {before} is followed by {after}{hint}")


def check_range(values: NDArray, quantity: str, lowest: float, highest: float, what: str) -> None:
    """Reject values that are of another unit.

    Parameters
    ----------
    values : array, shape (days,)
    quantity : str
        What they are.
    lowest, highest : float
        Between which their mean lies, in the unit that is expected.
    what : str
        File and column.

    Raises
    ------
    ForcingError
        If it does not.
    """
    known = values[np.isfinite(values)]
    if known.size and not lowest <= known.mean() <= highest:
        raise ForcingError(
            f"{what}: the mean {quantity} is {known.mean():.4g}, expected {lowest:g} to "
            f"{highest:g}; is it in another unit?"
        )


def write(records: GaugedRecords, folder: Path) -> list[Path]:
    """Write a catchment table, weather, observed flow, and configurations to start from.

    Parameters
    ----------
    records : GaugedRecords
    folder : Path
        Made if it is not there; files of these names are replaced.

    Returns
    -------
    list of Path
        `catchments.csv`, `weather.nc`, `observed.nc`, `config.yaml`, `training.yaml`.

    Raises
    ------
    CatchmentError
        If the folder cannot be written.
    """
    names = ("catchments.csv", "weather.nc", "observed.nc", "config.yaml", "training.yaml")
    paths = [folder / name for name in names]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_catchments(paths[0], records.catchments, "%.9g", digest=True)
        _write_weather(paths[1], records)
        _write_flow(paths[2], records)
        for path, text in zip(paths[3:], _configurations(records, folder), strict=True):
            with replaced(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise CatchmentError(f"{folder}: cannot be written ({error})") from None
    return paths


def _configurations(records: GaugedRecords, folder: Path) -> tuple[str, str]:
    """Return the configuration of a run, and of training on the last two thirds of the days."""
    method = "forcing" if PET in records.weather else "hargreaves"
    middle = records.start + records.days // 3
    last = records.start + records.days - 1
    known = records.catchments.attributes
    attributes = [*CLIMATE, *(name for name, values in known.items() if np.isfinite(values).all())]
    common = {"name": records.name, "method": method, "folder": folder}
    training = _TRAINING.format(
        **common,
        train=(middle, last),
        validate=(records.start + 365, middle - 1),
        attributes=", ".join(attributes),
        licence=records.licence,
    )
    return _RUN.format(**common), training


def _begin(data: Any, records: GaugedRecords, title: str) -> None:
    data.setncatts(
        {
            "Conventions": "CF-1.10",
            "featureType": "timeSeries",
            "title": f"{title}: {records.name}",
            "license": records.licence,
            "references": records.reference,
        }
    )
    define_stations(data, records.catchments)
    data.createDimension("time", records.days)
    time = data.createVariable("time", "f8", ("time",))
    time.setncatts(
        {
            "units": f"days since {records.start}",
            "standard_name": "time",
            "calendar": "proleptic_gregorian",
        }
    )
    time[:] = np.arange(records.days, dtype=float)


def _write_weather(path: Path, records: GaugedRecords) -> None:
    with replaced(path) as temporary, netcdf4().Dataset(temporary, "w") as data:
        _begin(data, records, "Weather")
        for quantity, values in records.weather.items():
            name, long_name, units = _NAMES[quantity]
            assert units == QUANTITIES[quantity].units or QUANTITIES[quantity].is_depth
            variable = data.createVariable(name, "f4", ("station", "time"), compression="zlib")
            variable.setncatts({"units": units, "long_name": long_name})
            variable[:] = values.T


def _write_flow(path: Path, records: GaugedRecords) -> None:
    with replaced(path) as temporary, netcdf4().Dataset(temporary, "w") as data:
        _begin(data, records, "Observed flow")
        flow = data.createVariable(
            "streamflow", "f4", ("station", "time"), compression="zlib", fill_value=np.nan
        )
        flow.setncatts({"units": "mm d-1", "long_name": "observed flow, depth over the catchment"})
        flow[:] = records.flow.T
        if records.quality is None:
            return
        flow.ancillary_variables = "streamflow_quality"
        quality = data.createVariable(
            "streamflow_quality", "i1", ("station", "time"), compression="zlib"
        )
        quality.setncatts(
            {
                "long_name": "quality of observed flow, as its source says",
                "standard_name": "quality_flag",
                "flag_values": np.arange(len(records.qualities), dtype=np.int8),
                "flag_meanings": " ".join(records.qualities),
            }
        )
        quality[:] = records.quality.T
