import re
import subprocess
import sys

import numpy as np
import pytest
import xarray

from bmi_dhydro import __version__
from tests.cli.conftest import call


def test_version_and_help():
    assert __version__ in call("--version")
    text = call("--help")
    for command in ("demo", "example", "run", "train", "calibrate", "evaluate", "info"):
        assert re.search(rf"^  {command}  ", text, re.MULTILINE)
        assert len(call(command, "--help")) > 200


def test_python_m_is_the_same():
    result = subprocess.run(
        [sys.executable, "-m", "bmi_dhydro", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"bmi-dhydro, version {__version__}\n"


def test_numbers_are_said_as_people_say_them(tmp_path):
    call("example", tmp_path, "--catchments", 1, "--days", 20)
    text = call("run", tmp_path / "config.yaml")
    assert text.startswith("1 catchment, 20 steps in ")
    assert "thousand cell-steps per second" in text or "million cell-steps per second" in text
    from bmi_dhydro.cli.main import _in_words

    assert (_in_words(42_000.0), _in_words(3.1e9)) == ("42 thousand", "3.1 billion")


def test_evaluate(tmp_path):
    folder = tmp_path / "run"
    call("example", folder, "--catchments", 5, "--days", 500)
    call("run", folder / "config.yaml")
    with xarray.open_dataset(folder / "results.nc") as data:
        flow = data["land_surface_water__runoff_volume_flux"].load() * 24.0
        ids = data["station_id"].values
    flow[:, 0] = flow[:, 0] * 1.25
    flow[100:200, 1] = np.nan
    observed = xarray.Dataset(
        {"qobs": (("gauge", "time"), flow.values.T[::-1], {"units": "mm d-1"})},
        {"gauge_id": ("gauge", ids[::-1]), "time": flow["time"].values},
    )
    observed.to_netcdf(tmp_path / "observed.nc")
    out = tmp_path / "evaluation"
    text = call(
        "evaluate", folder / "results.nc", tmp_path / "observed.nc", "--out", out, "--warm-up", 30
    )
    assert "5 catchments" in text
    pictures = ("skill", "map", "hydrographs", "untrained", "budyko", "snow")
    names = {"scores.csv", *(f"{name}.png" for name in pictures)}
    assert {path.name for path in out.iterdir()} == names
    lines = (out / "scores.csv").read_text().splitlines()
    row = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert row["catchment"] == "cat-1"
    assert float(row["relative_bias"]) == pytest.approx(-0.2, abs=1e-4)
    row = dict(zip(lines[0].split(","), lines[2].split(","), strict=True))
    assert float(row["nse"]) == pytest.approx(1.0)
    assert int(row["days"]) == 370
