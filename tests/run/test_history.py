"""The past of a model: every step that is remembered can be gone back to exactly."""

import numpy as np
import pytest

from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV
from bmi_dhydro.run.history import History
from tests.conftest import random_routing, random_setup


def make():
    _, parameters, _ = random_setup(3, 2, 1)
    return Model(HBV, parameters, random_routing(3), np.array([10.0, 100.0, 900.0]))


@pytest.fixture
def past():
    """A model after 100 steps, its history of 40, and snapshots of all steps."""
    model = make()
    forcing, _, _ = random_setup(3, 2, 100)
    history = History(model, 40)
    snapshots = []
    for weather in forcing:
        snapshots.append(model.snapshot())
        history.before_step()
        model.step(weather)
        history.after_step(2.0 * weather, weather)
    return model, history, snapshots, forcing


@pytest.mark.parametrize("steps", [1, 15, 16, 17, 40])
def test_any_step_is_found_again(past, steps):
    model, history, snapshots, forcing = past
    assert len(history) == 40
    now = model.snapshot()
    inputs, weather, then = history.since(steps)
    assert np.array_equal(weather, forcing[-steps:])
    assert np.array_equal(inputs, 2.0 * forcing[-steps:])
    for name, values in snapshots[-steps].items():
        assert np.array_equal(then[name], values), name
    # Looking back changes nothing.
    for name, values in model.snapshot().items():
        assert np.array_equal(now[name], values), name
    assert model.steps == 100


def test_what_is_forgotten_cannot_be_gone_back_to(past):
    model, history, _, forcing = past
    history.forget()
    assert len(history) == 0
    for weather in forcing[:3]:
        history.before_step()
        model.step(weather)
        history.after_step(weather, weather)
    assert len(history) == 3
