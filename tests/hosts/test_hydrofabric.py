"""Attributes of a hydrofabric, under the names of its versions."""

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from bmi_dhydro.hosts.hydrofabric import read_hydrofabric
from tests.hosts.conftest import RARE
from tests.test_without_torch import commands

pytestmark = pytest.mark.filterwarnings(RARE)


def test_attributes_under_the_names_of_other_regions_and_versions(year, tmp_path):
    expected = read_hydrofabric(year / "h.gpkg").catchments.attributes
    for k, name in enumerate(("{}_Time._soil_layers_stag.{}", "{}_Time._soil_layers_stag={}")):
        path = tmp_path / f"{k}.gpkg"
        shutil.copy(year / "h.gpkg", path)
        with closing(sqlite3.connect(path)) as database, database:
            columns = [row[1] for row in database.execute('PRAGMA table_info("divide-attributes")')]
            for column in columns:
                base, found, layer = column.partition("_soil_layers_stag=")
                if found:
                    other = name.format(base, layer)
                    database.execute(
                        f'ALTER TABLE "divide-attributes" RENAME COLUMN "{column}" TO "{other}"'
                    )
        attributes = read_hydrofabric(path).catchments.attributes
        for key, values in expected.items():
            np.testing.assert_array_equal(attributes[key], values, err_msg=f"{name} {key}")


def test_without_pyproj_a_hydrofabric_says_what_it_needs(year, tmp_path):
    line = f"ngen {year / 'h.gpkg'} --forcing {year / 'f.nc'} --out run"
    ((code, text),) = commands(tmp_path, line, without="pyproj")
    assert code == 1
    assert "needs pyproj, which is not installed: pip install 'bmi_dhydro[ngen]'" in text
