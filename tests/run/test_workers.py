"""Catchments divided among workers: the same results, also where one is killed."""

import importlib.util
import os
import signal
import threading
import time
from contextlib import contextmanager

import netCDF4
import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError
from bmi_dhydro.forecast.chain import Chain, complete_catchments
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.forecast.division import divided_among
from bmi_dhydro.forecast.hindcast import hindcast
from bmi_dhydro.io import state_file
from bmi_dhydro.physics import HBV
from bmi_dhydro.run import workers as run_workers
from bmi_dhydro.run.divided_run import run_divided
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.run.workers import divided, here, workers
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.run.test_joined_river import write_rivers

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="needs dask.distributed"
    ),
    pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"),
    # Of Dask's, when its processes end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


# Enough for four shares.
CATCHMENTS, STEPS = 72, 200


@pytest.fixture(scope="module")
def two():
    with workers(2) as (mapper, count):
        yield mapper, count


@pytest.fixture
def config(tmp_path):
    return write_example(tmp_path, CATCHMENTS, STEPS, "1d", "file", model="fast")


def same(ours, theirs):
    with netCDF4.Dataset(ours) as a, netCDF4.Dataset(theirs) as b:
        assert list(a.variables) == list(b.variables)
        assert a.__dict__.keys() == b.__dict__.keys()
        for name in a.variables:
            x, y = a[name], b[name]
            assert (x.dimensions, x.dtype, x.__dict__.keys()) == (
                y.dimensions,
                y.dtype,
                y.__dict__.keys(),
            )
            np.testing.assert_array_equal(np.ma.getdata(x[:]), np.ma.getdata(y[:]), err_msg=name)


def test_parts_are_all_catchments():
    for count, many in ((1000, 2), (40, 4), (3, 8), (100_000, 3)):
        parts = divided(count, many)
        assert np.array_equal(np.concatenate(parts), np.arange(count))
        assert len(parts) <= max(1, 4 * many)
    assert len(divided(1000, 1)) == 1


def test_a_run_is_that_of_one_process_bit_for_bit(config, tmp_path, two):
    config.write_text(config.read_text() + f"save_state: {tmp_path}/end.nc\n")
    run_config(config, tmp_path / "one.nc")
    alone = state_file.read(tmp_path / "end.nc", HBV.state_names)
    (tmp_path / "end.nc").unlink()
    catchments, steps, _ = run_divided(config, tmp_path / "two.nc", *two)
    assert (len(catchments), steps) == (CATCHMENTS, STEPS)
    same(tmp_path / "two.nc", tmp_path / "one.nc")
    together = state_file.read(tmp_path / "end.nc", HBV.state_names)
    assert together.ids.tolist() == alone.ids.tolist()
    assert together.time == alone.time
    for name, values in alone.arrays.items():
        assert np.array_equal(values, together.arrays[name]), name
    assert not list(tmp_path.glob(".*"))


def test_an_ensemble_is_that_of_one_process(config, tmp_path, two):
    noise = "{members: 3, weather: {precipitation: {spread: 0.3}}}"
    config.write_text(config.read_text() + f"ensemble: {noise}\n")
    run_config(config, tmp_path / "one.nc")
    run_divided(config, tmp_path / "two.nc", *two)
    same(tmp_path / "two.nc", tmp_path / "one.nc")


@pytest.mark.parametrize("method", ["variational", "ensemble_filter"])
def test_a_forecast_is_that_of_one_process(config, tmp_path, two, method):
    run_config(config, tmp_path / "observed.nc")
    with netCDF4.Dataset(tmp_path / "observed.nc", "a") as data:
        data[RUNOFF_FLUX][:] = 1.2 * data[RUNOFF_FLUX][:]
    text = (
        "catchments: {table: catchments.csv}\nstart: 2000-10-01\n"
        "analysis: {file: weather.nc, potential_evapotranspiration: hargreaves}\n"
        "forecast: {horizon: 3d}\n"
        f"observed: {{file: observed.nc, variable: {RUNOFF_FLUX}}}\n"
        "ensemble: {members: 4, weather: {precipitation: {spread: 0.4}}}\n"
        f"assimilation: {{method: {method}, window: 4d}}\n"
    )
    paths = {}
    for folder in ("one", "two"):
        path = tmp_path / f"{folder}.yaml"
        path.write_text(f"folder: {folder}\n" + text)
        chain = Chain(read_forecast_config(path))
        for day in ("2001-03-01", "2001-03-06"):
            when = np.datetime64(day, "s")
            paths[folder, day] = (
                chain.run(when) if folder == "one" else chain.run(when, divided_among(*two))
            )
    for day in ("2001-03-01", "2001-03-06"):
        same(paths["two", day], paths["one", day])
        same(
            tmp_path / "two" / "states" / f"{day}T00.nc",
            tmp_path / "one" / "states" / f"{day}T00.nc",
        )
    with xarray.open_dataset(paths["one", "2001-03-06"]) as data:
        assert data.attrs["observations_used"] > 50


def test_a_worker_that_is_killed_costs_time_not_results(config, tmp_path):
    """And the environment stays as it was."""
    import distributed

    before = dict(os.environ)
    run_config(config, tmp_path / "one.nc")
    with workers(2) as (mapper, count):
        client = distributed.get_client()
        victims = client.run(os.getpid)
        client.run(_slow_down)

        def kill():
            time.sleep(1.0)
            os.kill(next(iter(victims.values())), signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        run_divided(config, tmp_path / "two.nc", mapper, count)
        thread.join()
    assert dict(os.environ) == before
    same(tmp_path / "two.nc", tmp_path / "one.nc")


def _slow_down():
    """Make each step of this worker slow, so that it is killed in the middle."""
    from bmi_dhydro.run.component import Component

    update = Component.update

    def slow(self):
        time.sleep(0.003)
        update(self)

    Component.update = slow


def test_commands_take_workers(config, tmp_path, two, monkeypatch):
    """And divide them by the rivers that they drain to."""
    write_rivers(tmp_path, CATCHMENTS, 120, 9)
    config.write_text(config.read_text() + "network: {file: rivers.csv, output: gauges.nc}\n")
    asked = []

    @contextmanager
    def started(count, scheduler):
        asked.append((count, scheduler))
        yield two

    monkeypatch.setattr(run_workers, "workers", started)
    arguments = ["run", str(config), "--out", str(tmp_path / "r.nc"), "--workers", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert f"{CATCHMENTS} catchments, {STEPS} steps" in result.output
    run_config(config, tmp_path / "one.nc")
    same(tmp_path / "r.nc", tmp_path / "one.nc")
    assert asked == [(2, None)]
    with xarray.open_dataset(tmp_path / "gauges.nc") as gauges:
        assert gauges["station_id"].values.tolist() == ["0012", "0034"]


def test_this_process_alone():
    told = []
    with workers(1) as (mapper, count):
        assert (mapper, count) == (here, 1)
        assert mapper(abs, [-1, 2], lambda: told.append(1)) == [1, 2]
    assert told == [1, 1]


def test_bad_input(config, tmp_path, two, monkeypatch):
    monkeypatch.setattr(run_workers, "_PATIENCE", 1)
    with (
        pytest.raises(ConfigError, match="nothing answers at tcp://127.0.0.1:1"),
        workers(1, "tcp://127.0.0.1:1"),
    ):
        pass
    config.write_text(config.read_text() + "save_state: {path: 's{time}.nc', every: 10d}\n")
    with pytest.raises(ConfigError, match="several workers save the state at the end only"):
        run_divided(config, tmp_path / "r.nc", *two)
    with netCDF4.Dataset(tmp_path / "weather.nc", "a") as data:
        data["precipitation"][3, 7] = -4.0
    text = config.read_text()
    config.write_text(text[: text.index("save_state")])
    assert read_config(config).save_state is None
    with pytest.raises(Exception, match="impossible .* for catchment cat-4"):
        run_divided(config, tmp_path / "r.nc", *two)
    assert not (tmp_path / "r.nc").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_hindcast_is_that_of_one_process(config, tmp_path, two):
    run_config(config, tmp_path / "observed.nc")
    path = tmp_path / "chain.yaml"
    path.write_text(
        "folder: chain\ncatchments: {table: catchments.csv}\nstart: 2000-10-01\n"
        "analysis: {file: weather.nc, potential_evapotranspiration: hargreaves}\n"
        "forecast: {horizon: 2d}\nassimilation: {window: 3d}\n"
        f"observed: {{file: observed.nc, variable: {RUNOFF_FLUX}}}\n"
    )
    chain = read_forecast_config(path)
    times = np.datetime64("2001-03-01", "s") + np.arange(4) * np.timedelta64(1, "D")
    catchments = complete_catchments(chain, times[0])
    alone = hindcast(chain, catchments, times)
    told = []
    divided_up = hindcast(chain, catchments, times, *two, lambda: told.append(1))
    assert len(told) == 2 * len(divided(CATCHMENTS, 2))
    for kind, flow in alone.flow.items():
        assert np.array_equal(flow, divided_up.flow[kind], equal_nan=True), kind


def test_one_worker_of_a_scheduler_does_the_work(config, tmp_path, monkeypatch):
    import distributed

    from bmi_dhydro.run import divided_run

    done = []
    run_it = divided_run.run_divided
    monkeypatch.setattr(
        divided_run, "run_divided", lambda *given: (done.append(given[3]), run_it(*given))[1]
    )
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=40
    ) as cluster:
        result = CliRunner().invoke(
            main,
            [
                *("run", str(config), "--out", str(tmp_path / "out.nc")),
                *("--scheduler", cluster.scheduler_address),
            ],
        )
    assert result.exit_code == 0, result.output
    assert done == [1]
    assert (tmp_path / "out.nc").exists()
