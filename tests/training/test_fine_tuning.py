"""Training that starts from a trained model: what changes, what stays, and that it helps."""

import warnings

import numpy as np
import pytest

from bmi_dhydro.errors import ConfigError, TrainingError
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.trained_model import load
from bmi_dhydro.progress_bar import progress
from bmi_dhydro.run.configured_model import ExtrapolationWarning
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training.run import TrainingRun
from tests.cli.conftest import call
from tests.training.conftest import changed
from tests.training.test_run import weights

OUTPUT = ("layer_1.weight", "layer_1.bias", "area_exponent")


@pytest.fixture
def start(case):
    """A model that has learned a little of the same flow; the configuration that goes on."""
    changed(case, "batches: 12", "batches: 20")
    model = TrainingRun(case).run(progress).rename(case.parent / "start.safetensors")
    changed(case, "output: run", "output: tuned\nfrom: start.safetensors")
    changed(case, "components: 2\n", "")
    changed(case, "hidden: [8], batches: 20", "batches: 12")
    changed(case, "name: a test\nlicence: CC0\n", "name: tuned\n")
    return model


def test_it_is_better_than_the_start_and_says_where_it_comes_from(case, start):
    before = load(start)
    path = TrainingRun(case).run(progress)
    model = load(path)
    run = TrainingRun(case)
    scores = dict(run._trainer(0).progress.scores)
    # Batch 0 is the start itself.
    assert scores[0] == pytest.approx(before.about["skill"]["validation"]["median_nse"], abs=0.002)
    assert max(scores.values()) > scores[0]
    assert model.layout == before.layout
    assert model.about["licence"] == "CC0"
    assert model.about["training"]["from"]["fingerprint"] == before.fingerprint
    for name in ("mean", "deviation"):
        np.testing.assert_array_equal(
            getattr(model.normalisation, name), getattr(before.normalisation, name)
        )
    assert "began with a test" in " ".join(call("info", str(path)).split())


def test_nothing_worse_than_the_start_is_kept(case, start):
    changed(case, "learning_rate: 0.02", "learning_rate: 100.0")
    tuned = weights(TrainingRun(case).run(progress).parent)
    for name, values in load(start).weights.items():
        np.testing.assert_array_equal(tuned[name], values)


def test_the_last_layer_alone_may_be_learned(case, start):
    changed(case, "learning_rate: 0.02", "learning_rate: 0.02, layers: last")
    before, after = load(start).weights, weights(TrainingRun(case).run(progress).parent)
    for name, values in before.items():
        same = np.array_equal(after[name], values)
        assert same != (name in OUTPUT), name


def test_the_start_draws_weights_to_it(case, start):
    begun, moved = load(start).weights, []
    changed(case, "  validate: [2002-07-01, 2003-09-29]\n", "")
    for keep in (0.0, 1.0, 100.0):
        changed(case, "learning_rate: 0.02", f"learning_rate: 0.02, keep_near: {keep}")
        after = weights(TrainingRun(case).run(progress).parent)
        moved.append(sum(((after[name] - values) ** 2).sum() for name, values in begun.items()))
        changed(case, f", keep_near: {keep}", "")
        changed(case, "output: tuned", "output: tuned_")
    assert moved[0] > 2.0 * moved[1] > 4.0 * moved[2] > 0.0


def test_going_on_after_a_break_gives_the_same_model(case, start):
    changed(case, "learning_rate: 0.02", "learning_rate: 0.02, layers: last, keep_near: 0.1")
    expected = weights(TrainingRun(case).run(progress).parent)
    changed(case, "output: tuned", "output: again")
    assert TrainingRun(case).run(progress, 5) is None
    # Weights of a start may be in another order of memory than those of a file.
    assert all(w.is_contiguous() for w in TrainingRun(case)._trainer(0)._weights.values())
    broken = weights(TrainingRun(case).run(progress).parent)
    for name, values in broken.items():
        assert np.array_equal(values, expected[name]), name
    other = trained_model.load()
    other.save(start)
    with pytest.raises((TrainingError, ConfigError), match=r"another configuration .*from|16"):
        TrainingRun(case)


@pytest.mark.parametrize("name", ["fast", "default"])
def test_models_that_come_along_go_on_and_run(case, name):
    changed(case, "batches: 12", "batches: 3")
    changed(case, "hidden: [8], ", "")
    changed(case, "components: 2\n", f"from: {name}\n")
    path = TrainingRun(case).run(progress)
    begun, model = load(name), load(path)
    assert model.layout == begun.layout
    assert len(model.catchments.table) == len(begun.catchments.table) + 8
    assert model.evapotranspiration.methods == ("hargreaves",)
    config = changed(case.parent / "config.yaml", "model: fast", f"model: {path}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExtrapolationWarning)
        # Catchments that it has now learned from are no strangers to it.
        run_config(config)


def test_bad_input(case, start):
    for key, text, message in (
        ("from: start", "components: 5\nfrom: start", "components: .* has 2, which cannot be chan"),
        ("from: start", "dynamic: [BETA]\nfrom: start", "dynamic: .* has .*cannot be changed"),
        ("from: start", "seeds: [1, 2]\nfrom: start", "seeds: .* has 1, which cannot be changed"),
        ("batches: 12", "batches: 12, hidden: [9]", "settings.hidden: .* has .8,., which cannot"),
        ("from: start.safetensors", "from: gone.safetensors", "no such trained model"),
    ):
        changed(case, key, text)
        with pytest.raises(ValueError, match=message):
            TrainingRun(case)
        changed(case, text, key)
    changed(case, "from: start.safetensors\n", "")
    changed(case, "batches: 12", "batches: 12, layers: last")
    with pytest.raises(ConfigError, match="settings.layers: goes with 'from'"):
        TrainingRun(case)
