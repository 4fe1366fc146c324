"""The configuration of t-route."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import yaml

from bmi_dhydro.errors import CatchmentError, ConfigError
from bmi_dhydro.hosts.package_options import PackageOptions
from bmi_dhydro.hosts.run_check import check_run
from bmi_dhydro.hosts.run_package import write_run_package
from tests.hosts.conftest import BEGIN, RARE

pytestmark = pytest.mark.filterwarnings(RARE)


def add_rivers(geopackage):
    """Add the layers of rivers that a hydrofabric 2.2 has, without a row."""
    with closing(sqlite3.connect(geopackage)) as database, database:
        for name in ("flowpaths", "flowpath-attributes", "network"):
            database.execute(f'CREATE TABLE "{name}" (id TEXT)')


def test_a_configuration_of_t_route_is_made_for_the_run(write, year, tmp_path):
    with pytest.raises(CatchmentError, match="has no layer flowpaths, flowpath-attributes, net"):
        write(routing="template")
    shutil.copy(year / "h.gpkg", tmp_path / "rivers.gpkg")
    add_rivers(tmp_path / "rivers.gpkg")
    options = PackageOptions(start=BEGIN, end=BEGIN + np.timedelta64(1, "D"), routing="template")
    folder = tmp_path / "routed"
    write_run_package(tmp_path / "rivers.gpkg", year / "f.nc", folder, options)
    document = json.loads((folder / "config" / "realization.json").read_text())
    path = folder / document["routing"]["t_route_config_file_with_path"]
    routing = yaml.safe_load(path.read_text())
    forcing = routing["compute_parameters"]["forcing_parameters"]
    assert forcing["nts"] * forcing["dt"] == 86400
    assert forcing["qts_subdivisions"] * forcing["dt"] == 3600
    topology = routing["network_topology_parameters"]["supernetwork_parameters"]
    for name in (
        topology["geo_file_path"],
        forcing["qlat_input_folder"],
        forcing["binary_nexus_file_folder"],
        routing["output_parameters"]["stream_output"]["stream_output_directory"],
    ):
        assert (folder / name).exists()
    assert Path(forcing["qlat_input_folder"]) == Path(document["output_root"])
    check_run(folder)
    path.write_text(path.read_text().replace("2001-10-10", "2001-10-11").replace("288", "100"))
    with pytest.raises(ConfigError, match="start_datetime is 2001-10-11.*nts times dt is 30000 s"):
        check_run(folder)
