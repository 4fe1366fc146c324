"""Names of the interface, and what happens with others."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import (
    VariableError,
)
from bmi_dhydro.variables import OUTPUTS
from tests.bmi.conftest import PET, RAIN, TEMPERATURE


def test_names_are_known_before_initialize():
    bmi = BmiDhydro()
    assert bmi.get_component_name() == "bmi_dhydro"
    assert len(bmi.get_output_var_names()) == bmi.get_output_item_count() == len(OUTPUTS)
    assert bmi.get_input_var_names() == (RAIN, TEMPERATURE, PET)


def test_aliases_are_the_same_input(model):
    model.set_value("atmosphere_water__precipitation_leq-volume_flux", np.array([2.5]))
    assert model.get_value(RAIN, np.empty(1)) == [2.5]


@pytest.mark.parametrize("method", ["get_value", "get_value_ptr", "get_var_units", "set_value"])
def test_unknown_names_get_the_nearest(model, method):
    arguments = {"get_value": [np.empty(1)], "set_value": [np.zeros(1)]}.get(method, [])
    with pytest.raises(VariableError, match="did you mean 'land_surface_air__temperature'"):
        getattr(model, method)("land_surface_air_temperature", *arguments)
