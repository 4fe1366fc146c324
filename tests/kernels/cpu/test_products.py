"""Products with packed matrices, of one row and of several."""

import numba
import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.products import LANES, ROWS, add_product, packed


@numba.njit(error_model="numpy")
def multiply(source, matrix, spans, target, count):
    add_product(source, matrix, spans, target, count)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("columns", [5, 32, 70])
def test_rows_are_multiplied(single, columns):
    random = np.random.default_rng(columns)
    matrix = random.normal(size=(13, columns))
    if single:
        matrix = matrix.astype(np.float32).astype(float)
    kept, spans = packed(matrix, np.float32 if single else np.float64)
    source = random.normal(size=(ROWS, 1, 13))
    begun = random.normal(size=(ROWS, 1, kept.shape[0] * LANES))
    whole = begun.copy()
    multiply(source, kept, spans, whole, ROWS)
    np.testing.assert_allclose(whole[:, 0, :columns], begun[:, 0, :columns] + source[:, 0] @ matrix)
    # A row has the same product alone and among others, to the last bit.
    for count in range(1, ROWS):
        few = begun.copy()
        multiply(source, kept, spans, few, count)
        np.testing.assert_array_equal(few[:count], whole[:count])


def test_nothing_is_multiplied_of_no_rows():
    target = np.ones((ROWS, 1, 32))
    multiply(np.ones((ROWS, 1, 3)), *packed(np.ones((3, 7)), float), target, 0)
    assert (target == 1.0).all()


@pytest.mark.parametrize("rows", [ROWS, 1])
def test_rows_of_zeros_are_not_read(rows):
    """Networks that were joined have their own rows and columns: the others cost nothing."""
    random = np.random.default_rng(3)
    one, other = random.normal(size=(2, 6, 64))
    matrix = np.block([[one, np.zeros((6, 64))], [np.zeros((6, 64)), other]])
    kept, spans = packed(matrix, float)
    np.testing.assert_array_equal(spans, np.repeat([[0, 6], [6, 12]], len(spans) // 2, axis=0))
    source = random.normal(size=(ROWS, 1, 12))
    whole, apart = np.zeros((2, ROWS, 1, 128))
    multiply(source, kept, spans, whole, rows)
    np.testing.assert_allclose(whole[:rows, 0], source[:rows, 0] @ matrix)
    # What those rows hold in the first columns does not reach the second, not even as NaN.
    source[:, :, :6] = np.nan
    multiply(source, kept, spans, apart, rows)
    np.testing.assert_array_equal(apart[:rows, :, 64:], whole[:rows, :, 64:])
    assert np.isnan(apart[:rows, :, :64]).all()


def test_a_matrix_of_no_rows_adds_nothing():
    kept, spans = packed(np.zeros((0, 40)), float)
    target = np.ones((ROWS, 1, kept.shape[0] * LANES))
    multiply(np.ones((ROWS, 1, 0)), kept, spans, target, ROWS)
    assert (target == 1.0).all()
