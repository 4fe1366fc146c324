"""What only a GPU can show: captured graphs, pinned memory, streams, several devices, timing.

All else of devices is tested everywhere, see `test_device` and `kernels/test_resident`.
"""

import numpy as np
import pytest

from bmi_dhydro.errors import ForcingError
from bmi_dhydro.kernels.autograd import run_process
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.kernels.gpu import devices
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks.parameter_network import NetworkLayout
from bmi_dhydro.physics import HBV
from bmi_dhydro.run import device_choice
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData
from bmi_dhydro.training.loop import Trainer
from tests.conftest import random_routing, random_setup
from tests.networks.test_lstm_block import by_block
from tests.networks.test_lstm_block import setup as lstm
from tests.run.test_device import INPUTS, RUNOFF, close, driven, pair, started, value, weather_of

torch = pytest.importorskip("torch", reason="needs torch")
pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("length", ["1d", "6h"])
@pytest.mark.parametrize("moves", [False, True])
def test_a_step_is_a_graph_that_sees_every_change(many_host_example, dynamic_model, moves, length):
    text = many_host_example.read_text().replace("step: 1d", f"step: {length}")
    if moves:
        text = text.replace("model: fast", f"model: {dynamic_model} #")
    many_host_example.write_text(text)
    cpu, gpu = pair(many_host_example)
    part = gpu.component.exchange._devices[0]
    for step in range(40):
        for model in (cpu, gpu):
            driven(model, step)
            if step == 7:
                model.set_value("K1", np.array([0.2]))
            if step == 11:
                model.set_value("soil_moisture", value(model, "soil_moisture") + 3.0)
            if step == 15:
                model.set_value("area", 2.0 * value(model, "area"))
            if moves and step == 19:
                model.set_value("forest_fraction", np.linspace(0.1, 0.9, 6))
        if moves and step == 22:
            gpu.get_value_ptr(INPUTS[1])[0] = np.nan
            with pytest.raises(ForcingError):
                gpu.update()
        close(value(gpu, RUNOFF), value(cpu, RUNOFF))
    assert len(part._recorded_step._graphs) == (4 if moves and length == "6h" else 1)
    for key, values in cpu.component.water_balance().items():
        close(gpu.component.water_balance()[key], values)


def test_what_the_host_reads_and_writes_is_pinned(many_host_example):
    model = started(many_host_example, "cuda")
    for name in (INPUTS[0], RUNOFF):
        assert torch.from_numpy(model.get_value_ptr(name)).is_pinned()


def test_a_chain_of_components_stays_on_the_device(many_host_example):
    """What one gives another takes, on a stream of its own, without the host in between."""
    cpu = started(many_host_example, "cpu")
    gpu = started(many_host_example, "cuda")
    other = torch.cuda.Stream()
    for step in range(6):
        driven(cpu, step)
        for name, values in zip(INPUTS, weather_of(step, 6), strict=True):
            gpu.set_value_dlpack(name, torch.tensor(values, device="cuda"))
        gpu.update()
        with torch.cuda.stream(other):
            there = 2.0 * torch.from_dlpack(gpu.get_value_dlpack(RUNOFF))
        other.synchronize()
        assert there.is_cuda
        close(there.cpu().numpy(), 2.0 * value(cpu, RUNOFF))


def test_cupy_takes_values(many_host_example):
    cupy = pytest.importorskip("cupy", reason="needs cupy")
    model = started(many_host_example, "cuda")
    driven(model, 0)
    there = cupy.from_dlpack(model.get_value_dlpack(RUNOFF))
    close(cupy.asnumpy(there), value(model, RUNOFF), 0.0)


@pytest.mark.parametrize("catchments", [1, 1000])
def test_ten_years_of_hours_are_those_of_the_cpu(catchments):
    weather, parameters, _ = random_setup(catchments, 16, 5000, np.float32)
    weather[:, [0, 2]] /= 24.0
    models = [
        Model(
            HBV,
            parameters,
            random_routing(catchments),
            np.full(catchments, 10.0),
            step_seconds=3600,
            execution=Execution(dtype=np.float32, kernel=kernel),
            outputs=("discharge",),
        )
        for kernel in ("cpu", "gpu")
    ]
    for _ in range(17):
        expected, rows = (model.run(weather) for model in models)
        close(rows, expected, 1e-5)
    close(models[1].state, models[0].state, 1e-5)


def test_gradients_of_ten_years_are_those_of_the_cpu():
    """In double precision: in single, which side of a threshold a store is on changes them."""
    setup = random_setup(20, 16, 3652)
    slopes = []
    for device in ("cpu", "cuda"):
        leaves = [torch.from_numpy(values).to(device).requires_grad_() for values in setup]
        rows, _ = run_process(HBV, (HBV.runoff, HBV.evapotranspiration), *leaves)
        generator = torch.Generator().manual_seed(0)
        seeds = torch.rand(rows.shape, generator=generator, dtype=rows.dtype).to(device)
        (rows * seeds).sum().backward()
        slopes.append([leaf.grad.cpu().numpy() for leaf in leaves])
    for ours, theirs in zip(slopes[1], slopes[0], strict=True):
        close(ours, theirs, 1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("constant", [0, 15])
def test_an_lstm_over_a_block_is_that_of_the_cpu(constant, dtype, tolerance, monkeypatch):
    # Else cuDNN rounds what it multiplies to ten bits.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = []
    for device in ("cpu", "cuda"):
        arrays = {name: v.to(device).requires_grad_() for name, v in lstm(dtype).items()}
        hidden = by_block(**arrays, constant=constant)
        seeds = torch.linspace(-1.0, 1.0, hidden.numel(), dtype=dtype, device=device)
        (hidden * seeds.reshape(hidden.shape)).sum().backward()
        found.append([v.detach().cpu() for v in (hidden, *(v.grad for v in arrays.values()))])
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm()


def test_training_is_that_of_the_cpu():
    random = np.random.default_rng(0)
    forcing = random_setup(12, 1, 800, np.float32)[0]
    names = ("aridity", "mean_temperature", "soil_porosity")
    attributes = {name: random.uniform(0.1, 0.9, 12) for name in (*names, "area")}
    data = TrainingData(
        np.arange(12).astype(str),
        np.datetime64("2000-01-01") + np.arange(800),
        forcing,
        random.gamma(1.0, 1.0, (800, 12)).astype(np.float32),
        attributes,
        *(np.zeros(12) for _ in range(4)),
    )
    settings = TrainingSettings(hidden=(16,), batches=4, catchments=6, days=500, warm_up=100)
    losses = []
    for device in ("cpu", "cuda"):
        trainer = Trainer(NetworkLayout(HBV, 4, names), data, settings, device=device)
        losses.append([trainer.step() for _ in range(4)])
        assert all(not value.is_cuda for value in trainer.snapshot().moments.values())
    close(losses[1], losses[0], 1e-3)


def test_the_threshold_is_between_one_catchment_and_very_many(tmp_path, monkeypatch):
    monkeypatch.setenv("BMI_DHYDRO_CACHE_DIR", str(tmp_path))
    device_choice._threshold.cache_clear()
    assert device_choice.choose_device(HBV, 16, 3600, "float32", None, 1) == "cpu"
    assert device_choice.choose_device(HBV, 16, 3600, "float32", None, 500_000) == "cuda"


def test_two_gpus_share_catchments():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    assert len(devices.devices_of("cuda:all")) == torch.cuda.device_count()
    weather, parameters, _ = random_setup(50, 16, 40)
    one, two = (
        Model(
            HBV,
            parameters,
            random_routing(50),
            np.full(50, 10.0),
            execution=Execution(kernel="gpu", device=device),
        )
        for device in ("cuda:0", "cuda:0,1")
    )
    assert np.array_equal(two.run(weather), one.run(weather))
    assert np.array_equal(two.state, one.state)
