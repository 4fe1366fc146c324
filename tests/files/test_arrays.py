"""Damage of our own files is noticed: each bit of them counts."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from bmi_dhydro.errors import CheckpointError, DhydroError, StateError, TrainingError
from bmi_dhydro.files.arrays import digest
from bmi_dhydro.io import parameter_file
from bmi_dhydro.model import state
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks import trained_model
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.progress import Progress
from tests.conftest import random_routing, random_setup

IDS = np.array(["a", "b", "c"])


def make_model():
    _, parameters, states = random_setup(3, 2, 4)
    model = Model(HBV, parameters, random_routing(3), [10.0, 20.0, 30.0])
    model.state[...] = states
    return model


def write_trained(path):
    trained_model.load().save(path)


def read_trained(path):
    trained_model._load.cache_clear()
    trained = trained_model.load(path)
    arrays = {**trained.weights, "table": trained.catchments.table}
    return digest(arrays, {"all": json.dumps([trained._structure(), trained.about])})


def write_parameters(path):
    parameter_file.save(path, make_model(), IDS, {"observed": "flow.nc"})


def read_parameters(path):
    parameter_file._read.cache_clear()
    table = parameter_file.read(path)
    return digest(table.arrays, {"all": json.dumps([table.process, table.places, table.about])})


def write_progress(path):
    weights = {"layer": torch.arange(6.0).reshape(2, 3)}
    moments = {"layer/exp_avg": torch.ones(2, 3), "layer/step": torch.tensor(2.0)}
    Progress(2, weights, moments, [0.5, 0.25], [(2, 0.7)], weights).save(path)


def read_progress(path):
    progress = Progress.read(path)
    progress.check_against({"layer": torch.zeros(2, 3)}, 10)
    return (progress.batch, progress.losses, progress.scores, str(progress))


def write_state(path):
    path.write_bytes(state.to_bytes(make_model(), "f", IDS, {"outputs": np.ones((2, 3))}))


def read_state(path):
    saved = state.parsed(path.read_bytes(), HBV.state_names, str(path))
    facts = [saved.fingerprint, saved.process, saved.step_seconds, saved.steps, saved.substeps]
    return digest({**saved.arrays, **saved.more}, {"all": json.dumps([*facts, saved.ids.tolist()])})


KINDS = {
    "trained": (write_trained, read_trained),
    "parameters": (write_parameters, read_parameters),
    "progress": (write_progress, read_progress),
    "state": (write_state, read_state),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_goes_unnoticed(kind, tmp_path):
    write, read = KINDS[kind]
    path, bad = tmp_path / "whole.safetensors", tmp_path / "bad.safetensors"
    write(path)
    whole, expected = path.read_bytes(), read(path)
    random = np.random.default_rng(0)
    header = int.from_bytes(whole[:8], "little") + 8
    # All over the file, and more densely in what describes it.
    places = np.concatenate(
        [random.integers(0, len(whole), 60), random.integers(0, min(header, 6000), 120)]
    )
    for place, bit in zip(places, random.integers(0, 8, len(places)), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(bit)
        bad.write_bytes(damaged)
        with pytest.raises(DhydroError, match=r"bad\.safetensors|description"):
            read(bad)
    for length in random.integers(0, len(whole), 20):
        bad.write_bytes(whole[:length])
        with pytest.raises(DhydroError, match=r"bad\.safetensors"):
            read(bad)
    assert read(path) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_not_finite_are_refused(kind, tmp_path):
    write, read = KINDS[kind]
    path = tmp_path / "whole.safetensors"
    write(path)
    formats = {
        "trained": trained_model.FORMAT,
        "parameters": parameter_file.FORMAT,
        "state": state.PAYLOAD,
    }
    from bmi_dhydro.training import progress

    own = formats.get(kind, progress.FORMAT)
    arrays, metadata = own.read(path)
    name = next(n for n, v in arrays.items() if v.dtype.kind == "f" and v.ndim)
    arrays[name] = arrays[name].copy()
    arrays[name].flat[-1] = np.nan
    own.save(path, arrays, metadata)
    # Arrays that go with a state are called in errors what they are.
    said = name.removeprefix("more.")
    with pytest.raises(DhydroError, match=f"{said} has values that are not finite"):
        read(path)


def test_a_pickle_is_not_executed(tmp_path):
    path = tmp_path / "evil.safetensors"
    path.write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    for read, error in (
        (read_trained, CheckpointError),
        (read_parameters, CheckpointError),
        (read_progress, TrainingError),
        (read_state, StateError),
    ):
        with pytest.raises(error, match="not a whole"):
            read(path)
    older = tmp_path / "evil.pt"
    older.write_bytes(path.read_bytes())
    with pytest.raises(TrainingError, match="progress cannot be read"):
        Progress.read_older(older)
    assert not (tmp_path / "executed").exists()


def test_older_files_are_taken_with_a_note(tmp_path, caplog):
    path = tmp_path / "older.safetensors"
    write_trained(path)
    trained = trained_model.load(path)
    description = {**trained._structure(), "about": dict(trained.about)}
    metadata = {
        "format": "bmi_dhydro trained model",
        "format_version": "1",
        "description": json.dumps(description),
    }
    save_file(dict(trained.weights), path, metadata)
    older = trained_model.load(path)
    assert older.fingerprint == trained.fingerprint
    assert "without a digest" in caplog.text
    # What older files say to people is known all the same.
    assert older.evapotranspiration.methods == ("hargreaves",)
    assert np.isnan(older.distance({n: np.ones(2) for n in older.layout.attributes})).all()
    metadata["format_version"] = "3"
    save_file(dict(trained.weights), path, metadata)
    trained_model._load.cache_clear()
    with pytest.raises(CheckpointError, match="format version 3, but this version .* up to 2"):
        trained_model.load(path)
    # A file of this version must have one.
    write_parameters(path)
    save_file(load_file(path), path, {"format": "bmi_dhydro parameters", "format_version": "2"})
    with pytest.raises(CheckpointError, match="is damaged"):
        read_parameters(path)


def test_scalars_keep_their_shape(tmp_path):
    write_progress(tmp_path / "p")
    assert Progress.read(tmp_path / "p").moments["layer/step"].ndim == 0
