"""Arrays are found by their addresses, and only those that are what they are said to be."""

import numpy as np
import pytest

from bmi_dhydro.kernels import cache
from bmi_dhydro.kernels.cpu.addresses import loads, table_of
from bmi_dhydro.kernels.ir.printing import indented

KINDS = (("a", np.float64, 2), ("b", np.int32, 1), ("c", np.float32, 1))
SOURCE = "\n".join(
    [
        '"""Adds up three arrays."""',
        "import numba",
        "from bmi_dhydro.kernels.cpu.addresses import arrays_at",
        "def total(table):",
        *indented(loads(KINDS, "table")),
        "    return a.sum() + b.sum() + c.sum() + 100 * a.shape[1]",
        "run = numba.njit(cache=CACHE)(total)",
        "",
    ]
)


def test_compiled_code_finds_them_again():
    arrays = [np.arange(6.0).reshape(2, 3), np.array([7, 8], np.int32), np.ones(4, np.float32)]
    table = table_of(arrays, KINDS)
    run = cache.load(SOURCE, "addresses_of_a_test")["run"]
    assert run(table.ctypes.data) == 15.0 + 15.0 + 4.0 + 300.0
    arrays[0][0, 0] = 10.0
    assert run(table.ctypes.data) == 25.0 + 15.0 + 4.0 + 300.0


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (0, np.zeros((2, 3), np.float32)),
        (0, np.zeros(6)),
        (0, np.zeros((3, 2)).T),
        (1, np.zeros(2, np.int64)),
    ],
)
def test_others_are_an_error(place, wrong):
    arrays = [np.zeros((2, 3)), np.zeros(2, np.int32), np.zeros(4, np.float32)]
    arrays[place] = wrong
    with pytest.raises(ValueError, match=f"{'ab'[place]} is no contiguous array of"):
        table_of(arrays, KINDS)
