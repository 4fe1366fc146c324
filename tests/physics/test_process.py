import inspect

import numpy as np
import pytest

from bmi_dhydro.catchments.attributes import ATTRIBUTES
from bmi_dhydro.physics import (
    HBV,
    PROCESSES,
    Parameter,
    between_bounds,
    per_step,
    share_between_bounds,
)
from tests.conftest import random_setup


def parameter(name):
    return HBV.parameters[HBV.parameter_names.index(name)]


def test_a_day_changes_nothing():
    for item in HBV.parameters:
        assert per_step(0.3, item, 1.0) == 0.3


def test_rates_are_divided_and_fractions_compound():
    assert per_step(6.0, parameter("PERC"), 1 / 24) == pytest.approx(0.25)
    hourly = per_step(0.3, parameter("K1"), 1 / 24)
    assert (1 - hourly) ** 24 == pytest.approx(0.7)
    assert per_step(100.0, parameter("FC"), 1 / 24) == 100.0


@pytest.mark.parametrize("item", HBV.parameters, ids=lambda item: item.name)
def test_shares_reach_from_bound_to_bound(item: Parameter):
    values = between_bounds(np.array([0.0, 0.5, 1.0]), item)
    assert values[0] == pytest.approx(item.lower)
    assert values[2] == pytest.approx(item.upper)
    middle = np.sqrt(item.lower * item.upper) if item.scale == "log" else np.mean(values[[0, 2]])
    assert values[1] == pytest.approx(middle)
    np.testing.assert_allclose(share_between_bounds(values, item), [0.0, 0.5, 1.0], atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda p: p.name)
def test_tables_fit_the_step_function(process):
    code = process.step.__code__
    if not code.co_flags & inspect.CO_VARARGS:
        assert code.co_varnames[: code.co_argcount] == process.argument_names
    assert set(process.curves) <= set(code.co_names)
    for names in process.curves.values():
        assert set(names) <= set(process.parameter_names)
    forcing, parameters, states = random_setup(1, 1, 1, process=process)
    results = process.step(*states, *forcing[0][:, :, None], *parameters)
    assert len(results) == len(process.output_names)
    for name in (process.evapotranspiration, process.runoff):
        assert name in process.flux_names
    assert set(process.gains) <= set(process.flux_names)
    for rule in process.site:
        assert rule.parameter in process.parameter_names
        assert rule.attribute in ATTRIBUTES
    assert process.inflow in process.forcing_names
