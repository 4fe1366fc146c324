"""What holds for every process model, whichever files there are."""

import numpy as np
import pytest
import torch

from bmi_dhydro.kernels import autograd, reference
from bmi_dhydro.kernels.cpu.kernel import gradients
from bmi_dhydro.kernels.factory import Execution, make_kernel
from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV, PROCESSES, with_learned_curves
from bmi_dhydro.physics.unit_hydrograph import DISCHARGE
from tests.conftest import random_routing, random_setup

VARIANTS = {
    **PROCESSES,
    "hbv with learned curves": with_learned_curves(HBV, tuple(HBV.curves)),
}

# They lack what others have, and each compiles kernels of its own.
BY_NIGHT = ("hbv_1_0", "hbv_1_0_static", "hbv_1_1p")

pytestmark = pytest.mark.parametrize(
    "process",
    [
        pytest.param(process, id=name, marks=[pytest.mark.long] * (name in BY_NIGHT))
        for name, process in VARIANTS.items()
    ],
)


def test_water_balance_closes_to_rounding_in_each_step(process):
    forcing, parameters, states = random_setup(300, 16, 60, process=process)
    states = tuple(states)
    for weather in forcing:
        results = process.step(*states, *weather[:, :, None], *parameters)
        out = dict(zip(process.output_names, results, strict=True))
        before = sum(states)
        states = results[: len(process.states)]
        error = (
            weather[0][:, None]
            + sum(out[name] for name in process.gains)
            - out[process.evapotranspiration]
            - out[process.runoff]
            - (sum(states) - before)
        )
        assert np.abs(error).max() < 1e-11
        assert all((state >= 0).all() for state in states)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_kernels_agree_and_stepping_equals_the_block(process, dtype, tolerance):
    forcing, parameters, states = random_setup(5, 16, 1000, dtype, process=process)

    def run(kernel, size=1000):
        model = Model(
            process,
            parameters,
            random_routing(5),
            np.full(5, 90.0),
            execution=Execution(kernel=kernel, dtype=dtype),
        )
        model.state[:] = states
        return np.concatenate([model.run(forcing[k : k + size]) for k in range(0, 1000, size)])

    whole = run("cpu")
    assert np.array_equal(run("cpu", 8), whole)
    expected = run("reference")
    for k in range(whole.shape[1]):
        error = np.linalg.norm(whole[:, k].astype(float) - expected[:, k])
        assert error <= tolerance * np.linalg.norm(expected[:, k])


def pulled_back(module, process, arrays):
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]
    # A state among the outputs has two gradients: of its mean, and of what is carried on.
    outputs = (process.runoff, process.evapotranspiration, "soil_moisture")
    rows, final = module.run_process(process, outputs, *leaves)
    generator = torch.Generator().manual_seed(0)
    loss = (rows * torch.randn(rows.shape, generator=generator, dtype=rows.dtype)).sum()
    loss = loss + (final * torch.randn(final.shape, generator=generator, dtype=rows.dtype)).sum()
    loss.backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("parameter_sets", [3, 16])
def test_the_derived_adjoint_agrees_with_autograd_through_the_reference(process, parameter_sets):
    arrays = random_setup(4, parameter_sets, 250, process=process)
    ours = pulled_back(autograd, process, arrays)
    theirs = pulled_back(reference, process, arrays)
    for a, b in zip(ours, theirs, strict=True):
        for part_a, part_b in zip(a.unbind(0), b.unbind(0), strict=True):
            assert (part_a - part_b).norm() <= 1e-9 * b.norm()


@pytest.mark.parametrize("segment", [1, 7, 16, 250, 999])
def test_segments_of_any_length_give_the_same_gradients(process, segment):
    forcing, parameters, state = random_setup(3, 4, 250, process=process)
    parameters = np.ascontiguousarray(parameters.transpose(1, 0, 2))
    random = np.random.default_rng(0)
    seeds = random.normal(size=(250, 1, 3)), random.normal(size=state.shape)
    expected = gradients(process, (process.runoff,), forcing, parameters, state, *seeds)
    ours = gradients(
        process, (process.runoff,), forcing, parameters, state, *seeds, segment=segment
    )
    for a, b in zip(ours, expected, strict=True):
        assert np.array_equal(a, b)


def test_a_step_of_an_hour_closes_its_balance_too(process):
    forcing, parameters, states = random_setup(4, 4, 2000, process=process)
    model = Model(process, parameters, random_routing(4), np.full(4, 90.0), step_seconds=3600)
    model.state[:] = states
    before = model.stored()
    forcing[:, [0, 2]] /= 24.0
    rows = model.run(forcing)
    left = rows[:, [model.outputs.index(n) for n in (DISCHARGE, process.evapotranspiration)]]
    came = forcing[:, 0].sum(axis=0)
    for name in process.gains:
        came = came + rows[:, model.outputs.index(name)].sum(axis=0)
    error = came - left.sum(axis=(0, 1)) - (model.stored() - before)
    assert np.abs(error).max() < 1e-9


def test_making_a_kernel_needs_nothing_but_the_process(process):
    assert make_kernel(Execution(threads=1), process, (process.runoff,), 2)
