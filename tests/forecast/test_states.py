"""States of a chain are found by the time in their names."""

import numpy as np
import pytest

from bmi_dhydro.forecast.states import DAMAGED, StateFolder, time_of
from bmi_dhydro.model import state
from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV
from tests.conftest import random_routing, random_setup

IDS = np.array(["a", "b"])


@pytest.fixture
def folder(tmp_path):
    """A folder with states of four days."""
    _, parameters, _ = random_setup(2, 2, 1)
    model = Model(HBV, parameters, random_routing(2), np.array([10.0, 100.0]))
    forcing, _, _ = random_setup(2, 2, 4)
    states = StateFolder(tmp_path, HBV)
    for k, weather in enumerate(forcing):
        model.step(weather)
        time = np.datetime64("2001-03-01T06:00:00", "s") + np.timedelta64(k, "D")
        states.save(state.capture(model, "fingerprint", IDS, time))
    return states


def at(text):
    return np.datetime64(text, "s")


def test_times_are_in_names(folder, tmp_path):
    assert [str(time)[:10] for time in folder.times()] == [
        "2001-03-04",
        "2001-03-03",
        "2001-03-02",
        "2001-03-01",
    ]
    for path in tmp_path.iterdir():
        assert time_of(path) in folder.times()
    assert time_of(tmp_path / "notes.txt") is None


def test_the_newest_that_is_not_too_late(folder):
    found = folder.newest(at("2001-03-03T00:00"), at("2001-03-05"))
    assert (str(found.time), found.steps) == ("2001-03-02T06:00:00", 2)
    assert folder.newest(at("2001-02-01"), at("2001-03-05")) is None


def test_a_damaged_one_is_set_aside(folder, tmp_path, caplog):
    newest = max(tmp_path.glob("*.nc"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    found = folder.newest(at("2001-03-05"), at("2001-03-05"))
    assert str(found.time) == "2001-03-03T06:00:00"
    assert newest.with_name(newest.name + DAMAGED).exists()
    assert "an older state taken" in caplog.text


def test_old_ones_are_removed_and_later_ones_named(folder, tmp_path, caplog):
    folder.newest(at("2001-03-02"), at("2001-03-02T12:00"))
    assert "later than the forecast are left alone: 2001-03-04" in caplog.text
    folder.prune(86400.0)
    assert len(folder.times()) == 2
    assert len(list(tmp_path.glob("*.nc"))) == 2
