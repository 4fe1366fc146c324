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

from ..units import SECONDS_PER_DAY
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
    rain, rain_shape : float
        Mean on wet days, mm, and shape of the gamma distribution.
    rain_seasonality : float
        Relative change of the chance of rain: positive for wet summers.
    half_range : float
        Half the range of temperature of a dry day, degC.
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
    rain_shape: float
    rain_seasonality: float
    half_range: float
    soil: tuple[float, float, float, float]
    forest_fraction: float


# Each is like a catchment that the shipped models were trained on, in its soil and in the climate
# indices of its weather.
CLIMATES = (
    Climate(
        *("humid", 37.5, -83.7, 14.7, 10.7, 0.366, 0.585, 7.3, 0.84, 0.0, 8.4),
        (0.475, 0.176, 5.33, -5.67),
        1.0,
    ),
    Climate(
        *("snowy", 42.0, -75.8, 8.8, 12.5, 0.426, 0.571, 5.5, 0.60, 0.07, 8.4),
        (0.472, 0.173, 5.32, -5.67),
        1.0,
    ),
    Climate(
        *("dry", 36.3, -96.0, 16.3, 13.5, 0.254, 0.422, 7.6, 0.47, 0.46, 7.7),
        (0.454, 0.148, 5.43, -5.39),
        0.03,
    ),
    Climate(
        *("wet winters", 47.5, -121.8, 9.6, 7.4, 0.342, 0.749, 10.6, 0.71, -0.40, 6.4),
        (0.435, 0.106, 4.80, -5.16),
        0.98,
    ),
)

# Share of wet days after a wet one on which it rains as much as then.
_LASTING = 0.15

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
    soil = soil * random.uniform(0.99, 1.01, soil.shape)
    forest = np.array([climate.forest_fraction for climate in climates])
    return Catchments.from_columns(
        {
            "id": [f"cat-{k + 1}" for k in range(count)],
            "area": np.exp(random.uniform(np.log(100.0), np.log(3000.0), count)).round(1),
            "latitude": [c.latitude for c in climates] + random.uniform(-0.5, 0.5, count),
            "longitude": [c.longitude for c in climates] + random.uniform(-1.0, 1.0, count),
            "elevation": random.uniform(50.0, 900.0, count).round(),
            "soil_porosity": soil[:, 0],
            "wilting_point": soil[:, 1],
            "clapp_hornberger_b": soil[:, 2],
            "log10_saturated_conductivity": soil[:, 3],
            "forest_fraction": forest * random.uniform(0.97, 1.0, count),
        },
        "made-up catchments",
    )


def make_weather(
    catchments: Catchments,
    days: int,
    step_seconds: int = SECONDS_PER_DAY,
    start: str = "2000-10-01",
    seed: int = 0,
) -> Weather:
    """Generate weather for made-up catchments.

    Parameters
    ----------
    catchments : Catchments
        Catchments, as `make_catchments` returns them.
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
    wetter = random.uniform(0.95, 1.05, count)
    wet = np.zeros((days, count), dtype=bool)
    before = np.zeros(count, dtype=bool)
    drawn = random.random((days, count))
    seasonality = 1.0 + of("rain_seasonality") * season[:, None]
    after_wet = of("wet_persistence") * seasonality
    after_dry = of("wet_chance") * seasonality
    for day in range(days):
        before = wet[day] = drawn[day] < np.where(before, after_wet[day], after_dry[day])
    shape = of("rain_shape")
    amount = random.gamma(shape, of("rain") * wetter / shape, (days, count))
    # Storms last: some days have what the day before had.
    lasting = random.random((days, count)) < _LASTING
    for day in range(1, days):
        lasts = lasting[day] & wet[day] & wet[day - 1]
        amount[day] = np.where(lasts, amount[day - 1], amount[day])
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
    half_range = np.where(wet, 0.6, 1.0) * of("half_range")
    half_range = half_range * random.uniform(0.8, 1.2, (days, count))
    steps = SECONDS_PER_DAY // step_seconds
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
