"""Gradients of the compiled kernel against autograd through the reference and differences."""

import time

import numpy as np
import pytest
import torch

from bmi_dhydro.kernels import autograd, reference
from bmi_dhydro.physics import HBV
from tests.conftest import random_setup

OUTPUTS = ("runoff", "evapotranspiration", "snow_water_equivalent")


def gradients(module, arrays, outputs=OUTPUTS):
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]
    rows, final = module.run_process(HBV, outputs, *leaves)
    generator = torch.Generator().manual_seed(0)
    loss = (rows * torch.randn(rows.shape, generator=generator, dtype=rows.dtype)).sum()
    loss = loss + (final * torch.randn(final.shape, generator=generator, dtype=rows.dtype)).sum()
    loss.backward()
    return rows.detach(), [leaf.grad for leaf in leaves]


def test_gradients_agree_with_autograd_through_the_reference():
    arrays = random_setup(6, 1, 300)
    rows, ours = gradients(autograd, arrays)
    expected, theirs = gradients(reference, arrays)
    torch.testing.assert_close(rows, expected, rtol=1e-11, atol=1e-11)
    for name, a, b in zip(("forcing", "parameters", "state"), ours, theirs, strict=True):
        assert ((a - b).norm() / b.norm()).item() < 1e-9, name
    for k, name in enumerate(HBV.parameter_names):
        a, b = ours[1][k], theirs[1][k]
        assert (a - b).norm().item() <= 1e-9 * b.norm().item(), name


def test_gradients_agree_with_finite_differences_away_from_kinks():
    forcing, parameters, state = random_setup(2, 2, 50, seed=3)
    _, (_, slope, _) = gradients(autograd, (forcing, parameters, state))

    def loss(values):
        with torch.no_grad():
            return _loss(forcing, values, state)

    checked = 0
    for k in range(len(HBV.parameters)):
        scale = HBV.parameters[k].upper - HBV.parameters[k].lower
        estimates = []
        for size in (1e-6, 5e-7):
            up, down = parameters.copy(), parameters.copy()
            up[k, 0, 0] += size * scale
            down[k, 0, 0] -= size * scale
            estimates.append((loss(up) - loss(down)) / (2 * size * scale))
        # Where two differences disagree there is a kink between them.
        if np.isclose(*estimates, rtol=1e-4, atol=1e-9):
            assert slope[k, 0, 0].item() == pytest.approx(estimates[1], rel=1e-4, abs=1e-6)
            checked += 1
    assert checked >= 12


def _loss(*arrays):
    rows, final = autograd.run_process(HBV, OUTPUTS, *map(torch.from_numpy, arrays))
    generator = torch.Generator().manual_seed(0)
    loss = (rows * torch.randn(rows.shape, generator=generator, dtype=rows.dtype)).sum()
    loss = loss + (final * torch.randn(final.shape, generator=generator, dtype=rows.dtype)).sum()
    return loss.item()


def test_cost_is_linear_in_time():
    def seconds(steps):
        arrays = random_setup(50, 16, steps, np.float32)
        gradients(autograd, arrays, ("runoff",))
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            gradients(autograd, arrays, ("runoff",))
            times.append(time.perf_counter() - begin)
        return min(times)

    assert seconds(2000) < 2.0 * 2.0 * seconds(1000)


def test_gradients_of_routing_agree_with_differences():
    random = torch.Generator().manual_seed(1)
    runoff, weights, pending = (
        torch.rand(shape, generator=random, dtype=torch.float64).requires_grad_()
        for shape in ((12, 3), (3, 5), (3, 5))
    )
    assert torch.autograd.gradcheck(reference.route, (runoff, weights, pending))
