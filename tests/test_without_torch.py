"""What needs no torch or matplotlib runs without; what does says so, and how to install it."""

import subprocess
import sys

import pytest

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.physics import HBV
from bmi_dhydro.variables import FLOW
from tests.run.test_joined_river import write_rivers

# Runs commands, each in a list of its words, as if torch and triton were not there.
_RUN = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import json
from click.testing import CliRunner
from bmi_dhydro.cli.main import main

for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    print(json.dumps([result.exit_code, result.output]))
"""


def commands(folder, *lines, without="torch,triton"):
    """Run commands in a process without some packages; return exit codes and what they said."""
    import json

    words = json.dumps([line.split() for line in lines])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _RUN, words, without],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


CHAIN = f"""
folder: chain
catchments: {{table: catchments.csv}}
start: 2000-10-01
analysis: {{file: weather.nc, potential_evapotranspiration: hargreaves}}
forecast: {{horizon: 3d}}
observed: {{file: results.nc, variable: {FLOW}}}
"""
FILTER = (
    "ensemble: {members: 3, weather: {precipitation: {spread: 0.4}}}\n"
    "assimilation: {method: ensemble_filter}\n"
)


@pytest.fixture
def folder(tmp_path):
    config = write_example(tmp_path, 5, 200, "1d", "file")
    write_rivers(tmp_path, 5)
    text = config.read_text()
    (tmp_path / "river.yaml").write_text(text + "network: {file: rivers.csv, output: g.nc}\n")
    (tmp_path / "fast.yaml").write_text(text.replace("model: default", "model: fast"))
    (tmp_path / "reference.yaml").write_text(text + "kernel: reference\n")
    (tmp_path / "plain.yaml").write_text(CHAIN)
    (tmp_path / "filter.yaml").write_text(CHAIN.replace("chain", "filter") + FILTER)
    (tmp_path / "variational.yaml").write_text(
        CHAIN.replace("chain", "other") + "assimilation: {window: 3d}\n"
    )
    return tmp_path


def test_without_torch_what_needs_none_runs_and_the_rest_says_so(folder):
    run = (
        "info default",
        "run config.yaml",
        "run fast.yaml --out fast.nc",
        "run river.yaml --out river.nc",
        "route results.nc rivers.csv gauges.nc",
        "evaluate results.nc fast.nc",
        "forecast plain.yaml --at 2001-03-01",
        "forecast filter.yaml --at 2001-03-01",
        "hindcast filter.yaml --from 2001-03-01 --to 2001-03-03 --out scores",
    )
    rejected = (
        "train config.yaml",
        "calibrate config.yaml weather.nc --out p.safetensors",
        "forecast variational.yaml --at 2001-03-01",
        "run reference.yaml --out r.nc",
    )
    done = commands(folder, *run, *rejected)
    assert [code for code, _ in done] == [0] * len(run) + [1] * len(rejected), done
    assert HBV.long_name.split(",")[0] in done[0][1]
    for name in ("fast.nc", "g.nc", "gauges.nc", "chain/forecasts/2001-03-01T00.nc"):
        assert (folder / name).stat().st_size > 1000
    for _, text in done[len(run) :]:
        assert "needs torch, which is not installed: pip install 'bmi_dhydro[train]'" in text
        assert len(text.splitlines()) == 1


def test_without_matplotlib_there_are_numbers_and_no_pictures(tmp_path):
    write_example(tmp_path / "run", 3, 500, "1d", "file")
    (tmp_path / "run" / "chain.yaml").write_text(CHAIN)
    (tmp_path / "run" / "drawn.yaml").write_text(CHAIN + "plots: [cat-1]\n")
    done = commands(
        tmp_path,
        "demo --out demo --catchments 2 --years 1",
        "run run/config.yaml",
        "evaluate run/results.nc run/results.nc --out evaluation",
        "forecast run/chain.yaml --at 2001-03-01",
        "plot run/results.nc",
        "forecast run/drawn.yaml --at 2001-03-02",
        without="matplotlib",
    )
    assert [code for code, _ in done] == [0, 0, 0, 0, 1, 1]
    assert "without a picture, which needs matplotlib: pip install" in done[0][1]
    assert (tmp_path / "demo" / "results.nc").exists()
    assert [path.name for path in (tmp_path / "evaluation").iterdir()] == ["scores.csv"]
    assert "without pictures" in done[2][1]
    for _, text in done[4:]:
        assert "needs matplotlib, which is not installed: pip install 'bmi_dhydro[plot]'" in text
