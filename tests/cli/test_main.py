import re
import subprocess
import sys

import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro import __version__
from bmi_dhydro.cli.main import main


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


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


def test_demo(tmp_path):
    text = call("demo", "--out", tmp_path / "demo", "--catchments", 6, "--years", 1)
    for word in (
        "humid",
        "snowy",
        "dry",
        "wet winters",
        "6 catchments x 16 parallel parameter sets, 365 days",
    ):
        assert word in text
    assert (tmp_path / "demo" / "hydrograph.png").stat().st_size > 50_000
    with xarray.open_dataset(tmp_path / "demo" / "results.nc") as data:
        assert data.sizes == {"station": 6, "time": 365, "bounds": 2}
        assert np.isfinite(data["land_surface_water__runoff_depth"]).all()
    call("demo", "--out", tmp_path / "demo", "--catchments", 2, "--years", 1)


@pytest.mark.parametrize(("step", "days", "steps"), [("1d", 400, 400), ("1h", 20, 480)])
def test_example_and_run(tmp_path, step, days, steps):
    folder = tmp_path / "run"
    text = call("example", folder, "--catchments", 3, "--days", days, "--step", step)
    assert "bmi-dhydro run" in text
    config = folder / "config.yaml"
    assert f"3 catchments, {steps} steps" in call("run", config)
    with xarray.open_dataset(folder / "results.nc") as data:
        assert data.sizes["time"] == steps
    call("run", config, "--out", tmp_path / "other.nc")
    assert (tmp_path / "other.nc").exists()
    text = call("info", config)
    assert "catchments          3" in text
    assert "hargreaves" in text


def test_example_for_a_host(tmp_path):
    call("example", tmp_path, "--catchments", 1, "--forcing", "host")
    text = (tmp_path / "config.yaml").read_text()
    assert "inline:" in text
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert "forcing.file is missing" in call("run", tmp_path / "config.yaml", code=1)
    assert "exists; choose another folder" in call("example", tmp_path, code=1)


def test_info_of_the_default_model():
    text = call("info")
    for word in ("HBV", "MOPEX", "aridity", "CFMAX", "median NSE", "Apache-2.0"):
        assert word in text


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


def test_errors_are_one_line(tmp_path):
    text = call("run", tmp_path / "none.yaml", code=1)
    assert text.startswith("Error: ")
    assert text.count("\n") == 1
    (tmp_path / "a.safetensors").write_text("x")
    assert "not a whole trained model" in call("info", tmp_path / "a.safetensors", code=1)
