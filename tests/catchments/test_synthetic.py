"""Made-up catchments have the climates they are said to have."""

import numpy as np

from bmi_dhydro.catchments.synthetic import CLIMATES, make_catchments, make_weather

YEARS = 3653
COUNT = len(CLIMATES)


def test_the_same_seed_makes_the_same():
    one, two = (make_catchments(7, 3) for _ in range(2))
    assert one.ids.tolist() == two.ids.tolist()
    assert np.array_equal(one.area, two.area)
    assert not np.array_equal(one.area, make_catchments(7, 4).area)
    weather = [make_weather(one, 50, seed=5) for _ in range(2)]
    assert np.array_equal(weather[0].precipitation, weather[1].precipitation)


def test_climates_differ_as_their_names_say():
    catchments = make_catchments(COUNT)
    weather = make_weather(catchments, YEARS)
    rain = weather.precipitation.mean(axis=0)
    names = [climate.name for climate in CLIMATES]
    dry, humid, snowy = (names.index(name) for name in ("dry", "humid", "snowy"))
    assert rain[dry] < 0.8 * rain[humid]
    assert weather.temperature[:, snowy].min() < -5.0
    assert (weather.precipitation >= 0.0).all()
    assert (weather.temperature_minimum <= weather.temperature_maximum).all()
    assert 0.2 < (weather.precipitation[:, humid] > 0.1).mean() < 0.8


def test_hours_add_up_to_days():
    catchments = make_catchments(COUNT)
    days, hours = (make_weather(catchments, 60, step) for step in (86400, 3600))
    total = hours.precipitation.reshape(60, 24, COUNT).sum(axis=1)
    np.testing.assert_allclose(total, days.precipitation, rtol=1e-9, atol=1e-9)
    mean = hours.temperature.reshape(60, 24, COUNT).mean(axis=1)
    np.testing.assert_allclose(mean, days.temperature, atol=1e-9)
    assert (hours.temperature.std(axis=0) > days.temperature.std(axis=0)).all()
