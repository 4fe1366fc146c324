"""Noise made on a GPU (or in the interpreter of Triton) is that of the host."""

import importlib.util

import numpy as np
import pytest
import torch

from bmi_dhydro.kernels.cpu import noise
from bmi_dhydro.kernels.gpu.noise import correlated_noise

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which is there for Linux only"
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("hours", [0.0, 1.0, 48.0])
@pytest.mark.parametrize("seconds", [-259_200, 0, 978_307_200, 1_600_000_123])
def test_it_is_that_of_the_host(hours, seconds):
    keys = np.random.default_rng(0).integers(0, 2**64 - 1, 300, dtype=np.uint64)
    found = torch.empty(300, dtype=torch.float64, device=DEVICE)
    there = torch.from_numpy(keys.view(np.int64)).to(DEVICE)
    correlated_noise(there, torch.tensor([seconds], device=DEVICE), hours, found)
    expected = noise.correlated_noise(keys, np.array([seconds]), hours)[0]
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=0.0, atol=1e-12)
    assert 0.9 < expected.std() < 1.1
