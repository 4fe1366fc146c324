"""The primitives that process equations are written in, on NumPy arrays.

A kernel replaces these names by its own (see `bmi_dhydro.kernels.ir.binding`), so the equations
themselves never say how they are executed.
"""

from __future__ import annotations

import numpy as np

arccos = np.arccos
cos = np.cos
exp = np.exp
log = np.log
power = np.power
sin = np.sin
sqrt = np.sqrt
where = np.where


def minimum(a, b):
    """Return the smaller of `a` and `b`; `b` where they are equal, NaN where one of them is.

    Which one a tie picks decides where the gradient flows, so every kernel picks the same.
    """
    return np.where((a < b) | np.isnan(a), a, b)


def maximum(a, b):
    """Return the larger of `a` and `b`; `b` where they are equal, NaN where one of them is."""
    return np.where((a > b) | np.isnan(a), a, b)


NAMES = ("arccos", "cos", "exp", "log", "maximum", "minimum", "power", "sin", "sqrt", "where")
