import numpy as np
import pytest

from bmi_dhydro.catchments.attributes import CLIMATE
from bmi_dhydro.catchments.climate import ShortRecordError, climate_indices


def year(catchments=1, years=3):
    days = 365 * years
    day_of_year = np.arange(days) % 365 + 1
    shape = (days, catchments)
    return np.ones(shape), np.zeros(shape), np.full(shape, 2.0), day_of_year


def test_every_climate_attribute_is_computed():
    assert set(climate_indices(*year())) == set(CLIMATE)


def test_means_and_aridity():
    result = climate_indices(*year())
    assert result["mean_precipitation"] == pytest.approx(1.0)
    assert result["aridity"] == pytest.approx(2.0)


def test_seasonality_is_positive_where_summers_are_wet():
    _, _, pet, day = year()
    cycle = np.cos(2 * np.pi * (day - 200) / 365.2425)[:, None]
    wet_summer = climate_indices(3 * (1 + 0.5 * cycle), 10 + 8 * cycle, pet, day)
    assert wet_summer["precipitation_seasonality"] == pytest.approx(0.5, abs=0.01)
    assert wet_summer["temperature_amplitude"] == pytest.approx(8.0, abs=0.05)
    wet_winter = climate_indices(3 * (1 - 0.5 * cycle), 10 + 8 * cycle, pet, day)
    assert wet_winter["precipitation_seasonality"] == pytest.approx(-0.5, abs=0.01)


def test_spells_and_snow():
    rain, temperature, pet, day = year()
    rain[:] = 0.0
    rain[10:12] = 50.0
    rain[500] = 50.0
    temperature[500] = -1.0
    result = climate_indices(rain, temperature, pet, day)
    assert result["high_precipitation_duration"] == pytest.approx(1.5)
    assert result["high_precipitation_frequency"] == pytest.approx(3 / 1095 * 365.2425)
    assert result["low_precipitation_duration"] == pytest.approx(1092 / 3)
    assert result["snow_fraction"] == pytest.approx(1 / 3)


def test_a_month_is_no_climate():
    with pytest.raises(ShortRecordError, match="at least 365 days of weather, but there are 30"):
        climate_indices(*(part[:30] for part in year()))


def test_indices_agree_with_those_of_the_training_data(mopex, mopex_path):
    import xarray

    with xarray.open_dataset(mopex_path) as data:
        table = data["attributes"].sel(attr=["clim_p_mean", "clim_frac_snow", "clim_p_cv"]).values
    names = ("mean_precipitation", "snow_fraction", "precipitation_variability")
    for name, theirs in zip(names, table.T, strict=True):
        # Theirs are of 1948 to 2003, ours end in 1989.
        assert np.corrcoef(mopex.attributes[name], theirs)[0, 1] > 0.98, name


def test_a_catchment_has_the_same_climate_alone_and_among_others():
    random = np.random.default_rng(3)
    days = np.arange(1000) % 365 + 1
    rain, heat, pet = (random.gamma(0.5, 4.0, (1000, 7)) for _ in range(3))
    together = climate_indices(rain, heat, pet, days)
    for k in range(7):
        alone = climate_indices(*(v[:, k : k + 1] for v in (rain, heat, pet)), days)
        for name, values in together.items():
            assert alone[name][0] == values[k], name
