"""The choice between CPU and GPU, by what was measured."""

import json
import logging

import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.physics import HBV
from bmi_dhydro.run import device_choice
from tests.run.test_device import RUNOFF, close, driven, started, value


@pytest.fixture
def no_memory(monkeypatch, tmp_path):
    """A machine on which nothing was measured yet."""
    monkeypatch.setenv("BMI_DHYDRO_CACHE_DIR", str(tmp_path / "cache"))
    remembered = (device_choice._usable_gpu, device_choice._threshold)
    for function in remembered:
        function.cache_clear()
    yield tmp_path / "cache" / "device_thresholds.json"
    for function in remembered:
        function.cache_clear()


def test_times_that_cross():
    cpu, gpu = (lambda n: 1e-6 + 1e-7 * n), (lambda n: 1e-4 + 1e-9 * n)
    assert device_choice.crossing(cpu, gpu) == pytest.approx(1000.0)
    assert device_choice.crossing(cpu, lambda n: 2 * cpu(n)) == float("inf")
    assert device_choice.crossing(cpu, lambda n: 0.5 * cpu(n)) == 0.0
    assert device_choice.crossing(cpu, lambda n: 1.0 + cpu(n)) > 1e9


def test_without_a_gpu_that_is_said_once(no_memory, monkeypatch, caplog, many_host_example):
    monkeypatch.setattr(device_choice, "_DRIVERS", ())
    models = [started(many_host_example, "auto") for _ in range(3)]
    said = [record for record in caplog.records if "device: auto" in record.message]
    assert [record.message for record in said] == [
        "device: auto: there is no GPU, so the cpu kernel runs"
    ]
    assert said[0].levelno == logging.WARNING
    cpu = started(many_host_example, "cpu")
    for model in (*models, cpu):
        driven(model, 0)
    close(value(models[0], RUNOFF), value(cpu, RUNOFF), 0.0)
    assert not no_memory.exists()


def test_both_are_timed_once_for_a_machine(no_memory, monkeypatch, gpus, many_host_example):
    """With the real timing of both kernels, of a few columns, where the interpreter is slower."""
    monkeypatch.setattr(device_choice, "_usable_gpu", lambda: "a GPU")
    monkeypatch.setattr(device_choice, "_MANY", 64)
    monkeypatch.setattr(device_choice, "_REPEATS", 2)
    model = started(many_host_example, "auto")
    known = json.loads(no_memory.read_text())
    (key,) = known
    assert key.startswith("hbv ")
    assert key.endswith(", a GPU")
    if gpus.type == "cpu":
        assert known[key] > 6
        assert not model.component.model.resident
    # What is known is not timed again, in another process neither; and it decides.
    device_choice._threshold.cache_clear()
    no_memory.write_text(json.dumps({key: 6.0}))
    monkeypatch.setattr(device_choice, "_step_seconds", None)
    assert started(many_host_example, "auto").component.model.resident
    device_choice._threshold.cache_clear()
    no_memory.write_text(json.dumps({key: 7.0}))
    assert not started(many_host_example, "auto").component.model.resident


def test_a_damaged_memory_is_measured_again(no_memory, monkeypatch):
    no_memory.parent.mkdir()
    no_memory.write_text("{")
    monkeypatch.setattr(device_choice, "_usable_gpu", lambda: "a GPU")
    monkeypatch.setattr(device_choice, "_model", lambda *arguments: arguments[-2:])
    times = {"cpu": 1e-7, "cuda": 1e-9}
    monkeypatch.setattr(
        device_choice,
        "_step_seconds",
        lambda model: (0.0 if model[0] == "cpu" else 99e-7) + times[model[0]] * model[1],
    )
    assert device_choice.choose_device(HBV, 16, 3600, "float32", 2, 100) == "cuda"
    assert device_choice.choose_device(HBV, 16, 3600, "float32", 2, 99) == "cpu"
    assert list(json.loads(no_memory.read_text()).values()) == [pytest.approx(100.0)]


def test_one_catchment_is_not_for_a_gpu(no_memory, monkeypatch, host_example):
    monkeypatch.setattr(device_choice, "_usable_gpu", lambda: "a GPU")
    monkeypatch.setattr(device_choice, "_threshold", lambda *arguments: 1000.0)
    host_example.write_text(host_example.read_text() + "device: auto\n")
    model = BmiDhydro()
    model.initialize(str(host_example))
    assert not model.component.model.resident
