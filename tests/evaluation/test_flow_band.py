"""How much of what was observed lies in the band of results, by the command that people use."""

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.example_flow import write_observed_flow
from bmi_dhydro.evaluation.flow_band import read_band
from bmi_dhydro.evaluation.metrics import share_within
from bmi_dhydro.evaluation.overview import Overview
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.cli.conftest import call
from tests.run.conftest import replaced


@pytest.fixture
def example(tmp_path, model_with_errors):
    path = write_example(tmp_path, 3, 120, "1d", "file", model="fast")
    write_observed_flow(path)
    return replaced(path, "model: fast", f"model: {model_with_errors}")


def test_days_in_the_band_are_counted_and_pictures_show_it(example):
    folder = example.parent
    out, observed = folder / "band.nc", folder / "observed.nc"
    call("run", str(example), "--band", "--out", str(out))
    # A gap does not count.
    with xarray.open_dataset(observed) as data:
        theirs = data.load()
    name = next(key for key in theirs if set(theirs[key].dims) == {"time", "station"})
    theirs[name] = theirs[name].where(theirs["time"] > theirs["time"][40])
    theirs.to_netcdf(observed)
    text = call("evaluate", str(out), str(observed), "--out", str(folder / "report"))
    assert "days_in_band" in text
    scores = pandas.read_csv(folder / "report" / "scores.csv", index_col="catchment")
    overview = Overview.read(out, observed)
    low, high = (series.values for series in overview.band)
    np.testing.assert_allclose(
        scores["days_in_band"], share_within(overview.observed.values, low, high), atol=1e-4
    )
    panel = overview.hydrograph(1)
    assert panel.highest >= panel.band[1].max()
    np.testing.assert_array_equal(panel.band[0], low[:, 1])
    with xarray.open_dataset(out) as data:
        np.testing.assert_allclose(low, 24.0 * data[f"{RUNOFF_FLUX}_q05"], rtol=1e-6)
    call("plot", str(out), str(observed), "--out", str(folder / "plots"))
    assert (folder / "plots" / "hydrographs.png").exists()


def test_results_without_a_band_have_none(example):
    call("run", str(example))
    assert read_band(example.parent / "results.nc") is None
    out = str(example.parent / "report")
    results, observed = (str(example.parent / f"{name}.nc") for name in ("results", "observed"))
    assert "days_in_band" not in call("evaluate", results, observed, "--out", out)


def test_shares_of_days_that_are_known():
    observed = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    low, high = np.full(observed.shape, 1.0), np.full(observed.shape, 2.0)
    np.testing.assert_allclose(share_within(observed, low, high), [2 / 3, np.nan])
