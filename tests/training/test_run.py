"""Training runs as people start them: in a folder, cut off and gone on with, judged, refused."""

import dataclasses
import json
import os
import subprocess
import sys
import time
import warnings

import netCDF4
import numpy as np
import pandas
import pytest
import torch
import xarray
from click.testing import CliRunner

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import CatchmentError, ConfigError, ResultsError, TrainingError
from bmi_dhydro.networks import trained_model
from bmi_dhydro.progress_bar import progress
from bmi_dhydro.run.flow_band import run_band
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training.dependence_on_start import dependence_on_start
from bmi_dhydro.training.progress import Progress
from bmi_dhydro.training.run import TrainingRun
from tests.training.conftest import changed


def weights(folder):
    return trained_model.load(folder / "model.safetensors").weights


def test_a_run_makes_a_model_that_the_component_takes(case):
    result = CliRunner().invoke(main, ["train", str(case)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "8 catchments to learn from, 8 to judge by" in result.output
    folder = case.parent / "run"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "model.safetensors",
        "curves.png",
        "log_0.csv",
        "progress_0.safetensors",
        "config.json",
    }
    model = trained_model.load(folder / "model.safetensors")
    assert model.about["name"] == "a test"
    assert model.about["training"]["period"] == ["2000-10-01", "2002-06-30"]
    assert model.about["skill"]["validation"]["catchments"] == 8
    log = pandas.read_csv(folder / "log_0.csv")
    assert log["batch"].tolist() == list(range(1, 13))
    assert log["validation_median_nse"].notna().sum() == 3
    config = case.parent / "config.yaml"
    changed(config, "model: fast", "model: run/model.safetensors")
    bmi = BmiDhydro()
    with warnings.catch_warnings():
        # Eight catchments make a narrow range of training.
        warnings.simplefilter("ignore")
        bmi.initialize(str(config))
    bmi.update()
    bmi.component.abandon()


def test_going_on_after_a_break_gives_the_same_model(case):
    whole = TrainingRun(case).run(progress)
    expected = weights(whole.parent)
    changed(case, "output: run", "output: again")
    for batches in (3, 1, 6):
        assert TrainingRun(case).run(progress, batches) is None
    broken = TrainingRun(case).run(progress)
    for name, values in weights(broken.parent).items():
        assert np.array_equal(values, expected[name]), name
    a, b = (pandas.read_csv(p.parent / "log_0.csv") for p in (whole, broken))
    pandas.testing.assert_frame_equal(a, b)


def test_a_run_that_is_killed_goes_on_with_the_same_result(case):
    changed(case, "batches: 12", "batches: 120")
    changed(case, "validate_every: 4", "validate_every: 20")
    expected = weights(TrainingRun(case).run(progress).parent)
    changed(case, "output: run", "output: killed")
    folder = case.parent / "killed"
    command = [sys.executable, "-m", "bmi_dhydro", "train", str(case)]
    # Sums of torch depend on how many threads it has.
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    for _ in range(2 if os.environ.get("BMI_DHYDRO_LONG_TESTS") else 1):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=threads
        )
        before = (folder / "log_0.csv").stat().st_mtime_ns if folder.exists() else 0
        for _ in range(6000):
            log = folder / "log_0.csv"
            if process.poll() is not None or (log.exists() and log.stat().st_mtime_ns > before):
                break
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert not (folder / "model.safetensors").exists() or process.returncode == 0
    subprocess.run(command, check=True, capture_output=True, env=threads)
    for name, values in weights(folder).items():
        assert np.array_equal(values, expected[name]), name


def test_held_out_catchments_are_judged_by_and_not_learned_from(case):
    changed(case, "split:", "split:\n  hold_out: [1, 3]")
    run = TrainingRun(case)
    assert run.learned.ids.tolist() == ["cat-1", "cat-3", "cat-5", "cat-7"]
    assert run.validation.data.ids.tolist() == ["cat-2", "cat-4", "cat-6", "cat-8"]
    assert str(run.learned.dates[-1]) == "2002-06-30"
    assert run.validation.warm_up == 365
    changed(case, "hold_out: [1, 3]", "hold_out: [9]")
    changed(case, "output: run", "output: other")
    with pytest.raises(TrainingError, match="no catchment has a fold among .9."):
        TrainingRun(case)


def test_seeds_become_components(case):
    changed(case, "components: 2", "components: 2\nseeds: [3, 5]")
    changed(case, "batches: 12", "batches: 2")
    model = trained_model.load(TrainingRun(case).run(progress))
    assert model.layout.parameter_sets == 4
    assert model.about["training"]["seeds"] == [3, 5]
    assert model.layout.networks == 2


def test_seeds_make_a_band(case):
    changed(case, "components: 2", "components: 2\nseeds: [3, 5, 8]\ndynamic: [BETA]")
    changed(case, "hidden: [8]", "hidden: [8], memory: 4")
    TrainingRun(case).run(progress)
    config = changed(case.parent / "config.yaml", "model: fast", "model: run/model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_config(config, case.parent / "whole.nc")
        result = CliRunner().invoke(
            main,
            ["run", str(config), "--band", "--out", str(case.parent / "band.nc")],
            catch_exceptions=False,
        )
    assert result.exit_code == 0, result.output
    assert "band.nc" in result.output
    name = "land_surface_water__runoff_volume_flux"
    with xarray.open_dataset(case.parent / "band.nc") as band:
        low, middle, high = (band[f"{name}_{q}"].values for q in ("q05", "q50", "q95"))
        assert band[f"{name}_q05"].attrs["long_name"].endswith("5% quantile of 3 networks")
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (high - low).max() > 1e-3
    with xarray.open_dataset(case.parent / "whole.nc") as results:
        mean = results[name].values
    # The networks' parameter sets are run together there, with the same routing.
    assert (mean >= low - 0.4 * (high - low) - 1e-6).all()
    assert (mean <= high + 0.4 * (high - low) + 1e-6).all()


def test_a_band_needs_several_seeds(case):
    config = case.parent / "config.yaml"
    with pytest.raises(ConfigError, match="fast: a band needs a model that has learned its errors"):
        run_band(config)


def test_dynamic_parameters_are_trained_and_run(case):
    changed(case, "components: 2", "components: 2\nseeds: [0, 1]\ndynamic: [BETA, K0]")
    changed(case, "hidden: [8]", "hidden: [8], memory: 5")
    assert TrainingRun(case).run(progress, 7) is None
    path = TrainingRun(case).run(progress)
    model = trained_model.load(path)
    assert model.layout.dynamic == ("BETA", "K0")
    assert np.abs(model.weights["dynamic_head"]).max() > 1e-4
    changed(case, "output: run", "output: whole")
    expected = trained_model.load(TrainingRun(case).run(progress)).weights
    for name, values in model.weights.items():
        assert np.array_equal(values, expected[name]), name
    config = changed(case.parent / "config.yaml", "model: fast", "model: run/model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        component, _ = run_config(config)
    assert component.model.dynamics.hidden.shape == (8, 10)


def test_learned_curves_are_trained_and_run(case):
    changed(case, "components: 2", "components: 2\nlearned: [soil_wetness]")
    changed(case, "batches: 12", "batches: 60")
    path = TrainingRun(case).run(progress)
    log = pandas.read_csv(case.parent / "run" / "log_0.csv")
    assert log["loss"][-10:].mean() < 0.8 * log["loss"][:10].mean()
    model = trained_model.load(path)
    assert model.layout.process.learned == ("soil_wetness",)
    config = changed(case.parent / "config.yaml", "model: fast", "model: run/model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        component, _ = run_config(config)
    model = component.model
    assert "BETA" not in model.parameters
    assert (model.parameters["soil_wetness_slope_1"].std(axis=0) > 0.0).all()


def test_patience_ends_training_and_the_best_weights_are_kept(case):
    changed(case, "batches: 12", "batches: 400")
    changed(case, "learning_rate: 0.02", "learning_rate: 0.5, patience: 2")
    run = TrainingRun(case)
    run.run(progress)
    log = pandas.read_csv(case.parent / "run" / "log_0.csv")
    assert len(log) < 400
    scores = log["validation_median_nse"].dropna().to_numpy()
    assert len(scores) - 1 - np.argmax(scores) == 2


def test_climate_is_that_of_the_days_to_learn_from(case):
    changed(case, "catchments.csv}", "catchments.csv, climate: forcing}")
    run = TrainingRun(case)
    days = run.data.between("2000-10-01", "2002-06-30")
    expected = run.data.forcing[days, 0].mean(axis=0)
    np.testing.assert_allclose(run.data.attributes["mean_precipitation"], expected, rtol=1e-5)


def test_a_configuration_that_lacks_newer_keys_is_the_same(case):
    assert TrainingRun(case).run(progress, 1) is None
    record = case.parent / "run" / "config.json"
    before = json.loads(record.read_text())
    for key in ("targets", "from"):
        del before[key]
    for key in ("layers", "keep_near"):
        del before["settings"][key]
    record.write_text(json.dumps(before))
    assert TrainingRun(case).run(progress) is not None


def test_another_configuration_is_refused(case):
    assert TrainingRun(case).run(progress, 1) is None
    changed(case, "components: 2", "components: 3")
    with pytest.raises(TrainingError, match=r"another configuration \(different: components\)"):
        TrainingRun(case)


def test_progress_that_is_damaged_is_refused(case):
    assert TrainingRun(case).run(progress, 1) is None
    (case.parent / "run" / "progress_0.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(TrainingError, match="not a whole of training|remove .*progress_0"):
        TrainingRun(case).run(progress)


def test_catchments_without_flow_are_left_out_by_name(case, caplog):
    with netCDF4.Dataset(case.parent / "results.nc", "a") as data:
        data["land_surface_water__runoff_volume_flux"][:, 2] = np.nan
    run = TrainingRun(case)
    assert "left out, no observed flow: cat-3" in caplog.text
    assert "cat-3" not in run.learned.ids


def test_no_flow_at_all_is_an_error(case):
    with netCDF4.Dataset(case.parent / "results.nc", "a") as data:
        data["land_surface_water__runoff_volume_flux"][:] = np.nan
    with pytest.raises(TrainingError, match="no catchment has observed flow"):
        TrainingRun(case)


def test_flow_of_other_catchments_is_an_error(case):
    with xarray.open_dataset(case.parent / "results.nc") as data:
        flow = data.load()
    flow["station_id"] = ("station", [f"x{k}" for k in range(8)])
    flow.to_netcdf(case.parent / "other.nc")
    changed(case, "results.nc", "other.nc")
    with pytest.raises(ResultsError, match="but of none of the catchments cat-1"):
        TrainingRun(case)


def test_a_loss_that_is_no_number_keeps_the_last_good_progress(case, monkeypatch):
    from bmi_dhydro.training import loop

    calls = []

    def broken(simulated, observed, spread):
        calls.append(1)
        return simulated.sum() * (float("nan") if len(calls) == 4 else 1.0)

    monkeypatch.setitem(loop.LOSSES, "nse", broken)
    with pytest.raises(TrainingError, match="loss of batch 3 is nan.*progress up to there is kept"):
        TrainingRun(case).run(progress)
    log = pandas.read_csv(case.parent / "run" / "log_0.csv")
    assert len(log) == 3


def test_a_network_of_attributes_that_the_table_lacks(case):
    frame = pandas.read_csv(case.parent / "catchments.csv")
    frame.drop(columns=["soil_porosity"]).to_csv(case.parent / "catchments.csv", index=False)
    with pytest.raises(CatchmentError, match="lacks attributes of the network: soil_porosity"):
        TrainingRun(case)


def test_the_random_state_of_the_caller_stays(case):
    changed(case, "components: 2", "components: 2\ndynamic: [BETA]")
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    TrainingRun(case).run(progress)
    assert torch.equal(torch.rand(3), expected)


def test_a_dynamic_model_says_how_far_its_memory_keeps_its_start(case):
    changed(case, "components: 2", "components: 2\ndynamic: [BETA]")
    model = trained_model.load(TrainingRun(case).run(progress))
    assert "started full instead of empty, the flow of" in model.about["memory"]
    assert "of 8 catchments differs" in model.about["memory"]
    data = TrainingRun(case).learned
    # Nothing but the start differs, and a memory that forgets at once has none.
    weights = {name: np.array(value) for name, value in model.weights.items()}
    weights["dynamic_head"][:] = 0.0
    forgetful = dataclasses.replace(model, weights=weights)
    assert np.abs(dependence_on_start(forgetful, data)).max() == 0.0


def test_a_model_that_was_validated_is_described(case):
    path = TrainingRun(case).run(progress)
    result = CliRunner().invoke(main, ["info", str(path)])
    assert result.exit_code == 0, result.output
    assert "skill validation" in result.output
    assert "learned with potential evapotranspiration of hargreaves" in " ".join(
        result.output.split()
    )


def test_a_trained_model_knows_its_catchments_and_its_evapotranspiration(case):
    path = TrainingRun(case).run(progress)
    model = trained_model.load(path)
    assert model.evapotranspiration.methods == ("hargreaves",)
    assert model.about["training"]["forcing"] == "weather.nc"
    # Eight catchments are too few to compare 17 attributes with.
    assert model.catchments is None


def test_progress_of_an_older_version_is_gone_on_with(case, caplog):
    expected = weights(TrainingRun(case).run(progress).parent)
    changed(case, "output: run", "output: older")
    assert TrainingRun(case).run(progress, 5) is None
    folder = case.parent / "older"
    kept = Progress.read(folder / "progress_0.safetensors")
    torch.save(dataclasses.asdict(kept), folder / "progress_0.pt")
    (folder / "progress_0.safetensors").unlink()
    ours = weights(TrainingRun(case).run(progress).parent)
    assert "is of an older version, without a digest" in caplog.text
    for name, value in expected.items():
        assert np.array_equal(value, ours[name]), name


def test_a_record_that_is_damaged_is_refused(case):
    assert TrainingRun(case).run(progress, 1) is None
    record = case.parent / "run" / "config.json"
    for content in (b"\xff\xfe\x00", b"{", b"[]"):
        record.write_bytes(content)
        with pytest.raises(TrainingError, match="is damaged .* nobody can tell what was trained"):
            TrainingRun(case)
