"""Chains as people run them: step by step, late, with damaged files, killed."""

import logging
import os
import shutil
import signal
import time as clock

import netCDF4
import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import (
    CatchmentError,
    ChainError,
    ConfigError,
    ForcingError,
    ResultsError,
    StateError,
)
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.forecast.cycle import stamp
from bmi_dhydro.forecast.pictures import before
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.forecast.conftest import DAYS, NOISE, OBSERVED, chain, changed, day


def flow(path):
    with xarray.open_dataset(path) as data:
        return data[RUNOFF_FLUX].values


def contents(folder):
    """All that a chain has made, but its log and lock."""
    result = {}
    for path in sorted(folder.rglob("*.nc")):
        with netCDF4.Dataset(path) as data:
            attributes = dict(data.__dict__)
            arrays = {name: np.array(v[...]) for name, v in data.variables.items()}
        result[str(path.relative_to(folder))] = attributes, arrays
    return result


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, (attributes, arrays) in ours.items():
        assert attributes.keys() == theirs[name][0].keys()
        for key, value in attributes.items():
            assert np.array_equal(value, theirs[name][0][key]), (name, key)
        for key, values in arrays.items():
            np.testing.assert_array_equal(values, theirs[name][1][key], err_msg=f"{name} {key}")


def test_a_chain_forecasts_what_an_uninterrupted_run_simulates(case):
    ours = chain(case)
    for time in DAYS:
        ours.run(time)
    with xarray.open_dataset(case.parent / "observed.nc") as run:
        for time in DAYS:
            with xarray.open_dataset(ours.path(time)) as data:
                assert data.sizes["time"] == 3
                expected = run[RUNOFF_FLUX].sel(time=data["time"]).values
                np.testing.assert_array_equal(data[RUNOFF_FLUX].values[:, 0], expected)


def test_what_is_there_is_not_made_again(case):
    ours = chain(case)
    path = ours.run(DAYS[0])
    before = path.stat().st_mtime_ns
    assert ours.run(DAYS[0]) == path
    assert path.stat().st_mtime_ns == before


def test_an_ensemble_goes_on_from_its_own_states(case, tmp_path):
    case.write_text(case.read_text() + NOISE)
    ours = chain(case)
    for time in DAYS:
        ours.run(time)
    spread = flow(ours.path(DAYS[-1])).std(axis=1)
    assert (spread > 0.0).all()
    # In one go from the beginning.
    again = chain(changed(case, "folder: chain", "folder: other"))
    again.run(DAYS[-1])
    np.testing.assert_array_equal(flow(again.path(DAYS[-1])), flow(ours.path(DAYS[-1])))


def test_a_damaged_state_is_set_aside_and_an_older_one_taken(case, caplog):
    ours = chain(case)
    for time in DAYS[:3]:
        ours.run(time)
    expected = flow(chain(case).run(DAYS[3]))
    ours.path(DAYS[3]).unlink()
    newest = case.parent / "chain" / "states" / "2001-03-03T00.nc"
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    newest.write_bytes(damaged)
    with caplog.at_level(logging.INFO):
        ours.run(DAYS[3])
    assert "it is set aside, and an older state taken" in caplog.text
    assert "begins with the state of 2001-03-02" in caplog.text
    assert newest.with_name("2001-03-03T00.nc.damaged").exists()
    np.testing.assert_array_equal(flow(ours.path(DAYS[3])), expected)
    result = CliRunner().invoke(main, ["forecast", str(case), "--status"])
    assert "set aside, since damaged" in result.output
    assert "2001-03-05" in result.output


def test_its_table_is_checked(case, tmp_path, caplog):
    chain(case).run(DAYS[0])
    table = tmp_path / "chain" / "catchments.csv"
    whole = table.read_text()
    place = whole.index("cat-2,") + 8
    table.write_text(whole[:place] + "9" + whole[place + 1 :])
    with pytest.raises(ChainError, match="is damaged, its content is not what was written"):
        chain(case).run(DAYS[1])
    # Who has changed it on purpose takes the digest away.
    table.write_text(whole.rpartition("\n#")[0])
    chain(case).run(DAYS[1])
    assert "has no digest" in caplog.text


def test_a_record_that_is_no_text_is_refused(case, tmp_path):
    chain(case).run(DAYS[0])
    record = tmp_path / "chain" / "chain.json"
    for content in (b"\xff\xfe", b"[]", b'{"model": 3}', b""):
        record.write_bytes(content)
        with pytest.raises(ChainError, match="is not that of a chain"):
            chain(case).run(DAYS[1])


def test_states_later_than_the_forecast_are_left_alone(case, caplog):
    ours = chain(case)
    ours.run(DAYS[3])
    with caplog.at_level(logging.INFO):
        ours.run(DAYS[1])
    assert "states later than the forecast are left alone: 2001-03-05" in caplog.text
    assert (case.parent / "chain" / "states" / "2001-03-05T00.nc").exists()


def test_a_state_of_a_newer_version_is_refused_not_set_aside(case):
    ours = chain(case)
    ours.run(DAYS[0])
    state = case.parent / "chain" / "states" / "2001-03-01T00.nc"
    with netCDF4.Dataset(state, "a") as data:
        data.format_version = np.int32(99)
    with pytest.raises(StateError, match="version 99, written by a newer bmi_dhydro"):
        ours.run(DAYS[1])
    assert state.exists()
    assert not ours.path(DAYS[1]).exists()


def cut(source, target, first, last):
    """Write some steps of a weather file."""
    with xarray.open_dataset(source, decode_times=False) as data:
        data.isel(time=slice(first, last)).to_netcdf(target)


def test_late_weather(case, tmp_path):
    expected = flow(chain(case).run(DAYS[2]))
    weather = tmp_path / "weather.nc"
    # From 2000-10-01: 2001-03-01 is step 151. The past ends two days before the forecast.
    cut(weather, tmp_path / "past.nc", 0, 151)
    cut(weather, tmp_path / "future_2001-03-03T00.nc", 140, 170)
    cut(weather, tmp_path / "future_2001-03-02T00.nc", 152, 170)
    changed(case, "folder: chain", "folder: late")
    changed(case, "file: weather.nc", "file: past.nc")
    changed(case, "forecast: {", "forecast: {file: 'future_{time}.nc', ")
    ours = chain(case)
    with pytest.raises(
        ForcingError, match=r"ends at 2001-03-01.*, before the forecast of 2001-03-03"
    ):
        ours.run(DAYS[2])
    assert not list((tmp_path / "late").rglob("*.nc"))
    case.write_text(case.read_text() + "late: fill\n")
    path = chain(case).run(DAYS[2])
    np.testing.assert_array_equal(flow(path), expected)
    with xarray.open_dataset(path) as data:
        assert "filled from that of the future" in data.attrs["notes"]
        assert "what is before 2001-03-01T00:00:00 is not used" in data.attrs["notes"]
    assert not list((tmp_path / "late" / "states").iterdir())
    # Here the future begins after the past ends.
    with pytest.raises(ForcingError, match=r"future_2001-03-02T00.nc: it covers 2001-03-02"):
        chain(case).run(DAYS[1])
    log = (tmp_path / "late" / "chain.log").read_text()
    assert "ERROR 2001-03-03T00" in log
    assert "WARNING 2001-03-03T00: weather of the past ends" in log


def test_weather_of_the_future_that_is_too_short_or_begins_late(case, tmp_path):
    changed(case, "forecast: {", "forecast: {file: 'future_{time}.nc', ")
    cut(tmp_path / "weather.nc", tmp_path / "future_2001-03-01T00.nc", 151, 153)
    cut(tmp_path / "weather.nc", tmp_path / "future_2001-03-02T00.nc", 153, 170)
    with pytest.raises(ForcingError, match="weather of 2001-03-01T00:00:00 to 2001-03-04"):
        chain(case).run(DAYS[0])
    with pytest.raises(ForcingError, match="weather of 2001-03-02T00:00:00 to 2001-03-05"):
        chain(case).run(DAYS[1])
    with pytest.raises(ForcingError, match="future_2001-03-03T00.nc: no such weather file"):
        chain(case).run(DAYS[2])


def test_members_with_their_own_weather(case, tmp_path):
    changed(case, "forecast: {", "forecast: {file: 'future_{time}_{member}.nc', ")
    case.write_text(case.read_text() + "ensemble: {members: 2}\n")
    for member, factor in ((0, 1.0), (1, 3.0)):
        path = tmp_path / f"future_2001-03-01T00_{member}.nc"
        cut(tmp_path / "weather.nc", path, 151, 170)
        with netCDF4.Dataset(path, "a") as data:
            data["precipitation"][:] = data["precipitation"][:] * factor
    found = flow(chain(case).run(DAYS[0]))
    assert (found[:, 1] >= found[:, 0]).all()
    assert found[:, 1].sum() > 1.2 * found[:, 0].sum()
    with xarray.open_dataset(tmp_path / "observed.nc") as run:
        expected = run[RUNOFF_FLUX].sel(time=slice("2001-03-01", "2001-03-03")).values
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_missing_weather_at_the_seam_is_named(case, tmp_path):
    with netCDF4.Dataset(tmp_path / "weather.nc", "a") as data:
        data["precipitation"][2, 152] = np.nan
    ours = chain(case)
    with pytest.raises(ForcingError, match=r"missing for catchment cat-3 at 2001-03-02"):
        ours.run(DAYS[0])
    assert not list((tmp_path / "chain" / "forecasts").iterdir())


def test_one_process_at_a_time(case):
    ours = chain(case)
    with ours._opened(), pytest.raises(ChainError, match=f"another process \\({os.getpid()}\\)"):
        chain(case).run(DAYS[0])
    ours.run(DAYS[0])


def test_another_chain_in_the_same_folder_is_refused(case):
    chain(case).run(DAYS[0])
    text = case.read_text()
    for old, new, match in (
        ("start: 2000-10-01", "start: 2000-11-01", "a chain with start"),
        ("table: catchments.csv", "table: catchments.csv, select: [cat-2]", "a chain of cat-1"),
    ):
        case.write_text(text)
        with pytest.raises(ChainError, match=match):
            chain(changed(case, old, new)).run(DAYS[1])
    case.write_text(text + NOISE)
    with pytest.raises(ChainError, match="a chain with ensemble 'none'"):
        chain(case).run(DAYS[1])


def test_another_trained_model_takes_over_the_stores_if_it_is_told_to(case, tmp_path, caplog):
    chain(case).run(DAYS[0])
    case.write_text(case.read_text() + "model: fast\n")
    with pytest.raises(ChainError, match="a chain with model .* set carry_over"):
        chain(case).run(DAYS[1])
    case.write_text(case.read_text() + "carry_over: true\n")
    with caplog.at_level(logging.INFO):
        path = chain(case).run(DAYS[1])
    assert "goes on with another trained model" in caplog.text
    assert "begins with the state of 2001-03-01" in caplog.text
    assert (flow(path) > 0.0).all()
    # From then on it is a chain of that model.
    chain(changed(case, "carry_over: true\n", "")).run(DAYS[2])
    changed(case, "model: fast\n", "")
    with pytest.raises(ChainError, match="a chain with model"):
        chain(case).run(DAYS[3])


# A year of weather is a climate of its own.
@pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning")
def test_climate_is_that_of_the_beginning(case, tmp_path):
    changed(case, "table: catchments.csv", "table: catchments.csv, climate: forcing")
    with pytest.raises(CatchmentError, match="at least 365 days"):
        chain(case).run(DAYS[0])
    late = day("2001-10-15")
    chain(case).run(late)
    kept = (tmp_path / "chain" / "catchments.csv").read_bytes()
    chain(case).run(day("2001-10-20"))
    assert (tmp_path / "chain" / "catchments.csv").read_bytes() == kept


def test_old_states_are_removed(case):
    case.write_text(case.read_text() + "keep: 2d\n")
    ours = chain(case)
    for time in DAYS:
        ours.run(time)
    assert [str(entry.time)[:10] for entry in ours.entries() if entry.state] == [
        "2001-03-03",
        "2001-03-05",
    ]
    assert len([entry for entry in ours.entries() if entry.forecast]) == 4


def test_pictures(case):
    case.write_text(case.read_text() + "plots: [cat-2]\n" + NOISE)
    path = chain(case).run(DAYS[0])
    assert path.with_name("2001-03-01T00_cat-2.png").stat().st_size > 10_000
    changed(case, "plots: [cat-2]", "plots: [cat-9]")
    with pytest.raises(CatchmentError, match="plots: there is no catchment cat-9"):
        chain(case).run(DAYS[1])


def test_a_folder_that_cannot_be_written(case):
    (case.parent / "chain").write_text("a file")
    with pytest.raises(ResultsError, match="chain: cannot be written"):
        chain(case).run(DAYS[0])


def test_a_full_disk_leaves_the_chain_as_it_was(case, monkeypatch):
    ours = chain(case)
    ours.run(DAYS[0])
    before = contents(case.parent / "chain")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bmi_dhydro.forecast.archive._write", full)
    with pytest.raises(ResultsError, match=r"cannot be written .*No space left"):
        ours.run(DAYS[1])
    after = contents(case.parent / "chain")
    assert set(after) - set(before) == {"states/2001-03-02T00.nc"}
    monkeypatch.undo()
    ours.run(DAYS[1])
    assert ours.path(DAYS[1]).exists()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("horizon: 3d", "horizon: 30h", "forecast.horizon: '30h' is no multiple"),
        ("horizon: 3d", "horizon: 3d, file: 'w_{member}.nc'", "needs ensemble.members"),
        ("threads: 1", "quantiles: [1.5]", r"Expected `float` <= 1.0 - at `quantiles\[0\]`"),
        ("threads: 1", "assimilation: {}", "assimilation: needs observed flow"),
        ("threads: 1", "keep: soon", "keep: 'soon' is no length of time"),
        ("threads: 1", "horizon: 3", "unknown key 'horizon'"),
        (
            "threads: 1",
            OBSERVED + "assimilation: {method: ensemble_filter}",
            "needs an ensemble of three members",
        ),
        ("threads: 1", OBSERVED + "assimilation: {window: 36h}", "no whole number of days"),
        ("threads: 1", OBSERVED + "assimilation: {bound: 0}", "assimilation.bound"),
        ("threads: 1", OBSERVED + "assimilation: {decay: 1.0}", "assimilation.decay"),
        (
            "threads: 1",
            OBSERVED + "assimilation: {window: 10d}\nkeep: 5d",
            "must be longer than assimilation.window",
        ),
    ],
)
def test_bad_configurations(case, old, new, match):
    with pytest.raises(ConfigError, match=match):
        chain(changed(case, old, new)).run(DAYS[0])


def test_a_time_between_steps_is_refused(case):
    result = CliRunner().invoke(main, ["forecast", str(case), "--at", "2001-03-01T05"])
    assert result.exit_code == 1
    assert "is not the start of a step" in result.output
    assert CliRunner().invoke(main, ["forecast", str(case)]).exit_code == 1


def test_times_in_names():
    assert stamp(day("2001-02-03T04")) == "2001-02-03T04"
    assert stamp(day("2001-02-03T04:30")) == "2001-02-03T0430"


# Two hundred where somebody has the time, as each night.
KILLS = 200 if os.environ.get("BMI_DHYDRO_LONG_TESTS") else 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_killed_at_any_moment_the_next_call_brings_it_to_where_it_would_be(case, tmp_path):
    case.write_text(
        case.read_text() + NOISE + OBSERVED + "assimilation: {method: ensemble_filter}\n"
    )
    times = DAYS
    expected = chain(changed(case, "folder: chain", "folder: calm"))
    lengths = []
    for time in times:
        begin = clock.perf_counter()
        expected.run(time)
        lengths.append(clock.perf_counter() - begin)
    calm = contents(tmp_path / "calm")
    longest = max(lengths[1:])
    changed(case, "folder: calm", "folder: chain")
    random = np.random.default_rng(0)
    kills = 0
    while kills < KILLS:
        shutil.rmtree(tmp_path / "chain", ignore_errors=True)
        for time in times:
            done = False
            while not done:
                child = os.fork()
                if child == 0:
                    try:
                        chain(case).run(time)
                    finally:
                        os._exit(0 if chain(case).path(time).exists() else 1)
                clock.sleep(float(random.uniform(0.0, 1.3 * longest)))
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    done = os.waitstatus_to_exitcode(status) == 0
                    assert done
                    continue
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills += 1
                if kills >= KILLS:
                    # The last ones in peace.
                    chain(case).run(time)
                    done = True
        same(contents(tmp_path / "chain"), calm)
    assert not list((tmp_path / "chain").rglob(".*.part"))


def test_a_picture_shows_what_was_before_and_nothing_later(case):
    """Earlier forecasts, observations before the start, and levels of a record of ten years."""
    case.write_text(case.read_text() + OBSERVED)
    ours = chain(case)
    for time in DAYS[:3]:
        ours.run(time)
    config = read_forecast_config(case)
    where = ours.catchments(DAYS[2])
    names = where.ids.tolist()
    known = before(config, case.parent / "chain" / "forecasts", DAYS[2], where, names)
    assert list(known.times) == DAYS[:2]
    for time, row in zip(DAYS[:2], known.flow, strict=True):
        with xarray.open_dataset(ours.path(time)) as data:
            first = np.median(data[RUNOFF_FLUX].values[0], axis=0) * 24.0
            assert (data["precipitation"].values >= 0.0).all()
        np.testing.assert_allclose(row, first)
    assert known.observed_times[-1] == DAYS[2] - np.timedelta64(1, "D")
    assert np.isfinite(known.observed).all()
    assert known.thresholds[names[0]] == {}
