"""Functions that are written as LLVM instructions are Numba's, and found by name."""

import numba
from numba import types

from bmi_dhydro.kernels.cpu.instructions import WRITTEN, instructions


@instructions(prefer_literal=True)
def added_for_a_test(typingctx, number, constant):
    """Add a constant to a whole number."""

    def build(context, builder, signature, arguments):
        more = context.get_constant(types.intp, constant.literal_value)
        return builder.add(arguments[0], more)

    return types.intp(types.intp, constant), build


def test_a_function_is_an_intrinsic_and_found_by_its_name():
    @numba.njit
    def run(number):
        return added_for_a_test(number, 3)

    assert run(4) == 7
    signature, _ = WRITTEN["added_for_a_test"](None, types.intp, types.literal(3))
    assert signature.return_type == types.intp
