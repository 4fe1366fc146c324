"""What several tests of this folder need."""

import numpy as np

from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV
from tests.conftest import random_routing, random_setup

# Options of `make` that are about how a model is executed.
EXECUTED = ("kernel", "dtype", "threads", "device")


def make(catchments=4, parameter_sets=8, **options):
    _, parameters, _ = random_setup(catchments, parameter_sets, 1)
    area = np.linspace(10.0, 5000.0, catchments)
    executed = {name: options.pop(name) for name in EXECUTED if name in options}
    routing = random_routing(catchments)
    return Model(HBV, parameters, routing, area, execution=Execution(**executed), **options)


def forcing(steps, catchments=4, per_day=1, seed=0):
    values, _, _ = random_setup(catchments, 1, steps // per_day, seed=seed)
    values = np.repeat(values, per_day, axis=0)
    values[:, [0, 2]] /= per_day
    return values
