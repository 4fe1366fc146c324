"""Small arrays beside each other in memory.

A host with many instances steps them in turn, so that the memory of each has left the processor's
nearest cache when its turn comes. What a step touches is then found sooner if it is in one piece.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray

# A line of the cache: arrays begin at multiples of it.
_ALIGNMENT = 64

# Arrays above this size gain nothing, and get memory of their own.
_LARGEST = 2048

# What is taken from the system at a time.
_PIECE = 6144


class Arena:
    """Memory for the small arrays of one instance, in the order in which they are made."""

    def __init__(self) -> None:
        self._piece = np.empty(0, np.uint8)
        self._used = 0

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike = float) -> NDArray:
        """Return an array of zeros; arguments as `numpy.zeros`."""
        kind = np.dtype(dtype)
        lengths = (shape,) if isinstance(shape, int) else shape
        size = math.prod(lengths) * kind.itemsize
        if size > _LARGEST:
            return np.zeros(lengths, kind)
        if self._used + size > len(self._piece):
            piece = np.zeros(_PIECE + _ALIGNMENT, np.uint8)
            self._piece = piece[-piece.ctypes.data % _ALIGNMENT :][:_PIECE]
            self._used = 0
        start = self._used
        self._used = start + -(-size // _ALIGNMENT) * _ALIGNMENT
        return self._piece[start : start + size].view(kind).reshape(lengths)

    def near(self, values: NDArray) -> NDArray:
        """Return a copy of an array, or one that is large itself."""
        if values.nbytes > _LARGEST:
            return values
        here = self.zeros(values.shape, values.dtype)
        here[...] = values
        return here
