"""From weather to forcing: depths per step, and potential evapotranspiration."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import ForcingError, listed
from ..kernels.cpu.pointwise import compiled
from ..physics.calendar import day_of_year
from ..units import SECONDS_PER_DAY
from .quantities import FROM_FORCING, PET_METHODS, quantities_for

# Steps and catchments whose evapotranspiration is computed at once, so that memory stays bounded.
_POINTS_TOGETHER = 65536


# Instances of a host are all at the same time, or one step apart.
@lru_cache(maxsize=64)
def _clock(seconds: int) -> tuple[int, float]:
    """Return day of the year and hour of a time in seconds since 1970."""
    days, rest = divmod(seconds, SECONDS_PER_DAY)
    return day_of_year(days), rest / 3600.0


class Preparation:
    """Turns weather into the forcing of the process model.

    Parameters
    ----------
    method : str
        "forcing" or a name in `PET_METHODS`.
    ids : array of str, shape (catchments,)
    latitude, longitude : array, shape (catchments,)
        In degrees; longitude only matters for steps shorter than a day (0 where unknown).
    start : datetime64 or None
        Start of the first step, in UTC; needed to compute potential evapotranspiration.
    step_seconds : int
    factors : array, shape (12, catchments), optional
        What potential evapotranspiration is multiplied with, by the month in which a step starts.

    Raises
    ------
    ForcingError
        If potential evapotranspiration cannot be computed, or the date is unknown and needed.
    """

    def __init__(
        self,
        method: str,
        ids: NDArray,
        latitude: NDArray,
        longitude: NDArray,
        start: np.datetime64 | None,
        step_seconds: int,
        factors: NDArray | None = None,
    ) -> None:
        self.method = method
        self.step_seconds = step_seconds
        self.factors = factors
        self._start = start
        self.quantities = quantities_for(method)
        if factors is not None and start is None:
            raise ForcingError(
                "rescaling potential evapotranspiration needs the date: set time.start"
            )
        if method == FROM_FORCING:
            return
        chosen = PET_METHODS[method]
        self._needs_sun = chosen.needs_sun
        unknown = ids[~np.isfinite(latitude)]
        if chosen.needs_sun and unknown.size:
            raise ForcingError(
                f"potential evapotranspiration after {method} needs the latitude of "
                f"{listed(unknown)}: add it to the catchments"
            )
        if chosen.needs_sun and start is None:
            raise ForcingError(
                f"potential evapotranspiration after {method} needs the date: set time.start"
            )
        self._start_seconds = 0 if start is None else int(start.astype("datetime64[s]").astype(int))
        self._run = compiled(chosen.function)
        rows = len(chosen.quantities)
        self._arguments = np.zeros((rows + 4, len(ids)))
        if chosen.needs_sun:
            self._arguments[rows] = latitude
        self._arguments[rows + 3] = step_seconds / 3600.0
        self._solar_shift = np.where(np.isfinite(longitude), longitude, 0.0) / 15.0
        if step_seconds == SECONDS_PER_DAY or not chosen.needs_sun:
            self._solar_shift[:] = 0.0
        self._rows = rows

    def potential_evapotranspiration(self, weather: NDArray, step: int, result: NDArray) -> None:
        """Compute the potential evapotranspiration of a step.

        Parameters
        ----------
        weather : array, shape (quantities, catchments)
            In the order of `quantities`; temperatures in degC.
        step : int
            Number of the step since the start.
        result : array, shape (catchments,)
            Written, in mm over the step.
        """
        arguments, rows = self._arguments, self._rows
        arguments[:rows] = weather[1:]
        day, hour = self.clock(step)
        arguments[rows + 1], arguments[rows + 2] = day, (hour + self._solar_shift) % 24.0
        self._run(arguments, result)
        if self.factors is not None:
            result *= self.factors[self.month(step)]

    def month(self, step: int) -> int:
        """Return the month in which a step starts, 0 to 11."""
        assert self._start is not None
        time = self._start + np.timedelta64(step * self.step_seconds, "s")
        return int(time.astype("datetime64[M]").astype(int) % 12)

    def scale(self, first: int, count: int) -> NDArray | None:
        """Return what potential evapotranspiration is multiplied with in some steps, if anything.

        Returns
        -------
        array, shape (count, catchments), or None
        """
        if self.factors is None:
            return None
        return np.stack([self.factors[self.month(first + k)] for k in range(count)])

    def clock(self, step: int) -> tuple[int, float]:
        """Return the day of the year and the hour (UTC) at which a step begins.

        Both are 0 where evapotranspiration does not depend on them.
        """
        if not self._needs_sun:
            return 0, 0.0
        assert self._start is not None
        return _clock(self._start_seconds + step * self.step_seconds)

    @property
    def arrays(self) -> dict[str, NDArray]:
        """What the equation takes, for `kernels.cpu.coupled`."""
        calendar = np.array([self._start_seconds, self.step_seconds], np.int64)
        return {
            "arguments": self._arguments,
            "solar_shift": self._solar_shift,
            "calendar": calendar,
        }

    def time_arguments(self, first: int, count: int) -> tuple[NDArray, ...]:
        """Return what evapotranspiration takes beside weather, for a block of steps.

        Parameters
        ----------
        first, count : int

        Returns
        -------
        latitude, day_of_year, start_hour, hours : array
            Each can be broadcast to (count, catchments).
        """
        if not self._needs_sun:
            zero = np.zeros((count, 1))
            return self._arguments[self._rows], zero, zero, np.array(self.step_seconds / 3600.0)
        clock = [self.clock(first + k) for k in range(count)]
        return (
            self._arguments[self._rows],
            np.array([[float(day)] for day, _ in clock]),
            np.array([(hour + self._solar_shift) % 24.0 for _, hour in clock]),
            np.array(self.step_seconds / 3600.0),
        )

    def block(self, weather: NDArray, first: int) -> NDArray:
        """Turn a block of weather into forcing.

        Parameters
        ----------
        weather : array, shape (steps, quantities, catchments)
            Precipitation (and potential evapotranspiration) in mm per step, degC.
        first : int
            Number of its first step since the start.

        Returns
        -------
        array, shape (steps, 3, catchments)
        """
        if self.method == FROM_FORCING:
            scale = self.scale(first, len(weather))
            if scale is not None:
                weather[:, 2] *= scale
            return weather
        forcing = np.empty((weather.shape[0], 3, weather.shape[2]))
        forcing[:, :2] = weather[:, :2]
        steps, _, catchments = weather.shape
        together = max(1, _POINTS_TOGETHER // max(catchments, 1))
        for k in range(0, steps, together):
            part = slice(k, min(k + together, steps))
            self._evapotranspiration_of_steps(weather[part], first + k, forcing[part, 2])
        return forcing

    def _evapotranspiration_of_steps(self, weather: NDArray, first: int, result: NDArray) -> None:
        """Do what `potential_evapotranspiration` does, for some steps at once."""
        (steps, catchments), rows = result.shape, self._rows
        arguments = np.empty((rows + 4, steps, catchments))
        arguments[:rows] = weather[:, 1:].transpose(1, 0, 2)
        arguments[rows:] = self._arguments[rows:, None]
        if self._needs_sun:
            days, hours = np.transpose([self.clock(first + k) for k in range(steps)])
            arguments[rows + 1] = days[:, None]
            arguments[rows + 2] = (hours[:, None] + self._solar_shift) % 24.0
        values = np.empty(steps * catchments)
        self._run(arguments.reshape(rows + 4, -1), values)
        result[...] = values.reshape(steps, catchments)
        scale = self.scale(first, steps)
        if scale is not None:
            result *= scale
