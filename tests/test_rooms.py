"""Imports go down only, in no circle, and classes stay small."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import rooms  # noqa: E402

MOST_METHODS = 30


def test_imports_go_down():
    assert rooms.upward() == []


def test_there_is_no_circle():
    assert rooms.circles() == []


def test_what_goes_up_and_around_is_found(tmp_path):
    package = tmp_path / "package"
    for name, text in {
        "__init__": "",
        "cli/__init__": "",
        "cli/main": "from ..run import component\n",
        "run/__init__": "",
        "run/component": "def later():\n    from ..cli.main import main\n",
        "errors": "from .io import files\n",
        "io/__init__": "",
        "io/files": "",
    }.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert rooms.upward(package) == ["errors imports io.files", "run.component imports cli.main"]
    assert rooms.circles(package) == [["cli.main", "run.component"]]
    with pytest.raises(KeyError, match=r"attic stands on no floor"):
        rooms.floor_of("attic.box")


def test_classes_have_few_methods():
    for path in rooms.modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
                assert len(methods) <= MOST_METHODS, f"{path}: {node.name} has {len(methods)}"


# Modules that are tested where they are used, since they have nothing to be tested alone.
TESTED_ELSEWHERE = {
    "cli.forecast": "forecast.test_chain",
    "bmi.reaches": "bmi.test_river",
    "cli.river": "run.test_routed_results",
    "config.river": "bmi.test_river",
    "cli.learning": "training.test_run",
    "cli.plot": "evaluation.test_overview",
    "cli.published": "published.test_in_hosts",
    "physics.published_hbv": "published.test_conversion",
    "published.source_files": "published.test_in_hosts",
    "run.frozen": "published.test_in_runs",
    "run.static_parameters": "published.test_in_runs",
    "run.warm_up": "published.test_conversion",
    "evaluation.figures": "evaluation.test_hydrograph",
    "evaluation.maps": "evaluation.test_overview",
    "evaluation.plots": "evaluation.test_report",
    "forecast.pictures": "forecast.test_chain",
    "forecast.config": "forecast.test_chain",
    "forecast.cycle": "forecast.test_variational",
    "forecast.division": "run.test_workers",
    "forecast.gauged_window": "forecast.test_river",
    "hosts.package_options": "hosts.test_run_package",
    "io.parameter_file": "training.test_calibration",
    "kernels.autograd": "physics.test_processes",
    "kernels.cpu.exchange": "kernels.cpu.test_coupled",
    "kernels.cpu.reach_exchange": "bmi.test_river",
    "kernels.cpu.reaches": "river.test_river",
    "kernels.gpu.source": "kernels.gpu.test_launch",
    "kernels.interface": "kernels.cpu.test_kernel",
    "kernels.reach_reference": "river.test_differentiable",
    "kernels.reference": "kernels.cpu.test_kernel",
    "model.device_side": "kernels.gpu.test_resident",
    "networks.compiled_lstm": "networks.test_dynamics",
    "networks.reach_network": "training.test_stations",
    "river.drainage": "training.test_stations",
    "river.learned": "training.test_stations",
    "river.outputs": "bmi.test_river",
    "training.gauges": "training.test_stations",
    "river.state_file": "bmi.test_river",
    "networks.resident_dynamics": "run.test_device",
    "run.divided_rivers": "run.test_joined_river",
    "run.divided_run": "run.test_workers",
    "run.drivers.coupled": "kernels.cpu.test_coupled",
    "run.exchange.gpu_ahead": "run.test_device",
    "run.exchange.gpu_forcing": "run.test_device",
    "run.exchange.host": "bmi.test_values",
    "run.instance": "hosts.test_fleet",
    "run.river_results": "run.test_routed_results",
    "run.simulation": "run.test_workers",
    "weather.source": "weather.test_evapotranspiration_choice",
}


def test_every_module_has_a_test_of_its_name():
    """So that whoever changes a module finds what tests it."""
    tests = ROOT / "tests"
    missing = []
    for name in rooms.modules():
        *folders, last = name.split(".")
        if last.startswith("__") or (ROOT / "bmi_dhydro").joinpath(*folders, last).is_dir():
            continue
        path = tests.joinpath(*folders, f"test_{last}.py")
        if name in TESTED_ELSEWHERE:
            assert not path.exists(), f"{name} has a test of its own; take it off the list"
            path = tests.joinpath(*TESTED_ELSEWHERE[name].split(".")).with_suffix(".py")
        if not path.exists():
            missing.append(name)
    assert missing == []
