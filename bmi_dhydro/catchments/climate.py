"""Climate indices of catchments, from daily weather."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DAYS_PER_YEAR = 365.2425

# Definitions of Addor et al. 2017 (10.5194/hess-21-5293-2017), as in the CAMELS data.
HIGH_PRECIPITATION = 5.0  # times the mean
LOW_PRECIPITATION = 1.0  # mm d-1


class ShortRecordError(ValueError):
    """The weather is too short to make a climate of."""


def day_of_year(dates: NDArray) -> NDArray:
    """Return the day of the year, 1 to 366, of each of some dates (datetime64[D])."""
    return (dates - dates.astype("datetime64[Y]")).astype(int) + 1


def climate_indices(
    precipitation: NDArray,
    temperature: NDArray,
    potential_evapotranspiration: NDArray,
    day_of_year: NDArray,
) -> dict[str, NDArray]:
    """Compute the climate attributes of catchments.

    Parameters
    ----------
    precipitation, potential_evapotranspiration : array, shape (days, catchments)
        In mm d-1.
    temperature : array, shape (days, catchments)
        Daily means, in degC.
    day_of_year : array, shape (days,)
        1 to 366.

    Returns
    -------
    dict
        An array of shape (catchments,) for each climate attribute of `attributes.ATTRIBUTES`.

    Raises
    ------
    ShortRecordError
        If there is less than a year of weather.
    """
    days = precipitation.shape[0]
    if days < 365:
        raise ShortRecordError(
            f"climate indices need at least 365 days of weather, but there are {days}; "
            "give a longer record, or the indices as columns of the catchment table"
        )
    if precipitation.shape[1] == 1:
        # NumPy adds a single column in another order than several side by side, and a catchment
        # should have the same climate alone and among others.
        twice = [
            np.repeat(values, 2, axis=1)
            for values in (precipitation, temperature, potential_evapotranspiration)
        ]
        both = climate_indices(twice[0], twice[1], twice[2], day_of_year)
        return {name: values[:1] for name, values in both.items()}
    mean = precipitation.mean(axis=0)
    wet = np.maximum(mean, 1e-6)
    mean_pet = potential_evapotranspiration.mean(axis=0)
    high = precipitation >= HIGH_PRECIPITATION * mean
    low = precipitation < LOW_PRECIPITATION
    t_mean, t_amplitude, t_phase = _seasonal_cycle(temperature, day_of_year)
    _, p_amplitude, p_phase = _seasonal_cycle(precipitation / wet, day_of_year)
    return {
        "mean_precipitation": mean,
        "mean_potential_evapotranspiration": mean_pet,
        "aridity": mean_pet / wet,
        "snow_fraction": np.where(temperature < 0.0, precipitation, 0.0).mean(axis=0) / wet,
        "precipitation_seasonality": p_amplitude * np.cos(p_phase - t_phase),
        "mean_temperature": t_mean,
        "temperature_amplitude": t_amplitude,
        "high_precipitation_frequency": high.mean(axis=0) * DAYS_PER_YEAR,
        "high_precipitation_duration": _mean_spell(high),
        "low_precipitation_frequency": low.mean(axis=0) * DAYS_PER_YEAR,
        "low_precipitation_duration": _mean_spell(low),
        "precipitation_variability": precipitation.std(axis=0) / wet,
    }


def _seasonal_cycle(values: NDArray, day_of_year: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Fit mean + amplitude * cos(angle - phase) by least squares, for each catchment."""
    angle = 2.0 * np.pi * day_of_year / DAYS_PER_YEAR
    design = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    solution = np.linalg.pinv(design)
    mean, cosine, sine = ((row[:, None] * values).sum(axis=0) for row in solution)
    return mean, np.hypot(cosine, sine), np.arctan2(sine, cosine)


def _mean_spell(condition: NDArray) -> NDArray:
    """Return the mean length of runs of consecutive days, 0 where there are none."""
    starts = condition.copy()
    starts[1:] &= ~condition[:-1]
    return condition.sum(axis=0) / np.maximum(starts.sum(axis=0), 1)
