"""Rows that are copied, added and compared."""

import numba
import numpy as np

from bmi_dhydro.kernels.cpu.rows import (
    add_rows,
    begin_window,
    copy_rows,
    day_total,
    rows_differ,
    zero_rows,
)


@numba.njit
def change(target, source):
    copy_rows(target, 1, source, 2, 2, 3)
    add_rows(target, 0, source, 0, 2, 4)


@numba.njit
def emptied(target, rows):
    zero_rows(target, rows)


@numba.njit
def differ(one, other, first, begin, rows, width):
    return rows_differ(one, first, other, begin, rows, width)


@numba.njit
def total(window, column, forcing):
    return day_total(window, column, forcing)


@numba.njit
def begin(window, forcing, first, rows):
    begin_window(window, forcing, first, rows)


def test_rows_are_copied_and_added_between_arrays_of_other_widths():
    source = np.random.default_rng(0).normal(size=(5, 6))
    target = np.zeros((4, 1, 8))
    change(target, source)
    expected = np.zeros((4, 1, 8))
    expected[1:3, 0, :3] = source[2:4, :3]
    expected[:2, 0, :4] += source[:2, :4]
    np.testing.assert_array_equal(target, expected)


def test_first_rows_are_emptied():
    target = np.ones((5, 2, 3))
    emptied(target, 3)
    assert not target[:3].any()
    assert target[3:].all()


def test_rows_that_differ_are_noticed():
    one = np.random.default_rng(1).normal(size=(4, 5))
    other = np.concatenate([one[1:], one[:1]])
    assert not differ(one, other, 1, 0, 3, 5)
    assert differ(one, other, 0, 0, 1, 5)
    other[2, 4] += 1e-12
    assert differ(one, other, 1, 0, 3, 5)
    assert not differ(one, other, 1, 0, 3, 4)
    # What was never known is no state.
    nothing = np.full((4, 5), np.nan)
    assert differ(nothing, nothing, 0, 0, 1, 1)


def test_a_day_begins_with_its_first_step_and_is_summed():
    window = np.full((4, 2, 3), np.nan)
    forcing = np.random.default_rng(2).normal(size=(6, 2, 4)).astype(np.float32)
    begin(window, forcing, 1, 2)
    expected = np.repeat(forcing[0, :, 1:3].T.astype(float)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(window[1:3], expected)
    assert np.isnan(window[[0, 3]]).all()
    window[2, 1] = 0.1, 0.2, 0.3
    assert total(window, 2, 1) == (0.1 + 0.2) + 0.3
