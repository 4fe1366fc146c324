"""Programs are printed as code that computes what they say."""

import math

import numpy as np
import pytest

from bmi_dhydro.kernels import cache
from bmi_dhydro.kernels.ir.printing import header, indented, operand, printed
from bmi_dhydro.kernels.ir.program import trace
from bmi_dhydro.physics.primitives import arccos, exp, log, maximum, power, sqrt, where


def equation(x, y):
    return (
        exp(x * y - 1.0) + log(y) - x * y,
        power(y, 1.5) / sqrt(y),
        where(x > y, maximum(x, 2.0), arccos(0.1 * y)),
    )


def compiled(lines, tail, arguments):
    """Compile a function of printed lines, and what is returned of them."""
    text = [header("A test", float), f"def run({arguments}):", *indented([*lines, *tail]), ""]
    module = cache.load("\n".join([*text, "run = numba.njit(cache=CACHE)(run)"]) + "\n", "test")
    return module["run"]


@pytest.mark.parametrize("arguments", [(0.5, 2.0), (3.0, 1.5)])
def test_printed_code_is_the_equation(arguments):
    program = trace(equation)
    names = ", ".join(map(str, program.outputs))
    run = compiled(printed(program), [f"return {names}"], "x, y")
    expected = [float(value) for value in equation(*arguments)]
    assert run(*arguments) == pytest.approx(expected, rel=1e-12)


def test_vectors_and_numbers_mixed_give_what_numbers_give():
    def mixed(x, y):
        return where(x > y, 2.0 * x - 1e-300, exp(y) * 0.3 + x), 0.25, maximum(y, x * y - 7.0), y

    program = trace(mixed)
    alone = compiled(
        printed(program), [f"return {', '.join(operand(v) for v in program.outputs)}"], "x, y"
    )
    lanes = [
        f"store(result, 0, {k}, 0, spread({operand(v)}, 4))" for k, v in enumerate(program.outputs)
    ]
    loads = ["x = load(values, 0, 0, 0, 4)"]
    wide = compiled([*loads, *printed(program)], lanes, "values, y, result")
    values, result = np.array([[[-1.5, 0.2, 3.0, 9.0]]]), np.empty((1, 4, 4))
    for y in (0.7, -4.0, math.inf):
        wide(values, y, result)
        expected = [alone(x, y) for x in values[0, 0]]
        np.testing.assert_array_equal(result[0].T, expected)


def test_nothing_is_printed_where_nothing_is_computed():
    assert printed(trace(lambda x: (x, 1.0), ("x",))) == []


def test_numbers_are_of_the_kind_of_the_module():
    assert operand("name") == "name"
    assert operand(0.1) == "real(0.1)"
    assert "real = np.float32" in header("Title", "float32")
    assert indented(["a", "b"], 2) == ["        a", "        b"]
