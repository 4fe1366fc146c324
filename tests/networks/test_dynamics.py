"""Parameters that change from day to day: kernels, gradients, memory, restarts."""

import copy
import pickle

import numpy as np
import pytest
import torch

from bmi_dhydro.io import state_file
from bmi_dhydro.kernels import autograd, reference
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.differentiable import block_gradients, hidden_states, torch_dynamics
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks import compiled_lstm
from bmi_dhydro.networks.dynamics import Dynamics
from bmi_dhydro.networks.merged import merge
from bmi_dhydro.networks.normalisation import Normalisation
from bmi_dhydro.networks.parameter_network import DYNAMIC_HEAD, NetworkLayout, initial_weights
from bmi_dhydro.networks.trained_model import TrainedModel, load
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.loop import simulate
from tests.conftest import random_setup

DYNAMIC = ("BETA", "K0", "BETAET")
LAYOUT = NetworkLayout(HBV, 3, ("aridity", "forest_fraction"), DYNAMIC)


def network(layout=LAYOUT, seed=0, dtype=float):
    """Weights with a head that moves parameters."""
    weights = initial_weights(layout, (8,), seed, lstm_units=6)
    random = np.random.default_rng(seed)
    weights[DYNAMIC_HEAD] = random.normal(0.0, 0.7, weights[DYNAMIC_HEAD].shape)
    weights["forcing_mean"] = np.array([3.0, 8.0, 2.0])
    weights["forcing_deviation"] = np.array([6.0, 9.0, 1.5])
    return {name: value.astype(dtype) for name, value in weights.items()}


def trained(weights=None):
    random = np.random.default_rng(2)
    table = {name: random.normal(size=30) for name in LAYOUT.attributes}
    return TrainedModel(LAYOUT, weights or network(), Normalisation.of(table))


ATTRIBUTES = {name: np.random.default_rng(3).normal(size=5) for name in LAYOUT.attributes}


def model(kernel="cpu", dtype=np.float64, step_seconds=86400, weights=None):
    ours = trained(weights)
    return Model(
        HBV,
        *ours.parameters(ATTRIBUTES),
        np.full(5, 300.0),
        step_seconds=step_seconds,
        execution=Execution(kernel=kernel, dtype=dtype),
        dynamics=ours.dynamics(ATTRIBUTES, 86400 // step_seconds),
    )


WEATHER = random_setup(5, 1, 200)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stepping_equals_the_block_bit_for_bit(dtype):
    whole, stepped = model(dtype=dtype), model(dtype=dtype)
    block = whole.run(WEATHER)
    for k, weather in enumerate(WEATHER):
        assert np.array_equal(stepped.step(weather.astype(dtype)), block[k])
    assert np.array_equal(whole.dynamics.hidden, stepped.dynamics.hidden)


def test_kernels_agree_and_parameters_move():
    ours = model().run(WEATHER)
    np.testing.assert_allclose(ours, model("reference").run(WEATHER), rtol=1e-9, atol=1e-9)
    unmoved = network()
    unmoved[DYNAMIC_HEAD][:] = 0.0
    still = model(weights=unmoved)
    moved = still.run(WEATHER)
    assert np.abs(moved - ours).max() > 0.1
    fixed = trained()
    plain = Model(HBV, *fixed.parameters(ATTRIBUTES), np.full(5, 300.0))
    np.testing.assert_allclose(plain.run(WEATHER), moved, rtol=1e-12)


def test_water_balance_closes():
    ours = model()
    before = ours.stored()
    rows = ours.run(WEATHER)
    left = sum(
        rows[:, ours.outputs.index(n)].sum(axis=0) for n in ("discharge", "evapotranspiration")
    )
    error = WEATHER[:, 0].sum(axis=0) - left - (ours.stored() - before)
    assert np.abs(error).max() < 1e-9


@pytest.mark.parametrize("parameter_sets", [2, 16])
def test_gradients_agree_with_autograd_through_the_reference(parameter_sets):
    forcing, parameters, states = random_setup(4, parameter_sets, 120)
    random = np.random.default_rng(0)
    moving = [
        random.uniform(p.lower, p.upper, (120, 4, parameter_sets))
        for p in HBV.parameters
        if p.name in DYNAMIC
    ]

    def pulled(module):
        leaves = [
            torch.from_numpy(a.copy()).requires_grad_() for a in (forcing, parameters, states)
        ]
        dynamic = {
            n: torch.from_numpy(a.copy()).requires_grad_()
            for n, a in zip(DYNAMIC, moving, strict=True)
        }
        rows, final = module.run_process(HBV, ("runoff",), *leaves, dynamic)
        seeds = torch.from_numpy(np.random.default_rng(1).normal(size=rows.shape))
        ((rows * seeds).sum() + final.sum()).backward()
        return [leaf.grad for leaf in (*leaves, *dynamic.values())]

    static = [k for k, name in enumerate(HBV.parameter_names) if name not in DYNAMIC]
    for a, b in zip(pulled(autograd), pulled(reference), strict=True):
        if a.shape[0] == len(HBV.parameters):
            a, b = a[static], b[static]
        assert (a - b).norm() <= 1e-9 * b.norm()


def test_the_memory_of_training_is_that_of_use():
    weights = network()
    ours = trained(weights)
    inputs = ours.normalisation(ATTRIBUTES)
    tensors = {name: torch.as_tensor(value) for name, value in weights.items()}
    given = LAYOUT, tensors, torch.as_tensor(inputs)
    values = torch_dynamics(*given, hidden_states(*given, torch.as_tensor(WEATHER)))
    dynamics = model().dynamics
    for day, weather in enumerate(WEATHER):
        (daily,) = dynamics.advance(weather[None])
        for k, name in enumerate(DYNAMIC):
            np.testing.assert_allclose(daily[:, k], values[name][day].numpy(), rtol=1e-9)


def test_the_flow_of_training_is_that_of_use():
    weights = network(dtype=np.float32)
    ours = trained(weights)
    with torch.no_grad():
        theirs = simulate(
            LAYOUT,
            {name: torch.as_tensor(value) for name, value in weights.items()},
            torch.as_tensor(ours.normalisation(ATTRIBUTES)).float(),
            torch.full((5,), 300.0),
            torch.as_tensor(WEATHER).float(),
        ).numpy()
    mine = Model(
        HBV,
        *ours.parameters(ATTRIBUTES),
        np.full(5, 300.0),
        outputs=("discharge",),
        dynamics=ours.dynamics(ATTRIBUTES),
    ).run(WEATHER)[:, 0]
    assert np.linalg.norm(mine - theirs) < 1e-3 * np.linalg.norm(mine)


def test_a_restart_equals_no_restart(tmp_path):
    ids = np.array(list("abcde"))
    whole = model()
    expected = whole.run(WEATHER)
    first, second = model(), model()
    first.run(WEATHER[:77])
    state_file.save(tmp_path / "s", first, "f", ids)
    state_file.restore(tmp_path / "s", second, "f", ids)
    assert np.array_equal(second.run(WEATHER[77:]), expected[77:])


def test_members_of_an_ensemble_move_their_own_components():
    members = [network(seed=k) for k in range(3)]
    layout, weights = merge(LAYOUT, members)
    inputs = torch.as_tensor(trained().normalisation(ATTRIBUTES))
    forcing = torch.as_tensor(WEATHER)

    def values(layout, weights):
        tensors = {name: torch.as_tensor(value) for name, value in weights.items()}
        hidden = hidden_states(layout, tensors, inputs, forcing)
        return torch_dynamics(layout, tensors, inputs, hidden)

    whole = values(layout, weights)
    for k, member in enumerate(members):
        for name, alone in values(LAYOUT, member).items():
            torch.testing.assert_close(whole[name][:, :, 3 * k : 3 * k + 3], alone)


def test_a_file_keeps_what_is_dynamic(tmp_path):
    ours = trained(network(dtype=np.float32))
    ours.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.layout.dynamic == DYNAMIC
    assert again.fingerprint == ours.fingerprint


def spread(weather, per_day):
    """The same days in shorter steps: depths divided, temperature with a daily cycle."""
    hours = np.repeat(weather, per_day, axis=0)
    hours[:, [0, 2]] /= per_day
    cycle = np.sin(2.0 * np.pi * (np.arange(per_day) + 0.5) / per_day)
    hours[:, 1] += 4.0 * np.tile(cycle, len(weather))[:, None]
    return hours


def test_the_memory_of_short_steps_is_that_of_days():
    daily, hourly = model(), model(step_seconds=3600)
    for day, hours in zip(
        WEATHER[:40], spread(WEATHER[:40], 24).reshape(40, 24, 3, 5), strict=True
    ):
        daily.step(day)
        hourly.run(hours)
        np.testing.assert_allclose(hourly.dynamics.hidden, daily.dynamics.hidden, rtol=1e-9)


def test_within_a_day_the_last_24_hours_count():
    ours = model(step_seconds=21600).dynamics
    hours = spread(WEATHER[:2], 4)
    values = [ours.advance(step[None])[0] for step in hours]
    again = trained().dynamics(ATTRIBUTES)
    again.set_centres("BETA", model().parameters["BETA"], slice(None))
    again.advance(hours[None, :4].sum(axis=1) * [[1.0], [0.25], [1.0]])
    (expected,) = again.advance(hours[None, 2:6].sum(axis=1) * [[1.0], [0.25], [1.0]])
    np.testing.assert_allclose(values[5][:, 0], expected[:, 0], rtol=1e-9)


def test_short_steps_restart_within_a_day_and_equal_the_block(tmp_path):
    ids = np.array(list("abcde"))
    hours = spread(WEATHER[:20], 24)
    whole, stepped, second = (model(step_seconds=3600) for _ in range(3))
    expected = whole.run(hours)
    for k, weather in enumerate(hours[:101]):
        assert np.array_equal(stepped.step(weather), expected[k])
    state_file.save(tmp_path / "s", stepped, "f", ids)
    state_file.restore(tmp_path / "s", second, "f", ids)
    assert np.array_equal(second.run(hours[101:]), expected[101:])


def test_a_state_that_is_changed_within_a_day_counts_at_once():
    """What a state adds to the gates is kept for the day: but not beyond the state."""
    hours = spread(WEATHER[:3], 24)
    ours = model(step_seconds=3600).dynamics
    ours.advance(hours[:30], days=1 / 24)
    unchanged = ours.copy()
    ours.hidden[2] += 0.3
    restored = ours.copy()
    values = ours.advance(hours[30:40], days=1 / 24)
    # The copy has kept nothing yet.
    assert np.array_equal(values, restored.advance(hours[30:40], days=1 / 24))
    before = unchanged.advance(hours[30:40], days=1 / 24)
    same = np.array([0, 1, 3, 4])
    assert np.array_equal(values[:, same], before[:, same])
    assert np.abs(values[:, 2] - before[:, 2]).max() > 1e-4


def test_attributes_that_are_changed_within_a_day_count_at_once():
    hours = spread(WEATHER[:3], 24)
    ours = model(step_seconds=3600).dynamics
    ours.advance(hours[:30], days=1 / 24)
    ours.set_inputs(np.array([1, 3]), ours.inputs[[1, 3]] + 0.5)
    fresh = ours.copy()
    values = ours.advance(hours[30:40], days=1 / 24)
    assert np.array_equal(values, fresh.advance(hours[30:40], days=1 / 24))


def test_joined_networks_move_as_each_does_alone():
    """They are read apart: what is zero between them is left out, to the last bit."""
    weights = [network(seed=seed) for seed in (0, 1)]
    layout, joined = merge(LAYOUT, weights)
    hours = spread(WEATHER[:4], 24)
    inputs = np.array(list(ATTRIBUTES.values())).T
    together = Dynamics(layout, joined, inputs, 24).advance(hours, days=1 / 24)
    for k, own in enumerate(weights):
        alone = Dynamics(LAYOUT, own, inputs, 24).advance(hours, days=1 / 24)
        assert np.array_equal(together[..., 3 * k : 3 * k + 3], alone)


def test_a_copy_goes_its_own_way():
    hours = spread(WEATHER[:3], 24)
    ours = model(step_seconds=3600).dynamics
    ours.advance(hours[:30], days=1 / 24)
    other = copy.deepcopy(ours)
    state = ours.hidden.copy()
    expected = other.advance(hours[30:60], days=1 / 24)
    # What the copy did has not reached the original, which does the same.
    assert np.array_equal(ours.hidden, state)
    assert ours.position == 6
    assert np.array_equal(ours.advance(hours[30:60], days=1 / 24), expected)
    with pytest.raises(TypeError, match="snapshot"):
        pickle.dumps(ours)


def test_instances_share_the_weights():
    ours = trained()
    one, other = (ours.dynamics(ATTRIBUTES) for _ in range(2))
    large = max(ours.weights["lstm.hidden"].nbytes, ours.weights[DYNAMIC_HEAD].nbytes)
    shared = [a for a in one._kept if any(a is b for b in other._kept) and a.nbytes >= large]
    assert len(shared) >= 2


def test_large_networks_do_not_use_the_stack(monkeypatch):
    inputs, forcing = np.array(list(ATTRIBUTES.values())).T, WEATHER[:20]
    expected = Dynamics(LAYOUT, network(), inputs).advance(forcing)
    monkeypatch.setattr(compiled_lstm, "_STACK", 0)
    compiled_lstm.compiled_lstm.cache_clear()
    ours = Dynamics(LAYOUT, network(), inputs)
    assert np.array_equal(ours.advance(forcing), expected)
    assert "np.zeros" in "".join(ours._loops[1.0].source.before)
    compiled_lstm.compiled_lstm.cache_clear()


def test_a_parameter_that_moves_does_so_around_what_is_set():
    ours, other = model(), model()
    same = ours.parameters["BETA"].copy()
    ours.set_parameter("BETA", same)
    rows = other.run(WEATHER)
    np.testing.assert_allclose(ours.run(WEATHER), rows, rtol=1e-9, atol=1e-9)
    lower = model()
    lower.set_parameter("BETA", 1.0 + 0.2 * (same[2:4] - 1.0), np.array([2, 3]))
    changed = np.abs(lower.run(WEATHER) - rows).max(axis=(0, 1)) > 1e-3
    assert changed.tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("step_seconds", [pytest.param(86400, marks=pytest.mark.long), 21600])
def test_derivatives_agree_with_differences(step_seconds):
    per_day = 86400 // step_seconds
    weather = spread(WEATHER[:30], per_day)
    seeds = np.random.default_rng(5).normal(size=(len(weather) - 13, 5))

    def begun():
        ours = model(step_seconds=step_seconds)
        ours.run(weather[:13])
        return ours

    def objective(change=None, **parameters):
        ours = begun()
        for name, values in parameters.items():
            ours.set_parameter(name, values)
        forcing = weather[13:].copy()
        if change is not None:
            row, column, size = change
            forcing[row, column, 2] += size
        rows = ours.run(forcing)
        return (rows[:, ours.outputs.index("discharge")] * seeds).sum()

    found = block_gradients(
        begun(), weather[13:], {"discharge": seeds}, ["precipitation", "temperature", "BETA"]
    )
    for column, name in ((0, "precipitation"), (1, "temperature")):
        slope = (objective((4, column, 1e-5)) - objective((4, column, -1e-5))) / 2e-5
        assert found[name][4, 2] == pytest.approx(slope, rel=1e-5, abs=1e-7)
    direction = np.random.default_rng(6).normal(size=(5, 3))
    beta = begun().parameters["BETA"]
    slope = (
        objective(BETA=beta + 1e-6 * direction) - objective(BETA=beta - 1e-6 * direction)
    ) / 2e-6
    assert (found["BETA"] * direction).sum() == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("step_seconds", [86400, 21600])
def test_members_have_their_own_memory(step_seconds):
    per_day = 86400 // step_seconds
    weather = np.repeat(WEATHER[:40], per_day, axis=0)
    other = weather * np.array([1.4, 0.9, 1.1])[:, None]
    ours = trained()
    everywhere = {name: np.tile(values, 2) for name, values in ATTRIBUTES.items()}
    together = Model(
        HBV,
        *ours.parameters(ATTRIBUTES),
        np.full(5, 300.0),
        step_seconds=step_seconds,
        dynamics=ours.dynamics(everywhere, per_day),
        members=2,
    )
    rows = together.run(np.concatenate([weather, other], axis=2))
    for member, own in enumerate((weather, other)):
        alone = model(step_seconds=step_seconds)
        assert np.array_equal(rows[:, :, 5 * member : 5 * member + 5], alone.run(own))


def test_a_model_gives_its_threads_to_what_moves_its_parameters(few_real):
    trained = load("default")
    process, routing = trained.parameters(few_real.attributes)
    dynamics = trained.dynamics(few_real.attributes)
    assert dynamics.threads is None
    area = few_real.attributes["area"]
    execution = Execution(threads=1)
    Model(HBV, process, routing, area, execution=execution, dynamics=dynamics)
    assert dynamics.threads == 1
    assert dynamics.subset(np.arange(3)).threads == 1
