"""Weather of catchments in a file, as the forcing that a process model takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..catchments.climate import ShortRecordError, climate_indices, day_of_year
from ..errors import CatchmentError
from ..machine import check_memory
from ..units import SECONDS_PER_DAY
from .evapotranspiration_choice import TOLERANCE, EvapotranspirationChoice
from .file import ForcingFile
from .preparation import Preparation
from .quantities import FROM_FORCING, PET, PET_METHODS, choose_pet, computable_pet

_log = logging.getLogger(__name__)

# Weather read at a time may take this much memory, and this many steps.
AHEAD_BYTES = 32 * 2**20
AHEAD_STEPS = 1024


# Catchments that are looked at to find out of which method a file's evapotranspiration is.
_COMPARED = 64

# Quantities of weather that any method needs, and the forcing made of them.
_LARGEST_ROW = max(len(method.quantities) for method in PET_METHODS.values()) + 4


class WeatherSource:
    """A weather file, read for some catchments, with potential evapotranspiration.

    Parameters
    ----------
    path : Path
    catchments : Catchments
    names : mapping
        Variable names by quantity, where they are not recognised.
    method : str
        "forcing", a name in `PET_METHODS`, or "auto": what the file suffices for.
    step_seconds : int
    start, end : datetime64[s], optional
        Start and end of the period; the file's, unless given.
    evapotranspiration : EvapotranspirationChoice, optional
        What the model learned with, and what to do if the run takes another method; any is taken,
        unless given.
    lasting : bool
        Whether the file stays as it is, so that factors between two methods may be found in it.

    Attributes
    ----------
    pet_method : str
        "forcing", or the name of a method.
    evapotranspiration : str or None
        The method of what the run takes, of the file too; None where that does not say.
    preparation : Preparation
    start : datetime64[s]
    steps : int

    Raises
    ------
    ForcingError
        If the file does not have what is needed, or does not cover the period.
    """

    def __init__(
        self,
        path: Path,
        catchments: Catchments,
        names: Mapping[str, str],
        method: str,
        step_seconds: int,
        start: np.datetime64 | None = None,
        end: np.datetime64 | None = None,
        evapotranspiration: EvapotranspirationChoice | None = None,
        lasting: bool = True,
    ) -> None:
        self.path = path
        self._catchments = catchments
        self._step_seconds = step_seconds
        self._file = ForcingFile(path, catchments.ids, names, step_seconds)
        try:
            self._begin(method, start, end, evapotranspiration, lasting)
        except BaseException:
            self._file.close()
            raise

    def _begin(
        self,
        method: str,
        start: np.datetime64 | None,
        end: np.datetime64 | None,
        evapotranspiration: EvapotranspirationChoice | None,
        lasting: bool,
    ) -> None:
        """Choose the period, and the method of potential evapotranspiration."""
        self._file.begin_at(start if start is not None else self._file.start, end)
        self.start, self.steps = self._file.start, self._file.steps
        self.available = self._file.available
        choice = evapotranspiration or EvapotranspirationChoice()
        self.pet_method = self._chosen(choice) if method == "auto" else method
        # What the run takes is of this method; None where nobody knows.
        self.evapotranspiration: str | None = self.pet_method
        if self.pet_method == FROM_FORCING:
            self.evapotranspiration = self._file.said_method()
        self._factors: NDArray | None = None
        if choice.learned.methods:
            self._factors = self._factors_to(choice, lasting)
        self.preparation = self._prepared()

    def _chosen(self, choice: EvapotranspirationChoice) -> str:
        """Return the method that is best for the model and possible with this weather."""
        has_own, said = PET in self.available, self._file.said_method()
        method = choice.best(self._computable, said, has_own)
        if method is None:
            method = choose_pet(self.available, self._latitude_known)
        _log.info("potential evapotranspiration: %s", method)
        return method

    @property
    def _latitude_known(self) -> bool:
        return bool(np.isfinite(self._catchments.latitude).all())

    @property
    def _computable(self) -> list[str]:
        """Methods that the weather suffices for, extremes of a day taken from its hours too."""
        return computable_pet({*self.available, *self._file.derivable}, self._latitude_known)

    def _factors_to(self, choice: EvapotranspirationChoice, lasting: bool) -> NDArray | None:
        """Return what brings potential evapotranspiration to the method of training, if needed."""
        own, detail = self.evapotranspiration, ""
        learned = next((name for name in choice.learned.methods if name in self._computable), None)
        if own is None:
            if learned is None:
                _log.warning(
                    "%s: does not say of which method its potential evapotranspiration is, and the "
                    "model learned with %s; it is taken as it is",
                    self.path,
                    " or ".join(choice.learned.methods),
                )
                return None
            some = np.arange(min(len(self._catchments), _COMPARED))
            days = slice(0, min(self._file.steps_in_file, 2 * 366 * self._steps_per_day))
            theirs, ours = (
                self._monthly_means(name, some, days) for name in (self.pet_method, learned)
            )
            ratio = float(np.median(np.nansum(theirs, axis=0) / np.nansum(ours, axis=0)))
            if abs(ratio - 1.0) <= TOLERANCE:
                return None
            detail = f" (it is {ratio:.2f} times that)"
        elif choice.fits(own):
            return None
        measured = None
        years = self._whole_years
        if choice.mismatch == "rescale" and learned is not None and years.stop and lasting:
            every = np.arange(len(self._catchments))
            theirs, ours = (
                self._monthly_means(name, every, years) for name in (self.pet_method, learned)
            )
            measured = np.divide(ours, theirs, out=np.ones_like(ours), where=theirs > 0.0)
        return choice.factors(own, self._catchments.latitude, measured, str(self.path), detail)

    @property
    def _steps_per_day(self) -> int:
        return SECONDS_PER_DAY // self._step_seconds

    @property
    def _whole_years(self) -> slice:
        """Steps of the file's whole years of 365 days, from its beginning on."""
        year = 365 * self._steps_per_day
        return slice(0, self._file.steps_in_file // year * year)

    def _monthly_means(self, method: str, rows: NDArray, steps: slice) -> NDArray:
        """Return the potential evapotranspiration of a method, whatever the period of the run.

        Parameters
        ----------
        method : str
        rows : array of int
            Rows of the catchments.
        steps : slice
            From the beginning of the file on.

        Returns
        -------
        array, shape (12, catchments)
            Mean of the steps of each month, in mm per step; NaN where there is none.
        """
        file, total = self._file, np.zeros((12, rows.size))
        count = np.zeros(12)
        period = file.start, file.end
        file.begin_at(file.first, None)
        try:
            for part in self._parts(AHEAD_STEPS, rows.size):
                chosen = self._catchments.subset(rows[part])
                preparation = self._prepared(chosen, method, file.first)
                for first in range(steps.start, steps.stop, AHEAD_STEPS):
                    size = min(AHEAD_STEPS, steps.stop - first)
                    weather = file.read(preparation.quantities, first, size, part)
                    pet = preparation.block(weather, first)[:, 2]
                    times = file.first + np.arange(first, first + size) * np.timedelta64(
                        self._step_seconds, "s"
                    )
                    months = times.astype("datetime64[M]").astype(int) % 12
                    for month in np.unique(months):
                        total[month, part] += pet[months == month].sum(axis=0)
                        if part.start == 0:
                            count[month] += (months == month).sum()
        finally:
            file.begin_at(*period)
        return np.divide(
            total, count[:, None], out=np.full_like(total, np.nan), where=count[:, None] > 0
        )

    def monthly_means(self, method: str) -> NDArray | None:
        """Return the mean potential evapotranspiration by a method, of each month of the file.

        Parameters
        ----------
        method : str

        Returns
        -------
        array, shape (12, catchments), or None
            In mm per step; None where the weather does not suffice for the method, or is shorter
            than a year.
        """
        years = self._whole_years
        known = method in self._computable or (method == FROM_FORCING and PET in self.available)
        if not years.stop or not known:
            return None
        return self._monthly_means(method, np.arange(len(self._catchments)), years)

    def _prepared(
        self,
        catchments: Catchments | None = None,
        method: str | None = None,
        start: np.datetime64 | None = None,
    ) -> Preparation:
        """Return the preparation of a run; of another method, without factors."""
        chosen = self._catchments if catchments is None else catchments
        factors = self._factors if method is None else None
        if factors is not None and catchments is not None:
            places = {name: row for row, name in enumerate(self._catchments.ids.tolist())}
            factors = factors[:, [places[name] for name in catchments.ids.tolist()]]
        return Preparation(
            method or self.pet_method,
            chosen.ids,
            chosen.latitude,
            chosen.longitude,
            self.start if start is None else start,
            self._step_seconds,
            factors,
        )

    def close(self) -> None:
        """Close the file; reading is over."""
        self._file.close()

    def variable(self, quantity: str) -> str | None:
        """Return the name of a quantity in the file, if it has it."""
        return self._file.variable(quantity)

    def require(self, ids: NDArray) -> NDArray:
        """Make sure that the file has these catchments, and return where: an array of int.

        Raises
        ------
        ForcingError
            If it does not; names those that it lacks.
        """
        return self._file.rows_of(ids)

    def read(self, first: int, count: int) -> NDArray:
        """Return the forcing of some steps.

        Parameters
        ----------
        first, count : int

        Returns
        -------
        array, shape (count, 3, catchments)
            Precipitation and potential evapotranspiration in mm per step, temperature in degC.

        Raises
        ------
        ForcingError
            If a value is missing or impossible; names variable, catchment and time.
        """
        weather = self._file.read(self.preparation.quantities, first, count)
        return self.preparation.block(weather, first)

    def reader(self, rows: NDArray) -> Callable[[int, int], NDArray]:
        """Return what reads the forcing of some catchments (array of int), as `read`."""
        preparation = self._prepared(self._catchments.subset(rows))

        def read(first: int, count: int) -> NDArray:
            weather = self._file.read(preparation.quantities, first, count, rows)
            return preparation.block(weather, first)

        return read

    def identity(self) -> tuple[object, ...]:
        """Return all that what is read depends on, for a digest."""
        status = self._file.opened.stat()
        catchments = self._catchments
        factors = self._factors
        return (
            str(self._file.opened.resolve()),
            (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns),
            self.start,
            self.pet_method,
            [(name, self.variable(name)) for name in self.preparation.quantities],
            catchments.ids.tolist(),
            catchments.latitude.tolist(),
            catchments.longitude.tolist(),
            None if factors is None else factors.tolist(),
        )

    def whole_days(self) -> tuple[NDArray, NDArray]:
        """Return the forcing of all whole days of the period.

        Returns
        -------
        forcing : array, shape (steps, 3, catchments)
        dates : array of datetime64[D], shape (days,)
        """
        per_day = SECONDS_PER_DAY // self._step_seconds
        days = self.steps // per_day
        count = len(self._catchments)
        needed = 8.0 * days * per_day * 3 * count
        check_memory(needed, f"{days} days of weather of {count} catchments at once")
        forcing = np.empty((days * per_day, 3, count))
        length = longest_block(len(self._catchments), forcing.shape[1])
        for first in range(0, len(forcing), length):
            part = forcing[first : first + length]
            part[...] = self.read(first, len(part))
        return forcing, self.start.astype("datetime64[D]") + np.arange(days)

    def climate(self) -> dict[str, NDArray]:
        """Return the climate indices of the period: arrays of shape (catchments,), by name.

        Raises
        ------
        CatchmentError
            If the period is shorter than a year.
        """
        per_day = SECONDS_PER_DAY // self._step_seconds
        days = self.steps // per_day
        dates = self.start.astype("datetime64[D]") + np.arange(days)
        parts = []
        for rows in self._parts(days * per_day, len(self._catchments)):
            chosen = self._catchments.subset(np.arange(len(self._catchments))[rows])
            preparation = self._prepared(chosen)
            weather = self._file.read(preparation.quantities, 0, days * per_day, rows)
            daily = preparation.block(weather, 0).reshape(days, per_day, 3, -1)
            precipitation, pet = daily[:, :, 0].sum(axis=1), daily[:, :, 2].sum(axis=1)
            temperature = daily[:, :, 1].mean(axis=1)
            try:
                indices = climate_indices(precipitation, temperature, pet, day_of_year(dates))
            except ShortRecordError as error:
                raise CatchmentError(f"{self.path}: {error}") from None
            parts.append(indices)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @staticmethod
    def _parts(steps: int, catchments: int) -> Iterator[slice]:
        """Divide catchments into pieces whose records of some steps fit the memory."""
        row_bytes = 8 * max(1, steps) * _LARGEST_ROW
        size = max(1, 8 * AHEAD_BYTES // row_bytes)
        for first in range(0, catchments, size):
            yield slice(first, min(first + size, catchments))


def longest_block(catchments: int, rows: int) -> int:
    """Return how many steps, of a number of values for each catchment, are handled at a time."""
    return max(1, min(AHEAD_STEPS, AHEAD_BYTES // (8 * catchments * rows)))
