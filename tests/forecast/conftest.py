"""A small case: made-up catchments, weather of three years, and flow that was observed."""

import netCDF4
import numpy as np
import pytest

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.forecast.chain import Chain
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.variables import RUNOFF_FLUX

CONFIG = """
folder: chain
catchments: {{table: catchments.csv}}
start: 2000-10-01
step: {step}
analysis: {{file: weather.nc, potential_evapotranspiration: hargreaves}}
forecast: {{horizon: 3d}}
threads: 1
"""
OBSERVED = f"observed: {{file: observed.nc, variable: {RUNOFF_FLUX}}}\n"


def day(text):
    return np.datetime64(text, "s")


DAYS = [day(f"2001-03-{number:02d}") for number in (1, 2, 3, 5)]
NOISE = """
ensemble:
  members: 4
  weather: {precipitation: {spread: 0.4}}
  states: {soil_moisture: {spread: 0.02}}
"""


def chain(path):
    return Chain(read_forecast_config(path))


def changed(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))
    return path


def made_worse(source, target, seed=1):
    """Copy weather with wrong precipitation: noise that stays for some days."""
    target.write_bytes(source.read_bytes())
    with netCDF4.Dataset(target, "a") as data:
        rain = data["precipitation"]
        stations, steps = rain.shape
        random = np.random.default_rng(seed)
        factor = np.exp(0.5 * random.normal(size=(stations, steps // 8 + 1)) - 0.125)
        rain[:] = rain[:] * np.repeat(factor, 8, axis=1)[:, :steps]


@pytest.fixture
def case(tmp_path):
    """A chain with perfect weather; `observed.nc` is what the model says of it."""
    write_example(tmp_path, 5, 400, "1d", "file")
    config = tmp_path / "config.yaml"
    run_config(config, tmp_path / "observed.nc")
    path = tmp_path / "chain.yaml"
    path.write_text(CONFIG.format(step="1d"))
    return path


@pytest.fixture
def wrong_case(case):
    """The same with weather of the past that is wrong, and what was observed."""
    made_worse(case.parent / "weather.nc", case.parent / "wrong.nc")
    changed(case, "file: weather.nc", "file: wrong.nc")
    case.write_text(case.read_text() + OBSERVED)
    return case
