"""The clock counts steps, and knows what time that is."""

import numpy as np

from bmi_dhydro.run.clock import Clock


def test_a_clock_that_knows_its_start():
    clock = Clock(np.datetime64("2000-02-28T00:00:00", "s"), 10, 86400, np.zeros(1, np.int64))
    assert clock.moment() == "2000-02-28T00:00:00"
    clock.done = 2
    assert str(clock.time) == "2000-03-01T00:00:00"
    assert clock.seconds == int(np.datetime64("2000-03-01", "s").astype(int))


def test_a_clock_that_does_not():
    clock = Clock(None, None, 3600, np.zeros(1, np.int64))
    clock.done = 5
    assert clock.time is None
    assert clock.seconds == 18000
    assert clock.moment() == "step 5"


def test_compiled_code_counts_in_the_same_place():
    count = np.zeros(1, np.int64)
    clock = Clock(None, None, 3600, count)
    count[0] = 7
    assert clock.done == 7
    clock.done = 8
    assert count.tolist() == [8]
