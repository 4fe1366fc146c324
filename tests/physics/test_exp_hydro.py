"""EXP-HYDRO does what its paper says, and loses no water."""

import numpy as np
import pytest

from bmi_dhydro.physics import EXP_HYDRO

PARAMETERS = {"DF": 3.0, "F": 0.02, "QMAX": 20.0, "SMAX": 500.0, "TMAX": 1.0, "TMIN": -1.0}


def names():
    return (*EXP_HYDRO.state_names, *(item.name for item in EXP_HYDRO.fluxes))


def step(*arguments, **changed):
    values = EXP_HYDRO.step(*arguments, **{**PARAMETERS, **changed})
    return dict(zip(names(), map(float, values), strict=True))


def test_snow_falls_below_and_melts_above():
    cold = step(10.0, 100.0, 5.0, -2.0, 0.0)
    assert (cold["snowpack"], cold["snowfall"], cold["rain"], cold["melt"]) == (15.0, 5.0, 0.0, 0.0)
    warm = step(10.0, 100.0, 0.0, 3.0, 0.0)
    assert warm["melt"] == pytest.approx(3.0 * (3.0 - 1.0))
    assert step(4.0, 100.0, 0.0, 9.0, 0.0)["melt"] == 4.0


def test_outflow_is_exponential_in_storage():
    for stored in (100.0, 300.0, 500.0):
        expected = 20.0 * np.exp(-0.02 * (500.0 - stored))
        assert step(0.0, stored, 0.0, 5.0, 0.0)["baseflow"] == pytest.approx(expected)


def test_what_is_above_the_store_runs_off():
    result = step(0.0, 495.0, 20.0, 5.0, 0.0)
    assert result["surface_runoff"] == pytest.approx(15.0)
    assert result["soil_moisture"] <= 500.0


def test_evapotranspiration_is_the_share_that_is_full():
    assert step(0.0, 250.0, 0.0, 5.0, 4.0)["evapotranspiration"] == pytest.approx(2.0)


def test_water_closes():
    random = np.random.default_rng(0)
    for _ in range(200):
        before = random.uniform(0.0, 200.0, 2)
        rain, temperature, pet = random.gamma(0.5, 10.0), random.normal(2.0, 8.0), 3.0
        result = step(*before, rain, temperature, pet, SMAX=random.uniform(100.0, 1500.0))
        after = result["snowpack"] + result["soil_moisture"]
        left = result["evapotranspiration"] + result["runoff"]
        assert before.sum() + rain == pytest.approx(after + left, abs=1e-11)
        assert min(result.values()) >= 0.0
