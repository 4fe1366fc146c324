"""What a run is made of: catchments, climate, evapotranspiration."""

import warnings

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.catchments.attributes import CLIMATE
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import CatchmentError, ConfigError, ForcingError
from bmi_dhydro.run.component import Component
from bmi_dhydro.run.configured_model import ExtrapolationWarning
from tests.run.conftest import replaced


def table_without(file_example, *columns):
    path = file_example.parent / "catchments.csv"
    frame = pandas.read_csv(path)
    frame.drop(columns=list(columns)).to_csv(path, index=False)


def test_climate_missing_in_the_table_comes_from_the_weather(file_example, monkeypatch):
    columns = [name for name in CLIMATE if name != "aridity"]
    table_without(file_example, *columns)
    monkeypatch.setattr("bmi_dhydro.weather.source.AHEAD_BYTES", 15000)
    with warnings.catch_warnings():
        # 500 days of made-up weather are not quite a climate as the training catchments have.
        warnings.simplefilter("ignore", ExtrapolationWarning)
        made = Component(read_config(file_example))
    rain = made.catchments.attributes["mean_precipitation"]
    with xarray.open_dataset(file_example.parent / "weather.nc") as data:
        expected = data["precipitation"].mean("time").values * 24.0
    np.testing.assert_allclose(rain, expected, rtol=1e-5)
    made.abandon()


def test_a_month_of_weather_is_no_climate(file_example):
    table_without(file_example, "aridity")
    replaced(file_example, "  step: 1d", "  step: 1d\n  end: 2000-11-01")
    with pytest.raises(CatchmentError, match="at least 365 days of weather, but there are 31"):
        Component(read_config(file_example))


def test_missing_attributes_are_named(file_example):
    table_without(file_example, "soil_porosity", "forest_fraction")
    with pytest.raises(CatchmentError, match="lack: soil_porosity, forest_fraction"):
        Component(read_config(file_example))


def test_unknown_catchments_and_variables_are_refused(file_example):
    replaced(
        file_example, "  table: catchments.csv", "  select: [cat-1, cat-x]\n  table: catchments.csv"
    )
    with pytest.raises(CatchmentError, match="has no catchment cat-x"):
        Component(read_config(file_example))
    replaced(file_example, "  select: [cat-1, cat-x]\n", "")
    replaced(file_example, "  file: results.nc", "  variables: [rian]\n  file: results.nc")
    with pytest.raises(ConfigError, match="'rian' is unknown; did you mean 'rain'"):
        Component(read_config(file_example))
    assert not list(file_example.parent.glob(".*part"))


def test_evapotranspiration_needs_a_latitude(file_example):
    table_without(file_example, "latitude")
    with pytest.raises(ForcingError, match="after hargreaves needs the latitude of cat-1"):
        Component(read_config(file_example))
