"""What several tests of this folder need."""

import numpy as np
import pandas
import pytest

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.run.simulation import run_config

CONFIG = """
output: run
catchments: {table: catchments.csv}
forcing: {file: weather.nc, potential_evapotranspiration: hargreaves}
observed: {file: results.nc, variable: land_surface_water__runoff_volume_flux}
split:
  train: [2000-10-01, 2002-06-30]
  validate: [2002-07-01, 2003-09-29]
components: 2
settings:
  {hidden: [8], batches: 12, catchments: 6, days: 400, warm_up: 150, validate_every: 4,
   learning_rate: 0.02}
name: a test
licence: CC0
"""


@pytest.fixture
def case(tmp_path):
    """Catchments, weather, and the flow of the default model as observed flow."""
    config = write_example(tmp_path, 8, 1095, "1d", "file", model="fast")
    run_config(config)
    path = tmp_path / "training.yaml"
    path.write_text(CONFIG)
    frame = pandas.read_csv(tmp_path / "catchments.csv")
    frame["fold"] = np.arange(8) % 4
    frame.to_csv(tmp_path / "catchments.csv", index=False)
    return path


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path
