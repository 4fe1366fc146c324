"""Programs are printed as code that computes what they say."""

import math

import numpy as np
import pytest

from bmi_dhydro.kernels.ir.printing import as_one, indented, module_of, operand, printed
from bmi_dhydro.kernels.ir.program import trace
from bmi_dhydro.physics.primitives import arccos, exp, log, maximum, power, sqrt, where

NAMES = {
    "real": float,
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b, "neg": lambda a: -a, "fma": lambda a, b, c: a * b + c,
    "arccos": math.acos,
    "exp2": lambda a: 2.0**a, "log2": math.log2, "sqrt": math.sqrt, "maximum": max,
    "minimum": min, "gt": lambda a, b: a > b, "lt": lambda a, b: a < b,
    "where": lambda c, a, b: a if c else b,
}  # fmt: skip


def equation(x, y):
    return (
        exp(x * y - 1.0) + log(y) - x * y,
        power(y, 1.5) / sqrt(y),
        where(x > y, maximum(x, 2.0), arccos(0.1 * y)),
    )


@pytest.mark.parametrize("arguments", [(0.5, 2.0), (3.0, 1.5)])
def test_printed_code_is_the_equation(arguments):
    program = trace(equation)
    scope = {**NAMES, **dict(zip(program.inputs, arguments, strict=True))}
    exec("\n".join(printed(program)), scope)
    found = [scope[name] for name in program.outputs]
    assert found == pytest.approx([float(value) for value in equation(*arguments)], rel=1e-12)


def test_numbers_are_of_the_kind_of_the_module():
    assert operand("name") == "name"
    assert operand(0.1) == "real(0.1)"
    assert indented(["a", "b"], 2) == ["        a", "        b"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_module_converts_its_constants_once(dtype):
    lines = ["def f(x):", "    return x * real(0.1) + real(-2e-05) + real(0.1) + real(x)"]
    text = module_of("Title", dtype, lines)
    assert f"real = np.{dtype}" in text
    assert "return x * number_0 + number_1 + number_0 + real(x)" in text
    scope = {}
    exec(text, scope)
    assert scope["number_0"] == np.dtype(dtype).type(0.1)
    assert scope["number_0"].dtype == dtype
    assert scope["number_1"] == np.dtype(dtype).type(-2e-05)


def test_lines_are_one_operation_with_what_they_read():
    value = as_one(["c = add(a, real(-0.5))", "return k"], "float32", ["a", "k"])
    assert value == "assembled('float32', 'a, k', '''\nc = add(a, -0.5)\nreturn k\n''', a, k)"
