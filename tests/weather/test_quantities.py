"""How potential evapotranspiration is come by, from what the weather has."""

import pytest

from bmi_dhydro.errors import ForcingError
from bmi_dhydro.weather.quantities import (
    PET,
    PET_METHODS,
    PRECIPITATION,
    QUANTITIES,
    RADIATION,
    TEMPERATURE,
    TEMPERATURE_EXTREMES,
    choose_pet,
    computable_pet,
    quantities_for,
)


def test_what_is_there_is_taken():
    assert choose_pet([PRECIPITATION, TEMPERATURE, PET], False) == "forcing"
    assert quantities_for("forcing") == (PRECIPITATION, TEMPERATURE, PET)


def test_extremes_come_before_the_mean():
    assert choose_pet([PRECIPITATION, *TEMPERATURE_EXTREMES], True) == "hargreaves"
    assert choose_pet([PRECIPITATION, TEMPERATURE], True) == "oudin"
    assert computable_pet([TEMPERATURE], True) == ["oudin", "hamon"]


def test_radiation_needs_no_latitude():
    available = [PRECIPITATION, TEMPERATURE, *RADIATION, "air_pressure"]
    assert choose_pet(available, False) == "priestley_taylor"


def test_there_may_be_no_way():
    with pytest.raises(ForcingError, match="add a column 'latitude'"):
        choose_pet([PRECIPITATION, TEMPERATURE], False)
    with pytest.raises(ForcingError, match="no potential evapotranspiration"):
        choose_pet([PRECIPITATION], True)


@pytest.mark.parametrize("method", PET_METHODS)
def test_every_method_takes_known_quantities(method):
    assert quantities_for(method)[0] == PRECIPITATION
    assert set(quantities_for(method)) <= set(QUANTITIES)


def test_amounts_of_water_add_up():
    assert [name for name, item in QUANTITIES.items() if item.is_depth] == [PRECIPITATION, PET]
