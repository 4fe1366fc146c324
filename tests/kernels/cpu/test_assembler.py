"""Printed code that is written as instructions does what Python does with the same text."""

import math

import numba
import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.assembler import assembled


def compiled(text, names, real="float64"):
    """Compile a text as a function of these names, without the cache."""
    code = f"def run({names}):\n    return assembled({real!r}, {names!r}, '''{text}''', {names})\n"
    scope = {"assembled": assembled}
    exec(code, scope)
    return numba.njit(error_model="numpy")(scope["run"])


def python(text, names, real=float):
    """Return what Python does with it."""
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    scope = {"real": real, "sqrt": math.sqrt}
    exec(f"def run({names}):\n{lines}\n    return -1\n", scope)
    return scope["run"]


def agree(text, names, *arguments, result=None):
    """Run both with their own copies of the arrays, and return the changed arrays."""
    copies = [[a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2)]
    found = compiled(text, names)(*copies[0])
    assert found == python(text, names)(*copies[1])
    if result is not None:
        assert found == result
    for ours, theirs in zip(*copies, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return copies[0]


def test_loops_carry_what_was_known_before_them():
    text = """
total, last = 0.0, 0
for i in range(values.shape[0]):
    row = 0.0
    for j in range(1, values.shape[1], 2):
        row += values[i, j]
        last = j
    total = total + row * 2.0
for k in range(values.shape[0] - 1, -1, -1):
    values[k, 0] = total + k
    total -= 1.5
return last
"""
    agree(text, "values", np.arange(15.0).reshape(3, 5) / 7.0, result=3)


def test_no_turn_of_a_loop_changes_nothing():
    text = """
last = 7
for k in range(2, count):
    last = k
return last
"""
    agree(text, "count", 2, result=7)
    agree(text, "count", 9, result=8)


@pytest.mark.parametrize("number", [-3, 0, 5, 12])
def test_branches_and_returns_end_where_python_does(number):
    text = """
place = number
if place > 10:
    place = 0
    if values[0] >= 1.0:
        return 99
elif place == 5:
    values[1] = -values[1]
else:
    values[2] = min(place, 3) + max(values[0], 0.25)
while place < 4 and values[3] != 8.0:
    place += 1
    values[3] *= 2.0
return place
"""
    agree(text, "number, values", number, np.array([0.5, 2.0, 3.0, 1.0]))
    agree(text, "number, values", number, np.array([1.5, 2.0, 3.0, 1.0]))


def test_whole_numbers_divide_and_leave_remainders():
    text = """
for k in range(9):
    whole[k] = (k + a) // b % 3 + (k - a) * 2
"""
    agree(text, "a, b, whole", np.int32(4), np.int64(2), np.zeros(9, np.int64), result=-1)


@pytest.mark.parametrize("hour", [-30.5, -1e-3, 0.0, 23.75, 24.0, 50.0])
def test_remainders_of_numbers_are_those_of_python(hour):
    agree("values[0] = (values[0] + shift) % 24.0", "values, shift", np.array([hour]), 0.125)


def test_an_equal_sum_of_the_old_values_is_assigned_to_both():
    text = """
a, b = values[0], values[1]
for k in range(5):
    a, b = b, a + b
values[0], values[1] = a, b
"""
    assert agree(text, "values", np.array([1.0, 1.0]))[0].tolist() == [8.0, 13.0]


def test_what_is_no_number_differs_from_itself():
    text = """
if values[0] != values[0]:
    return 1
return 0
"""
    agree(text, "values", np.array([np.nan]), result=1)
    agree(text, "values", np.array([2.0]), result=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_of_the_kind_that_is_asked_for(dtype):
    text = """
share = real(1.0 / 3)
values[0] = share
values[1] = values[1] * share + real(given[0])
values[2] = 0.1
"""
    values, given = np.array([0, 0.7, 0], dtype), np.array([1.0 / 7.0])
    compiled(text, "values, given", np.dtype(dtype).name)(values, given)
    third = dtype(1.0 / 3)
    assert values.dtype == dtype
    assert values[0] == third
    assert values[2] == dtype(0.1)
    np.testing.assert_allclose(values[1], dtype(0.7) * third + dtype(given[0]), rtol=2e-7)


@pytest.mark.parametrize("order", ["C", "F"])
def test_functions_of_instructions_are_called(order):
    text = """
for k in range(values.shape[1]):
    store(values, 0, k, 0, sqrt(fma(load(values, 0, k, 0, 1), 2.0, 1.0)))
sums = totals(2, 1.0, 2.0)
values[0, 0, 0] += lane(sums, 1)
"""
    values = np.asarray(np.arange(4.0).reshape(1, 4, 1), order=order)
    compiled(text, "values")(values)
    assert values[0, :, 0].tolist() == [1.0 + 4.0, 3.0**0.5, 5.0**0.5, 7.0**0.5]


def test_functions_that_numba_compiles_are_called():
    @numba.njit
    def shifted(array, place, by):
        array[place] += by
        return place + 1

    text = """
place = 0
while place < array.shape[0]:
    place = function(array, place, 0.5 * place)
return place
"""
    array = np.zeros(4)
    assert compiled(text, "array, function")(array, shifted) == 4
    assert array.tolist() == [0.0, 0.5, 1.0, 1.5]


def test_a_name_of_a_loop_is_known_there_alone():
    text = """
for k in range(2):
    inner = k
return inner
"""
    with pytest.raises(NameError, match="'inner', which has no value there"):
        compiled(text, "count")(2)
