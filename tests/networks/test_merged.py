import numpy as np
import pytest

from bmi_dhydro.networks.merged import merge, single_network
from bmi_dhydro.networks.parameter_network import NetworkLayout, initial_weights, parameters
from bmi_dhydro.physics import HBV

LAYOUT = NetworkLayout(HBV, 3, ("aridity", "snow_fraction"))


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_each_member_computes_what_it_did_alone(hidden):
    members = [initial_weights(LAYOUT, hidden, seed) for seed in range(4)]
    layout, weights = merge(LAYOUT, members)
    assert layout.parameter_sets == 12
    inputs = np.random.default_rng(0).normal(size=(6, 2))
    process, routing = parameters(layout, weights, inputs)
    for k, one in enumerate(members):
        alone, _ = parameters(LAYOUT, one, inputs)
        for ours, theirs in zip(process, alone, strict=True):
            np.testing.assert_allclose(ours[:, 3 * k : 3 * k + 3], theirs, rtol=1e-5)
    assert all(values.shape == (6,) for values in routing)


def test_one_member_is_itself():
    one = initial_weights(LAYOUT, (7,), 0)
    layout, weights = merge(LAYOUT, [one])
    assert layout == LAYOUT
    for name, values in one.items():
        assert np.array_equal(weights[name], values)


@pytest.mark.parametrize("hidden", [(), (7,)])
def test_a_network_is_taken_out_of_the_whole(hidden):
    members = [initial_weights(LAYOUT, hidden, seed) for seed in range(3)]
    layout, weights = merge(LAYOUT, members)
    inputs = np.random.default_rng(0).normal(size=(6, 2))
    _, shared = parameters(layout, weights, inputs)
    for k, one in enumerate(members):
        alone, own = single_network(layout, weights, k)
        assert alone == LAYOUT
        process, routing = parameters(alone, own, inputs)
        expected, _ = parameters(LAYOUT, one, inputs)
        np.testing.assert_allclose(process, expected, rtol=1e-5)
        np.testing.assert_allclose(routing, shared)
