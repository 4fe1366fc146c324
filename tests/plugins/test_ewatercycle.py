"""The model as eWaterCycle finds, sets up, runs and reads it."""

import warnings

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.variables import OUTPUTS
from tests.plugins.test_ewatercycle_setup import write_forcing

with warnings.catch_warnings():
    # Of libraries that eWaterCycle imports, about themselves.
    warnings.simplefilter("ignore")
    pytest.importorskip("ewatercycle", reason="needs ewatercycle")
    from ewatercycle.base.forcing import DefaultForcing
    from ewatercycle.base.parameter_set import ParameterSet
    from ewatercycle.models import sources

FLUX = OUTPUTS[1].name


@pytest.fixture
def parameter_set(tmp_path):
    folder = write_example(tmp_path / "set", 3, 730, "1d", "file").parent
    return ParameterSet(
        name="three", directory=str(folder), config="config.yaml", target_model="dhydro"
    )


def test_a_run_is_that_of_the_interface(parameter_set, tmp_path):
    model = sources["Dhydro"](parameter_set=parameter_set)
    config, folder = model.setup(cfg_dir=str(tmp_path / "run"), model="fast")
    assert folder == str(tmp_path / "run")
    model.initialize(config)
    assert model.start_time_as_isostr == "2000-10-01T00:00:00Z"
    alone = BmiDhydro()
    alone.initialize(config)
    for _ in range(5):
        model.update()
        alone.update()
    assert model.time_as_isostr == "2000-10-06T00:00:00Z"
    expected = alone.get_value(FLUX, np.empty(3))
    values = model.get_value_as_xarray(FLUX)
    assert values.sizes == {"time": 1, "catchment": 3}
    np.testing.assert_array_equal(values.values[0], expected)
    assert values["latitude"].attrs["units"] == "degrees_north"
    lat, lon = values["latitude"].values[[2, 0]] + 0.01, values["longitude"].values[[2, 0]]
    np.testing.assert_array_equal(model.get_value_at_coords(FLUX, lat, lon), expected[[2, 0]])
    model.finalize()
    alone.finalize()


def test_weather_comes_from_a_forcing(parameter_set, tmp_path):
    files = write_forcing(tmp_path)
    forcing = DefaultForcing(
        directory=tmp_path,
        start_time="2000-10-01T00:00:00Z",
        end_time="2001-12-01T00:00:00Z",
        filenames={name: path.name for name, path in files.items()},
    )
    model = sources["Dhydro"](parameter_set=parameter_set, forcing=forcing)
    config, _ = model.setup(cfg_dir=str(tmp_path / "run"))
    model.initialize(config)
    assert model.end_time_as_isostr == "2001-12-01T00:00:00Z"
    for _ in range(30):
        model.update()
    assert (model.get_value(FLUX) > 0.0).all()
    model.finalize()


def test_a_container_is_set_up_alike(parameter_set):
    model = sources["DhydroContainer"](parameter_set=parameter_set)
    assert dict(model.parameters)["model"] == "default"
    other = parameter_set.model_copy(update={"target_model": "wflow"})
    with pytest.raises(ValueError, match="target_model must be dhydro"):
        sources["DhydroContainer"](parameter_set=other)
