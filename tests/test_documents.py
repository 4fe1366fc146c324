"""What the repository says of itself is true."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bmi_dhydro import __version__
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.config import read_config
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.networks import trained_model
from bmi_dhydro.training.config import read_train_config

ROOT = Path(__file__).parents[1]


def generator():
    path = ROOT / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["variables.md", "config.md", "training.md", "forecast.md"])
def test_reference_pages_are_those_of_the_code(page):
    assert (ROOT / "docs" / page).read_text() == generator().PAGES[page]()


@pytest.mark.parametrize("path", sorted((ROOT / "cfg").glob("*.yaml")), ids=lambda p: p.stem)
def test_example_configurations_are_valid(path, tmp_path):
    readers = {"training": read_train_config, "chain": read_forecast_config}
    read = readers.get(path.stem, read_config)
    read(path)
    # What they leave commented out is valid too.
    text = re.sub(r"^( *)# ((?:\w+:|  \w+:).*)$", r"\1\2", path.read_text(), flags=re.MULTILINE)
    (tmp_path / "all.yaml").write_text(text)
    read(tmp_path / "all.yaml")


def test_the_example_of_a_chain_runs(tmp_path):
    write_example(tmp_path, 3, 300, "1d", "file")
    shutil.copy(ROOT / "cfg" / "chain.yaml", tmp_path)
    result = CliRunner().invoke(
        main, ["forecast", str(tmp_path / "chain.yaml"), "--at", "2001-06-01"]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "chain" / "forecasts" / "2001-06-01T00.nc").exists()


def test_the_one_catchment_example_runs():
    from bmi_dhydro import BmiDhydro

    model = BmiDhydro()
    model.initialize(str(ROOT / "cfg" / "one_catchment_for_a_host.yaml"))
    model.update_until(86400.0)
    model.finalize()


def test_every_module_stands_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "bmi_dhydro"
    for path in package.rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            assert f"`{path.relative_to(package)}`" in text, path


def test_the_readme_states_the_skill_of_the_model_that_is_shipped():
    text = (ROOT / "README.md").read_text()
    skills = [trained_model.load(name).about["skill"] for name in ("fast", "default", "ensemble")]
    for name in ("in_time", "in_time_camels"):
        scores = [skill[name] for skill in skills]
        cells = [f"{s['median_nse']:.3f} | {s['median_kge']:.3f}" for s in scores]
        assert f"| {' | '.join(cells)} | {scores[0]['catchments']} |" in text


def test_versions_agree():
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_examples_run(tmp_path):
    import runpy

    for path in sorted((ROOT / "examples").glob("*.py")):
        shutil.copy(path, tmp_path)
        if not path.name.startswith("train_"):
            runpy.run_path(str(path), run_name="__main__")
