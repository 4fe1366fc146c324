"""The long short-term memory over a block, and its adjoint, are those of torch."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from bmi_dhydro.networks.lstm_block import hidden_states  # noqa: E402

DAYS, CATCHMENTS, FORCINGS, ATTRIBUTES, UNITS = 40, 6, 3, 4, 5


def setup(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    return {
        "weather": draw(DAYS, CATCHMENTS, FORCINGS),
        "inputs": draw(CATCHMENTS, ATTRIBUTES),
        "input": 0.5 * draw(FORCINGS + ATTRIBUTES, 4 * UNITS),
        "hidden": 0.5 * draw(UNITS, 4 * UNITS),
        "bias": draw(4 * UNITS),
    }


def by_torch(weather, inputs, input, hidden, bias, constant=0):
    seen = torch.cat([weather, inputs.expand(len(weather), -1, -1)], dim=2)
    zeros = seen.new_zeros((1, seen.shape[1], hidden.shape[0]))
    matrices = [input.T, hidden.T, bias, torch.zeros_like(bias)]

    def run(days, state):
        return torch.lstm(days, state, matrices, True, 1, 0.0, True, False, False)

    if not constant:
        return run(seen, (zeros, zeros))[0]
    first, *state = run(seen[:constant], (zeros, zeros))
    later = run(seen[constant:], [values.detach() for values in state])[0]
    return torch.cat([first.detach(), later])


def by_block(weather, inputs, input, hidden, bias, constant=0):
    return hidden_states(weather, inputs, input, hidden, bias, constant)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_a_block_is_that_of_torch(dtype, tolerance):
    arrays = setup(dtype)
    torch.testing.assert_close(by_block(**arrays), by_torch(**arrays), rtol=0, atol=tolerance)


@pytest.mark.parametrize("constant", [0, 15])
def test_gradients_are_those_of_torch(constant):
    found = []
    for function in (by_torch, by_block):
        arrays = {name: values.requires_grad_() for name, values in setup().items()}
        hidden = function(**arrays, constant=constant)
        seeds = torch.linspace(-1.0, 1.0, hidden.numel(), dtype=hidden.dtype).reshape(hidden.shape)
        (hidden * seeds).sum().backward()
        found.append([values.grad for values in arrays.values()])
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)


def test_gradients_agree_with_differences():
    arrays = setup()
    weather = arrays.pop("weather")[:6, :2]
    given = [values.clone().requires_grad_() for values in (weather, arrays.pop("inputs")[:2])]
    matrices = [values.requires_grad_() for values in arrays.values()]
    assert torch.autograd.gradcheck(hidden_states, (*given, *matrices), atol=1e-6)
