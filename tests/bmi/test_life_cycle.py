"""Initialize, update, finalize; and the time of the interface."""

import sys

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import (
    ConfigError,
    OrderError,
)
from tests.bmi.conftest import DEPTH, RAIN


def test_lifecycle_methods_return_none(host_example):
    bmi = BmiDhydro()
    assert bmi.initialize(str(host_example)) is None
    assert bmi.update() is None
    assert bmi.update_until(bmi.get_current_time() + 86400.0) is None
    assert bmi.finalize() is None
    assert bmi.finalize() is None


def test_time(model):
    assert (model.get_start_time(), model.get_current_time()) == (0.0, 0.0)
    assert model.get_time_step() == 86400.0
    assert model.get_time_units() == "s"
    assert model.get_end_time() == sys.float_info.max
    model.update()
    assert model.get_current_time() == 86400.0
    model.update_until(5 * 86400.0)
    assert model.get_current_time() == 5 * 86400.0


def test_update_until_the_past_does_nothing(model):
    model.update_until(3 * 86400.0)
    model.update_until(86400.0)
    model.update_until(-1.0)
    assert model.get_current_time() == 3 * 86400.0


def test_update_until_a_part_of_a_step_is_refused_and_does_nothing(model):
    with pytest.raises(ValueError, match="only whole steps"):
        model.update_until(100000.0)
    assert model.get_current_time() == 0.0
    model.update_until(86400.0 * (1 + 1e-9))
    assert model.get_current_time() == 86400.0


def test_calendar_units(host_example):
    bmi = BmiDhydro()
    text = host_example.read_text().replace("time:\n", "time:\n  units: seconds since <start>\n")
    host_example.write_text(text)
    bmi.initialize(str(host_example))
    assert bmi.get_time_units() == "seconds since 2000-10-01 00:00:00"


@pytest.mark.parametrize(
    "call",
    [
        lambda bmi: bmi.update(),
        lambda bmi: bmi.update_until(1.0),
        lambda bmi: bmi.get_current_time(),
        lambda bmi: bmi.get_value(DEPTH, np.empty(1)),
        lambda bmi: bmi.set_value(RAIN, np.zeros(1)),
        lambda bmi: bmi.get_grid_size(0),
        lambda bmi: bmi.get_var_units(RAIN),
    ],
)
def test_calls_out_of_order(host_example, call):
    bmi = BmiDhydro()
    with pytest.raises(OrderError, match="not initialized; call initialize"):
        call(bmi)
    bmi.initialize(str(host_example))
    with pytest.raises(OrderError, match="call finalize first"):
        bmi.initialize(str(host_example))
    bmi.update()
    bmi.finalize()
    with pytest.raises(OrderError, match="finalize was called"):
        call(bmi)
    bmi.initialize(str(host_example))
    assert bmi.get_current_time() == 0.0


def test_a_failed_initialize_leaves_a_usable_object(host_example, tmp_path):
    bmi = BmiDhydro()
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        bmi.initialize(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="needs the path"):
        bmi.initialize("")
    bmi.initialize(str(host_example))
    bmi.update()
