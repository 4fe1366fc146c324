import numpy as np
import pytest
import torch

from bmi_dhydro.kernels.ir.binding import bind
from bmi_dhydro.kernels.ir.program import trace
from bmi_dhydro.kernels.reference import TORCH_PRIMITIVES
from bmi_dhydro.physics import HBV, between_bounds, with_learned_curves
from bmi_dhydro.physics.hbv import soil_wetness
from bmi_dhydro.physics.learned_curves import UNITS, learned_share, weight_parameters

WETNESS = with_learned_curves(HBV, ("soil_wetness",))


def test_parameters_of_the_curve_give_way_to_weights():
    assert "BETA" not in WETNESS.parameter_names
    assert WETNESS.parameter_names[:3] == ("FC", "K0", "K1")
    assert WETNESS.parameter_names[-1] == "soil_wetness_height_4"
    assert len(WETNESS.parameters) == len(HBV.parameters) - 1 + 1 + 3 * UNITS
    both = with_learned_curves(HBV, ("soil_wetness", "evapotranspiration_share"))
    assert not {"BETA", "LP", "BETAET"} & set(both.parameter_names)
    assert with_learned_curves(HBV, ()) is HBV
    assert with_learned_curves(HBV, ("soil_wetness",)) is WETNESS


def test_a_share_stays_between_nothing_and_all():
    random = np.random.default_rng(0)
    items = weight_parameters("soil_wetness")
    weights = [random.choice([p.lower, p.upper], 1000) for p in items]
    for fullness in (0.0, 0.3, 1.0, 1.7):
        share = learned_share(fullness, weights)
        assert (share > 0.0).all()
        assert (share < 1.0).all()


def test_a_network_can_be_the_curve_it_replaces():
    """Some weights within the bounds come close to the power law, least so where it reaches one."""
    fullness = torch.linspace(0.0, 1.0, 60, dtype=torch.float64)
    wanted = torch.as_tensor(soil_wetness(fullness.numpy(), 2.5))
    items = weight_parameters("soil_wetness")
    learned = bind(learned_share, TORCH_PRIMITIVES)
    torch.manual_seed(0)
    logits = torch.zeros(len(items), dtype=torch.float64).normal_().requires_grad_()
    optimiser = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe")

    def error():
        shares = torch.sigmoid(logits)
        weights = [between_bounds(s, p) for s, p in zip(shares, items, strict=True)]
        return learned(fullness, weights) - wanted

    def closure():
        optimiser.zero_grad()
        loss = (error() ** 2).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    left = error().detach()
    assert (left**2).mean().sqrt() < 0.01
    assert left.abs().max() < 0.04


def test_only_the_curve_is_another():
    names = {op.name for op in trace(WETNESS.step, WETNESS.argument_names).operations}
    assert "exp" in names
    assert "power" in names  # that of evapotranspiration
    both = with_learned_curves(HBV, tuple(HBV.curves))
    names = {op.name for op in trace(both.step, both.argument_names).operations}
    assert "power" not in names


def test_an_unknown_curve_is_named():
    with pytest.raises(
        ValueError, match="hbv has no curve 'melt'; it has: soil_wetness, evapotranspiration_share"
    ):
        with_learned_curves(HBV, ("melt",))
