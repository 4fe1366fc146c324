"""Networks are checked, and put in an order."""

import numpy as np
import pytest

from bmi_dhydro.errors import NetworkError
from bmi_dhydro.physics import LINEAR, MUSKINGUM_CUNGE
from bmi_dhydro.river.network import Network, schedule
from tests.river.conftest import made_up

LENGTHS = {"length": [1000.0, 2000.0, 3000.0]}


def test_ids_are_numbers_or_text():
    for ids, to in (
        ([7, 3, 5], [3, 0, 3]),
        (["7", "3", "5"], ["3", "", "3"]),
        ([7.0, 3.0, 5.0], [3.0, np.nan, 3.0]),
        (["7", "3", "5"], ["3", None, "3"]),
    ):
        network = Network.of(ids, to, LENGTHS, gauges=["", "08123", None])
        assert network.ids.tolist() == ["7", "3", "5"]
        assert network.to.tolist() == [1, -1, 1]
        assert network.gauges == {"08123": 1}
    assert network.place("08123") == network.place("3") == 1
    with pytest.raises(NetworkError, match="08124 is neither a reach nor a gauge"):
        network.place("08124")


@pytest.mark.parametrize(
    ("ids", "to", "match"),
    [
        ([], [], "rivers: has no reaches"),
        ([1, 2, 1], [0, 0, 0], "reach 1 stands there twice"),
        ([1, 2, 3], [2, 9, 8], "reach 2, 3 drains to 9, 8, which is not there; write 0"),
        ([1, 2, 3], [2, 3, 2], "in a circle through [23], [23]$"),
        ([1, 2, 3], [0, 2, 0], "in a circle through 2$"),
    ],
)
def test_what_does_not_hold_together(ids, to, match):
    with pytest.raises(NetworkError, match=match):
        Network.of(ids, to, {}, source="rivers")
    with pytest.raises(NetworkError, match="gauge a is at reaches 1 and 3"):
        Network.of([1, 2, 3], [0, 0, 0], {}, ["a", "", "a"])


def test_parameters_that_are_missing_or_impossible():
    network = Network.of([1, 2, 3], [2, 3, 0], LENGTHS)
    with pytest.raises(NetworkError, match=r"no celerity \(celerity of flood waves, m s-1\)"):
        network.parameters_of(LINEAR)
    for name, values, match in (
        ("length", [1.0, 0.0, np.nan], r"length of reach 2, 3 is 0.0, nan: should be 0.001 to"),
        ("slope", [0.1, -0.1, 0.1], "slope of reach 2 is -0.1"),
        ("manning_n", [0.0, 0.1, 0.1], "manning_n of reach 1 is 0.0"),
    ):
        parameters = made_up(3, 3).parameters | {name: np.array(values)}
        with pytest.raises(NetworkError, match=match):
            Network.of([1, 2, 3], [2, 3, 0], parameters).parameters_of(MUSKINGUM_CUNGE)


def test_upstream_and_parts_of_a_network():
    network = made_up(80, 3)
    place = int(np.argmax(np.bincount(network.to[network.to >= 0])))
    inside = network.upstream(place)
    for k in range(80):
        below, passed = k, False
        while below >= 0 and not passed:
            passed, below = below == place, network.to[below]
        assert (k in inside) == passed
    part = network.subset(inside)
    assert (part.to < 0).sum() == 1
    assert part.ids[part.to < 0] == network.ids[place]
    kept = inside[inside != place]
    np.testing.assert_array_equal(
        part.ids[part.to[np.searchsorted(inside, kept)]], network.ids[network.to[kept]]
    )
    np.testing.assert_array_equal(part.parameters["slope"], network.parameters["slope"][inside])


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_groups_come_after_all_that_drains_to_them(parts, lanes):
    network = made_up(300, 9)
    plan = schedule(network, lanes, parts)
    assert np.unique(plan.slots).size == 300
    assert len(plan.parts) == parts + 1
    assert plan.slots.max() < plan.groups * lanes
    group = plan.slots // lanes
    part = np.searchsorted(plan.parts, group, side="right")
    for k in np.flatnonzero(network.to >= 0):
        below = network.to[k]
        assert group[k] < group[below]
        # What parts drain to is computed after all of them.
        assert part[k] == part[below] or part[below] == parts + 1
        assert plan.outlets[plan.slots[k]] == plan.slots[below]
        listed = slice(plan.origins[plan.slots[below]], plan.origins[plan.slots[below] + 1])
        origins = plan.origin_groups[listed] * lanes + plan.origin_lanes[listed]
        np.testing.assert_array_equal(origins, plan.slots[np.flatnonzero(network.to == below)])
    sizes = np.bincount(part, minlength=parts + 2)[1 : parts + 1]
    assert sizes.min() > 0.5 * sizes.max()
