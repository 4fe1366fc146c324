"""From weather to what a process model wants: depths per step and potential evapotranspiration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ForcingError, listed
from .kernels.pointwise import compiled
from .physics import pet

PRECIPITATION = "precipitation"
TEMPERATURE = "temperature"
TEMPERATURE_EXTREMES = ("temperature_minimum", "temperature_maximum")
PET = "potential_evapotranspiration"
QUANTITIES = (PRECIPITATION, TEMPERATURE, PET, *TEMPERATURE_EXTREMES)

# Method: function and the quantities it takes beside latitude and time.
PET_METHODS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "hargreaves": (pet.hargreaves, (TEMPERATURE, *TEMPERATURE_EXTREMES)),
    "oudin": (pet.oudin, (TEMPERATURE,)),
    "hamon": (pet.hamon, (TEMPERATURE,)),
}


def choose_pet(available: Sequence[str], latitude_known: bool) -> str:
    """Return how potential evapotranspiration is best come by.

    Parameters
    ----------
    available : sequence of str
        Quantities that the weather has.
    latitude_known : bool

    Returns
    -------
    str
        "forcing", or a name in `PET_METHODS`.

    Raises
    ------
    ForcingError
        If there is no way.
    """
    if PET in available:
        return "forcing"
    if not latitude_known:
        raise ForcingError(
            "there is no potential evapotranspiration in the forcing, and computing it needs the "
            "latitude of the catchments: add a column 'latitude' to them"
        )
    return "hargreaves" if set(TEMPERATURE_EXTREMES) <= set(available) else "oudin"


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

    Raises
    ------
    ForcingError
        If potential evapotranspiration cannot be computed.
    """

    def __init__(
        self,
        method: str,
        ids: NDArray,
        latitude: NDArray,
        longitude: NDArray,
        start: np.datetime64 | None,
        step_seconds: int,
    ) -> None:
        self.method = method
        self.step_seconds = step_seconds
        self._start = start
        if method == "forcing":
            self.quantities: tuple[str, ...] = (PRECIPITATION, TEMPERATURE, PET)
            return
        function, inputs = PET_METHODS[method]
        self.quantities = (PRECIPITATION, *inputs)
        unknown = ids[~np.isfinite(latitude)]
        if unknown.size:
            raise ForcingError(
                f"potential evapotranspiration after {method} needs the latitude of "
                f"{listed(unknown)}: add it to the catchments"
            )
        if start is None:
            raise ForcingError(
                f"potential evapotranspiration after {method} needs the date: set time.start"
            )
        self._run = compiled(function)
        rows = len(inputs)
        self._arguments = np.empty((rows + 4, len(ids)))
        self._arguments[rows] = latitude
        self._arguments[rows + 3] = step_seconds / 3600.0
        self._solar_shift = np.where(np.isfinite(longitude), longitude, 0.0) / 15.0
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
        arguments[rows + 1], arguments[rows + 2] = self._clock(step)
        self._run(arguments, result)

    def _clock(self, step: int) -> tuple[int, NDArray | float]:
        """Return the day of the year and the solar time at which a step begins."""
        assert self._start is not None
        time = self._start + np.timedelta64(step * self.step_seconds, "s")
        day = time.astype("datetime64[D]")
        day_of_year = int((day - day.astype("datetime64[Y]")).astype(int)) + 1
        if self.step_seconds == 86400:
            return day_of_year, 0.0
        hour = (time - day).astype(int) / 3600.0
        return day_of_year, (hour + self._solar_shift) % 24.0

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
        clock = [self._clock(first + k) for k in range(count)]
        return (
            self._arguments[self._rows],
            np.array([[float(day)] for day, _ in clock]),
            np.array([np.broadcast_to(hour, self._solar_shift.shape) for _, hour in clock]),
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
        if self.method == "forcing":
            return weather
        forcing = np.empty((weather.shape[0], 3, weather.shape[2]))
        forcing[:, :2] = weather[:, :2]
        for k in range(weather.shape[0]):
            self.potential_evapotranspiration(weather[k], first + k, forcing[k, 2])
        return forcing
