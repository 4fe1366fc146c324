"""Made-up catchments and weather, for the demonstration, examples and tests.

Weather comes from a small generator of the WGEN kind (Richardson 1981,
10.1029/WR017i001p00182): wet and dry days are a first-order Markov chain, rain on wet days is gamma
distributed, temperature is a seasonal cycle with autocorrelated anomalies that rain cools. Amounts
and cycles follow a few climates. It resembles weather enough to show
what the model does, and claims nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .catchments import Catchments
from .climate import day_of_year


@dataclass(frozen=True)
class Climate:
    """What the generator needs of a climate.

    Attributes
    ----------
    name : str
    latitude, longitude : float
        Centre of the made-up region.
    temperature, temperature_amplitude : float
        Mean and half the seasonal range, degC.
    wet_chance, wet_persistence : float
        Chance of rain after a dry and after a wet day.
    rain : float
        Mean on wet days, mm.
    rain_seasonality : float
        Relative change of the chance of rain: positive for wet summers.
    soil : tuple of float
        Porosity, wilting point, Clapp-Hornberger b, log10 saturated conductivity (m s-1).
    forest_fraction : float
    """

    name: str
    latitude: float
    longitude: float
    temperature: float
    temperature_amplitude: float
    wet_chance: float
    wet_persistence: float
    rain: float
    rain_seasonality: float
    soil: tuple[float, float, float, float]
    forest_fraction: float


CLIMATES = (
    Climate("humid", 36.0, -83.0, 13.0, 11.0, 0.30, 0.52, 9.0, 0.1, (0.44, 0.08, 6.5, -5.5), 0.75),
    Climate("snowy", 44.5, -73.0, 6.0, 14.0, 0.34, 0.50, 6.5, 0.1, (0.43, 0.06, 5.2, -5.3), 0.80),
    Climate("dry", 34.0, -98.0, 16.5, 11.5, 0.16, 0.35, 8.0, 0.3, (0.45, 0.10, 7.2, -5.7), 0.10),
    Climate(
        "wet winters", 44.0, -122.5, 10.0, 7.0, 0.34, 0.66, 8.0, -0.7, (0.45, 0.09, 6.8, -5.6), 0.85
    ),
)

_SUMMER = 196.0  # day of the year around which the northern summer is centred


@dataclass(frozen=True)
class Weather:
    """Generated weather.

    Attributes
    ----------
    start : datetime64[s]
    step_seconds : int
    precipitation : array, shape (steps, catchments)
        mm per step.
    temperature, temperature_minimum, temperature_maximum : array, shape (steps, catchments)
        degC; the extremes are those of the day.
    """

    start: np.datetime64
    step_seconds: int
    precipitation: NDArray
    temperature: NDArray
    temperature_minimum: NDArray
    temperature_maximum: NDArray


def make_catchments(count: int, seed: int = 0) -> Catchments:
    """Make up catchments, the climates taking turns.

    Parameters
    ----------
    count : int
    seed : int

    Returns
    -------
    Catchments
        With soil and vegetation, and without climate indices: those follow from the weather.
    """
    random = np.random.default_rng([seed, 1])
    climates = [CLIMATES[k % len(CLIMATES)] for k in range(count)]
    soil = np.array([climate.soil for climate in climates])
    soil = soil * random.uniform(0.95, 1.05, soil.shape)
    forest = np.array([climate.forest_fraction for climate in climates])
    return Catchments.from_columns(
        {
            "id": [f"cat-{k + 1}" for k in range(count)],
            "area": np.exp(random.uniform(np.log(100.0), np.log(3000.0), count)).round(1),
            "latitude": [c.latitude for c in climates] + random.uniform(-1.5, 1.5, count),
            "longitude": [c.longitude for c in climates] + random.uniform(-2.5, 2.5, count),
            "elevation": random.uniform(50.0, 900.0, count).round(),
            "soil_porosity": soil[:, 0],
            "wilting_point": soil[:, 1],
            "clapp_hornberger_b": soil[:, 2],
            "log10_saturated_conductivity": soil[:, 3],
            "forest_fraction": np.clip(forest * random.uniform(0.8, 1.15, count), 0.0, 1.0),
        },
        "made-up catchments",
    )


def make_weather(
    catchments: Catchments,
    days: int,
    step_seconds: int = 86400,
    start: str = "2000-10-01",
    seed: int = 0,
) -> Weather:
    """Generate weather for made-up catchments.

    Parameters
    ----------
    catchments : Catchments
        Of `make_catchments`.
    days : int
    step_seconds : int
        Steps of less than a day get storms of some hours and a daily cycle of temperature.
    start : str
        ISO 8601 date.
    seed : int

    Returns
    -------
    Weather
        For the northern hemisphere.
    """
    random = np.random.default_rng([seed, 2])
    count = len(catchments)
    climates = [CLIMATES[k % len(CLIMATES)] for k in range(count)]

    def of(field: str) -> NDArray:
        return np.array([getattr(climate, field) for climate in climates])

    first = np.datetime64(start, "D")
    dates = first + np.arange(days)
    calendar_day = day_of_year(dates)
    season = np.cos(2.0 * np.pi * (calendar_day - _SUMMER) / 365.25)
    wetter = random.uniform(0.9, 1.1, count)
    wet = np.zeros((days, count), dtype=bool)
    before = np.zeros(count, dtype=bool)
    for day in range(days):
        chance = np.where(before, of("wet_persistence"), of("wet_chance"))
        chance = chance * (1.0 + of("rain_seasonality") * season[day])
        before = wet[day] = random.random(count) < chance
    shape = 0.75
    amount = random.gamma(shape, of("rain") * wetter / shape, (days, count))
    rain = np.where(wet, amount, 0.0)
    anomaly = np.zeros((days, count))
    shock = random.normal(0.0, 1.0, (days, count))
    for day in range(1, days):
        anomaly[day] = 0.7 * anomaly[day - 1] + shock[day]
    mean = (
        of("temperature")
        + of("temperature_amplitude") * season[:, None]
        + 2.5 * anomaly
        - 1.5 * wet
    )
    half_range = np.where(wet, 3.5, 6.0) * random.uniform(0.8, 1.2, (days, count))
    steps = 86400 // step_seconds
    hours = (np.arange(steps) + 0.5) * 24.0 / steps
    cycle = np.cos(2.0 * np.pi * (hours - 15.0) / 24.0) if steps > 1 else np.zeros(1)
    temperature = mean[:, None] + half_range[:, None] * cycle[None, :, None]
    share = random.gamma(0.3, 1.0, (days, steps, count)) + 1e-9
    share /= share.sum(axis=1, keepdims=True)
    return Weather(
        first.astype("datetime64[s]"),
        step_seconds,
        (rain[:, None] * share).reshape(-1, count),
        temperature.reshape(-1, count),
        np.repeat(mean - half_range, steps, axis=0),
        np.repeat(mean + half_range, steps, axis=0),
    )
