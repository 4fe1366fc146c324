"""The smaller and the larger of two: ties take the second, what is no number stays."""

import numpy as np
import pytest

from bmi_dhydro.physics import primitives
from bmi_dhydro.physics.primitives import maximum, minimum


@pytest.mark.parametrize(("function", "expected"), [(minimum, np.fmin), (maximum, np.fmax)])
def test_numbers(function, expected):
    values = np.random.default_rng(0).normal(size=(2, 100))
    assert np.array_equal(function(*values), expected(*values))


@pytest.mark.parametrize("function", [minimum, maximum])
def test_what_is_no_number_does_not_vanish(function):
    one, nan = np.array([1.0, np.nan, np.nan]), np.array([np.nan, 1.0, np.nan])
    assert np.isnan(function(one, nan)).all()


def test_a_tie_takes_the_second():
    zeros = np.array([0.0]), np.array([-0.0])
    for function in (minimum, maximum):
        assert np.signbit(function(*zeros))[0]
        assert not np.signbit(function(*zeros[::-1]))[0]


def test_all_names_are_there():
    assert all(callable(getattr(primitives, name)) for name in primitives.NAMES)
