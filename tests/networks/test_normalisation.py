"""Attributes are brought to the scale of the catchments of training."""

import numpy as np

from bmi_dhydro.networks.normalisation import Normalisation


def test_the_catchments_of_training_have_mean_0_and_deviation_1():
    random = np.random.default_rng(0)
    attributes = {"aridity": random.gamma(2.0, 1.0, 50), "elevation": random.normal(800, 300, 50)}
    normalisation = Normalisation.of(attributes)
    table = normalisation(attributes)
    np.testing.assert_allclose(table.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(table.std(axis=0), 1.0, rtol=1e-12)
    assert normalisation.names == ("aridity", "elevation")
    assert normalisation.lowest[1] == attributes["elevation"].min()
    assert normalisation.highest[0] == attributes["aridity"].max()


def test_others_are_scaled_alike_in_the_order_of_training():
    normalisation = Normalisation.of({"a": np.array([0.0, 2.0]), "b": np.array([10.0, 30.0])})
    table = normalisation({"b": np.array([20.0]), "more": np.array([1.0]), "a": np.array([3.0])})
    assert table.tolist() == [[2.0, 0.0]]


def test_an_attribute_that_does_not_vary_divides_by_no_zero():
    normalisation = Normalisation.of({"a": np.array([0.5, 0.5, 0.5])})
    assert np.isfinite(normalisation({"a": np.array([0.5, 0.6])})).all()
