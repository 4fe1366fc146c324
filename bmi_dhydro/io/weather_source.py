"""Weather of catchments in a file, as the forcing that a process model takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments import Catchments
from ..climate import ShortRecordError, climate_indices, day_of_year
from ..errors import CatchmentError
from ..weather import Preparation, choose_pet
from .forcing import ForcingFile

_log = logging.getLogger(__name__)

# Weather read at a time may take this much memory, and this many steps.
AHEAD_BYTES = 32 * 2**20
AHEAD_STEPS = 1024

_SECONDS_PER_DAY = 86400


class WeatherSource:
    """A weather file, read for some catchments, with potential evapotranspiration.

    Parameters
    ----------
    path : Path
    catchments : Catchments
    names : mapping
        Variable names by quantity, where they are not recognised.
    method : str
        "forcing", a name in `weather.PET_METHODS`, or "auto": what the file suffices for.
    step_seconds : int
    start, end : datetime64[s], optional
        Of the period; the file's, unless given.

    Attributes
    ----------
    pet_method : str
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
    ) -> None:
        self.path = path
        self._catchments = catchments
        self._step_seconds = step_seconds
        self._file = ForcingFile(path, catchments.ids, names, step_seconds)
        self._file.begin_at(start if start is not None else self._file.start, end)
        self.start, self.steps = self._file.start, self._file.steps
        self.available = self._file.available
        if method == "auto":
            known = bool(np.isfinite(catchments.latitude).all())
            method = choose_pet(self.available, known)
            _log.info("potential evapotranspiration: %s", method)
        self.pet_method = method
        self.preparation = self._prepared(catchments)

    def _prepared(self, catchments: Catchments) -> Preparation:
        return Preparation(
            self.pet_method,
            catchments.ids,
            catchments.latitude,
            catchments.longitude,
            self.start,
            self._step_seconds,
        )

    def close(self) -> None:
        """Close the file; reading is over."""
        self._file.close()

    def variable(self, quantity: str) -> str | None:
        """Return the name of a quantity in the file, if it has it."""
        return self._file.variable(quantity)

    def require(self, ids: NDArray) -> None:
        """Make sure that the file has these catchments.

        Raises
        ------
        ForcingError
            If it does not; names those that it lacks.
        """
        self._file.rows_of(ids)

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

    def whole_days(self) -> tuple[NDArray, NDArray]:
        """Return the forcing of all whole days of the period.

        Returns
        -------
        forcing : array, shape (steps, 3, catchments)
        dates : array of datetime64[D], shape (days,)
        """
        per_day = _SECONDS_PER_DAY // self._step_seconds
        days = self.steps // per_day
        forcing = np.empty((days * per_day, 3, len(self._catchments)))
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
        per_day = _SECONDS_PER_DAY // self._step_seconds
        days = self.steps // per_day
        dates = self.start.astype("datetime64[D]") + np.arange(days)
        parts = []
        for rows in self._parts(days * per_day):
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

    def _parts(self, steps: int) -> Iterator[slice]:
        """Divide the catchments so that a part's whole record fits the memory."""
        row_bytes = 8 * max(1, steps) * (len(self.preparation.quantities) + 3)
        size = max(1, 8 * AHEAD_BYTES // row_bytes)
        for first in range(0, len(self._catchments), size):
            yield slice(first, first + size)


def longest_block(catchments: int, rows: int) -> int:
    """Return how many steps of so many values for each catchment are handled at a time."""
    return max(1, min(AHEAD_STEPS, AHEAD_BYTES // (8 * catchments * rows)))
