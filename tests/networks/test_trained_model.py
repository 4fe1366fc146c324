import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bmi_dhydro.catchments.attributes import ATTRIBUTES, NETWORK_INPUTS
from bmi_dhydro.errors import CatchmentError, CheckpointError
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.normalisation import Normalisation
from bmi_dhydro.networks.parameter_network import NetworkLayout, initial_weights
from bmi_dhydro.networks.shipped import SHIPPED
from bmi_dhydro.physics import HBV, unit_hydrograph


@pytest.fixture
def model():
    layout = NetworkLayout(HBV, 3, NETWORK_INPUTS)
    random = np.random.default_rng(0)
    table = {name: random.normal(size=20) for name in NETWORK_INPUTS}
    return trained_model.TrainedModel(
        layout, initial_weights(layout, (7,), 0), Normalisation.of(table), {"name": "test"}
    )


def attributes(model, count=4, shift=0.0):
    values = model.normalisation.mean
    return {
        name: np.full(count, value + shift)
        for name, value in zip(model.normalisation.names, values, strict=True)
    }


def test_a_file_gives_back_the_model(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = trained_model.load(path)
    assert again.fingerprint == model.fingerprint
    assert again.about == {"name": "test"}
    for a, b in zip(
        again.parameters(attributes(model)), model.parameters(attributes(model)), strict=True
    ):
        assert np.array_equal(a, b)
    assert trained_model.load(path) is again
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_parameters_are_within_their_bounds(model):
    process, routing = model.parameters(attributes(model, shift=3.0))
    assert process.shape == (14, 4, 3)
    for values, item in zip(process, HBV.parameters, strict=True):
        assert ((values >= item.lower) & (values <= item.upper)).all()
    for values, item in zip(routing, unit_hydrograph.PARAMETERS, strict=True):
        assert ((values >= item.lower) & (values <= item.upper)).all()


def test_many_catchments_are_done_in_parts(model, monkeypatch):
    table = attributes(model, 10)
    whole = model.parameters(table)
    monkeypatch.setattr(trained_model, "_CHUNK", 3)
    for a, b in zip(model.parameters(table), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_area_is_not_seen_by_the_network():
    assert "area" not in NETWORK_INPUTS
    assert set(NETWORK_INPUTS) < set(ATTRIBUTES)


def test_a_missing_attribute_is_named(model):
    table = attributes(model)
    del table["aridity"]
    with pytest.raises(CatchmentError, match="lack: aridity"):
        model.check(np.array(list("abcd")), table)
    table = attributes(model)
    table["aridity"][2] = np.nan
    with pytest.raises(CatchmentError, match="'aridity' has no value for c"):
        model.check(np.array(list("abcd")), table)


def test_an_attribute_far_outside_training_is_named_with_its_catchments(model):
    table = attributes(model)
    assert model.check(np.array(list("abcd")), table) == []
    table["aridity"][1] = 1e3
    (message,) = model.check(np.array(list("abcd")), table)
    assert "'aridity' is outside the range of training" in message
    assert "for b (as far as 1000);" in message


def rewritten(path, tmp_path, **changes):
    """A copy of a model file with other metadata."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    target = tmp_path / "changed.safetensors"
    if "description" in changes:
        # With the digest of what it holds now.
        trained_model.FORMAT.save(target, load_file(path), changes)
        return target
    metadata.update(changes)
    save_file(load_file(path), target, metadata)
    return target


def test_unusable_files(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    with pytest.raises(CheckpointError, match="no such trained model"):
        trained_model.load(tmp_path / "none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole trained model"):
        trained_model.load(cut)
    cut.write_bytes(b"\x80\x04 this is a pickle")
    with pytest.raises(CheckpointError, match="not a whole trained model"):
        trained_model.load(cut)
    with pytest.raises(CheckpointError, match="format version 99"):
        trained_model.load(rewritten(path, tmp_path, format_version="99"))
    with pytest.raises(CheckpointError, match="is not a trained model"):
        trained_model.load(rewritten(path, tmp_path, format="other"))
    with pytest.raises(CheckpointError, match="damaged description"):
        trained_model.load(rewritten(path, tmp_path, description="{}"))
    description = {**model._structure(), "about": {}, "process": "swat"}
    with pytest.raises(CheckpointError, match="'swat' is unknown; this version has hbv"):
        trained_model.load(rewritten(path, tmp_path, description=json.dumps(description)))
    description = {**model._structure(), "about": {}}
    description["parameters"] = description["parameters"][:-1]
    with pytest.raises(CheckpointError, match="was trained for parameters"):
        trained_model.load(rewritten(path, tmp_path, description=json.dumps(description)))


def test_bounds_come_from_the_file(model, tmp_path):
    narrow = replace(HBV.parameters[0], lower=2.0, upper=2.5)
    process = replace(HBV, parameters=(narrow, *HBV.parameters[1:]))
    changed = replace(model, layout=replace(model.layout, process=process))
    path = tmp_path / "model.safetensors"
    changed.save(path)
    beta = trained_model.load(path).parameters(attributes(model))[0][0]
    assert ((beta >= 2.0) & (beta <= 2.5)).all()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_models_that_are_shipped_say_where_they_come_from(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = trained_model.load(name)
    assert bool(model.layout.dynamic) == (name != "fast")
    assert model.about["licence"] == "Apache-2.0"
    skill = model.about["skill"]
    assert skill["of"].endswith("trained on the years for training alone")
    assert skill["period"][0] >= "1975-10-01"
    assert skill["in_time"]["median_nse"] >= 0.74
    assert skill["in_time_camels"]["median_nse"] >= 0.64
    assert skill["in_time_camels"]["period"] == ["1989-10-01", "1999-09-30"]
    assert model.about["training"]["catchments"] > 700
    assert model.layout.attributes == NETWORK_INPUTS


def test_the_default_is_found_by_its_earlier_name_too():
    assert trained_model.load("dynamic") is trained_model.load("default")


def test_a_catchment_has_the_same_parameters_alone_and_among_others():
    model = trained_model.load()
    random = np.random.default_rng(0)
    scale = model.normalisation
    table = {
        name: random.normal(mean, deviation, 150)
        for name, mean, deviation in zip(scale.names, scale.mean, scale.deviation, strict=True)
    }
    process, routing = model.parameters(table)
    for k in (0, 63, 64, 149):
        alone = model.parameters({name: values[k : k + 1] for name, values in table.items()})
        assert np.array_equal(alone[0][:, 0], process[:, k])
        assert np.array_equal(alone[1][:, 0], routing[:, k])
