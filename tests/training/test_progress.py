"""What a training run remembers."""

import pytest
import torch

from bmi_dhydro.errors import TrainingError
from bmi_dhydro.training.progress import Progress


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"weights": {"layer": torch.zeros(3, 3)}}, "weights of another network"),
        ({"best": {"other": torch.zeros(2, 3)}}, "best weights of another network"),
        ({"moments": {"layer/exp_avg": torch.ones(6)}}, "an optimiser of another network"),
        ({"batch": 99}, "99 batches with 2 losses"),
    ],
)
def test_progress_of_another_network_is_refused(change, match):
    progress = Progress(2, {"layer": torch.zeros(2, 3)}, {}, [0.5, 0.25])
    with pytest.raises(TrainingError, match=match):
        Progress(**{**vars(progress), **change}).check_against({"layer": torch.zeros(2, 3)}, 10)


def some_progress():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    weights = {"layer_0.weight": draw(3, 2), "bias": draw(2)}
    moments = {f"{n}/{m}": draw(*w.shape) for n, w in weights.items() for m in ("exp_avg",)}
    moments["bias/step"] = torch.tensor(7.0)
    best = {name: values + 1.0 for name, values in weights.items()}
    averages = {name: 0.5 * values for name, values in weights.items()}
    return Progress(3, weights, moments, [3.0, 2.0, 1.5], [(2, 0.4)], best, averages)


def test_progress_goes_through_a_file(tmp_path):
    progress = some_progress()
    path = tmp_path / "progress.safetensors"
    progress.save(path)
    again = Progress.read(path)
    assert (again.batch, again.losses, again.scores) == (3, [3.0, 2.0, 1.5], [(2, 0.4)])
    for name in ("weights", "moments", "best", "averages"):
        ours, theirs = getattr(progress, name), getattr(again, name)
        assert ours.keys() == theirs.keys()
        for key, values in ours.items():
            assert torch.equal(values, theirs[key]), key


def test_a_file_of_something_else_is_no_progress(tmp_path):
    path = tmp_path / "progress.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(TrainingError, match=r"progress\.safetensors"):
        Progress.read(path)
