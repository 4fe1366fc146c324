"""The network is what textbooks say, and its sigmoid has no bad derivative."""

import numpy as np
import pytest

from bmi_dhydro.networks.mlp import depth, logits, sigmoid


def test_layers_are_products_and_rectifiers():
    random = np.random.default_rng(0)
    weights = {
        "layer_0.weight": random.normal(size=(3, 5)),
        "layer_0.bias": random.normal(size=5),
        "layer_1.weight": random.normal(size=(5, 4)),
        "layer_1.bias": random.normal(size=4),
        "layer_2.weight": random.normal(size=(4, 2)),
        "layer_2.bias": random.normal(size=2),
        "other": np.zeros(1),
    }
    inputs = random.normal(size=(7, 3))
    values = inputs
    for layer in range(2):
        values = values @ weights[f"layer_{layer}.weight"] + weights[f"layer_{layer}.bias"]
        values = values * (values > 0.0)
    expected = values @ weights["layer_2.weight"] + weights["layer_2.bias"]
    assert depth(weights) == 3
    assert np.array_equal(logits(weights, inputs), expected)


def test_the_sigmoid_is_logistic_and_saturates():
    values = np.linspace(-20.0, 20.0, 41)
    np.testing.assert_allclose(sigmoid(values), 1.0 / (1.0 + np.exp(-values)), rtol=1e-14)
    assert sigmoid(np.array([-1e30, 1e30])).tolist() == pytest.approx([9.4e-14, 1.0], abs=1e-13)


def test_the_derivative_of_the_sigmoid_is_finite_everywhere():
    torch = pytest.importorskip("torch", reason="needs torch")
    from bmi_dhydro.kernels.ir.binding import bind
    from bmi_dhydro.kernels.reference import TORCH_PRIMITIVES

    values = torch.tensor([-1e4, -40.0, 0.0, 40.0, 1e4], requires_grad=True)
    bind(sigmoid, TORCH_PRIMITIVES)(values).sum().backward()
    assert values.grad.tolist() == [0.0, 0.0, 0.25, 0.0, 0.0]
