"""Which GPUs a configuration means."""

import sys

import pytest
import torch

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ConfigError
from bmi_dhydro.kernels.gpu import devices


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for key in devices.LOCAL_RANKS:
        monkeypatch.delenv(key, raising=False)


def numbers(name):
    return [device.index for device in devices.devices_of(name)]


@pytest.mark.usefixtures("four_gpus")
def test_a_rank_takes_its_own(monkeypatch):
    assert numbers("cuda") == [0]
    monkeypatch.setenv("SLURM_LOCALID", "6")
    assert numbers("cuda") == [2]
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", "1")
    assert numbers("cuda") == [1]
    assert numbers("cuda:3") == [3]


@pytest.mark.usefixtures("four_gpus")
def test_several():
    assert numbers("cuda:all") == [0, 1, 2, 3]
    assert numbers("cuda:2,0") == [2, 0]
    with pytest.raises(ConfigError, match=r"'cuda:1,4': there are GPUs 0 to 3"):
        numbers("cuda:1,4")
    with pytest.raises(ConfigError, match=r"'cuda:1,1' names a GPU twice"):
        numbers("cuda:1,1")


@pytest.mark.usefixtures("four_gpus")
def test_triton_has_to_be_there_and_new_enough(monkeypatch):
    triton = pytest.importorskip("triton", reason="needs triton, which is there for Linux only")
    monkeypatch.setattr(triton, "__version__", "3.1.0")
    with pytest.raises(ConfigError, match=r"'cuda:0': triton 3.1.0 is too old; pip install"):
        numbers("cuda:0")
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(ConfigError, match=r"'cuda:0': triton is not installed"):
        numbers("cuda:0")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_one_the_configuration_says_so(host_example):
    text = host_example.read_text()
    host_example.write_text(text + "device: cuda\n")
    with pytest.raises(ConfigError, match=r"device: 'cuda' needs a GPU that torch can use"):
        BmiDhydro().initialize(str(host_example))
    for name in ("gpu", "cuda:", "cuda:0,", "cuda:all,1"):
        host_example.write_text(text + f"device: '{name}'\n")
        with pytest.raises(ConfigError, match=f"'{name}' is unknown; write cpu, auto, cuda"):
            BmiDhydro().initialize(str(host_example))
