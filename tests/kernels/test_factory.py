"""Kernels by name."""

import numpy as np
import pytest

from bmi_dhydro.kernels.factory import Execution, make_kernel
from bmi_dhydro.physics import HBV


def test_the_usual_execution():
    usual = Execution()
    assert (usual.kernel, usual.threads, np.dtype(usual.dtype)) == ("cpu", None, np.float64)
    assert type(make_kernel(usual, HBV, ("runoff",), 4)).__name__ == "CpuKernel"


def test_the_reference_is_divided_where_a_step_is():
    pytest.importorskip("torch", reason="needs torch")
    execution = Execution("reference")
    assert type(make_kernel(execution, HBV, ("runoff",), 4)).__name__ == "ReferenceKernel"
    divided = make_kernel(execution, HBV, ("runoff",), 4, substeps=2)
    assert type(divided).__name__ == "DividedKernel"


def test_an_unknown_kernel():
    with pytest.raises(ValueError, match="'abacus' is unknown"):
        make_kernel(Execution("abacus"), HBV, ("runoff",), 4)
