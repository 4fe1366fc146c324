import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.kernel import CpuKernel
from bmi_dhydro.kernels.factory import Execution, make_kernel
from bmi_dhydro.kernels.interface import Ring, StepBlock
from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV
from bmi_dhydro.physics.unit_hydrograph import DISCHARGE, ROUTING_STORE
from tests.conftest import random_routing, random_setup

EVERYTHING = (*HBV.output_names, DISCHARGE, ROUTING_STORE)


def routing(catchments, lags, dtype):
    weights = np.random.default_rng(1).random((catchments, lags)) + 0.01
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(dtype), np.zeros((catchments, lags), dtype)


def run(kernel, forcing, parameters, state, lags=16, block=None, position=0):
    """Return outputs, final state and routing store; in blocks of `block` steps."""
    state = state.copy()
    parameters = np.ascontiguousarray(parameters.transpose(1, 0, 2))
    weights, pending = routing(state.shape[1], lags, state.dtype)
    reach = np.full(len(pending), lags, np.int32)
    steps = forcing.shape[0]
    outputs = np.empty((steps, len(EVERYTHING), state.shape[1]), state.dtype)
    block = block or steps
    for first in range(0, steps, block):
        part = slice(first, first + block)
        ring = Ring(weights, pending, reach, (first + position) % lags)
        kernel.run(StepBlock(forcing[part], parameters, state, ring, outputs[part]))
    return outputs, state, pending


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [pytest.param(np.float32, 1e-5, marks=pytest.mark.long), (np.float64, 1e-10)],
)
def test_cpu_equals_reference_over_ten_years(dtype, tolerance):
    arrays = random_setup(12, 16, 3650, dtype)
    ours = run(CpuKernel(HBV, EVERYTHING, 16, dtype), *arrays)
    theirs = run(make_kernel(Execution("reference", dtype), HBV, EVERYTHING, 16), *arrays)
    for k, name in enumerate(EVERYTHING):
        a, b = ours[0][:, k].astype(float), theirs[0][:, k].astype(float)
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b), name
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        assert np.linalg.norm(a - b) <= 5 * tolerance * np.linalg.norm(b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parameter_sets", [1, 2, 5, 10, 16, 23])
def test_any_number_of_parameter_sets_and_steps_equal_the_block_bit_for_bit(dtype, parameter_sets):
    arrays = random_setup(9, parameter_sets, 120, dtype)
    kernel = CpuKernel(HBV, EVERYTHING, parameter_sets, dtype)
    whole = run(kernel, *arrays)
    for block in (1, 7):
        for a, b in zip(run(kernel, *arrays, block=block), whole, strict=True):
            assert np.array_equal(a, b)
    theirs = run(
        make_kernel(Execution("reference", dtype), HBV, EVERYTHING, parameter_sets), *arrays
    )
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(whole[0], theirs[0], rtol=tolerance, atol=tolerance * 100)


def test_threads_and_the_size_of_the_set_change_no_bit():
    arrays = random_setup(700, 16, 20, np.float32)
    one = CpuKernel(HBV, EVERYTHING, 16, np.float32, threads=1)
    two = CpuKernel(HBV, EVERYTHING, 16, np.float32, threads=2)
    expected = run(one, *arrays)
    for a, b in zip(run(two, *arrays), expected, strict=True):
        assert np.array_equal(a, b)
    forcing, parameters, state = arrays
    alone = [np.ascontiguousarray(a) for a in (forcing[:, :, :1], parameters[:, :1], state[:, :1])]
    outputs, final, _ = run(one, *alone)
    assert np.array_equal(final, expected[1][:, :1])
    assert np.array_equal(outputs, expected[0][:, :, :1])


def test_reference_steps_equal_its_block():
    arrays = random_setup(3, 4, 60)
    kernel = make_kernel(Execution("reference"), HBV, EVERYTHING, 4)
    whole = run(kernel, *arrays)
    for a, b in zip(run(kernel, *arrays, block=1), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="known: cpu, reference"):
        make_kernel(Execution("gpu9"), HBV, EVERYTHING, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parameter_sets", [1, 16])
@pytest.mark.parametrize("kernel", ["cpu", "reference"])
@pytest.mark.parametrize("place", range(5))
def test_what_is_not_a_number_does_not_vanish(dtype, parameter_sets, kernel, place):
    forcing, parameters, states = random_setup(3, parameter_sets, 4, dtype)
    routing = random_routing(3)
    model = Model(
        HBV, parameters, routing, [50.0] * 3, 43200, execution=Execution(kernel=kernel, dtype=dtype)
    )
    model.state[...] = states
    model.state[place, 1] = np.nan
    results = model.run(forcing)
    flow = results[:, model.outputs.index("discharge")]
    assert np.isnan(flow[-1, 1])
    assert np.isfinite(flow[:, [0, 2]]).all()
