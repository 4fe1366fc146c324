import numpy as np
import pytest

from bmi_dhydro.physics import pet

DAY = {"start_hour": 0.0, "hours": 24.0}


def test_radiation_agrees_with_the_worked_example_of_fao_56():
    # Example 8: 3 September (day 246) at 20 degrees south: 32.2 MJ m-2 d-1.
    radiation = pet.extraterrestrial_radiation(-20.0, 246.0, **DAY)
    assert radiation == pytest.approx(32.2, abs=0.1)


def test_daylight_agrees_with_the_worked_example_of_fao_56():
    # Example 9: the same day and place have 11.7 hours of daylight.
    assert pet.daylight(-20.0, 246.0, **DAY) == pytest.approx(11.7, abs=0.05)


@pytest.mark.parametrize("latitude", [-55.0, 0.0, 40.0, 68.0])
@pytest.mark.parametrize("shift", [0.0, 5.3, 20.1])
def test_the_hours_of_a_day_add_up_to_it(latitude, shift):
    hours = (np.arange(24.0) + shift) % 24.0
    for function in (pet.extraterrestrial_radiation, pet.daylight):
        parts = function(latitude, 100.0, hours, 1.0)
        assert (parts >= 0).all()
        assert parts.sum() == pytest.approx(function(latitude, 100.0, **DAY))


def test_polar_night_and_polar_day():
    assert pet.extraterrestrial_radiation(80.0, 355.0, **DAY) == pytest.approx(0.0, abs=1e-9)
    assert pet.daylight(80.0, 172.0, **DAY) == pytest.approx(24.0)


def test_oudin_agrees_with_its_formula_and_stops_at_minus_five():
    radiation = pet.extraterrestrial_radiation(45.0, 180.0, **DAY)
    expected = radiation / 2.45 * 25.0 / 100.0
    assert pet.oudin(20.0, 45.0, 180.0, **DAY) == pytest.approx(expected)
    assert pet.oudin(-6.0, 45.0, 180.0, **DAY) == 0.0


def test_hamon_is_plausible_in_summer():
    # 12-hour day at 20 degC: saturation density 17.3 g m-3, 0.1651 * 17.3 * 1.2 = 3.4 mm.
    assert pet.hamon(20.0, 0.0, 80.0, **DAY) == pytest.approx(3.43, abs=0.03)


def emitted(temperature):
    return pet.STEFAN_BOLTZMANN * (temperature + 273.15) ** 4


def humidity(vapour_pressure, pressure):
    """Specific humidity of a vapour pressure, both in kPa."""
    return 0.622 * vapour_pressure / (pressure - 0.378 * vapour_pressure)


@pytest.mark.parametrize(
    ("temperature", "relative", "wind", "shortwave", "net_longwave", "expected"),
    [(38.0, 0.52, 3.3, 2.450, 0.137, 0.63), (28.0, 0.90, 1.9, 0.0, 0.100, 0.0)],
)
def test_penman_monteith_agrees_with_the_worked_hours_of_fao_56(
    temperature, relative, wind, shortwave, net_longwave, expected
):
    """Example 19: N'Diaye, Senegal, in October, 14 to 15 and 2 to 3 o'clock; MJ m-2 h-1."""
    vapour = relative * pet.saturation_pressure(temperature)
    ours = pet.penman_monteith(
        temperature,
        shortwave * 1e6 / 3600.0,
        emitted(temperature) - net_longwave * 1e6 / 3600.0,
        humidity(vapour, 101.2),
        101200.0,
        0.6 * wind / pet.WIND_AT_2_M,
        0.8 * wind / pet.WIND_AT_2_M,
        16.2,
        274.0,
        14.0,
        1.0,
    )
    assert ours == pytest.approx(expected, abs=0.011)


def test_penman_monteith_agrees_with_the_worked_day_of_fao_56():
    """Example 18: Uccle, 6 July, but with the saturation pressure of the mean temperature."""
    temperature, net, wind, actual, pressure = 16.9, 13.28, 2.078, 1.409, 100.1
    net_longwave = 0.77 * 22.07 - net  # MJ m-2 d-1
    ours = pet.penman_monteith(
        temperature,
        22.07e6 / 86400.0,
        emitted(temperature) - net_longwave * 1e6 / 86400.0,
        humidity(actual, pressure),
        pressure * 1e3,
        wind / pet.WIND_AT_2_M,
        0.0,
        50.8,
        187.0,
        0.0,
        24.0,
    )
    # The example has 3.9 mm with 1.997 kPa, the mean of the saturation of both extremes.
    saturation = pet.saturation_pressure(temperature)
    slope, gamma = 0.122, 0.0666
    aerodynamic = gamma * 900.0 / (temperature + 273.0) * wind
    lower = aerodynamic * (1.997 - saturation) / (slope + gamma * (1.0 + 0.34 * wind))
    assert ours + lower == pytest.approx(3.9, abs=0.06)


def test_priestley_taylor_is_a_share_of_the_energy():
    shortwave, longwave = 300.0, 330.0
    net = 0.77 * shortwave + longwave - emitted(20.0)
    ours = pet.priestley_taylor(20.0, shortwave, longwave, 101300.0, 0.0, 0.0, 0.0, 24.0)
    share = 0.1447 / (0.1447 + 0.665e-3 * 101.3)
    assert ours == pytest.approx(1.26 * share * net * 0.0864 / 2.45, rel=2e-3)
    night = pet.priestley_taylor(5.0, 0.0, 250.0, 101300.0, 0.0, 0.0, 0.0, 1.0)
    assert night == 0.0


def test_hargreaves_agrees_with_that_of_real_catchments(few_real_path):
    import xarray

    with xarray.open_dataset(few_real_path) as data:
        part = data.isel(time=slice(0, 2000)).load()
    latitude = part["attributes"].sel(attr="lat_centroid").values
    day = part["time"].dt.dayofyear.values.astype(float)[:, None]
    ours = pet.hargreaves(
        *(part[name].values.T for name in ("tmean", "tmin", "tmax")), latitude, day, **DAY
    )
    assert np.nanmax(np.abs(ours - part["pet"].values.T)) < 0.02
