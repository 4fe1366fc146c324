"""What `bmi-dhydro example` writes to learn from: each command that it names does something."""

import shlex

import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.main import main

pytestmark = pytest.mark.filterwarnings(
    "ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"
)


def call(*words):
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_all_commands_that_are_named_run(tmp_path):
    text = call("example", tmp_path / "run", "--days", 600, "--catchments", 5)
    lines = [line.partition("bmi-dhydro ")[2] for line in text.splitlines() if "bmi-dhydro" in line]
    assert [line.split()[0] for line in lines] == [
        "run",
        "evaluate",
        "calibrate",
        "forecast",
        "hindcast",
        "train",
    ]
    for line in lines:
        more = {"calibrate": ["--iterations", "3"], "evaluate": ["--out", tmp_path / "e"]}
        words = shlex.split(line)
        call(*words, *more.get(words[0], []))
    for name in ("parameters.safetensors", "trained/model.safetensors", "hindcast/scores.csv"):
        assert (tmp_path / "run" / name).exists()
    with xarray.open_dataset(tmp_path / "run" / "observed.nc") as data:
        missing = data["streamflow"].isnull().all("station")
        assert int(missing.sum()) == 10
        assert data.sizes["time"] == 600


def test_short_records_and_hours(tmp_path):
    text = call("example", tmp_path / "run", "--days", 120, "--step", "6h")
    assert "train " not in text
    assert not (tmp_path / "run" / "training.yaml").exists()
    with xarray.open_dataset(tmp_path / "run" / "observed.nc") as data:
        assert data.sizes == {"time": 120, "station": 4}
    call("run", tmp_path / "run" / "config.yaml")
    line = next(line for line in text.splitlines() if "bmi-dhydro forecast" in line)
    call(*shlex.split(line.partition("bmi-dhydro ")[2]))
