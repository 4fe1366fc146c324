"""The example runs."""

import pytest
import xarray

from tests.cli.conftest import call


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
