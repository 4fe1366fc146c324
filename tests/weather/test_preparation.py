"""Weather becomes forcing: by step and by block alike, in the right season and hour."""

import numpy as np
import pytest

from bmi_dhydro.errors import ForcingError
from bmi_dhydro.physics import pet
from bmi_dhydro.weather.preparation import Preparation
from bmi_dhydro.weather.quantities import PET_METHODS

IDS = np.array(["north", "south", "tropics"])
LATITUDE, LONGITUDE = np.array([55.0, -40.0, 2.0]), np.array([10.0, 175.0, -70.0])
START = np.datetime64("2001-06-20T00:00:00", "s")
VALUES = {
    "temperature": 12.0,
    "temperature_minimum": 6.0,
    "temperature_maximum": 19.0,
    "shortwave_radiation": 250.0,
    "longwave_radiation": 330.0,
    "specific_humidity": 0.007,
    "air_pressure": 97000.0,
    "wind_x": 3.0,
    "wind_y": -1.0,
    "precipitation": 4.0,
}


def make(method, step_seconds=86400, **options):
    return Preparation(method, IDS, LATITUDE, LONGITUDE, START, step_seconds, **options)


def weather(preparation, steps):
    rows = [np.full((steps, len(IDS)), VALUES[name]) for name in preparation.quantities]
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("step_seconds", [86400, 3600])
@pytest.mark.parametrize("method", PET_METHODS)
def test_a_block_is_its_steps(method, step_seconds):
    preparation = make(method, step_seconds)
    block = weather(preparation, 30)
    forcing = preparation.block(block, 5)
    result = np.empty(len(IDS))
    for k in range(30):
        preparation.potential_evapotranspiration(block[k], 5 + k, result)
        assert np.array_equal(result, forcing[k, 2])
    assert (forcing[:, 0] == VALUES["precipitation"]).all()
    assert (forcing[:, 1] == VALUES["temperature"]).all()


def test_it_is_the_equation_at_the_day_of_the_year():
    preparation = make("oudin")
    found = preparation.block(weather(preparation, 3), 0)[:, 2]
    for k in range(3):
        expected = pet.oudin(12.0, LATITUDE, 171.0 + k, 0.0, 24.0)
        np.testing.assert_allclose(found[k], expected, rtol=1e-12)
    # In June the sun is high in the north and low in the south.
    assert found[0, 0] > 2.0 * found[0, 1]


def test_hours_follow_the_sun_of_each_longitude():
    preparation = make("oudin", 3600)
    day = preparation.block(weather(preparation, 24), 0)[:, 2]
    assert day[:, 0].argmax() in (11, 12)
    noon = day[:, 2].argmax()
    assert noon in (16, 17)  # at 70 degrees west, in UTC


def test_factors_are_those_of_the_month():
    factors = np.arange(1.0, 13.0)[:, None] * np.ones(3)
    plain, scaled = make("oudin"), make("oudin", factors=factors)
    ratio = scaled.block(weather(scaled, 20), 0)[:, 2] / plain.block(weather(plain, 20), 0)[:, 2]
    np.testing.assert_allclose(ratio[:11], 6.0)
    np.testing.assert_allclose(ratio[11:], 7.0)
    np.testing.assert_allclose(scaled.scale(0, 20)[:, 0], ratio[:, 0])


def test_what_is_missing_is_named():
    unknown = LATITUDE.copy()
    unknown[1] = np.nan
    with pytest.raises(ForcingError, match="after hamon needs the latitude of south"):
        Preparation("hamon", IDS, unknown, LONGITUDE, START, 86400)
    with pytest.raises(ForcingError, match=r"needs the date: set time\.start"):
        Preparation("hamon", IDS, LATITUDE, LONGITUDE, None, 86400)
    # Radiation is measured: neither matters.
    Preparation("priestley_taylor", IDS, unknown, LONGITUDE, None, 86400)
    with pytest.raises(ForcingError, match="rescaling .* needs the date"):
        Preparation("priestley_taylor", IDS, LATITUDE, LONGITUDE, None, 86400, np.ones((12, 3)))
