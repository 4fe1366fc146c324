"""Equations are given other primitives, helpers and closures included, without a second copy."""

import numpy as np
import pytest

from bmi_dhydro.kernels.ir.binding import bind
from bmi_dhydro.physics import primitives
from bmi_dhydro.physics.primitives import exp, maximum, sqrt


def helper(value):
    return sqrt(maximum(value, 0.0))


def equation(value):
    return sum(helper(value + k) for k in range(2)) + exp(0.0 * value)


def named(name):
    return lambda *arguments: f"{name}({', '.join(map(str, arguments))})"


def test_helpers_of_the_package_are_bound_too():
    counted = []

    def counting_sqrt(value):
        counted.append(value)
        return np.sqrt(value)

    operations = {name: getattr(primitives, name) for name in primitives.NAMES}
    # Functions of this package are rebuilt; these stand for some of it.
    for function in (helper, equation):
        function.__module__ = "bmi_dhydro.made_up"
    bound = bind(equation, {**operations, "sqrt": counting_sqrt})
    assert bound(3.0) == pytest.approx(np.sqrt(3.0) + 2.0 + 1.0)
    assert len(counted) == 2
    # The original still has NumPy's.
    assert equation(3.0) == pytest.approx(np.sqrt(3.0) + 2.0 + 1.0)
    assert len(counted) == 2


def test_what_a_function_needs_must_be_there():
    with pytest.raises(KeyError, match="exp"):
        bind(lambda value: exp(value), {"sqrt": np.sqrt})


def test_closures_are_bound():
    def inner(value):
        return exp(value)

    inner.__module__ = "bmi_dhydro.made_up"

    def outer(value):
        return inner(value)

    outer.__module__ = inner.__module__
    assert bind(outer, {"exp": named("exp")})("x") == "exp(x)"
