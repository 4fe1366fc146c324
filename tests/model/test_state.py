import numpy as np
import pytest

from bmi_dhydro.errors import StateError
from bmi_dhydro.io import state_file
from bmi_dhydro.model import state
from tests.model.conftest import forcing, make

IDS = np.array(["a", "b", "c", "d"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_restored_run_equals_the_uninterrupted_one(tmp_path, dtype):
    weather = forcing(300)
    whole = make(dtype=dtype)
    expected = whole.run(weather)
    first = make(dtype=dtype)
    first.run(weather[:137])
    state_file.save(tmp_path / "state", first, "f", IDS)
    second = make(dtype=dtype)
    state_file.restore(tmp_path / "state", second, "f", IDS)
    assert np.array_equal(second.run(weather[137:]), expected[137:])
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_part_of_the_catchments_in_another_order():
    model = make()
    model.run(forcing(50))
    payload = state.to_bytes(model, "f", IDS)
    part = make(2)
    state.from_bytes(payload, part, "f", np.array(["d", "b"]), "test")
    assert np.array_equal(part.state, model.state[:, [3, 1]])
    assert np.array_equal(part.pending, model.pending[[3, 1]])


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path):
    model = make()
    model.run(forcing(20))
    payload = state.to_bytes(model, "f", IDS)
    before = model.state.copy()

    def refused(match, payload=payload, model=model, fingerprint="f", ids=IDS):
        with pytest.raises(StateError, match=match):
            state.from_bytes(payload, model, fingerprint, ids, "test")

    refused("not a whole state", payload[:-10])
    refused("not a whole state", b"")
    refused("not a whole state", b"\x80\x04K\x01.")
    refused("saved with fingerprint f, but here it is g", fingerprint="g")
    refused("no state for catchment e", ids=np.array(["a", "e"]))
    refused("saved with step_seconds 86400", model=make(step_seconds=3600))
    refused(
        r"has pending \(4, 31\), state \(5, 4, 8\); the model has .* state \(5, 4, 3\)",
        model=make(parameter_sets=3),
    )
    refused("version 9", payload.replace(b'"format_version":"2"', b'"format_version":"9"'))
    assert np.array_equal(model.state, before)
    with pytest.raises(StateError, match="cannot be read"):
        state_file.restore(tmp_path / "none", model, "f", IDS)
    with pytest.raises(StateError, match="cannot be written"):
        state_file.save(tmp_path / "none" / "state", model, "f", IDS)
