"""Catchments unlike those of training are found, whatever others there are."""

import numpy as np

from bmi_dhydro.networks.similarity import TrainingCatchments

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(400, 5)) @ RANDOM.normal(size=(5, 5))


def test_most_of_the_catchments_of_training_are_like_another_one():
    training = TrainingCatchments.of(TABLE)
    far = training.distance(TABLE, leave_out_first=True) > 1.0
    assert 0.04 <= far.mean() <= 0.06
    assert training.distance(TABLE).max() < 1e-6


def test_what_lies_outside_is_far_in_the_directions_in_which_training_hardly_varies():
    narrow = TABLE.copy()
    narrow[:, 0] = 0.05 * RANDOM.normal(size=400)
    training = TrainingCatchments.of(narrow)
    moved = narrow[:20].copy()
    moved[:, 0] += 10.0
    assert (training.distance(moved) > 5.0).all()


def test_a_distance_does_not_depend_on_the_others():
    training = TrainingCatchments.of(TABLE)
    others = RANDOM.normal(size=(30, 5)) * 4.0
    whole = training.distance(others)
    alone = np.concatenate([training.distance(row[None]) for row in others])
    assert np.array_equal(whole, alone)


def test_too_few_catchments_are_nothing_to_compare_with():
    assert TrainingCatchments.of(TABLE[:6]) is None
    assert TrainingCatchments.of(TABLE[:7]) is not None
