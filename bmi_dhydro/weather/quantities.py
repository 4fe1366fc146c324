"""From weather to what a process model wants: depths per step and potential evapotranspiration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ForcingError
from ..physics import pet


@dataclass(frozen=True)
class WeatherQuantity:
    """Something that weather is made of.

    Attributes
    ----------
    units : str
        In which the package holds it; water is a depth per step.
    lowest, highest : float
        Values beyond are errors of unit more often than weather; without meaning for depths.
    """

    units: str
    lowest: float = -np.inf
    highest: float = np.inf

    @property
    def is_depth(self) -> bool:
        """Whether it is an amount of water in a step, and adds up over steps."""
        return self.units == "mm"


PRECIPITATION = "precipitation"
TEMPERATURE = "temperature"
TEMPERATURE_EXTREMES = ("temperature_minimum", "temperature_maximum")
PET = "potential_evapotranspiration"
RADIATION = ("shortwave_radiation", "longwave_radiation")
HUMIDITY, PRESSURE = "specific_humidity", "air_pressure"
WIND = ("wind_x", "wind_y")
_DEGREES = WeatherQuantity("degC", -90.0, 70.0)
_WIND = WeatherQuantity("m s-1", -150.0, 150.0)
QUANTITIES: dict[str, WeatherQuantity] = {
    PRECIPITATION: WeatherQuantity("mm"),
    TEMPERATURE: _DEGREES,
    PET: WeatherQuantity("mm"),
    **dict.fromkeys(TEMPERATURE_EXTREMES, _DEGREES),
    # Reanalyses have slightly negative radiation at night.
    **dict.fromkeys(RADIATION, WeatherQuantity("W m-2", -50.0, 1600.0)),
    HUMIDITY: WeatherQuantity("1", -1e-4, 0.1),
    PRESSURE: WeatherQuantity("Pa", 30000.0, 115000.0),
    WIND[0]: _WIND,
    WIND[1]: _WIND,
}


@dataclass(frozen=True)
class PetMethod:
    """A way to compute potential evapotranspiration.

    Attributes
    ----------
    function : callable
        A function of `physics.pet`, which takes `quantities`, then latitude, day of the year, hour
        and hours.
    quantities : tuple of str
        Quantities of weather.
    needs_sun : bool
        Whether the position of the sun matters: then latitude and date must be known.
    """

    function: Callable[..., Any]
    quantities: tuple[str, ...]
    needs_sun: bool = True


PET_METHODS: dict[str, PetMethod] = {
    "hargreaves": PetMethod(pet.hargreaves, (TEMPERATURE, *TEMPERATURE_EXTREMES)),
    "penman_monteith": PetMethod(
        pet.penman_monteith, (TEMPERATURE, *RADIATION, HUMIDITY, PRESSURE, *WIND), False
    ),
    "priestley_taylor": PetMethod(pet.priestley_taylor, (TEMPERATURE, *RADIATION, PRESSURE), False),
    "oudin": PetMethod(pet.oudin, (TEMPERATURE,)),
    "hamon": PetMethod(pet.hamon, (TEMPERATURE,)),
}


# The "method" of taking what the file or the host gives.
FROM_FORCING = "forcing"


def computable_pet(available: Collection[str], latitude_known: bool) -> list[str]:
    """Return the methods that weather suffices for, in the order of `PET_METHODS`.

    Parameters
    ----------
    available : collection of str
        Quantities that the weather has.
    latitude_known : bool
    """
    known = set(available)
    if set(TEMPERATURE_EXTREMES) <= known:
        # Mean temperature can be made of the extremes.
        known.add(TEMPERATURE)
    return [
        name
        for name, method in PET_METHODS.items()
        if set(method.quantities) <= known and (latitude_known or not method.needs_sun)
    ]


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
        "forcing", or the first in `PET_METHODS` that the weather suffices for.

    Raises
    ------
    ForcingError
        If there is no way.
    """
    if PET in available:
        return FROM_FORCING
    computable = computable_pet(available, latitude_known)
    if computable:
        return computable[0]
    raise ForcingError(
        "there is no potential evapotranspiration in the forcing, nor radiation and pressure to "
        "compute it from; from temperature it needs the latitude of the catchments: add a column "
        "'latitude' to them"
    )


def quantities_for(method: str) -> tuple[str, ...]:
    """Return the quantities of weather that a run needs: `method` as for `Preparation`."""
    if method == FROM_FORCING:
        return PRECIPITATION, TEMPERATURE, PET
    return (PRECIPITATION, *PET_METHODS[method].quantities)
