"""What several tests of this folder need."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, PET = (item.name for item in INPUTS[:3])
DEPTH, FLUX, DISCHARGE = (item.name for item in OUTPUTS[:3])


@pytest.fixture
def model(host_example):
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    yield bmi
    bmi.finalize()


@pytest.fixture
def many(many_host_example):
    bmi = BmiDhydro()
    bmi.initialize(str(many_host_example))
    yield bmi
    bmi.finalize()


def weather(bmi, steps, seed=0):
    """Set weather and step; return the runoff depths."""
    random = np.random.default_rng(seed)
    size = bmi.get_grid_size(0)
    runoff = np.empty((steps, size))
    for row in runoff:
        bmi.set_value(RAIN, random.gamma(0.3, 1.0, size))
        bmi.set_value(TEMPERATURE, random.normal(6.0, 8.0, size))
        bmi.set_value(PET, random.uniform(0.0, 0.2, size))
        bmi.update()
        bmi.get_value(DEPTH, row)
    return runoff


def changed(path, **keys):
    """Append keys to a configuration."""
    path.write_text(path.read_text() + "\n".join(f"{k}: {v}" for k, v in keys.items()) + "\n")
    return str(path)
