"""The plugin of pymt: what is found of it, a folder set up from its templates, and coupling."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import yaml

import bmi_dhydro
from bmi_dhydro import BmiDhydro
from bmi_dhydro.catchments.attributes import ATTRIBUTES, NETWORK_INPUTS
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, PET = (item.name for item in INPUTS[:3])
FLUX = OUTPUTS[1].name
FOLDER = Path(bmi_dhydro.__file__).parent / "plugins" / "pymt"


def section(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def staged(folder, **changes):
    """A folder as pymt's `setup` writes it, by the library that it has for that."""
    model_metadata = pytest.importorskip("model_metadata", reason="needs model_metadata")
    setup = pytest.importorskip("model_metadata.model_setup", reason="needs model_metadata")
    meta = model_metadata.ModelMetadata.from_obj(BmiDhydro())
    values = {name: item["value"]["default"] for name, item in meta.parameters.items()}
    setup.FileSystemLoader(meta.base).stage_all(str(folder), **{**values, **changes})
    return str(Path(folder) / meta.run["config_file"]["path"])


def test_it_is_found():
    (found,) = entry_points(group="pymt.plugins", name="Dhydro")
    assert found.load() is BmiDhydro
    assert section("api")["class"] == BmiDhydro.__name__
    assert section("info")["version"] == bmi_dhydro.__version__
    # Another key for authors breaks the import of pymt for everybody.
    assert "authors" not in section("info")


def test_parameters_are_those_of_the_vocabulary():
    parameters = section("parameters")
    template = (FOLDER / "config.yaml").read_text()
    for name in parameters:
        assert re.search(rf"{{[{{%].*\b{name}\b", template), name
    for name in NETWORK_INPUTS:
        assert parameters[name]["value"]["units"] == ATTRIBUTES[name].units
    assert parameters["area"]["value"]["units"] == ATTRIBUTES["area"].units


def test_a_folder_is_set_up_and_changed(tmp_path):
    config = read_config(staged(tmp_path, model="fast", step="1h", area=81.5))
    assert config.model == "fast"
    assert config.time.step == "1h"
    assert config.catchments.inline["area"] == 81.5
    assert set(NETWORK_INPUTS) < set(config.catchments.inline)


@pytest.mark.parametrize("weather", ["host", "file"])
def test_many_catchments_are_points_in_the_plane(tmp_path, weather):
    example = write_example(tmp_path / "example", 5, 400, "1d", weather)
    files = {"catchments_file": str(example.with_name("catchments.csv"))}
    if weather == "file":
        files["weather_file"] = str(example.with_name("weather.nc"))
    model = BmiDhydro()
    model.initialize(staged(tmp_path / "run", **files))
    assert (model.get_grid_type(0), model.get_grid_rank(0)) == ("points", 2)
    assert np.isfinite(model.get_grid_y(0, np.empty(5))).all()
    if weather == "host":
        for name, value in ((RAIN, 3.0), (TEMPERATURE, 9.0), (PET, 0.1)):
            model.set_value(name, np.full(5, value))
    model.update()
    assert np.isfinite(model.get_value(FLUX, np.empty(5))).all()
    model.finalize()


def test_coupled_by_pymt_with_another_component(tmp_path):
    """In pymt: two components, of which one gives the other what it takes in."""
    models = pytest.importorskip("pymt.models", reason="needs pymt, which is not on PyPI")
    upper, lower = models.Dhydro(), models.Dhydro()
    for model, name in ((upper, "upper"), (lower, "lower")):
        model.initialize(*model.setup(str(tmp_path / name), catchment_id=name))
    assert upper.output_var_names == BmiDhydro().get_output_var_names()
    alone = BmiDhydro()
    alone.initialize(str(tmp_path / "lower" / "config.yaml"))
    random = np.random.default_rng(0)
    for _ in range(40):
        rain, heat = random.gamma(0.3, 8.0, 1), random.normal(8.0, 4.0, 1)
        flows = []
        for name, values in ((RAIN, rain), (TEMPERATURE, heat), (PET, np.array([0.1]))):
            upper.set_value(name, values)
        upper.update()
        # What runs off the upper catchment waters the lower one, beside its own rain.
        more = rain + upper.get_value(FLUX, units=INPUTS[0].units)
        for model in (lower, alone):
            model.set_value(RAIN, more)
            model.set_value(TEMPERATURE, heat)
            model.set_value(PET, np.array([0.1]))
        lower.update_until(upper.time, units=upper.time_units)
        alone.update()
        flows = lower.get_value(FLUX), alone.get_value(FLUX, np.empty(1))
        assert flows[0] == flows[1]
    assert lower.time == upper.time
    for model in (upper, lower, alone):
        model.finalize()
