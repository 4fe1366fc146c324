"""What training makes small."""

from typing import get_args

import pytest
import torch

from bmi_dhydro.training.config import LossName
from bmi_dhydro.training.loss import LOSSES
from bmi_dhydro.training.loss import nse as nse_loss


def test_every_loss_of_the_configuration_is_there():
    assert set(get_args(LossName)) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_least_for_perfect_flow_and_differentiable(name):
    generator = torch.Generator().manual_seed(0)
    observed = torch.rand((200, 3), generator=generator) * 5.0
    observed[50:90, 1] = float("nan")
    observed[10:, 2] = float("nan")
    spread = torch.tensor([1.5, 1.4, 1.3])
    values = []
    for shift in (0.0, 0.3, 1.0):
        simulated = (torch.nan_to_num(observed, nan=1.0) + shift).requires_grad_()
        loss = LOSSES[name](simulated, observed, spread)
        loss.backward()
        assert torch.isfinite(simulated.grad).all()
        assert (simulated.grad[50:90, 1] == 0).all()
        values.append(loss.item())
    assert values[0] < 0.01
    assert values[0] < values[1] < values[2]
    nothing = torch.full_like(observed, float("nan"))[:, :2]
    assert name != "kge" or LOSSES[name](nothing.nan_to_num(), nothing, spread[:2]) == 0.0


def test_the_loss_skips_gaps():
    simulated = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    observed = torch.tensor([[2.0, float("nan")], [3.0, 2.0]])
    spread = torch.tensor([0.9, 1.9])
    expected = (1.0 + 0.0 + 1.0) / 3.0
    assert nse_loss(simulated, observed, spread).item() == pytest.approx(expected)
