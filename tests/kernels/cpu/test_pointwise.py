import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.pointwise import compiled
from bmi_dhydro.physics import pet


@pytest.mark.parametrize("function", [pet.oudin, pet.hamon])
def test_compiled_equals_plain(function):
    random = np.random.default_rng(0)
    arguments = np.stack(
        [
            random.uniform(-30, 35, 500),
            random.uniform(-80, 80, 500),
            random.integers(1, 367, 500).astype(float),
            random.uniform(0, 24, 500),
            random.uniform(0.1, 24, 500),
        ]
    )
    result = np.empty(500)
    compiled(function)(arguments, result)
    np.testing.assert_allclose(result, function(*arguments), rtol=1e-11, atol=1e-12)
