"""The account of water: what went in is what went out, is stored, or was taken."""

import numpy as np
import pytest

from bmi_dhydro.run.water_account import WaterAccount


def test_it_goes_on_where_another_ended():
    account = WaterAccount(np.array([10.0, 20.0]))
    account.flows[0] += [3.0, 4.0]
    account.flows[1] += [1.0, 1.0]
    account.moved(np.array([0.0, -2.0]))
    other = WaterAccount(np.zeros(2))
    other.take(account.to_array())
    stored = np.array([12.0, 21.0])
    for name, values in account.values(stored).items():
        assert np.array_equal(values, other.values(stored)[name]), name
    assert account.values(stored)["leaked"].tolist() == [0.0, 2.0]


def test_the_balance_closes():
    account = WaterAccount(np.array([10.0]))
    account.flows[0] += 5.0
    account.flows[1] += 2.0
    account.moved(np.array([1.5]))
    booked = account.values(np.array([10.0 + 5.0 - 2.0 + 1.5]))
    assert booked["in"] - booked["out"] - booked["stored"] - booked["leaked"] == 0.0


def test_means_are_by_area_and_over_members():
    account = WaterAccount(np.zeros(4))
    account.flows[0] += [1.0, 2.0, 3.0, 4.0]
    area = np.array([1.0, 3.0])
    into, out, kept, leaked = account.mean(np.zeros(4), slice(None), area)
    # Members (1, 2) and (3, 4): the means of the catchments are 2 and 3.
    assert into == pytest.approx(2.0 * 0.25 + 3.0 * 0.75)
    assert (out, kept, leaked) == (0.0, 0.0, 0.0)
    assert account.mean(np.zeros(4), slice(2, 4), area)[0] == pytest.approx(3.75)
