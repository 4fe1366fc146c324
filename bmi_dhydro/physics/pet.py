"""Potential evapotranspiration, from temperature and the position of the sun or from radiation.

Depths are in mm per step. From temperature alone, for steps shorter than a day the day's
evapotranspiration is divided as extraterrestrial radiation (or daylight) is, so that steady weather
gives the same day.
"""

from __future__ import annotations

import math

from .primitives import arccos, cos, exp, maximum, minimum, sin, sqrt, where

SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1
LATENT_HEAT = 2.45  # MJ kg-1
HAMON_CALIBRATION = 1.2

# Values of FAO Irrigation and Drainage Paper 56 (Allen et al. 1998), for its reference grass.
ALBEDO = 0.23
STEFAN_BOLTZMANN = 5.670374e-8  # W m-2 K-4
FREEZING_POINT = 273.15  # K
WIND_AT_2_M = 0.748  # of wind at 10 m, equation 47
PRIESTLEY_TAYLOR = 1.26


def _declination(day_of_year):
    return 0.409 * sin(2.0 * math.pi / 365.0 * day_of_year - 1.39)


def _sunset_angle(latitude, declination):
    """Return the hour angle of sunset in radians: 0 in polar night, pi in polar day."""
    product = (sin(latitude) / cos(latitude)) * (sin(declination) / cos(declination))
    return arccos(maximum(minimum(-product, 1.0), -1.0))


def _clipped_hour_angle(hour, sunset):
    return maximum(minimum(math.pi / 12.0 * (hour - 12.0), sunset), -sunset)


def _radiation_since_midnight(hour, latitude, declination, sunset):
    """Return the integral of the sine of solar elevation over the hour angle."""
    angle = _clipped_hour_angle(hour, sunset)
    return (angle + sunset) * sin(latitude) * sin(declination) + cos(latitude) * cos(
        declination
    ) * (sin(angle) + sin(sunset))


def extraterrestrial_radiation(latitude, day_of_year, start_hour, hours):
    """Return the radiation on top of the atmosphere during a step.

    FAO Irrigation and Drainage Paper 56 (Allen et al. 1998), equations 21 and 28.

    Parameters
    ----------
    latitude : array
        In degrees north.
    day_of_year : array
        1 to 366.
    start_hour : array
        Solar time at the start of the step, 0 to 24.
    hours : array
        Length of the step, at most 24.

    Returns
    -------
    array
        In MJ m-2, over the step.
    """
    radians = latitude * (math.pi / 180.0)
    declination = _declination(day_of_year)
    sunset = _sunset_angle(radians, declination)
    distance = 1.0 + 0.033 * cos(2.0 * math.pi / 365.0 * day_of_year)
    end_hour = start_hour + hours
    before = _radiation_since_midnight(start_hour, radians, declination, sunset)
    today = _radiation_since_midnight(minimum(end_hour, 24.0), radians, declination, sunset)
    tomorrow = _radiation_since_midnight(
        maximum(end_hour - 24.0, 0.0), radians, declination, sunset
    )
    factor = 12.0 * 60.0 / math.pi * SOLAR_CONSTANT
    return factor * distance * maximum(today - before + tomorrow, 0.0)


def daylight(latitude, day_of_year, start_hour, hours):
    """Return the hours of daylight during a step; arguments as `extraterrestrial_radiation`."""
    radians = latitude * (math.pi / 180.0)
    sunset = _sunset_angle(radians, _declination(day_of_year))
    end_hour = start_hour + hours
    today = _clipped_hour_angle(minimum(end_hour, 24.0), sunset) - _clipped_hour_angle(
        start_hour, sunset
    )
    tomorrow = _clipped_hour_angle(maximum(end_hour - 24.0, 0.0), sunset) + sunset
    return (today + tomorrow) * (12.0 / math.pi)


def hargreaves(mean, lowest, highest, latitude, day_of_year, start_hour, hours):
    """Return the potential evapotranspiration of Hargreaves and Samani (1985).

    Parameters
    ----------
    mean, lowest, highest : array
        Temperature of the day, in degC.
    latitude, day_of_year, start_hour, hours : array
        As `extraterrestrial_radiation`.

    Returns
    -------
    array
        In mm over the step.
    """
    radiation = extraterrestrial_radiation(latitude, day_of_year, start_hour, hours)
    spread = sqrt(maximum(highest - lowest, 0.0))
    return maximum(0.0023 * (radiation / LATENT_HEAT) * (mean + 17.8) * spread, 0.0)


def oudin(mean, latitude, day_of_year, start_hour, hours):
    """Return the potential evapotranspiration of Oudin et al. (2005).

    10.1016/j.jhydrol.2004.08.026; arguments and result as `hargreaves`.
    """
    radiation = extraterrestrial_radiation(latitude, day_of_year, start_hour, hours)
    return maximum(radiation / LATENT_HEAT * (mean + 5.0) / 100.0, 0.0)


def hamon(mean, latitude, day_of_year, start_hour, hours):
    """Return the potential evapotranspiration of Hamon (1963), as in Lu et al. (2005).

    10.1111/j.1752-1688.2005.tb03759.x; arguments and result as `hargreaves`.
    """
    saturation_pressure = 6.108 * exp(17.26939 * mean / (mean + 237.3))
    saturation_density = 216.7 * saturation_pressure / (mean + 273.3)
    half_days = daylight(latitude, day_of_year, start_hour, hours) / 12.0
    return where(mean > -237.0, 0.1651 * half_days * saturation_density * HAMON_CALIBRATION, 0.0)


def saturation_pressure(temperature):
    """Return the saturation vapour pressure in kPa, of a temperature in degC; FAO 56, eq. 11."""
    return 0.6108 * exp(17.27 * temperature / (temperature + 237.3))


def _slope(temperature, saturation):
    """Return the slope of the saturation pressure in kPa degC-1; FAO 56, equation 13."""
    return 4098.0 * saturation / ((temperature + 237.3) * (temperature + 237.3))


def _available_energy(temperature, shortwave, longwave, hours):
    """Return net radiation less the heat that goes into the ground, in mm over the step.

    The ground takes a tenth of it by day and gives half of it by night (FAO 56, equations 45 and
    46); over a whole day nothing.
    """
    kelvin = temperature + FREEZING_POINT
    emitted = STEFAN_BOLTZMANN * (kelvin * kelvin) * (kelvin * kelvin)
    net = (1.0 - ALBEDO) * shortwave + longwave - emitted
    kept = where(net > 0.0, 0.9 * net, 0.5 * net)
    energy = where(hours < 24.0, kept, net)
    return energy * hours * (3600.0e-6 / LATENT_HEAT)


def penman_monteith(
    mean,
    shortwave,
    longwave,
    humidity,
    pressure,
    wind_x,
    wind_y,
    latitude,
    day_of_year,
    start_hour,
    hours,
):
    """Return the reference evapotranspiration of FAO 56 (Allen et al. 1998), equations 6 and 53.

    With incoming longwave radiation as it is given, not estimated.

    Parameters
    ----------
    mean : array
        Air temperature, in degC.
    shortwave, longwave : array
        Incoming radiation, mean over the step, in W m-2.
    humidity : array
        Specific humidity, in kg kg-1.
    pressure : array
        Pressure of the air, in Pa.
    wind_x, wind_y : array
        At 10 m, in m s-1.
    latitude, day_of_year, start_hour : array
        Without effect; all methods take them.
    hours : array
        Length of the step, at most 24.

    Returns
    -------
    array
        In mm over the step.
    """
    kilopascals = pressure * 1e-3
    saturation = saturation_pressure(mean)
    actual = humidity * kilopascals / (0.622 + 0.378 * humidity)
    slope = _slope(mean, saturation)
    psychrometric = 0.665e-3 * kilopascals
    wind = WIND_AT_2_M * sqrt(wind_x * wind_x + wind_y * wind_y)
    radiative = slope * _available_energy(mean, shortwave, longwave, hours)
    aerodynamic = psychrometric * (37.5 * hours / (mean + 273.0)) * wind
    dryness = maximum(saturation - actual, 0.0)
    total = (radiative + aerodynamic * dryness) / (slope + psychrometric * (1.0 + 0.34 * wind))
    return maximum(total, 0.0)


def priestley_taylor(mean, shortwave, longwave, pressure, latitude, day_of_year, start_hour, hours):
    """Return the potential evapotranspiration of Priestley and Taylor (1972).

    10.1175/1520-0493(1972)100<0081:OTAOSH>2.3.CO;2; arguments and result as `penman_monteith`.
    """
    slope = _slope(mean, saturation_pressure(mean))
    psychrometric = 0.665e-6 * pressure
    energy = _available_energy(mean, shortwave, longwave, hours)
    return maximum(PRIESTLEY_TAYLOR * slope / (slope + psychrometric) * energy, 0.0)
