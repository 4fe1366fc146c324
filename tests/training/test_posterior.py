"""Samples of the posterior of calibrated parameters, and the band that a run of them gives."""

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError, TrainingError
from bmi_dhydro.io import parameter_file
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training.calibration import CalibrationSettings
from bmi_dhydro.training.posterior import PosteriorSettings, sample_posterior
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.cli.conftest import call

pytest.importorskip("emcee", reason="needs emcee")

FLOW = CalibrationSettings(parameters=("K1", "FC"), warm_up=200, until="2002-07-01")


@pytest.fixture
def noisy(tmp_path):
    """Two catchments, and their own flow with errors of square roots as the method assumes."""
    config = write_example(tmp_path, 2, 900, "1d", "file", model="fast")
    run_config(config)
    with xarray.open_dataset(tmp_path / "results.nc") as data:
        flow = data[[RUNOFF_FLUX, "station_id"]].load()
    random = np.random.default_rng(0)
    root = np.sqrt(24.0 * flow[RUNOFF_FLUX].values) + 0.15 * random.normal(size=(900, 2))
    flow[RUNOFF_FLUX][:] = np.maximum(root, 0.0) ** 2 / 24.0
    flow.to_netcdf(tmp_path / "noisy.nc")
    return config


@pytest.mark.parametrize("model", ["fast", "default"])
def test_the_truth_lies_within_and_the_band_covers(noisy, model):
    """The flow is the model's own, so that the posterior is around its parameters."""
    text = noisy.read_text()
    noisy.write_text(text.replace("model: fast", f"model: {model}"))
    if model == "default":
        run_config(noisy)
    folder = noisy.parent / "posterior"
    observed = noisy.parent / ("noisy.nc" if model == "fast" else "results.nc")
    wanted = PosteriorSettings(samples=40, steps=120 if model == "fast" else 20)
    table = sample_posterior(read_config(noisy), observed, FLOW, wanted, folder)
    assert len(list(folder.glob("*.safetensors"))) == 40
    if model == "fast":
        assert table["coverage"].between(0.8, 0.97).all()
        assert table["acceptance"].between(0.2, 0.9).all()
    first = parameter_file.read(folder / "000.safetensors").arrays
    values = np.stack(
        [parameter_file.read(path).arrays["FC"] for path in sorted(folder.glob("*.safetensors"))]
    )
    mean = values.mean(axis=2)
    assert (mean.std(axis=0) > 0.0).all()
    # What is not sampled stays.
    for path in sorted(folder.glob("*.safetensors"))[1:]:
        np.testing.assert_array_equal(parameter_file.read(path).arrays["TT"], first["TT"])
    again = sample_posterior(read_config(noisy), observed, FLOW, wanted, noisy.parent / "again")
    pandas.testing.assert_frame_equal(table, again)


def test_the_command_and_the_band_of_a_run(noisy):
    folder = noisy.parent
    text = call(
        "calibrate",
        str(noisy),
        str(folder / "noisy.nc"),
        "--only",
        "K1,FC",
        "--iterations",
        "5",
        "--warm-up",
        "200",
        "--out",
        str(folder / "best.safetensors"),
        "--posterior",
        str(folder / "posterior"),
        "--samples",
        "12",
    )
    assert "wrote 12 parameter files" in text
    assert "coverage" in text
    written = noisy.read_text()
    noisy.write_text(written + "parameter_file: posterior/{sample}.safetensors\n")
    call("run", str(noisy), "--band", "--out", str(folder / "band.nc"))
    noisy.write_text(written + "parameter_file: posterior/003.safetensors\n")
    call("run", str(noisy), "--out", str(folder / "one.nc"))
    with (
        xarray.open_dataset(folder / "band.nc") as band,
        xarray.open_dataset(folder / "one.nc") as one,
    ):
        low, middle, high = (band[f"{RUNOFF_FLUX}_{q}"].values for q in ("q05", "q50", "q95"))
        assert (low <= middle).all()
        assert (middle <= high).all()
        assert (high > low).any()
        inside = (one[RUNOFF_FLUX].values >= 0.5 * low) & (one[RUNOFF_FLUX].values <= 2.0 * high)
        assert inside.mean() > 0.95
    noisy.write_text(written + "parameter_file: posterior/{sample}.safetensors\n")
    assert "run them with --band" in " ".join(
        call("run", str(noisy), "--out", str(folder / "x.nc"), code=1).split()
    )
    # Of a band, the median is judged and drawn.
    text = call("evaluate", str(folder / "band.nc"), str(folder / "noisy.nc"), "--out", str(folder))
    assert "2 catchments" in text
    noisy.write_text(written + "parameter_file: gone/{sample}.safetensors\n")
    assert "there is no" in call("run", str(noisy), "--band", "--out", "x.nc", code=1)


def test_bad_input(noisy):
    config = read_config(noisy)
    observed = noisy.parent / "noisy.nc"
    wanted = PosteriorSettings(samples=5000, steps=10)
    with pytest.raises(ConfigError, match="fewer than 5000 samples"):
        sample_posterior(config, observed, FLOW, wanted, noisy.parent / "p")
    early = CalibrationSettings(parameters=("K1",), warm_up=890)
    with pytest.raises(TrainingError, match="no catchment has a month of flow"):
        sample_posterior(config, observed, early, PosteriorSettings(), noisy.parent / "p")
    assert not (noisy.parent / "p").exists()
