"""Elements of arrays in code for LLVM that is written by hand."""

import numba
import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic

from bmi_dhydro.kernels.cpu.elements import elements_of, whole


@intrinsic
def moved_on(typingctx, array, total, row):
    """Add an element to a total, write half of it to the next; return how many rows there are."""

    def build(context, builder, signature, arguments):
        given, sums, place = elements_of(context, builder, signature.args, arguments)
        value = given.read_double(place, whole(1))
        sums.add_double(value, whole(0))
        half = builder.fmul(value, context.get_constant(types.float64, 0.5))
        given.write_double(half, builder.add(place, whole(1)), whole(1))
        return given.shape[0]

    return types.intp(array, total, row), build


@intrinsic
def integer(typingctx, array, row):
    def build(context, builder, signature, arguments):
        given, place = elements_of(context, builder, signature.args, arguments)
        return given.read(place)

    return types.intp(array, row), build


@numba.njit
def move(array, total, row):
    return moved_on(array, total, row)


@numba.njit
def read(array, row):
    return integer(array, row)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_elements_are_read_and_written_whatever_the_order_of_memory(dtype, order):
    array = np.asarray(np.arange(12).reshape(4, 3), dtype, order=order)
    total = np.array([0.25])
    assert move(array, total, np.int32(2)) == 4
    assert total == [7.25]
    expected = np.arange(12).reshape(4, 3).astype(dtype)
    expected[3, 1] = 3.5
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_integers_are_as_wide_as_an_index(kind):
    assert read(np.array([3, -7, 11], kind), 1) == -7
