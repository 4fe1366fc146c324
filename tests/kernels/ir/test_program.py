import numpy as np
import pytest

from bmi_dhydro.kernels.ir.binding import bind
from bmi_dhydro.kernels.ir.program import fused, trace
from bmi_dhydro.physics import HBV, primitives
from bmi_dhydro.physics.primitives import exp, log, maximum, where
from tests.conftest import random_setup

_NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "fma": lambda a, b, c: a * b + c,
    "fms": lambda a, b, c: a * b - c,
    "fnma": lambda a, b, c: c - a * b,
    **{name: getattr(primitives, name) for name in primitives.NAMES},
}


def evaluate(program, **inputs):
    values = dict(inputs)
    for op in program.operations:
        arguments = [values[a] if isinstance(a, str) else a for a in op.arguments]
        values[op.target] = _NUMPY[op.name](*arguments)
    return [values[name] if isinstance(name, str) else name for name in program.outputs]


def helper(x):
    return exp(x) + 1.0


def uses_helper(x, y):
    return maximum(helper(x), y), log(y)


def test_a_traced_step_computes_what_the_step_does():
    forcing, parameters, states = random_setup(20, 4, 1)
    names = HBV.state_names + HBV.forcing_names + HBV.parameter_names
    inputs = dict(zip(names, [*states, *forcing[0][:, :, None], *parameters], strict=True))
    expected = HBV.step(**inputs)
    for program in (trace(HBV.step), fused(trace(HBV.step))):
        for ours, theirs in zip(evaluate(program, **inputs), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


def test_helpers_are_traced_too():
    program = trace(uses_helper)
    assert evaluate(program, x=1.0, y=2.0) == pytest.approx([np.e + 1.0, np.log(2.0)])


def test_equal_operations_are_computed_once():
    program = trace(lambda x, y: (x * y + 1.0, x * y - 1.0))
    assert [op.name for op in program.operations].count("mul") == 1


def test_only_what_outputs_need_is_kept():
    program = trace(lambda x, y: (x * y, x / y)).restricted([1])
    assert [op.name for op in program.operations] == ["div"]


def test_branching_on_a_value_is_refused():
    with pytest.raises(TypeError, match="use where"):
        trace(lambda x: x if x > 0 else 0.0)


def test_binding_replaces_primitives_in_helpers():
    double = {name: getattr(primitives, name) for name in primitives.NAMES}
    double["exp"] = lambda x: 2.0 * np.exp(x)
    bound = bind(uses_helper, double)
    assert bound(0.0, 0.5)[0] == 3.0
    assert uses_helper(0.0, 0.5)[0] == 2.0


def test_where_is_a_primitive_for_numbers():
    assert trace(lambda x: where(x > 0.0, 1.0, x)).operations[-1].name == "where"
