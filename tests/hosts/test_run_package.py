"""Run packages of NextGen: climate, types of numbers, dynamic parameters, and what is asked for."""

import numpy as np
import pytest
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import CheckpointError, ConfigError
from bmi_dhydro.hosts.run_check import check_run
from bmi_dhydro.io import parameter_file, state_file
from bmi_dhydro.io.catchment_table import read_table
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks.trained_model import load
from bmi_dhydro.physics import HBV
from tests.hosts.conftest import IDS, RARE
from tests.hosts.replay import Engine

pytestmark = pytest.mark.filterwarnings(RARE)


def test_the_table_of_climate_that_the_command_writes(year, write, tmp_path):
    """Weather, a table made of it, and the run's own long weather all give the same indices."""
    out = tmp_path / "climate.csv"
    result = CliRunner().invoke(
        main,
        ["climate", str(year / "f.nc"), str(year / "h.gpkg"), str(out)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    tables = [
        read_table(write(name, climate=climate)[0] / "config" / "dhydro_catchments.csv")
        for name, climate in (("table", out), ("weather", year / "f.nc"), ("own", None))
    ]
    for table in tables[1:]:
        for name, values in tables[0].attributes.items():
            np.testing.assert_allclose(table.attributes[name], values, rtol=1e-6, err_msg=name)


def test_the_command_asks_for_what_it_needs(year, tmp_path):
    for arguments, message in (
        ([str(year / "h.gpkg")], "--forcing and --out: are needed"),
        (["--check", str(tmp_path)], "is no realization of this component"),
    ):
        result = CliRunner().invoke(main, ["ngen", *arguments])
        assert result.exit_code != 0
        assert message in result.output


def test_packages_of_float32_and_of_a_dynamic_model(write):
    # Others fill the stores: a year of hours takes an LSTM long.
    folder, _ = write(model="default", spin_up=0)
    assert np.isfinite(Engine(folder, IDS).advance(48)).all()
    double, _ = write("double", spin_up=0)
    single, _ = write("single", spin_up=0)
    for path in (single / "config" / "cat_config" / "DHYDRO").glob("*.yml"):
        path.write_text(path.read_text() + "dtype: float32\n")
    np.testing.assert_allclose(
        Engine(single, IDS).advance(24), Engine(double, IDS).advance(24), rtol=1e-3, atol=1e-9
    )


@pytest.fixture
def calibrated(write, tmp_path):
    """A file of parameters of two of the three divides, and what they are."""
    folder, _ = write("plain")
    table = read_table(folder / "config" / "dhydro_catchments.csv", IDS[:2])
    trained = load("fast")
    process, routing = trained.parameters(table.attributes)
    process[1] = np.minimum(1.5 * process[1], 990.0)
    model = Model(trained.layout.process, process, routing, table.area)
    path = tmp_path / "calibrated.safetensors"
    parameter_file.save(path, model, table.ids, {})
    return path


@pytest.mark.parametrize("fleet", [False, True])
def test_calibrated_parameters_come_along(write, calibrated, fleet):
    """Divides have those of the file, from the filling of the stores on; others the network's."""
    folder, notes = write("run", parameters=calibrated, fleet=fleet)
    assert (
        "parameters: those of calibrated.safetensors for 2 divides; the network's for cat-3"
        in notes
    )
    assert check_run(folder)
    plain, _ = write("plain", fleet=fleet)
    engines = [Engine(folder, IDS), Engine(plain, IDS)]
    modules = [engine.modules[IDS[0]][0].bmi for engine in engines]
    ours, theirs = (bmi.get_value("FC_components", np.empty(16)) for bmi in modules)
    np.testing.assert_allclose(ours, np.minimum(1.5 * theirs, 990.0), rtol=1e-5)
    flows = [engine.advance(24) for engine in engines]
    assert (flows[0][:, :2] != flows[1][:, :2]).any()
    np.testing.assert_array_equal(flows[0][:, 2], flows[1][:, 2])
    states = [
        state_file.read(path / "config" / "dhydro_state.nc", HBV.state_names).arrays["state"]
        for path in (folder, plain)
    ]
    assert not np.array_equal(*states)


def test_bad_parameter_files(write, calibrated, tmp_path):
    with pytest.raises(CheckpointError, match="no such parameter file"):
        write("run", parameters=tmp_path / "gone.safetensors")
    trained = load()
    model = Model(trained.layout.process, np.full((14, 1, 3), 0.5), np.full((3, 1), 1.0), [50.0])
    few = tmp_path / "few.safetensors"
    parameter_file.save(few, model, np.array(["cat-1"]), {})
    with pytest.raises(CheckpointError, match="of another shape than the model"):
        write("run", parameters=few)
    table = read_table(tmp_path / "plain" / "config" / "dhydro_catchments.csv", ["cat-1"])
    others = tmp_path / "others.safetensors"
    model = Model(trained.layout.process, *trained.parameters(table.attributes), table.area)
    parameter_file.save(others, model, np.array(["cat-77"]), {})
    with pytest.raises(ConfigError, match="has none of the divides; it has cat-77"):
        write("run", parameters=others)
    folder, _ = write("run", parameters=calibrated)
    (folder / "config" / "dhydro_parameters.safetensors").unlink()
    with pytest.raises(ConfigError, match="no such parameter file"):
        check_run(folder)
    write("run")
    text = (folder / "config" / "cat_config" / "DHYDRO" / "cat-1.yml").read_text()
    assert "parameter_file" not in text
