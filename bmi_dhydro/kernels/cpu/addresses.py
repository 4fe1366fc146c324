"""Arrays by their addresses inside Numba functions.

Handing an array to a compiled function costs about 0.1 us, and more where its description is not in
the processor's cache. A function that takes many arrays in each step is handed one address instead:
that of a table of the addresses and shapes of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numpy.typing import DTypeLike, NDArray


def _array_of(number: Any) -> Any:
    """Return a function for compiled code that takes an address and a shape for an array.

    `numba.carray` would do the same, and take longer to compile than many a loop.
    """

    @intrinsic
    def at(context: Any, address: Any, shape: Any) -> Any:
        kind = types.Array(number, len(shape), "C")

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            element = context.get_data_type(number)
            size = context.get_constant(types.intp, context.get_abi_sizeof(element))
            lengths = cgutils.unpack_tuple(builder, arguments[1])
            strides = [size]
            for length in reversed(lengths[1:]):
                strides.insert(0, builder.mul(strides[0], length))
            array = context.make_array(kind)(context, builder)
            data = builder.inttoptr(arguments[0], element.as_pointer())
            populate_array(
                array, data=data, shape=lengths, strides=strides, itemsize=size, meminfo=None
            )
            return array._getvalue()

        return kind(types.intp, shape), build

    return at


float64_at = _array_of(types.float64)
float32_at = _array_of(types.float32)
int64_at = _array_of(types.int64)
int32_at = _array_of(types.int32)


def table_of(arrays: Sequence[NDArray], kinds: Sequence[tuple[str, DTypeLike, int]]) -> NDArray:
    """Return the address and the shape of each array, one after the other.

    Parameters
    ----------
    arrays : sequence of array
        Contiguous. Whoever keeps the table must keep them.
    kinds : sequence of (name, type, number of dimensions)
        What `loads` will find.

    Returns
    -------
    array of int64

    Raises
    ------
    ValueError
        If one is not contiguous, or not what it is said to be: other memory would be read.
    """
    for array, (name, kind, dimensions) in zip(arrays, kinds, strict=True):
        right = array.dtype == kind and array.ndim == dimensions
        if not (right and array.flags.c_contiguous):
            raise ValueError(
                f"{name} is no contiguous array of {np.dtype(kind)} with {dimensions} dimensions, "
                "and cannot be handed over by its address"
            )
    return np.array([x for a in arrays for x in (a.ctypes.data, *a.shape)], np.int64)


def loads(arrays: Sequence[tuple[str, DTypeLike, int]], table: str) -> list[str]:
    """Print the code that finds arrays in a table again.

    Parameters
    ----------
    arrays : sequence of (name, type, number of dimensions)
        In the order of `table_of`.
    table : str
        Name of the variable that holds the table's address.

    Returns
    -------
    list of str
    """
    length = sum(1 + dimensions for _, _, dimensions in arrays)
    lines = [f"found = int64_at({table}, ({length},))"]
    place = 0
    for name, kind, dimensions in arrays:
        shape = ", ".join(f"found[{place + 1 + k}]" for k in range(dimensions))
        lines.append(f"{name} = {np.dtype(kind).name}_at(found[{place}], ({shape},))")
        place += 1 + dimensions
    return lines
