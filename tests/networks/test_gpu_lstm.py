"""The LSTM's units and parameters on a GPU, or in the interpreter of Triton, are those of torch."""

import importlib.util

import pytest
import torch

from bmi_dhydro.networks.gpu_lstm import advance_units, place
from bmi_dhydro.physics import HBV, between_bounds, per_step

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which is there for Linux only"
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
COLUMNS = 150


def drawn(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype).to(DEVICE)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
@pytest.mark.parametrize("forcings", [0, 3])
@pytest.mark.parametrize("units", [7, 16])
def test_units_are_those_of_torch(units, forcings, dtype, tolerance):
    day, of_weather = drawn(forcings, COLUMNS, dtype=dtype), drawn(3, 4 * units, dtype=dtype)
    gates, cell = drawn(COLUMNS, 4 * units, dtype=dtype), drawn(COLUMNS, units, dtype=dtype)
    hidden, after = (torch.full_like(cell, torch.nan) for _ in range(2))
    rejected = torch.ones(1, dtype=torch.int32, device=DEVICE)
    advance_units(day, of_weather, gates, cell, hidden, after, rejected)
    # Nothing is done with inputs that are rejected.
    assert torch.isnan(hidden).all()
    assert torch.isnan(after).all()
    rejected.zero_()
    advance_units(day, of_weather, gates, cell, hidden, after, rejected)
    one, two, three, four = (gates + day.T @ of_weather[:forcings]).chunk(4, dim=1)
    expected = torch.sigmoid(two) * cell + torch.sigmoid(one) * torch.tanh(three)
    torch.testing.assert_close(after, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(
        hidden, torch.sigmoid(four) * torch.tanh(expected), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("days", [1.0, 0.25])
@pytest.mark.parametrize("parameter_sets", [3, 16])
def test_parameters_are_those_of_the_equations(parameter_sets, days):
    items = tuple(item for item in HBV.parameters if item.name in ("BETA", "K1", "PERC", "C"))
    centres = drawn(len(items), COLUMNS, parameter_sets)
    moved = drawn(COLUMNS, len(items) * parameter_sets)
    values = torch.full_like(centres, torch.nan)
    place(items, days, centres, moved, values)
    for k, item in enumerate(items):
        own = moved[:, k * parameter_sets : (k + 1) * parameter_sets]
        share = torch.sigmoid(centres[k] + own).cpu().numpy()
        expected = torch.tensor(per_step(between_bounds(share, item), item, days))
        torch.testing.assert_close(values[k].cpu(), expected, rtol=1e-12, atol=0)
