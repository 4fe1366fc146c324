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


def test_hargreaves_agrees_with_the_catchments_of_the_training_data(mopex_path):
    import xarray

    with xarray.open_dataset(mopex_path) as data:
        part = data.isel(basin=slice(0, 322, 40), time=slice(0, 2000)).load()
    latitude = part["attributes"].sel(attr="lat_centroid").values
    day = part["time"].dt.dayofyear.values.astype(float)[:, None]
    ours = pet.hargreaves(
        *(part[name].values.T for name in ("tmean", "tmin", "tmax")), latitude, day, **DAY
    )
    assert np.nanmax(np.abs(ours - part["pet"].values.T)) < 0.02
