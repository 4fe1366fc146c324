"""The vocabulary of attributes: what networks see, and what only routing does."""

from bmi_dhydro.catchments.attributes import ATTRIBUTES, CLIMATE, NETWORK_INPUTS
from bmi_dhydro.catchments.climate import climate_indices


def test_names_are_keys_and_units_are_said():
    for name, item in ATTRIBUTES.items():
        assert item.name == name
        assert item.units
        assert item.long_name[0].islower() or item.long_name.split()[0].istitle()


def test_area_acts_on_routing_alone():
    assert "area" in ATTRIBUTES
    assert "area" not in NETWORK_INPUTS


def test_the_climate_is_computed_under_these_names():
    import numpy as np

    days = np.arange(730)
    weather = np.ones((3, 730, 2)) + np.sin(days / 58.0)[:, None] ** 2
    assert set(climate_indices(*weather, days % 365 + 1)) == set(CLIMATE)
