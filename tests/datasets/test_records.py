"""What is written of a data set is what training, runs and evaluation take."""

import warnings

import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.datasets import camels_us, caravan
from bmi_dhydro.datasets.records import differing_areas, write
from bmi_dhydro.errors import CatchmentError
from bmi_dhydro.evaluation.series import read_flow
from bmi_dhydro.progress_bar import progress
from bmi_dhydro.training.config import read_train_config
from bmi_dhydro.training.run import TrainingRun
from tests.datasets.conftest import GAUGES, write_caravan


def call(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("kind", ["camels", "caravan"])
def test_it_runs_is_judged_and_trained_on(kind, request, tmp_path):
    folder, out = request.getfixturevalue(kind), tmp_path / "out"
    text = call("import", kind, folder, out)
    assert f"train on it:  bmi-dhydro train {out / 'training.yaml'}" in text
    text = call("run", out / "config.yaml")
    assert "1461 steps" in text
    if kind == "camels":
        report = call("evaluate", out / "results.nc", out / "observed.nc", "--out", tmp_path / "r")
        assert "budyko.png" in report
    config = out / "training.yaml"
    wanted = read_train_config(config)
    assert wanted.split.validate is not None
    assert "mean_slope" in (wanted.attributes or [])
    batches = "settings: {batches: 3, catchments: 2, days: 300, warm_up: 100, hidden: [4]}\n"
    config.write_text(config.read_text() + batches + "components: 2\n")
    assert TrainingRun(config).run(progress) is not None


def test_flow_and_its_quality_are_read_again(camels, tmp_path):
    records = camels_us.read(camels)
    write(records, tmp_path / "out")
    flow = read_flow(tmp_path / "out" / "observed.nc")
    assert flow["station"].values.tolist() == GAUGES
    np.testing.assert_allclose(flow.values, records.flow, rtol=1e-6)
    with xarray.open_dataset(tmp_path / "out" / "observed.nc") as data:
        assert data.attrs["license"] == "CC-BY-4.0"
        assert data["streamflow_quality"].attrs["flag_meanings"].split()[1] == "estimated"
        assert np.array_equal(data["streamflow_quality"].values.T, records.quality)


def test_evapotranspiration_of_the_data_set_is_taken(tmp_path):
    folder = write_caravan(tmp_path / "Caravan")
    records = caravan.read(folder, evapotranspiration="penman_monteith")
    write(records, tmp_path / "out")
    text = (tmp_path / "out" / "config.yaml").read_text()
    assert "potential_evapotranspiration: forcing" in text


def test_areas_are_compared_with_the_first(tmp_path):
    ids = np.array(["a", "b", "c"])
    areas = {"one": np.array([1.0, 2.0, 3.0]), "two": np.array([1.04, 2.2, 3.0])}
    (note,) = differing_areas(ids, areas)
    assert note == "areas of one and two differ by more than 5 % in 1 catchment (b); one is taken"


def test_a_folder_that_cannot_be_written(camels, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CatchmentError, match="cannot be written"):
        write(camels_us.read(camels), tmp_path / "file" / "out")
