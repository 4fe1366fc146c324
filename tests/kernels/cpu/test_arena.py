"""Small arrays lie beside each other, large ones on their own."""

import numpy as np

from bmi_dhydro.kernels.cpu.arena import Arena


def test_arrays_follow_each_other_and_do_not_overlap():
    arena = Arena()
    arrays = [arena.zeros(shape) for shape in (3, (2, 5), 1, (4, 1, 2))]
    assert [array.shape for array in arrays] == [(3,), (2, 5), (1,), (4, 1, 2)]
    addresses = [array.ctypes.data for array in arrays]
    assert all(address % 64 == 0 for address in addresses)
    assert max(np.diff(addresses)) <= 128
    for k, array in enumerate(arrays):
        array[...] = k
    for k, array in enumerate(arrays):
        assert (array == k).all()


def test_types_are_kept():
    arena = Arena()
    assert arena.zeros(3, np.int32).dtype == np.int32
    copied = arena.near(np.arange(5, dtype=np.float32))
    assert copied.dtype == np.float32
    assert copied.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_large_arrays_are_left_where_they_are():
    arena = Arena()
    large = np.zeros(10_000)
    assert arena.near(large) is large
    assert arena.zeros(10_000).shape == (10_000,)


def test_more_than_a_piece_takes_another_one():
    arena = Arena()
    arrays = [arena.zeros(200) for _ in range(20)]
    for k, array in enumerate(arrays):
        array[...] = k
    assert [array[0] for array in arrays] == list(range(20))
