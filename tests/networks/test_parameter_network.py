import numpy as np
import pytest
import torch

from bmi_dhydro.kernels.ir.binding import bind
from bmi_dhydro.kernels.reference import TORCH_PRIMITIVES
from bmi_dhydro.networks import parameter_network
from bmi_dhydro.networks.normalisation import Normalisation
from bmi_dhydro.networks.parameter_network import NetworkLayout, initial_weights, parameters
from bmi_dhydro.physics import HBV

LAYOUT = NetworkLayout(HBV, 5, ("aridity", "snow_fraction", "forest_fraction"))


def test_numpy_and_torch_run_the_same_network():
    weights = initial_weights(LAYOUT, (16, 8), 0)
    inputs = np.random.default_rng(0).normal(size=(11, 3))
    process, routing = parameters(LAYOUT, {k: v.astype(float) for k, v in weights.items()}, inputs)
    tensors = {k: torch.as_tensor(v).double() for k, v in weights.items()}
    process_t, routing_t = bind(parameters, TORCH_PRIMITIVES)(
        LAYOUT, tensors, torch.as_tensor(inputs)
    )
    for ours, theirs in zip([*process, *routing], [*process_t, *routing_t], strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)
    assert process[0].shape == (11, 5)
    assert routing[0].shape == (11,)


def test_components_start_different_and_seeds_differ():
    weights = initial_weights(LAYOUT, (16,), 0)
    process, _ = parameters(LAYOUT, weights, np.zeros((1, 3)))
    assert np.unique(process[0]).size == 5
    other = initial_weights(LAYOUT, (16,), 1)
    assert not np.array_equal(weights["layer_0.weight"], other["layer_0.weight"])


def test_the_area_exponent_is_one_for_all_and_not_negative():
    weights = initial_weights(LAYOUT, (16,), 0)
    weights[parameter_network.AREA_EXPONENT][:] = -50.0
    _, (_, _, exponent) = parameters(LAYOUT, weights, np.random.default_rng(0).normal(size=(4, 3)))
    assert (exponent >= 0).all()
    assert np.unique(exponent).size == 1


def test_gradients_of_saturated_networks_are_finite():
    weights = {k: torch.as_tensor(v) for k, v in initial_weights(LAYOUT, (4,), 0).items()}
    inputs = torch.full((1, 3), 1e6, requires_grad=True)
    process, _ = bind(parameters, TORCH_PRIMITIVES)(LAYOUT, weights, inputs)
    torch.stack(process).sum().backward()
    assert torch.isfinite(inputs.grad).all()


def test_normalisation():
    table = {"a": np.array([1.0, 3.0]), "b": np.array([5.0, 5.0])}
    normalisation = Normalisation.of(table)
    np.testing.assert_allclose(normalisation(table)[:, 0], [-1.0, 1.0])
    assert np.isfinite(normalisation(table)).all()
    assert normalisation.highest.tolist() == [3.0, 5.0]
    with pytest.raises(KeyError):
        normalisation({"a": table["a"]})
