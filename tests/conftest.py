"""Things that many tests need."""

from __future__ import annotations

import os
from pathlib import Path

# Several test processes share the processors: threads of torch would only be in each other's way,
# and those of kernels must not keep a processor busy while they wait (it doubled the suite's time).
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Without a GPU its kernels run in the interpreter of Triton; that is said before it is imported.
if not Path("/dev/nvidia0").exists():
    os.environ["TRITON_INTERPRET"] = "1"

import dataclasses
import importlib.util

import numpy as np
import pytest

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.flow_errors import FlowErrors
from bmi_dhydro.networks.parameter_network import DYNAMIC_HEAD, NetworkLayout, initial_weights
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.physics import EXP_HYDRO, HBV, unit_hydrograph
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.variables import outputs_of

# What a model of HBV publishes: exchange with neighbours, and water that floors create, are those
# of other models.
OUTPUTS_OF_HBV = outputs_of((*HBV.output_names, *HBV.forcing_names, unit_hydrograph.DISCHARGE))

DATA = Path(__file__).parents[1].parent / "shared" / "data"
MOPEX = DATA / "mopex_daily.nc"


def pytest_collection_modifyitems(items):
    """Skip what is marked `long` by day, and what is marked `gpu` where there is none."""
    if not os.environ.get("BMI_DHYDRO_LONG_TESTS"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long; set BMI_DHYDRO_LONG_TESTS=1"))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a GPU that torch can use"))


@pytest.fixture(scope="session")
def few_real_path() -> Path:
    """Ten real catchments of twelve years, which are part of the repository."""
    return Path(__file__).with_name("data") / "mopex_extract.nc"


@pytest.fixture(scope="session")
def few_real(few_real_path) -> TrainingData:
    """The same, read."""
    return read_gauged(few_real_path)


@pytest.fixture(scope="session")
def mopex() -> TrainingData:
    """All catchments of the MOPEX file."""
    if not MOPEX.exists():
        pytest.skip(f"needs the catchments of {MOPEX.name}, which are not on this machine")
    return read_gauged(MOPEX)


@pytest.fixture
def mopex_path() -> Path:
    if not MOPEX.exists():
        pytest.skip(f"needs {MOPEX.name}, which is not on this machine")
    return MOPEX


def random_setup(catchments, parameter_sets, steps, dtype=np.float64, seed=0, process=HBV):
    """Return forcing, parameters and states of a process, drawn between their bounds."""
    random = np.random.default_rng(seed)
    parameters = np.stack(
        [
            random.uniform(item.lower, item.upper, (catchments, parameter_sets))
            for item in process.parameters
        ]
    )
    states = random.uniform(0.0, 30.0, (len(process.states), catchments, parameter_sets))
    season = np.sin(np.arange(steps) / 58.0)[:, None]
    noise = random.normal(0.0, 4.0, (steps, catchments))
    forcing = np.stack(
        [
            random.gamma(0.2, 15.0, (steps, catchments)),
            8.0 + 12.0 * season + noise,
            np.maximum(2.0 + 2.0 * season + 0.1 * noise, 0.0),
        ],
        axis=1,
    )
    return tuple(np.ascontiguousarray(a, dtype=dtype) for a in (forcing, parameters, states))


def random_routing(catchments, seed=0):
    """Return parameters of the unit hydrograph, drawn between their bounds."""
    random = np.random.default_rng(seed)
    return np.stack(
        [random.uniform(item.lower, item.upper, catchments) for item in unit_hydrograph.PARAMETERS]
    )


@pytest.fixture
def gpus(monkeypatch):
    """Let the names of GPUs mean the first one, or the CPU where Triton's interpreter is."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("needs triton, which is there for Linux only")
    torch = pytest.importorskip("torch", reason="needs torch")
    from bmi_dhydro.kernels.gpu import devices

    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    monkeypatch.setattr(devices, "devices_of", lambda name: [device] * (1 + name.count(",")))
    return device


@pytest.fixture
def without_pictures(monkeypatch):
    """Let an evaluation write its numbers alone, which takes a second instead of five."""
    monkeypatch.setattr("bmi_dhydro.evaluation.report.installed", lambda package: False)


@pytest.fixture
def file_example(tmp_path) -> Path:
    """A runnable folder of five catchments with weather in a file; the configuration's path."""
    return write_example(tmp_path / "example", 5, 500, "1d", "file", model="fast")


@pytest.fixture
def host_example(tmp_path) -> Path:
    """One catchment in the configuration itself, weather from a host."""
    return write_example(tmp_path / "one", 1, 60, "1d", "host", model="fast")


@pytest.fixture
def many_host_example(tmp_path) -> Path:
    """Six catchments, weather from a host."""
    return write_example(tmp_path / "many", 6, 60, "1d", "host", model="fast")


@pytest.fixture
def exp_hydro_model(tmp_path) -> Path:
    """A file of a model of another process, which has no groundwater, with random weights."""
    default = trained_model.load()
    layout = NetworkLayout(EXP_HYDRO, 2, default.layout.attributes)
    path = tmp_path / "exp_hydro.safetensors"
    TrainedModel(layout, initial_weights(layout, (8,), 0), default.normalisation).save(path)
    return path


@pytest.fixture
def dynamic_model(tmp_path) -> Path:
    """A file of a model whose parameters BETA and K0 move from day to day, with random weights."""
    default = trained_model.load()
    layout = NetworkLayout(HBV, 2, default.layout.attributes, ("BETA", "K0"))
    weights = initial_weights(layout, (8,), 0, lstm_units=5)
    weights[DYNAMIC_HEAD] = np.random.default_rng(0).normal(0.0, 0.7, (5, 4)).astype(np.float32)
    weights["forcing_mean"] = np.array([3.0, 8.0, 2.0], np.float32)
    weights["forcing_deviation"] = np.array([6.0, 9.0, 1.5], np.float32)
    path = tmp_path / "dynamic.safetensors"
    TrainedModel(layout, weights, default.normalisation).save(path)
    return path


def some_flow_errors():
    """Errors of flow as a model could have learned them, drawn at random."""
    random = np.random.default_rng(3)
    weights = {
        "layer_0.weight": random.normal(size=(2, 4)),
        "layer_0.bias": random.normal(size=4),
        "layer_1.weight": 0.3 * random.normal(size=(4, 3)),
        "layer_1.bias": np.zeros(3),
    }
    statistics = np.array([[0.0, 1.0], [1.0, 0.5], [-2.3, 0.2], [4.0, 3.0]])
    about = {
        "catchments": 12,
        "coverage": {"lower quarter": 0.8, "median": 0.9, "upper quarter": 0.95},
    }
    return FlowErrors(("aridity",), weights, *statistics, about)


@pytest.fixture
def model_with_errors(tmp_path):
    """A file of the static model, with errors of flow."""
    path = tmp_path / "with_errors.safetensors"
    dataclasses.replace(trained_model.load("fast"), flow_errors=some_flow_errors()).save(path)
    return path
