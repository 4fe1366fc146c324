"""Snow and evapotranspiration beside flow: read, scored, learned from, calibrated on."""

import numpy as np
import pytest
import xarray

from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError, ResultsError
from bmi_dhydro.evaluation.targets import read_target
from bmi_dhydro.networks.trained_model import load
from bmi_dhydro.progress_bar import progress
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training.calibration import CalibrationSettings, calibrate
from bmi_dhydro.training.config import TargetConfig
from bmi_dhydro.training.run import TrainingRun
from tests.cli.conftest import call
from tests.evaluation.test_overview import made
from tests.training.conftest import case, changed  # noqa: F401

SNOW = "snowpack__liquid-equivalent_depth"
ET = "land_surface_water__evaporation_volume_flux"


@pytest.fixture
def truth(tmp_path):
    """Results of an example, and those of the same with other snow and soils, as observations."""
    results, _ = made(tmp_path, 4, days=760, observed=False)
    config = tmp_path / "config.yaml"
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text() + "parameters: {CFMAX: 1.2, LP: 0.35, BETAET: 0.8}\n")
    run_config(other, tmp_path / "truth.nc")
    return results, tmp_path / "truth.nc", config


def test_they_are_read_whatever_they_are_called(truth, tmp_path):
    _, observed, _ = truth
    dates = np.arange("2000-10-01", "2002-10-01", dtype="datetime64[D]")
    ids = np.array(["cat-2", "cat-9"])
    snow = read_target("snow", observed, None, ids, dates)
    with xarray.open_dataset(observed) as data:
        metres = data[SNOW].sel(station="cat-2").values[: dates.size]
        unit = data[SNOW].attrs["units"]
        renamed = data.rename({SNOW: "pack", ET: "aet"}).load()
    scale = 1000.0 if unit == "m" else 1.0
    np.testing.assert_allclose(snow[:, 0], scale * metres, rtol=1e-5)
    assert np.isnan(snow[:, 1]).all()
    renamed.to_netcdf(tmp_path / "renamed.nc")
    again = read_target("snow", tmp_path / "renamed.nc", "pack", ids, dates)
    np.testing.assert_array_equal(again, snow)
    evaporation = read_target("evapotranspiration", tmp_path / "renamed.nc", None, ids, dates)
    assert 0.5 < np.nanmean(evaporation) < 5.0
    with pytest.raises(ResultsError, match="has no variable snow water equivalent .*; name it"):
        read_target("snow", tmp_path / "renamed.nc", None, ids, dates)
    with pytest.raises(ResultsError, match="has no actual evapotranspiration of cat-9"):
        read_target("evapotranspiration", observed, None, ids[1:], dates)


def test_evaluation_scores_them(truth, tmp_path, without_pictures):
    results, observed, _ = truth
    text = call("evaluate", str(results), str(observed), "--out", str(tmp_path / "e"))
    assert "snow_nse" in text
    assert "evapotranspiration_kge" in text
    rows = (tmp_path / "e" / "scores.csv").read_text().splitlines()
    assert "evapotranspiration_bias" in rows[0]
    perfect = call("evaluate", str(observed), str(observed), "--out", str(tmp_path / "p"))
    line = next(row for row in perfect.splitlines() if "snow_nse" in row)
    assert line.count("1.000") == 3


@pytest.mark.parametrize("model", ["fast", "default"])
def test_calibration_finds_them_too(truth, model, tmp_path):
    """Flow alone does not tell what the snow was: with it, both get better."""
    _, observed, config = truth
    config.write_text(config.read_text().replace("model: fast", f"model: {model}"))
    targets = {
        name: TargetConfig(file=str(observed), weight=1.0)
        for name in ("snow", "evapotranspiration")
    }
    found = {}
    for name, given in (("flow", {}), ("all", targets)):
        settings = CalibrationSettings(10, warm_up=200, targets=given)
        found[name] = calibrate(
            read_config(config), observed, settings, tmp_path / f"{name}.safetensors"
        )
    both = found["all"].median()
    assert both["evapotranspiration_nse_after"] > both["evapotranspiration_nse_before"]
    assert both["nse_after"] > both["nse_before"]
    snowy = found["all"]["snow_nse_before"].dropna()
    after = found["all"]["snow_nse_after"].loc[snowy.index]
    assert (after > snowy).mean() >= 0.5
    assert not any(name.startswith("snow") for name in found["flow"])


def test_training_learns_from_them(case, tmp_path):  # noqa: F811
    other = case.parent / "other.yaml"
    other.write_text(
        (case.parent / "config.yaml").read_text() + "parameters: {CFMAX: 1.2, LP: 0.35}\n"
    )
    run_config(other, case.parent / "truth.nc")
    # One catchment has no snow observed, another no evapotranspiration.
    with xarray.open_dataset(case.parent / "truth.nc") as data:
        seen = data.load()
    seen[SNOW][{"station": 1}] = np.nan
    seen[ET][{"station": 2}] = np.nan
    seen.to_netcdf(case.parent / "seen.nc")
    changed(case, "file: results.nc", "file: truth.nc")
    # To the last batch: weights that flow alone would choose are another thing.
    changed(case, "  validate: [2002-07-01, 2003-09-29]\n", "")
    changed(case, "batches: 12", "batches: 150")
    changed(case, "learning_rate: 0.02", "learning_rate: 0.03")
    errors = []
    beside = "{snow: {file: seen.nc}, evapotranspiration: {file: seen.nc, weight: 1.0}}"
    for targets in ("", f"targets: {beside}\n"):
        case.write_text(case.read_text() + targets)
        path = TrainingRun(case).run(progress)
        model = load(path)
        config = case.parent / "ours.yaml"
        text = (case.parent / "config.yaml").read_text()
        config.write_text(text.replace("model: fast", f"model: {path}"))
        run_config(config, case.parent / "ours.nc")
        with xarray.open_dataset(case.parent / "ours.nc") as ours:
            gap = ours[ET].values[300:] - xarray.open_dataset(case.parent / "truth.nc")[ET][300:]
        errors.append(float((gap**2).mean()))
        changed(case, "output: run", "output: run_")
    assert model.about["training"]["targets"] == ["snow", "evapotranspiration"]

    assert errors[1] < 0.8 * errors[0]


def test_training_that_was_cut_off_goes_on_the_same(case):  # noqa: F811
    case.write_text(case.read_text() + "targets: {snow: {file: results.nc}}\n")
    whole = load(TrainingRun(case).run(progress)).weights
    changed(case, "output: run", "output: again")
    assert TrainingRun(case).run(progress, 5) is None
    broken = load(TrainingRun(case).run(progress)).weights
    for name, values in broken.items():
        np.testing.assert_array_equal(values, whole[name])


def test_bad_input(case):  # noqa: F811
    text = case.read_text()
    for more, message in (
        ("targets: {rain: {file: results.nc}}\n", "rain"),
        ("targets: {snow: {file: gone.nc}}\n", "gone.nc: not a readable"),
        ("targets: {snow: {file: results.nc, variable: flow}}\n", "has no variable flow"),
        ("targets: {snow: {file: results.nc, weight: 0}}\n", "weight"),
    ):
        case.write_text(text.replace("output: run", f"output: bad{len(more)}") + more)
        with pytest.raises((ConfigError, ResultsError), match=message):
            TrainingRun(case)
