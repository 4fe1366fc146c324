"""What is written for a run is what a run reads."""

import numpy as np
import pytest

from bmi_dhydro.catchments.synthetic import make_catchments, make_weather
from bmi_dhydro.files.whole import digest_holds
from bmi_dhydro.io.catchment_table import read_table
from bmi_dhydro.io.export import write_catchments, write_weather
from bmi_dhydro.weather.file import ForcingFile


def test_a_table_is_read_again(tmp_path):
    catchments = make_catchments(5)
    path = tmp_path / "table.csv"
    write_catchments(path, catchments, number="%.17g", digest=True)
    assert digest_holds(path) is True
    table = read_table(path)
    assert table.ids.tolist() == catchments.ids.tolist()
    for name, values in catchments.attributes.items():
        assert np.array_equal(table.attributes[name], values), name
    assert np.array_equal(table.area, catchments.area)


@pytest.mark.parametrize("step_seconds", [86400, 3600])
def test_weather_is_read_again(tmp_path, step_seconds):
    catchments = make_catchments(2)
    weather = make_weather(catchments, 5, step_seconds)
    path = tmp_path / "weather.nc"
    write_weather(path, catchments, weather)
    file = ForcingFile(path, catchments.ids, {}, step_seconds)
    try:
        found = file.read(("precipitation", "temperature"), 0, len(weather.temperature))
    finally:
        file.close()
    np.testing.assert_allclose(found[:, 0], weather.precipitation, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], weather.temperature, rtol=1e-5, atol=1e-4)
