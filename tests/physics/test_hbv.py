import numpy as np
import pytest

from bmi_dhydro.physics import HBV
from bmi_dhydro.physics.hbv import inflow_weight


def named(results):
    return dict(zip(HBV.output_names, results, strict=True))


def middle():
    """Parameters in the middle of their bounds."""
    return {item.name: 0.5 * (item.lower + item.upper) for item in HBV.parameters}


def step(states=(), **changes):
    values = dict.fromkeys(HBV.state_names, 0.0)
    values.update(precipitation=0.0, temperature=10.0, potential_evapotranspiration=0.0)
    values.update(middle())
    values.update(changes)
    return named(HBV.step(**{**values, **dict(states)}))


def test_snow_falls_below_the_threshold_and_rain_at_it():
    cold = step(precipitation=10.0, temperature=-3.0, TT=0.0)
    assert cold["snowfall"] == 10.0
    assert cold["rain"] == 0.0
    warm = step(precipitation=10.0, temperature=0.0, TT=0.0)
    assert warm["rain"] == 10.0
    assert warm["snowfall"] == 0.0


def test_melt_is_degree_days_until_the_pack_is_gone():
    out = step(snowpack=50.0, temperature=4.0, TT=1.0, CFMAX=3.0)
    assert out["melt"] == 9.0
    assert step(snowpack=5.0, temperature=4.0, TT=1.0, CFMAX=3.0)["melt"] == 5.0


def test_snow_holds_a_share_of_itself_as_water():
    out = step(snowpack=100.0, temperature=2.0, TT=0.0, CFMAX=10.0, CWH=0.1)
    assert out["snowpack"] == 80.0
    assert out["meltwater"] == pytest.approx(8.0)


def test_meltwater_refreezes_in_the_cold():
    out = step(snowpack=10.0, meltwater=1.0, temperature=-2.0, TT=0.0, CFMAX=5.0, CFR=0.05, CWH=0.2)
    assert out["refreezing"] == pytest.approx(0.5)
    assert out["snowpack"] == pytest.approx(10.5)


def test_recharge_follows_soil_wetness():
    out = step(soil_moisture=100.0, FC=200.0, BETA=2.0, precipitation=8.0, PERC=0.0, C=0.0)
    # In the middle of the step the soil holds 100 + 8 / 2 * (1 - 0.25) = 103 mm.
    assert out["recharge"] == pytest.approx(8.0 * (103.0 / 200.0) ** 2)
    assert out["soil_moisture"] == pytest.approx(108.0 - out["recharge"])


def test_soil_above_field_capacity_becomes_recharge():
    out = step(soil_moisture=199.0, FC=200.0, BETA=6.0, precipitation=50.0, C=0.0)
    assert out["soil_moisture"] == pytest.approx(200.0)


def test_evapotranspiration_is_potential_in_wet_soil_and_reduced_in_dry():
    wet = step(soil_moisture=190.0, FC=200.0, LP=0.5, potential_evapotranspiration=4.0, C=0.0)
    assert wet["evapotranspiration"] == 4.0
    dry = step(
        soil_moisture=50.0, FC=200.0, LP=0.5, BETAET=2.0, potential_evapotranspiration=4.0, C=0.0
    )
    assert dry["evapotranspiration"] == pytest.approx(1.0)


def test_capillary_rise_fills_dry_soil_from_the_lower_zone():
    out = step(soil_moisture=50.0, lower_zone=40.0, FC=200.0, C=0.2, K2=0.0)
    share = 1.0 - np.exp(-0.2 * 0.75)
    assert out["capillary_rise"] == pytest.approx(share * 40.0, rel=2e-4)
    assert out["lower_zone"] == pytest.approx(40.0 - out["capillary_rise"])


def test_response_routine():
    out = step(
        upper_zone=50.0, lower_zone=100.0, PERC=2.0, UZL=20.0, K0=0.5, K1=0.1, K2=0.01, C=0.0
    )
    assert out["percolation"] == 2.0
    surface_runoff = 0.5 * (50.0 - inflow_weight(0.5) * 2.0 - 20.0)
    interflow = 0.1 * (50.0 - inflow_weight(0.1) * (2.0 + surface_runoff))
    assert out["surface_runoff"] == pytest.approx(surface_runoff)
    assert out["interflow"] == pytest.approx(interflow)
    assert out["baseflow"] == pytest.approx(0.01 * 101.0)
    assert out["runoff"] == pytest.approx(surface_runoff + interflow + 1.01)


def test_what_counts_of_inflow_is_that_of_a_linear_store():
    shares = np.linspace(0.001, 0.9, 200)
    exact = 1.0 / shares + 1.0 / np.log1p(-shares)
    assert np.abs(inflow_weight(shares) - exact).max() < 0.005


def test_no_flux_takes_more_than_there_is():
    """With parameters far beyond their bounds, in a wet and in a dry hour."""
    for content in (0.0, 0.3, 500.0):
        for rain in (0.0, 80.0):
            out = step(
                soil_moisture=min(content, 150.0),
                upper_zone=content,
                lower_zone=content,
                precipitation=rain,
                potential_evapotranspiration=50.0,
                K0=1.0,
                K1=1.0,
                K2=1.0,
                C=5.0,
                UZL=0.0,
                PERC=70.0,
            )
            for name in HBV.state_names:
                assert out[name] >= 0.0
