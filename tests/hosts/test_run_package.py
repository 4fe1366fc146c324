"""Run packages of NextGen: climate, types of numbers, dynamic parameters, and what is asked for."""

import numpy as np
import pytest
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.io.catchment_table import read_table
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
    folder, _ = write(model="dynamic")
    assert np.isfinite(Engine(folder, IDS).advance(48)).all()
    double, _ = write("double")
    single, _ = write("single")
    for path in (single / "config" / "cat_config" / "DHYDRO").glob("*.yml"):
        path.write_text(path.read_text() + "dtype: float32\n")
    np.testing.assert_allclose(
        Engine(single, IDS).advance(24), Engine(double, IDS).advance(24), rtol=1e-3, atol=1e-9
    )
