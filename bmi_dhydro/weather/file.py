"""Weather from NetCDF files, in blocks, whatever their layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ForcingError, UnitsError, listed, nearest, without_zeros
from ..io.netcdf import READ_ERRORS, Reader, identifier, texts
from ..units import SECONDS_PER_DAY, conversion, dimension
from .evapotranspiration_choice import said_method
from .quantities import (
    HUMIDITY,
    PET,
    PRECIPITATION,
    PRESSURE,
    QUANTITIES,
    RADIATION,
    TEMPERATURE,
    TEMPERATURE_EXTREMES,
    WIND,
)
from .tables import AORC_UNITS, gathered

# Names under which data sets keep a quantity: CF standard names, then variable names.
_KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    PRECIPITATION: (
        "precipitation_flux",
        "lwe_precipitation_rate",
        "precipitation_amount",
        "lwe_thickness_of_precipitation_amount",
        "precipitation",
        "prcp",
        "precip",
        "pr",
        "P",
        "precip_rate",
        "APCP_surface",
        "RAINRATE",
        "total_precipitation",
        "tp",
    ),
    TEMPERATURE: (
        "air_temperature",
        "temperature",
        "tmean",
        "tas",
        "temp",
        "TMP_2maboveground",
        "T2D",
        "t2m",
        "tavg",
        "T",
    ),
    TEMPERATURE_EXTREMES[0]: ("temperature_minimum", "tmin", "tasmin", "mn2t"),
    TEMPERATURE_EXTREMES[1]: ("temperature_maximum", "tmax", "tasmax", "mx2t"),
    PET: (
        "water_potential_evaporation_flux",
        "water_potential_evaporation_amount",
        "potential_evapotranspiration",
        "pet",
        "PET",
        "evspsblpot",
        "pev",
    ),
    RADIATION[0]: (
        "surface_downwelling_shortwave_flux_in_air",
        "shortwave_radiation",
        "DSWRF_surface",
        "SWDOWN",
        "rsds",
    ),
    RADIATION[1]: (
        "surface_downwelling_longwave_flux_in_air",
        "longwave_radiation",
        "DLWRF_surface",
        "LWDOWN",
        "rlds",
    ),
    HUMIDITY: ("specific_humidity", "SPFH_2maboveground", "Q2D", "huss"),
    PRESSURE: ("surface_air_pressure", "air_pressure", "PRES_surface", "PSFC", "ps"),
    WIND[0]: ("eastward_wind", "wind_x", "UGRD_10maboveground", "U2D", "uas"),
    WIND[1]: ("northward_wind", "wind_y", "VGRD_10maboveground", "V2D", "vas"),
}
_TIME_NAMES = ("time", "Time")

# Units of time since 1970, and how many make a second.
_EPOCH_UNITS = {
    **dict.fromkeys(("", "s", "seconds"), 1),
    **dict.fromkeys(("ms", "milliseconds"), 10**3),
    **dict.fromkeys(("us", "microseconds"), 10**6),
    **dict.fromkeys(("ns", "nanoseconds"), 10**9),
}

# Seconds from 1970 beyond which a time is none: three thousand years.
_FAR_AWAY = 3000 * 366 * SECONDS_PER_DAY

# Longest steps of a file from which the extremes of a day can be taken.
_LONGEST_OF_EXTREMES = 3 * 3600

_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")


class ForcingFile:
    """A NetCDF file of weather for catchments.

    Its variables have a catchment and a time dimension, in either order. Catchments are named by
    the variable with `cf_role = "timeseries_id"` or one called `ids`, `basin`, ...; time is CF, or
    the (catchment, time) epoch seconds of NextGen files. Values stand for the step that begins at
    their time.

    Parameters
    ----------
    path : Path
        Or a folder of tables, one for each catchment: see `tables.gather_tables`.
    ids : sequence of str
        The catchments to read, in the order wanted.
    names : mapping
        Variable names by quantity, where they are not recognised.
    step_seconds : int
        Length of a model step: a whole multiple of the file's.

    Attributes
    ----------
    opened : Path
        The NetCDF file itself, or the one that was made of tables.
    start, end : datetime64[s]
        Start and end of the period that is read; the whole file, until `begin_at` is called.
    steps : int
        Whole model steps in the period.
    first : datetime64[s]
        Start of the first step in the file.
    steps_in_file : int
        Whole model steps in the file.
    available : tuple of str
        Quantities found.

    Raises
    ------
    ForcingError
        If the file, its catchments, its time axis or its units are not usable.
    """

    def __init__(
        self, path: Path, ids: Sequence[str] | NDArray, names: Mapping[str, str], step_seconds: int
    ) -> None:
        self.path = path
        if not path.exists():
            raise ForcingError(f"{path}: no such weather file")
        try:
            self.opened = gathered(path, np.asarray(ids)) if path.is_dir() else path
            self._reader = Reader(self.opened)
        except READ_ERRORS as error:
            raise ForcingError(f"{path}: not a readable NetCDF file ({error})") from None
        self._wanted = np.asarray(ids)
        self.step_seconds = step_seconds
        try:
            self._describe(names)
        except READ_ERRORS as error:
            if isinstance(error, ForcingError):
                raise
            raise self._error(f"it is damaged ({error!r}); copy it again") from None

    def _describe(self, names: Mapping[str, str]) -> None:
        """Find variables, catchments, times and units."""
        step_seconds = self.step_seconds
        self._variables = self._find_variables(names)
        self._id_dimension = self._find_catchments()
        times = self._read_times()
        self._file_seconds = self._regular_step(times)
        if step_seconds % self._file_seconds:
            raise self._error(
                f"its step is {self._file_seconds} s, which does not divide the model's "
                f"{step_seconds} s; set time.step to the file's step or a multiple of it"
            )
        self._per_step = step_seconds // self._file_seconds
        self.first: np.datetime64 = np.datetime64(int(times[0]), "s")
        self.steps_in_file = times.size // self._per_step
        self.start: np.datetime64 = self.first
        self.steps = self.steps_in_file
        self._origin = 0
        for quantity, name in self._variables.items():
            self._check_shape(quantity, name, times.size)
        self._conversions = {name: self._conversion(name) for name in self._variables}

    def _check_shape(self, quantity: str, name: str, steps: int) -> None:
        """Refuse a variable that is not one of catchments and times."""
        variable = self._data[name]
        lengths = dict(zip(variable.dimensions, variable.shape, strict=True))
        catchments = lengths.pop(self._id_dimension, None)
        if catchments != self._ids.size or list(lengths.values()) != [steps]:
            raise self._error(
                f"{name} ({quantity}) has dimensions {', '.join(variable.dimensions)} "
                f"{variable.shape}; expected {self._id_dimension} ({self._ids.size}) and time "
                f"({steps})"
            )

    def variable(self, quantity: str) -> str | None:
        """Return the name of a quantity in the file, if it has it."""
        return self._variables.get(quantity)

    def has(self, name: str) -> bool:
        """Return whether the file has a variable of a name."""
        return name in self._data.variables

    @property
    def _data(self) -> Any:
        return self._reader.data

    @property
    def available(self) -> tuple[str, ...]:
        """Quantities that the file has."""
        return tuple(self._variables)

    @property
    def derivable(self) -> tuple[str, ...]:
        """Quantities that the file does not have, but that its hours give: extremes of a day."""
        if TEMPERATURE in self._variables and self._file_seconds <= _LONGEST_OF_EXTREMES:
            return tuple(name for name in TEMPERATURE_EXTREMES if name not in self._variables)
        return ()

    @property
    def end(self) -> np.datetime64:
        """End of the last step."""
        return self.start + np.timedelta64(self.steps * self.step_seconds, "s")

    def said_method(self) -> str | None:
        """Return the method of potential evapotranspiration that the file says it has, if any."""
        name = self._variables.get(PET)
        if name is None:
            return None
        attributes = {**self._data[name].__dict__, "name": name}
        return said_method(" ".join(str(value) for value in attributes.values()))

    def __enter__(self) -> ForcingFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        column: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading is over."""
        self._reader.close()

    def begin_at(self, start: np.datetime64, end: np.datetime64 | None) -> None:
        """Choose the period: `read` counts steps from `start`.

        Raises
        ------
        ForcingError
            If the file does not cover it, or a step does not begin at `start`.
        """
        stop = self.first + np.timedelta64(self.steps_in_file * self.step_seconds, "s")
        if start < self.first or (end is not None and end > stop):
            raise self._error(f"it covers {self.first} to {stop}, not {start} to {end or stop}")
        shift = int((start - self.first).astype(int))
        if shift % self._file_seconds:
            raise self._error(f"none of its steps begins at {start}")
        self._origin = shift // self._file_seconds
        remaining = int(((end if end is not None else stop) - start).astype(int))
        self.steps = remaining // self.step_seconds
        self.start = start
        if self.steps == 0:
            raise self._error(f"there is no whole step between {start} and {end or stop}")

    def read(
        self,
        quantities: Sequence[str],
        first: int,
        count: int,
        catchments: slice | NDArray = slice(None),
    ) -> NDArray:
        """Read a block of steps.

        Parameters
        ----------
        quantities : sequence of str
            Among `weather.quantities.QUANTITIES`; mean temperature may be made of the extremes.
        first, count : int
            Steps, from the start of the period.
        catchments : slice or array of int
            Some of the wanted ones.

        Returns
        -------
        array, shape (count, quantities, catchments)
            float64; water in mm per model step, all else in the units of `QUANTITIES`.

        Raises
        ------
        ForcingError
            If a value is missing or impossible; names variable, catchment and time.
        """
        rows = self._rows[catchments]
        result = np.empty((count, len(quantities), rows.size))
        for k, quantity in enumerate(quantities):
            result[:, k] = self._quantity(quantity, first, count, rows)
        return result

    def _quantity(self, quantity: str, first: int, count: int, rows: NDArray) -> NDArray:
        if quantity not in self._variables:
            if quantity == TEMPERATURE and set(TEMPERATURE_EXTREMES) <= set(self._variables):
                low, high = (
                    self._quantity(name, first, count, rows) for name in TEMPERATURE_EXTREMES
                )
                return 0.5 * (low + high)
            if quantity in self.derivable:
                return self._extreme_of_day(quantity, first, count, rows)
            raise self._error(
                f"there is no variable for {quantity}; name it in forcing.variables "
                f"(the file has {', '.join(self._data.variables)})"
            )
        begin = self._origin + first * self._per_step
        values = self._raw(quantity, begin, count * self._per_step, rows)
        values = values.reshape(count, self._per_step, rows.size)
        return values.sum(axis=1) if QUANTITIES[quantity].is_depth else values.mean(axis=1)

    def _raw(self, quantity: str, begin: int, size: int, rows: NDArray) -> NDArray:
        """Return checked values of some steps of the file: shape (steps, catchments)."""
        variable = self._data[self._variables[quantity]]
        steps = slice(begin, begin + size)
        first_row, last_row = int(rows.min()), int(rows.max()) + 1
        try:
            if variable.dimensions[0] == self._id_dimension:
                raw = variable[first_row:last_row, steps].T
            else:
                raw = variable[steps, first_row:last_row]
            masked: Any = np.ma.asarray(raw, dtype=float)
        except READ_ERRORS as error:
            raise self._error(
                f"{self._variables[quantity]} cannot be read between "
                f"{np.datetime64(int(self._epoch[begin]), 's')} and "
                f"{np.datetime64(int(self._epoch[begin + size - 1]), 's')} ({error}); the file is "
                "damaged: copy it again"
            ) from None
        values: NDArray = np.ma.filled(masked, np.nan)[:, rows - first_row]
        scale, offset = self._conversions[quantity]
        values = values * scale + offset
        self._check(quantity, values, rows, begin)
        return np.maximum(values, 0.0) if QUANTITIES[quantity].is_depth else values

    def _extreme_of_day(self, quantity: str, first: int, count: int, rows: NDArray) -> NDArray:
        """Return the lowest or highest temperature of the day (in UTC) of each step.

        At the ends of the file, where a day is not whole, the nearest 24 hours stand for it.
        """
        per_day = SECONDS_PER_DAY // self._file_seconds
        begin = self._origin + first * self._per_step
        size = count * self._per_step
        # Steps of the file since midnight, at the first one that is wanted.
        since = int(self._epoch[begin] % SECONDS_PER_DAY) // self._file_seconds
        total = self._epoch.size
        if total < per_day:
            raise self._error(f"{quantity}: the file has less than a day to take it from")
        starts = begin - since + np.arange(-(-(since + size) // per_day)) * per_day
        starts = np.clip(starts, 0, total - per_day)
        low, high = int(starts.min()), int(starts.max()) + per_day
        hours = self._raw(TEMPERATURE, low, high - low, rows)
        pick = np.min if quantity == TEMPERATURE_EXTREMES[0] else np.max
        days = np.stack([pick(hours[k - low : k - low + per_day], axis=0) for k in starts])
        values = np.repeat(days, per_day, axis=0)[since : since + size]
        return values.reshape(count, self._per_step, rows.size).mean(axis=1)

    def _check(self, quantity: str, values: NDArray, rows: NDArray, begin: int) -> None:
        wrong = ~np.isfinite(values)
        problem = "missing"
        if not wrong.any():
            item = QUANTITIES[quantity]
            lowest = 0.0 if quantity == PRECIPITATION else item.lowest
            wrong = (values < lowest) | (values > item.highest)
            problem = "impossible"
        if not wrong.any():
            return
        step, column = np.argwhere(wrong)[0].tolist()
        moment = np.datetime64(int(self._epoch[begin + step]), "s")
        value = "" if problem == "missing" else f" ({values[step, column]:.6g})"
        raise self._error(
            f"{quantity} ({self._variables[quantity]}) is {problem}{value} for catchment "
            f"{self._ids[rows[column]]} at {moment}; {int(wrong.sum())} such values in this block"
        )

    def _error(self, message: str) -> ForcingError:
        return ForcingError(f"{self.path}: {message}")

    def _find_variables(self, names: Mapping[str, str]) -> dict[str, str]:
        for quantity, name in names.items():
            if quantity not in QUANTITIES:
                raise ForcingError(
                    f"forcing.variables: {quantity!r} is unknown; {nearest(quantity, QUANTITIES)}"
                )
            if name not in self._data.variables:
                raise self._error(
                    f"there is no variable {name!r} (forcing.variables.{quantity}); "
                    f"{nearest(name, self._data.variables)}"
                )
        found = dict(names)
        by_standard_name = {
            getattr(variable, "standard_name", None): name
            for name, variable in self._data.variables.items()
            if variable.ndim == 2
        }
        for quantity, known in _KNOWN_NAMES.items():
            for name in known:
                if quantity in found:
                    break
                if name in self._data.variables and self._data[name].ndim == 2:
                    found[quantity] = name
                elif name in by_standard_name and not (
                    # Extremes share the standard name of the mean.
                    quantity == TEMPERATURE
                    and by_standard_name[name]
                    in _KNOWN_NAMES[TEMPERATURE_EXTREMES[0]] + _KNOWN_NAMES[TEMPERATURE_EXTREMES[1]]
                ):
                    found[quantity] = by_standard_name[name]
        if PRECIPITATION not in found:
            raise self._error(
                "there is no precipitation that is recognised; name it in forcing.variables "
                f"(the file has {', '.join(self._data.variables)})"
            )
        return {quantity: found[quantity] for quantity in QUANTITIES if quantity in found}

    def _find_catchments(self) -> str:
        """Find the id variable; set `_ids` and the rows of the wanted catchments."""
        name = identifier(self._data.variables)
        if name is None:
            raise self._error(
                "no variable names its catchments; give one cf_role = 'timeseries_id' or call it "
                "'ids'"
            )
        variable = self._data[name]
        self._ids = texts(variable)
        if self._ids.ndim != 1 or not self._ids.size:
            raise self._error(f"{name} names no catchments")
        self._order = np.argsort(self._ids)
        self._rows = self.rows_of(self._wanted)
        return str(variable.dimensions[0])

    def rows_of(self, ids: NDArray) -> NDArray:
        """Return where the file has some catchments.

        Raises
        ------
        ForcingError
            If it lacks one.
        """
        places = np.searchsorted(self._ids, ids, sorter=self._order)
        places = self._order[np.minimum(places, self._order.size - 1)]
        absent = ids[self._ids[places] != ids]
        if absent.size:
            hint = without_zeros(absent.tolist(), self._ids.tolist())
            raise self._error(f"it has no weather for catchment {listed(absent)}{hint}")
        return places

    def _read_times(self) -> NDArray:
        """Return the epoch seconds of the file's steps."""
        name = next((name for name in _TIME_NAMES if name in self._data.variables), None)
        if name is None:
            raise self._error("there is no variable 'time'")
        variable = self._data[name]
        units = str(getattr(variable, "units", "")).strip()
        values = variable[0, :] if variable.ndim == 2 else variable[:]
        if np.ma.is_masked(values):
            raise self._error(f"{name} has missing values")
        values = np.ma.getdata(values)
        if values.dtype.kind not in "iuf" or not np.isfinite(values.astype(float)).all():
            raise self._error(f"{name} has values that are no times")
        if variable.ndim == 2 and not np.array_equal(variable[int(self._rows.max())], values):
            raise self._error(f"{name} differs between catchments")
        if " since " not in units:
            if units in _EPOCH_UNITS:
                whole = values.astype(np.int64) if values.dtype.kind in "iu" else values
                return self._in_range(name, whole / _EPOCH_UNITS[units])
            raise self._error(f"{name} has units {units!r}; write 'days since 1990-01-01' or so")
        calendar = getattr(variable, "calendar", "standard").lower()
        if calendar not in _CALENDARS:
            raise self._error(
                f"its calendar is {calendar!r}; only the real one ({', '.join(_CALENDARS)}) is "
                "supported, since dates decide radiation and observations: convert the file first"
            )
        import cftime

        try:
            dates = cftime.num2date(values.astype(float), units, "proleptic_gregorian")
            origin = cftime.datetime(1970, 1, 1, calendar="proleptic_gregorian")
            seconds = np.array([round((date - origin).total_seconds()) for date in dates], float)
        except (ValueError, OverflowError) as error:
            raise self._error(f"{name} cannot be decoded: {error}") from None
        return self._in_range(name, seconds)

    def _in_range(self, name: str, seconds: NDArray) -> NDArray:
        """Keep the epoch seconds of the file's steps, if they are times of this age."""
        if (np.abs(seconds.astype(float)) > _FAR_AWAY).any():
            raise self._error(f"{name} has times that are thousands of years away; is it damaged?")
        self._epoch = seconds.astype(np.int64)
        return self._epoch

    def _regular_step(self, times: NDArray) -> int:
        if times.size < 2:
            raise self._error("it has fewer than two steps")
        lengths = np.diff(times)
        if (lengths <= 0).any():
            where = np.datetime64(int(times[int(np.argmax(lengths <= 0))]), "s")
            raise self._error(f"time does not increase after {where}")
        step = int(lengths[0])
        if (lengths != step).any():
            where = np.datetime64(int(times[int(np.argmax(lengths != step))]), "s")
            raise self._error(
                f"there is a gap or a change of step after {where}; weather must be complete"
            )
        return step

    def _conversion(self, quantity: str) -> tuple[float, float]:
        name = self._variables[quantity]
        units = getattr(self._data[name], "units", AORC_UNITS.get(name))
        if units is None:
            raise self._error(f"{name} has no units")
        units = str(units)
        try:
            item = QUANTITIES[quantity]
            if item.is_depth and dimension(units) == "rate":
                scale, offset = conversion(units, "mm s-1")
                return scale * self._file_seconds, offset
            return conversion(units, item.units)
        except UnitsError as error:
            raise self._error(f"{name} ({quantity}): {error}") from None
