"""Flow of a data set is that of the block that training goes through, and of a run."""

import numpy as np
import pytest
import torch

from bmi_dhydro.networks import trained_model
from bmi_dhydro.training.loop import simulate
from bmi_dhydro.training.simulated_flow import simulated_flow


@pytest.mark.parametrize("name", ["fast", "default", "ensemble"])
def test_it_is_the_flow_that_training_sees(few_real, name):
    model, data = trained_model.load(name), few_real.catchments(np.arange(10) < 3)
    data = data.period("1960-01-01", "1961-12-31")
    weights = {key: torch.as_tensor(values) for key, values in model.weights.items()}
    inputs = torch.as_tensor(model.normalisation(data.attributes), dtype=torch.float32)
    area = torch.as_tensor(data.attributes["area"], dtype=torch.float32)
    with torch.no_grad():
        expected = simulate(model.layout, weights, inputs, area, torch.as_tensor(data.forcing))
    found = simulated_flow(model, data)
    assert found.shape == data.streamflow.shape
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-3, atol=2e-3)


def test_one_catchment_has_the_flow_that_it_has_among_others(few_real):
    model = trained_model.load("default")
    data = few_real.period("1960-01-01", "1960-12-31")
    one = data.catchments(np.arange(10) == 4)
    np.testing.assert_array_equal(
        simulated_flow(model, one)[:, 0], simulated_flow(model, data)[:, 4]
    )
