"""The file of results of a run."""

import numpy as np
import xarray

from bmi_dhydro import BmiDhydro
from tests.conftest import OUTPUTS_OF_HBV
from tests.run.conftest import DEPTH, replaced, runoff


def test_results_hold_what_the_interface_gave(file_example):
    rows = runoff(file_example)
    with xarray.open_dataset(file_example.parent / "results.nc") as data:
        assert set(data) >= {item.name for item in OUTPUTS_OF_HBV}
        np.testing.assert_allclose(data[DEPTH].values, rows, rtol=1e-6)
        assert data[DEPTH].attrs["units"] == "m"
        assert str(data["time"].values[0]).startswith("2000-10-01T00:00")
        assert len(data.attrs["trained_model_fingerprint"]) == 16


def test_chosen_variables_and_catchments(file_example):
    replaced(
        file_example, "  file: results.nc", "  variables: [rain, soil_moisture]\n  file: results.nc"
    )
    replaced(
        file_example, "  table: catchments.csv", "  select: [cat-4, cat-2]\n  table: catchments.csv"
    )
    runoff(file_example)
    with xarray.open_dataset(file_example.parent / "results.nc") as data:
        assert data["station_id"].values.tolist() == ["cat-4", "cat-2"]
        assert data["rain"].attrs["units"] == "mm"
        assert (data["soil_moisture"].values[-1] > 1.0).all()


def test_results_appear_only_when_the_run_is_finished(file_example):
    bmi = BmiDhydro()
    bmi.initialize(str(file_example))
    bmi.update()
    assert not (file_example.parent / "results.nc").exists()
    bmi.finalize()
    assert (file_example.parent / "results.nc").exists()
