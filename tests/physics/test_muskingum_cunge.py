"""Hydraulics of a compound channel, and the search for its depth."""

import numpy as np
import pytest

from bmi_dhydro.physics.muskingum_cunge import (
    MUSKINGUM_CUNGE,
    bank_height,
    hydraulics,
    muskingum_cunge,
    section,
)
from bmi_dhydro.physics.reach import MOST_ITERATIONS


def drawn(count=4000, seed=0):
    """Return a depth and arguments of reaches that were in any state."""
    random = np.random.default_rng(seed)
    bottom = 10.0 ** random.uniform(-0.3, 2.0, count)
    top = bottom * random.uniform(0.9, 2.5, count)
    parameters = (
        10.0 ** random.uniform(1.0, 4.5, count),
        bottom,
        top,
        np.where(random.random(count) < 0.1, 0.0, top * 3.0),
        random.uniform(0.02, 0.1, count),
        random.uniform(0.05, 0.2, count),
        10.0 ** random.uniform(-1.0, 0.5, count),
        10.0 ** random.uniform(-5.0, -0.5, count),
    )
    flows = [np.where(random.random(count) < 0.1, 0.0, 10.0 ** random.uniform(-4, 3, count))] * 3
    flows = [flow * random.uniform(0.5, 2.0, count) for flow in flows]
    lateral = random.uniform(-0.1, 1.0, count) * flows[0]
    depth = 10.0 ** random.uniform(-3.0, 1.0, count)
    stored = flows[2] * 10.0 ** random.uniform(2.0, 4.0, count)
    return depth, (*flows, stored, lateral, 300.0, *parameters)


def found(process, depth, arguments):
    """Return depth and flow, iterations and whether the search ended."""
    unknowns = [np.broadcast_to(v, depth.shape) for v in process.begin(depth, *arguments)]
    count = 0
    for _ in range(MOST_ITERATIONS):
        going = unknowns[-1] < 0.5
        if not going.any():
            break
        new = process.iterate(*unknowns, *arguments)
        count += 1
        unknowns = [np.where(going, n, o) for n, o in zip(new, unknowns, strict=True)]
    return *process.settle(*unknowns, *arguments), count, unknowns[-1] > 0.5


@pytest.mark.parametrize(("tolerance", "close"), [(2e-6, 1e-5), (1e-12, 1e-10)])
def test_the_flow_of_the_depth_that_is_found_is_uniform(tolerance, close):
    depth, arguments = drawn()
    process = muskingum_cunge(tolerance)
    depth, flow, iterations, ended = found(process, depth, arguments)
    assert ended.all()
    assert iterations < 60
    uniform = section(depth, *arguments[6:])[1]
    bank = bank_height(arguments[7], arguments[8], arguments[12])
    # At the bank uniform flow jumps; there is no depth there for a flow within the jump.
    regular = (np.abs(depth / bank - 1.0) > 3e-5) & (flow > 1e-6)
    assert regular.mean() > 0.6
    np.testing.assert_allclose(flow[regular], uniform[regular], rtol=close)


def test_it_does_not_leave_its_side_of_the_bank_without_need():
    depth, arguments = drawn()
    first, _, _, _ = found(MUSKINGUM_CUNGE, depth, arguments)
    again, _, _, _ = found(MUSKINGUM_CUNGE, first, arguments)
    np.testing.assert_allclose(again, first, rtol=1e-4, atol=1e-5)


def test_a_wide_channel_is_that_of_the_textbook():
    """Chezy-Manning: mean velocity R^(2/3) sqrt(S) / n, celerity 5/3 of it."""
    depth = np.array([0.5, 2.0])
    celerity, uniform, surface, area = hydraulics(depth, 5e4, 5e5, 0.0, 0.03, 0.06, 1e3, 1e-3)
    velocity = depth ** (2.0 / 3.0) * np.sqrt(1e-3) / 0.03
    np.testing.assert_allclose(uniform / area, velocity, rtol=1e-3)
    np.testing.assert_allclose(celerity, 5.0 / 3.0 * velocity, rtol=1e-3)
    np.testing.assert_allclose(surface, 5e4, rtol=1e-3)


def test_celerity_is_the_slope_of_flow_over_area_within_the_banks():
    width = (3.0, 9.0, 27.0, 0.04, 0.08, 0.4, 2e-3)
    depth = np.linspace(0.05, 1.1, 30)
    celerity, low, _, small = hydraulics(depth - 1e-5, *width)
    _, high, _, large = hydraulics(depth + 1e-5, *width)
    np.testing.assert_allclose(celerity, (high - low) / (large - small), rtol=2e-3)


def test_the_flood_plain_begins_at_the_bank():
    width = (3.0, 9.0, 27.0, 0.04, 0.08, 0.4, 2e-3)
    bank = bank_height(3.0, 9.0, 0.4)
    assert bank == pytest.approx(1.2)
    _, _, surface, area = hydraulics(np.array([1.2, 1.5]), *width)
    np.testing.assert_allclose(surface, [9.0, 27.0])
    np.testing.assert_allclose(area, [7.2, 7.2 + 27.0 * 0.3])
    assert bank_height(3.0, 3.0, 0.4) == pytest.approx(0.6)
    assert bank_height(3.0, 2.0, 0.4) > 1e5
