"""Calibration on one's own flow, and the file that runs take."""

import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import CheckpointError, ConfigError, ResultsError, TrainingError
from bmi_dhydro.evaluation.comparison import compare
from bmi_dhydro.evaluation.series import read_flow
from bmi_dhydro.io import parameter_file
from bmi_dhydro.io.catchment_table import read_table
from bmi_dhydro.io.export import write_catchments
from bmi_dhydro.networks import trained_model
from bmi_dhydro.run.configured_model import build_model
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training import calibration
from bmi_dhydro.training.calibration import CalibrationSettings, calibrate

FLUX = "land_surface_water__runoff_volume_flux"


@pytest.fixture
def case(tmp_path):
    """Four catchments whose flow was made with other parameters than the network's."""
    config = write_example(tmp_path / "case", 4, 900, "1d", "file", model="fast")
    text = config.read_text()
    config.write_text(text + "parameters: {FC: 120.0, K1: 0.35, K2: 0.004, BETA: 4.0}\n")
    run_config(config, tmp_path / "observed.nc")
    config.write_text(text)
    return config, tmp_path / "observed.nc"


def test_calibration_finds_flow_and_a_run_repeats_it(case, tmp_path):
    config, observed = case
    out = tmp_path / "parameters.safetensors"
    result = CliRunner().invoke(
        main,
        [
            "calibrate",
            str(config),
            str(observed),
            "--out",
            str(out),
            "--until",
            "2002-09-30",
            "--iterations",
            "60",
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    assert "medians over 4 catchments" in result.output
    scores = dict(
        line.rsplit(None, 1) for line in result.output.splitlines() if " nse" in f" {line}"
    )
    before, after = float(scores["nse before"]), float(scores["nse after"])
    assert after > before
    assert after > 0.97
    assert float(scores["later nse after"]) > float(scores["later nse before"])

    run_config(config, tmp_path / "plain.nc")
    config.write_text(config.read_text() + f"parameter_file: {out}\n")
    run_config(config, tmp_path / "calibrated.nc")
    plain, calibrated = (
        compare(read_flow(tmp_path / name), read_flow(observed), 365).scores["nse"].median()
        for name in ("plain.nc", "calibrated.nc")
    )
    assert calibrated > plain
    assert calibrated > 0.95


def test_only_what_is_asked_for_changes(case, tmp_path):
    config, observed = case
    out = tmp_path / "p.safetensors"
    settings = CalibrationSettings(iterations=3, parameters=("K1", "route_delay"))
    calibrate(read_config(config), observed, settings, out)
    component = _component(config)
    before = {name: np.array(v) for name, v in component.model.parameters.items()}
    rows = parameter_file.apply(out, component.model, component.catchments.ids)
    assert rows.tolist() == [0, 1, 2, 3]
    for name, values in component.model.parameters.items():
        changed = not np.allclose(values, before[name], rtol=1e-9)
        assert changed == (name in settings.parameters), name
    component.abandon()


def _component(config):
    from bmi_dhydro.run.component import Component

    return Component(read_config(config))


def test_a_file_for_some_of_the_catchments(case, tmp_path):
    config, observed = case
    with xarray.open_dataset(observed) as data:
        data.isel(station=[1, 3])[[FLUX, "station_id"]].to_netcdf(tmp_path / "two.nc")
    out = tmp_path / "p.safetensors"
    scores = calibrate(
        read_config(config), tmp_path / "two.nc", CalibrationSettings(iterations=2), out
    )
    assert scores.index.tolist() == ["cat-2", "cat-4"]
    component = _component(config)
    before = np.array(component.model.parameters["BETA"])
    rows = parameter_file.apply(out, component.model, component.catchments.ids)
    assert rows.tolist() == [1, 3]
    after = component.model.parameters["BETA"]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert (after[[1, 3]] != before[[1, 3]]).any()
    component.abandon()


def test_parameters_that_move_are_calibrated_around_their_centre(case, dynamic_model, tmp_path):
    config, observed = case
    text = config.read_text().replace("model: fast", f"model: {dynamic_model}")
    config.write_text(text)
    out = tmp_path / "parameters.safetensors"
    settings = CalibrationSettings(iterations=60)
    scores = calibrate(read_config(config), observed, settings, out)
    assert (scores["nse_after"] > scores["nse_before"]).all()
    config.write_text(text + f"parameter_file: {out}\n")
    run_config(config, tmp_path / "calibrated.nc")
    again = compare(read_flow(tmp_path / "calibrated.nc"), read_flow(observed), 365).scores["nse"]
    np.testing.assert_allclose(again, scores["nse_after"], atol=1e-6)


@pytest.mark.parametrize("more", ["", "model: default\n"])
@pytest.mark.parametrize("start", ["spin_up", "initial_state"])
def test_calibration_starts_where_a_run_starts(tmp_path, more, start):
    """What it calls flow before any iteration is the flow of a run, from the first day on."""
    config = write_example(tmp_path / "case", 3, 900, "1d", "file", model="fast")
    text = config.read_text().replace("model: fast  ", "# ")
    text += more or "model: fast\n"
    state = tmp_path / "state.nc"
    config.write_text(text + f"spin_up: {{tolerance: 0.5}}\nsave_state: {state}\n")
    run_config(config, tmp_path / "first.nc")
    if start == "initial_state":
        config.write_text(text + f"initial_state: {state}\n")
    else:
        config.write_text(text + "spin_up: {tolerance: 0.5}\n")
    run_config(config, tmp_path / "run.nc")
    observed = tmp_path / "observed.nc"
    with xarray.open_dataset(tmp_path / "run.nc") as data:
        data[[FLUX, "station_id"]].to_netcdf(observed)
    settings = CalibrationSettings(iterations=1, warm_up=0)
    scores = calibrate(read_config(config), observed, settings, tmp_path / "p.safetensors")
    assert scores["nse_before"].min() > 1.0 - 1e-6


@pytest.mark.parametrize("model", ["fast", "default"])
def test_calibration_keeps_to_its_threads(case, tmp_path, monkeypatch, model):
    import torch

    from bmi_dhydro.kernels.cpu import loop

    config, observed = case
    text = config.read_text().replace("model: fast", f"model: {model}")
    config.write_text(text + "threads: 1\n")
    used = []
    call = loop.CompiledLoop.__call__

    def counted(self, catchments, cells, threads, *arguments):
        used.append(threads)
        return call(self, catchments, cells, threads, *arguments)

    monkeypatch.setattr(loop.CompiledLoop, "__call__", counted)
    torch_threads = []
    descend = calibration.descend
    monkeypatch.setattr(
        calibration,
        "descend",
        lambda *given: (torch_threads.append(torch.get_num_threads()), descend(*given)),
    )
    before = torch.get_num_threads()
    settings = CalibrationSettings(iterations=2)
    calibrate(read_config(config), observed, settings, tmp_path / "p.safetensors")
    assert set(used) == {1}
    assert torch_threads == [1]
    assert torch.get_num_threads() == before


def test_members_are_not_calibrated(case, tmp_path):
    config, observed = case
    config.write_text(config.read_text() + "ensemble: {members: 2}\n")
    with pytest.raises(ConfigError, match="members share parameters"):
        calibrate(read_config(config), observed, CalibrationSettings(), tmp_path / "p")


def test_hourly_runs_are_calibrated_on_daily_flow(tmp_path):
    config = write_example(tmp_path / "case", 2, 60, "1h", "file", model="fast")
    run_config(config, tmp_path / "observed.nc")
    scores = calibrate(
        read_config(config),
        tmp_path / "observed.nc",
        CalibrationSettings(iterations=1, warm_up=5),
        tmp_path / "p.safetensors",
    )
    np.testing.assert_allclose(scores["nse_before"], 1.0, atol=1e-6)


def test_real_catchments_get_better_on_years_that_did_not_count(few_real, few_real_path, tmp_path):
    data = few_real
    columns = {"id": data.ids, "latitude": data.latitude, **data.attributes}
    write_catchments(tmp_path / "c.csv", Catchments.from_columns(columns, "test"))
    (tmp_path / "config.yaml").write_text(
        "catchments: {table: c.csv}\n"
        f"forcing: {{file: {few_real_path}}}\n"
        "time: {start: 1959-10-01, end: 1970-10-01}\n"
    )
    scores = calibrate(
        read_config(tmp_path / "config.yaml"),
        few_real_path,
        CalibrationSettings(iterations=40, until="1966-09-30"),
        tmp_path / "p.safetensors",
    )
    assert len(scores) >= 8
    assert scores["nse_after"].median() > scores["nse_before"].median() + 0.01
    assert scores["later_nse_after"].median() > scores["later_nse_before"].median() - 0.03


def test_what_cannot_be_calibrated(case, host_example, tmp_path):
    config, observed = case
    out = tmp_path / "p.safetensors"
    with pytest.raises(ConfigError, match="'K7' is unknown; did you mean|known"):
        calibrate(read_config(config), observed, CalibrationSettings(parameters=("K7",)), out)
    with pytest.raises(ConfigError, match="calibration needs weather in a file"):
        calibrate(read_config(host_example), observed, CalibrationSettings(), out)
    with xarray.open_dataset(observed) as data:
        flow = data.load()
    flow["station_id"] = ("station", [f"x{k}" for k in range(4)])
    flow.to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ResultsError, match="but of none of the catchments"):
        calibrate(read_config(config), tmp_path / "other.nc", CalibrationSettings(), out)
    flow["station_id"] = ("station", [f"cat-{k + 1}" for k in range(4)])
    flow[FLUX][:] = np.nan
    flow.to_netcdf(tmp_path / "gaps.nc")
    with pytest.raises(TrainingError, match="no catchment has flow between"):
        calibrate(
            read_config(config), tmp_path / "gaps.nc", CalibrationSettings(), out, variable=FLUX
        )
    assert not out.exists()


def test_parameter_files_that_do_not_fit(case, tmp_path):
    config, observed = case
    out = tmp_path / "p.safetensors"
    calibrate(read_config(config), observed, CalibrationSettings(iterations=1), out)
    text = config.read_text()
    config.write_text(text + f"parameter_file: {out}\n")
    table = config.parent / "catchments.csv"
    kept = table.read_text()
    table.write_text(kept.replace("cat-", "dog-"))
    with pytest.raises(CheckpointError, match="of none of the catchments dog-1, dog-2"):
        build_model(read_config(config), trained_model.load(), read_table(table))
    table.write_text(kept)
    config.write_text(text)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(out.read_bytes()[:-9])
    config.write_text(config.read_text() + f"parameter_file: {cut}\n")
    with pytest.raises(CheckpointError, match="not a whole parameter file"):
        _component(config)
