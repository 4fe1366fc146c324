"""State files: exact, readable by others, old ones too; and how they can be wrong."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ConfigError, DamagedStateError, StateError
from bmi_dhydro.io import state_file
from bmi_dhydro.model.state import capture
from bmi_dhydro.physics import HBV
from tests.model.conftest import forcing, make

IDS = np.array(list("abcd"))
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def saved(tmp_path):
    model = make()
    model.run(forcing(33))
    path = tmp_path / "state.nc"
    state_file.save(path, model, "f", IDS, np.datetime64("2001-02-03T04:00:00"))
    return path, model


def restored(path, fingerprint="f", ids=IDS, carry_over=False, model=None):
    model = model or make(len(ids))
    state_file.restore(path, model, fingerprint, ids, carry_over)
    return model


def test_others_can_read_it(saved):
    path, model = saved
    with xarray.open_dataset(path) as data:
        assert data.attrs["Conventions"] == "CF-1.10"
        assert data["snowpack"].attrs["units"] == "mm"
        assert data["snowpack"].dims == ("catchment", "component")
        np.testing.assert_array_equal(data["lower_zone"], model.state[4])
        assert data["time"].values == np.datetime64("2001-02-03T04:00:00")
        assert data["catchment_id"].values.astype(str).tolist() == IDS.tolist()


def test_a_part_in_another_order(saved):
    path, model = saved
    part = restored(path, ids=np.array(["c", "a"]))
    assert np.array_equal(part.state, model.state[:, [2, 0]])
    assert np.array_equal(part.pending, model.pending[[2, 0]])


@pytest.mark.parametrize(
    ("name", "stored", "time"),
    [
        ("state_version_1.safetensors", None, None),
        (
            "state_version_2.nc",
            [106.35705241, 92.57627487, 81.35635348, 60.64651555],
            np.datetime64("2001-02-03T04:00:00"),
        ),
    ],
)
def test_files_of_older_versions_are_read(name, stored, time):
    """Kept as older versions wrote them, when a day was one step; no water is lost."""
    model = make()
    saved = state_file.restore(DATA / name, model, "f", IDS)
    assert saved.time == time
    assert saved.arrays["pending"].shape == (4, 16)
    assert model.pending.shape == (4, 31)
    kept = saved.arrays["state"].sum(axis=0).mean(axis=1) + saved.arrays["pending"].sum(axis=1)
    np.testing.assert_allclose(model.stored(), kept, rtol=1e-12)
    if stored is not None:
        np.testing.assert_allclose(model.stored(), stored, rtol=1e-8)
    # What would leave in a day leaves in its two halves.
    halves = model.pending[:, :20].reshape(4, 10, 2)
    np.testing.assert_allclose(halves.sum(axis=2), saved.arrays["pending"][:, :10], atol=1e-15)
    np.testing.assert_allclose(halves[..., 0], halves[..., 1], atol=1e-15)


def test_the_file_is_small(tmp_path):
    model = make(2000, 16, dtype=np.float32)
    model.run(forcing(3, 2000).astype(np.float32))
    ids = np.array([f"cat-{k}" for k in range(2000)])
    state_file.save(tmp_path / "s.nc", model, "f", ids)
    raw = model.state.nbytes + model.pending.nbytes
    assert (tmp_path / "s.nc").stat().st_size < 1.2 * raw


def test_any_flipped_bit_is_noticed(saved, tmp_path):
    path, _ = saved
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    places = [*random.integers(0, len(whole), 200), *range(len(whole) - 100, len(whole))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        (tmp_path / "d.nc").write_bytes(damaged)
        with pytest.raises(DamagedStateError, match="is damaged"):
            restored(tmp_path / "d.nc")


def test_other_programs_read_a_file_with_its_digest(saved):
    path, model = saved
    with xarray.open_dataset(path) as data:
        np.testing.assert_array_equal(data["soil_moisture"].values, model.state[2])
        assert data["time"].values == np.datetime64("2001-02-03T04")
    with netCDF4.Dataset(path, "a") as data:
        data.comment = "changed by hand " * 200
    with pytest.raises(DamagedStateError, match="another program has changed it"):
        restored(path)


def test_impossible_values_are_refused(saved, tmp_path):
    _, model = saved
    for name, place, value, match in (
        ("state", (0, 1, 0), np.nan, "state has values that are not finite"),
        ("state", (2, 1, 0), -50.0, "has stores below zero"),
        ("pending", (1, 0), np.inf, "pending has values that are not finite"),
    ):
        bad = capture(model, "f", IDS)
        bad.arrays[name][place] = value
        state_file.write(tmp_path / "bad.nc", bad, model.process)
        with pytest.raises(DamagedStateError, match=match):
            restored(tmp_path / "bad.nc")


def test_an_older_file_that_cannot_be_read_in_time_is_damaged(saved, tmp_path, monkeypatch):
    """Damage that no digest tells of can let HDF5 run for ever, so another process tries first."""
    path, model = saved
    older = tmp_path / "older.nc"
    # The digest is the last line.
    older.write_bytes(path.read_bytes().rpartition(b"\n# sha256")[0])
    names = model.process.state_names
    with pytest.raises(DamagedStateError, match=r"cannot be read within 0\.01 s"):
        state_file.read_patiently(older, names, patience=0.01)
    with pytest.raises(DamagedStateError, match="its digest is missing"):
        state_file.read_patiently(older, names)
    kept = DATA / "state_version_2.nc"
    assert state_file.read_patiently(kept, names).steps == state_file.read(kept, names).steps
    # One with a digest needs no other process.
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("was started"))
    assert state_file.read_patiently(path, names).ids.tolist() == IDS.tolist()


def test_files_that_are_none(saved, tmp_path):
    path, _ = saved
    model = make()
    before = model.state.copy()
    whole = path.read_bytes()
    cases = {"": whole[:-100], "s": whole[:200], "t": b"text", "e": b""}
    for name, content in cases.items():
        (tmp_path / f"x{name}").write_bytes(content)
        with pytest.raises(StateError, match=rf"x{name}: not a whole state"):
            restored(tmp_path / f"x{name}", model=model)
    with netCDF4.Dataset(tmp_path / "other.nc", "w") as data:
        data.createDimension("x", 2)
    with pytest.raises(StateError, match=r"other.nc: a NetCDF file, but not a state"):
        restored(tmp_path / "other.nc", model=model)
    with netCDF4.Dataset(path, "a") as data:
        data.format_version = np.int32(5)
    with pytest.raises(StateError, match=r"version 5, written by a newer bmi_dhydro .* version 4"):
        restored(path, model=model)
    with pytest.raises(StateError, match="cannot be read"):
        restored(tmp_path / "none", model=model)
    assert np.array_equal(model.state, before)


def test_an_earlier_file_survives_a_failure(saved, monkeypatch):
    path, model = saved
    before = path.read_bytes()

    def full(data, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_file, "_write", full)
    with pytest.raises(StateError, match="cannot be written .*No space left"):
        state_file.save(path, model, "f", IDS)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_is_physical_can_be_carried_over(saved):
    path, model = saved
    with pytest.raises(StateError, match="fingerprint f, but here it is g; set carry_over"):
        restored(path, "g")
    other = restored(path, "g", carry_over=True)
    assert np.array_equal(other.state, model.state)
    fewer = restored(path, "g", carry_over=True, model=make(parameter_sets=3))
    np.testing.assert_allclose(fewer.stored(), model.stored(), rtol=1e-12)
    with pytest.raises(StateError, match="saved with step_seconds 86400"):
        restored(path, "g", carry_over=True, model=make(step_seconds=3600))


# ---- through the configuration --------------------------------------------------------------


def opened(path, text):
    path.write_text(text)
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def test_states_are_saved_on_the_way(file_example):
    folder = file_example.parent
    text = file_example.read_text()
    wanted = 'save_state: {path: "states/{time}.nc", every: 20d, keep: 3}\n'
    (folder / "states").mkdir()
    model = opened(file_example, text + wanted)
    plain = opened(folder / "plain.yaml", text.partition("output:")[0])
    rows = []
    for _ in range(130):
        model.update()
        plain.update()
        rows.append(model.get_value(model.get_output_var_names()[0], np.empty(5)))
        assert np.array_equal(
            rows[-1], plain.get_value(plain.get_output_var_names()[0], np.empty(5))
        )
    model.finalize()
    names = sorted(path.name for path in (folder / "states").iterdir())
    assert names == ["2001-01-09T000000.nc", "2001-01-29T000000.nc", "2001-02-08T000000.nc"]
    start = "time:\n  start: 2001-01-29\n"
    text = text.replace("time:\n", start).partition("output:")[0]
    again = opened(file_example, text + "initial_state: states/2001-01-29T000000.nc\n")
    for expected in rows[120:]:
        again.update()
        assert np.array_equal(
            again.get_value(again.get_output_var_names()[0], np.empty(5)), expected
        )


def test_a_state_of_another_time_is_said_so(file_example, caplog):
    text = file_example.read_text().partition("output:")[0]
    model = opened(file_example, text + "save_state: end.nc\n")
    model.update()
    model.finalize()
    opened(file_example, text + "initial_state: end.nc\n")
    assert "is of 2000-10-02T00:00:00, but the run starts at 2000-10-01T00:00:00" in caplog.text


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("save_state: {path: s.nc, every: 1d}", "would be written again and again"),
        ('save_state: {path: "{time}", every: 5h}', "'5h' is no multiple of time.step"),
        ('save_state: {path: "{time}", every: often}', "save_state.every: 'often' is no length"),
        ("save_state: {file: s.nc}", "unknown field `file`|unknown key"),
        ("carry_over: true", "carry_over: goes with initial_state"),
    ],
)
def test_bad_configurations(file_example, extra, message):
    with pytest.raises(ConfigError, match=message):
        opened(file_example, file_example.read_text() + extra + "\n")


def test_the_process_states_have_names_of_their_own():
    assert not {"pending", "hidden", "cell", "time", "catchment_id"} & set(HBV.state_names)
