import pytest

from bmi_dhydro.physics import HBV


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
    assert out["recharge"] == pytest.approx(2.0)
    assert out["soil_moisture"] == pytest.approx(106.0)


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
    assert out["capillary_rise"] == pytest.approx(0.2 * 40.0 * 0.75)
    assert out["lower_zone"] == pytest.approx(40.0 - 6.0 + out["percolation"])


def test_response_routine():
    out = step(
        upper_zone=50.0, lower_zone=100.0, PERC=2.0, UZL=20.0, K0=0.5, K1=0.1, K2=0.01, C=0.0
    )
    assert out["percolation"] == 2.0
    assert out["surface_runoff"] == pytest.approx(14.0)
    assert out["interflow"] == pytest.approx(3.4)
    assert out["baseflow"] == pytest.approx(1.02)
    assert out["runoff"] == pytest.approx(14.0 + 3.4 + 1.02)
