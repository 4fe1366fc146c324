"""The table of exchange items: every name once, with a unit that can be converted."""

import numpy as np

from bmi_dhydro.units import conversion
from bmi_dhydro.variables import INPUTS, OUTPUTS, factor, inputs_for
from bmi_dhydro.weather.quantities import PRECIPITATION, QUANTITIES, TEMPERATURE


def test_every_name_is_there_once():
    names = [item.name for item in (*INPUTS, *OUTPUTS)]
    names += [alias for item in INPUTS for alias in item.aliases]
    assert len(set(names)) == len(names)


def test_inputs_are_asked_for_by_their_quantity():
    rain, temperature = inputs_for((PRECIPITATION, TEMPERATURE))
    assert (rain.source, temperature.source) == (PRECIPITATION, TEMPERATURE)
    assert {item.source for item in INPUTS} <= set(QUANTITIES)


def test_factors_are_those_of_the_units():
    area = np.array([10.0, 250.0])
    # A millimetre in an hour.
    assert factor("depth_to_m", 3600, area).tolist() == [0.001, 0.001]
    assert factor("depth_to_mm_per_hour", 900, area).tolist() == [4.0, 4.0]
    np.testing.assert_allclose(factor("depth_to_m3_per_second", 3600, area), area * 1e3 / 3600)
    assert factor("none", 3600, area).tolist() == [1.0, 1.0]


def test_units_are_known():
    for item in (*INPUTS, *OUTPUTS):
        assert np.isfinite(conversion(item.units, item.units)).all()


def test_bounds_enclose_something():
    for item in INPUTS:
        assert item.lowest < item.highest
