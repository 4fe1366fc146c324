"""Coefficients of the linear reach."""

import numpy as np

from bmi_dhydro.physics.linear_reach import coefficients
from bmi_dhydro.physics.reach import muskingum


def test_no_flow_is_negative_however_short_the_reach():
    random = np.random.default_rng(0)
    length = 10.0 ** random.uniform(0.0, 5.0, 2000)
    celerity = 10.0 ** random.uniform(-1.0, 1.0, 2000)
    weight = random.uniform(0.0, 0.5, 2000)
    weight, travel_time = coefficients(length, celerity, weight, 900.0)
    for inflow, storage in ((1.0, 0.0), (0.0, 1.0)):
        assert muskingum(weight, travel_time, inflow, storage, 0.0, 900.0).min() >= -1e-12
    long = length / celerity > 5000.0
    np.testing.assert_array_equal(travel_time[long], (length / celerity)[long])
