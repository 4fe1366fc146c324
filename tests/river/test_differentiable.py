"""Derivatives through a network and time."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from bmi_dhydro.physics import LINEAR, MUSKINGUM_CUNGE_NWM  # noqa: E402
from bmi_dhydro.physics.muskingum_cunge import muskingum_cunge  # noqa: E402
from bmi_dhydro.river.differentiable import route, state_of  # noqa: E402
from bmi_dhydro.river.river import River  # noqa: E402
from tests.river.conftest import made_up, storm  # noqa: E402

PRECISE = {"linear": LINEAR, "muskingum_cunge": muskingum_cunge(1e-12)}
STEPS, REACHES = 8, 24


@pytest.fixture(autouse=True)
def _several_segments(monkeypatch):
    monkeypatch.setattr("bmi_dhydro.river.river._STEPS_TOGETHER", 12)


def made(process, dtype=np.float64, threads=1, width=1.0):
    network = made_up(REACHES, 2, width=width)
    # No reach so short that it holds no water: there derivatives jump.
    network.parameters["length"][:] += 3000.0
    river = River(network, process, 3600, 900, dtype, threads)
    river.set_flow(np.full(REACHES, 0.3))
    return river, storm(network, STEPS)


def gradients(river, lateral, reference=False):
    """Return gradients of a sum that every output counts in, and the outputs."""
    state = state_of(river)
    leaves = {
        "lateral": torch.tensor(lateral, requires_grad=True),
        "parameters": torch.tensor(river.parameters, requires_grad=True),
        "flow": state.flow.requires_grad_(),
        "storage": state.storage.requires_grad_(),
    }
    state = state._replace(flow=leaves["flow"], storage=leaves["storage"])
    found = route(river, leaves["lateral"], leaves["parameters"], state, reference)
    generator = torch.Generator().manual_seed(3)
    outputs = (found.flow, found.mean_flow, found.depth, found.storage / 1e4)
    weights = torch.rand((4, STEPS, REACHES), generator=generator, dtype=torch.float64) - 0.5
    total = sum((w * o).sum() for w, o in zip(weights, outputs, strict=True))
    total = total + found.state.flow.sum() + found.state.storage.sum() / 1e4
    total.backward()
    return {n: _gradient(v) for n, v in leaves.items()}, outputs


def _gradient(leaf):
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


@pytest.mark.parametrize("process", PRECISE.values(), ids=PRECISE)
def test_the_adjoint_is_that_of_autograd_through_the_reference(process):
    river, lateral = made(process)
    ours, outputs = gradients(river, lateral)
    theirs, expected = gradients(river, lateral, reference=True)
    for a, b in zip(outputs, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    for name in ours:
        scale = theirs[name].abs().max()
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-8, atol=1e-9 * float(scale))


@pytest.mark.parametrize("process", PRECISE.values(), ids=PRECISE)
def test_the_adjoint_agrees_with_differences(process):
    river, lateral = made(process)
    ours, _ = gradients(river, lateral)

    def total(lateral, parameters, storage):
        state = state_of(river)._replace(storage=torch.tensor(storage))
        found = route(river, torch.tensor(lateral), torch.tensor(parameters), state)
        generator = torch.Generator().manual_seed(3)
        outputs = (found.flow, found.mean_flow, found.depth, found.storage / 1e4)
        weights = torch.rand((4, STEPS, REACHES), generator=generator, dtype=torch.float64) - 0.5
        value = sum((w * o).sum() for w, o in zip(weights, outputs, strict=True))
        return float(value + found.state.flow.sum() + found.state.storage.sum() / 1e4)

    random = np.random.default_rng(0)
    parameters, storage = river.parameters, river.states["storage"]
    for name, k in (("lateral", 0), ("parameters", 1), ("storage", 2)):
        values = (lateral, parameters, storage)
        # Along a direction in which all of them change.
        direction = random.uniform(0.5, 1.0, values[k].shape) * values[k]
        step = 1e-6
        sides = []
        for sign in (1.0, -1.0):
            moved = [v + sign * step * direction if j == k else v for j, v in enumerate(values)]
            sides.append(total(*moved))
        slope = (sides[0] - sides[1]) / (2.0 * step)
        assert slope == pytest.approx(float((ours[name].numpy() * direction).sum()), rel=2e-5), name


def test_threads_and_single_precision(monkeypatch):
    monkeypatch.setattr("bmi_dhydro.river.river._WORTH_THREADS", 0)
    river, lateral = made(PRECISE["muskingum_cunge"])
    one, _ = gradients(river, lateral)
    three, _ = gradients(made(PRECISE["muskingum_cunge"], threads=3)[0], lateral)
    for name in one:
        assert torch.equal(one[name], three[name]), name
    river, lateral = made("muskingum_cunge", np.float32)
    single, _ = gradients(river, lateral.astype(np.float32))
    for name in one:
        close = (single[name] - one[name]).norm() / (one[name].norm() + 1e-30)
        assert close < 1e-3, name


def test_a_river_stays_as_it_is_and_a_block_goes_on_where_another_ended():
    for process in (LINEAR, MUSKINGUM_CUNGE_NWM):
        river, lateral = made(process)
        before, account = river.snapshot(), river.balance
        lateral = torch.tensor(lateral)
        whole = route(river, lateral)
        first = route(river, lateral[:5])
        second = route(river, lateral[5:], state=first.state)
        assert torch.equal(torch.cat([first.flow, second.flow]), whole.flow)
        for name, values in river.states.items():
            np.testing.assert_array_equal(values, before[name])
        assert river.balance == account
        np.testing.assert_array_equal(river.run(lateral.numpy()).flow, whole.flow.numpy())


def test_roughness_is_found_from_flow_at_the_outlet():
    # Wide channels: where water leaves its banks flow jumps.
    river, lateral = made(PRECISE["muskingum_cunge"], width=10.0)
    truth = torch.tensor(river.parameters)
    k = river.process.parameter_names.index("manning_n")
    lateral = torch.tensor(lateral)
    outlets = torch.as_tensor(river.network.to < 0)
    observed = route(river, lateral, truth).flow[:, outlets]
    factor = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [factor],
        max_iter=60,
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        parameters = truth.clone()
        parameters[k] = truth[k] * 1.6 * torch.exp(factor)
        loss = ((route(river, lateral, parameters).flow[:, outlets] - observed) ** 2).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert 1.6 * float(torch.exp(factor.detach())) == pytest.approx(1.0, abs=1e-3)
