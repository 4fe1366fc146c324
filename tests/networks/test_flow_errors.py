"""Quantiles of observed flow: what they are, and the file that they are kept in."""

import dataclasses
import json

import numpy as np
import pytest

from bmi_dhydro.errors import CheckpointError
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.flow_errors import OFFSET, FlowErrors
from tests.conftest import some_flow_errors


def test_quantiles_are_in_order_and_never_negative():
    errors = some_flow_errors()
    flow = np.geomspace(1e-6, 500.0, 60)[:, None] * np.ones(3)
    low, middle, high = errors.quantiles(flow, {"aridity": np.array([0.2, 1.0, 9.0])})
    assert low.shape == flow.shape
    assert (low >= 0.0).all()
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (low < high)[flow > 1.0].all()
    # Where a catchment is decides how wide they are.
    assert np.ptp(high[30]) > 1e-3


def test_a_network_of_nothing_gives_a_constant_factor():
    errors = some_flow_errors()
    weights = {name: np.zeros_like(values) for name, values in errors.weights.items()}
    blank = dataclasses.replace(errors, weights=weights)
    low, middle, high = blank.quantiles(np.full((1, 1), 3.0), {"aridity": np.ones(1)})
    assert middle.item() == pytest.approx(3.0)
    # The softplus of 0 is the logarithm of 2.
    assert high.item() == pytest.approx(2.0 * (3.0 + OFFSET) - OFFSET)
    assert low.item() == pytest.approx((3.0 + OFFSET) / 2.0 - OFFSET)


def test_beyond_what_was_learned_the_end_of_the_range_counts():
    errors = some_flow_errors()
    flow = np.full((1, 2), 2.0)
    rows = errors.quantiles(flow, {"aridity": np.array([errors.highest[1], 1e6])})
    np.testing.assert_array_equal(rows[..., 0], rows[..., 1])


def test_what_is_not_known_has_no_quantile():
    rows = some_flow_errors().quantiles(np.array([[np.nan, 1.0]]), {"aridity": np.ones(2)})
    assert np.isnan(rows[..., 0]).all()
    assert np.isfinite(rows[..., 1]).all()


def test_they_are_part_of_the_file_of_a_model(tmp_path):
    plain = dataclasses.replace(trained_model.load("fast"), flow_errors=None)
    model = dataclasses.replace(plain, flow_errors=some_flow_errors())
    model.save(tmp_path / "model.safetensors")
    found = trained_model.load(tmp_path / "model.safetensors")
    assert isinstance(found.flow_errors, FlowErrors)
    flow, where = np.full((4, 1), 1.5), {"aridity": np.full(1, 0.7)}
    np.testing.assert_array_equal(
        found.flow_errors.quantiles(flow, where), model.flow_errors.quantiles(flow, where)
    )
    # They decide nothing of a run.
    assert found.fingerprint == plain.fingerprint
    assert found.weights.keys() == plain.weights.keys()
    assert found.network(0).flow_errors is found.flow_errors


def test_a_malformed_description_is_an_error(tmp_path):
    model = dataclasses.replace(trained_model.load("fast"), flow_errors=some_flow_errors())
    model.save(tmp_path / "model.safetensors")
    arrays, metadata = trained_model.FORMAT.read(tmp_path / "model.safetensors")
    description = json.loads(metadata["description"])
    description["flow_errors"]["mean"] = [0.0]
    wrong = {"description": json.dumps(description)}
    trained_model.FORMAT.save(tmp_path / "wrong.safetensors", arrays, wrong)
    with pytest.raises(CheckpointError, match="statistics of flow errors"):
        trained_model.load(tmp_path / "wrong.safetensors")
