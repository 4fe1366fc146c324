"""What several tests of this folder need."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bmi_dhydro.hosts.package_options import PackageOptions
from bmi_dhydro.hosts.run_package import write_run_package

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "nextgen"))
from make_inputs import (
    made_up_divides,
    write_climate,
    write_forcing,
    write_hydrofabric,
)

IDS = ["cat-1", "cat-2", "cat-3"]

BEGIN = np.datetime64("2001-10-10", "s")

# The made-up climate of one year is rarer than that of the years of training.
RARE = "ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"


@pytest.fixture(scope="session")
def year(tmp_path_factory):
    """A hydrofabric of three divides and 380 days of weather."""
    folder = tmp_path_factory.mktemp("year")
    divides = made_up_divides(len(IDS))
    write_hydrofabric(folder / "h.gpkg", divides)
    write_forcing(folder / "f.nc", divides, 380, 0)
    write_climate(folder / "c.csv", divides, 0)
    return folder


@pytest.fixture
def write(year, tmp_path):
    """Return a function that writes a package of the last days, and gives folder and notes."""

    def of(name="run", weather=year / "f.nc", **options):
        options.setdefault("start", BEGIN)
        options.setdefault("model", "fast")
        report = write_run_package(
            year / "h.gpkg", weather, tmp_path / name, PackageOptions(**options)
        )
        return tmp_path / name, report.notes

    return of


def changed(folder, change):
    path = folder / "config" / "realization.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def params(document):
    return document["global"]["formulations"][0]["params"]
