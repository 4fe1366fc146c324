"""Products with packed matrices, of one row and of several."""

import numba
import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.products import LANES, ROWS, add_product
from bmi_dhydro.networks.compiled_lstm import packed


@numba.njit(error_model="numpy")
def multiply(source, matrix, target, count):
    add_product(source, matrix, target, count)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("columns", [5, 32, 70])
def test_rows_are_multiplied(single, columns):
    random = np.random.default_rng(columns)
    matrix = random.normal(size=(13, columns))
    if single:
        matrix = matrix.astype(np.float32).astype(float)
    kept = packed(matrix)
    assert kept.dtype == (np.float32 if single else np.float64)
    source = random.normal(size=(ROWS, 1, 13))
    begun = random.normal(size=(ROWS, 1, kept.shape[0] * LANES))
    whole = begun.copy()
    multiply(source, kept, whole, ROWS)
    np.testing.assert_allclose(whole[:, 0, :columns], begun[:, 0, :columns] + source[:, 0] @ matrix)
    # A row has the same product alone and among others, to the last bit.
    for count in range(1, ROWS):
        few = begun.copy()
        multiply(source, kept, few, count)
        np.testing.assert_array_equal(few[:count], whole[:count])


def test_nothing_is_multiplied_of_no_rows():
    target = np.ones((ROWS, 1, 32))
    multiply(np.ones((ROWS, 1, 3)), packed(np.ones((3, 7))), target, 0)
    assert (target == 1.0).all()
