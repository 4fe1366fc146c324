"""The community's own tester, as a user would call it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from bmi_dhydro.cli.example import write_example
from tests.river.conftest import made_up

bmi_tester = pytest.importorskip("bmi_tester", reason="needs bmi-tester")
pytest.importorskip("gimli", reason="without gimli the tester skips every unit")

STAGES = 4

# Without the first, tests that depend on a test of another stage are skipped; without the last, the
# tester's fixtures are not found where it is installed outside the current folder's tree.
OPTIONS = f"--ignore-unknown-dependency -rs --confcutdir={Path(bmi_tester.__file__).parent}"


@pytest.mark.parametrize(
    ("catchments", "forcing"),
    [
        (1, "host"),
        (7, "file"),
        pytest.param(1, "file", marks=pytest.mark.long),
        pytest.param(7, "host", marks=pytest.mark.long),
    ],
)
def test_bmi_tester_passes_with_no_stage_skipped(tmp_path, catchments, forcing):
    folder = tmp_path / "case"
    write_example(folder, catchments, 400, "1d", forcing)
    passes(folder, "bmi_dhydro:BmiDhydro")


def test_a_river_passes_too(tmp_path):
    network = made_up(30, 2)
    rows = pandas.DataFrame({"id": network.ids, **network.parameters})
    rows["to"] = np.where(network.to >= 0, network.ids[network.to], "0")
    rows["longitude"], rows["latitude"] = np.linspace(-99.0, -98.0, 30), np.linspace(30.0, 31.0, 30)
    rows.to_csv(tmp_path / "rivers.csv", index=False)
    time = "{step: 1h, start: '2000-01-01', end: '2000-02-01'}"
    (tmp_path / "config.yaml").write_text(f"network: rivers.csv\ntime: {time}\ninitial_flow: 0.2\n")
    passes(tmp_path, "bmi_dhydro:BmiRiver")


def passes(folder, component):
    """Let the tester run on a component with the configuration in a folder."""
    tester = shutil.which("bmi-test", path=str(Path(sys.executable).parent)) or "bmi-test"
    result = subprocess.run(
        [tester, component, "--root-dir=.", "--config-file=config.yaml"],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": OPTIONS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "All tests passed" in result.stderr
    passed = [int(number) for number in re.findall(r"(\d+) passed", result.stdout)]
    assert len(passed) == STAGES
    assert all(passed)
    assert "failed" not in result.stdout
    # What the tester leaves out for every component, or for a grid of another kind.
    reasons = set(re.findall(r"SKIPPED \[\d+\] \S+ (.*)", result.stdout))
    inherent = re.compile(
        r"get_(in|out)put_var_name_count not implemented|test_get_(in|out)put_var_names depends"
        r"|unconditional skip|too dangerous|grid 0 is not|edges_per_face|face_edges"
        r"|grid is rank|grid has no edges"
    )
    assert all(inherent.match(reason) for reason in reasons), reasons
