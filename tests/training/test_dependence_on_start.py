"""Whether flow still depends on the state that an LSTM started from."""

import numpy as np

from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.training.dependence_on_start import dependence_on_start, described


def with_forget_gate(model, value):
    """A copy of a model whose LSTM forgets quickly (-), or neither forgets nor learns (+)."""
    units = model.weights["lstm.hidden"].shape[0]
    weights = {name: values.copy() for name, values in model.weights.items()}
    for name in ("lstm.input", "lstm.hidden"):
        weights[name][:, : 2 * units] = 0.0
    weights["lstm.bias"][:units] = -value
    weights["lstm.bias"][units : 2 * units] = value
    weights["dynamic_head"] *= 3.0
    return TrainedModel(model.layout, weights, model.normalisation)


def test_an_lstm_that_forgets_does_not_and_one_that_never_does_depends(few_real, dynamic_model):
    data = few_real.period("1960-01-01", "1962-12-31")
    model = trained_model.load(dynamic_model)
    forgets = dependence_on_start(with_forget_gate(model, -5.0), data)
    assert np.abs(forgets).max() < 1e-6
    keeps = dependence_on_start(with_forget_gate(model, 20.0), data)
    assert np.abs(keeps).max() > 0.01


def test_it_is_described_in_a_sentence():
    text = described(np.array([0.0, -0.02, 0.005, 0.3]), 3653)
    assert "of 2 of 4 catchments differs by more than 1 % (by up to 30.0 %)" in text
    assert text.endswith("in the last of 10.0 years")
