"""Catchments are calibrated to gauges that they drain to, through the river."""

import numpy as np
import pandas
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError, NetworkError, TrainingError
from bmi_dhydro.evaluation.comparison import compare
from bmi_dhydro.evaluation.series import read_flow
from bmi_dhydro.io import parameter_file
from bmi_dhydro.river.tables import read_network
from bmi_dhydro.run.routed_results import Routing, route_results
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training.calibration import CalibrationSettings
from bmi_dhydro.training.gauge_calibration import GaugedProblem, calibrate_to_gauges
from bmi_dhydro.training.gauges import GaugedRiver
from tests.river.conftest import made_up

UPPER, LOWER = "0001", "0002"
QUICK = CalibrationSettings(iterations=12, warm_up=100)


def write_case(folder, days=330, step="1d", model="default"):
    """Write six catchments: three drain to the upper gauge, two more to the lower, one to none."""
    config = write_example(folder / "case", 6, days, step, "file", model="fast")
    config.write_text(config.read_text().replace("model: fast", f"model: {model}"))
    ids = pandas.read_csv(config.parent / "catchments.csv", dtype={"id": str})["id"].tolist()
    parameters = {k: v[:6] for k, v in made_up(12, width=20.0).parameters.items()}
    rows = pandas.DataFrame({"id": range(1, 7), "to": [3, 3, 4, 5, 0, 0], **parameters})
    rows["length"] = 3000.0
    rows["catchment"] = ids
    rows["gauge"] = ["", "", UPPER, "", LOWER, ""]
    rows.to_csv(folder / "rivers.csv", index=False)
    network = read_network(folder / "rivers.csv")
    text = config.read_text()
    config.write_text(text + "parameters: {FC: 120.0, K1: 0.35, K2: 0.004, BETA: 4.0}\n")
    observe(config, network, folder / "observed.nc")
    config.write_text(text)
    return config, network, folder / "observed.nc"


def observe(config, network, out, process="muskingum_cunge"):
    run_config(config, out.with_name("runoff.nc"))
    routing = Routing(process, start="steady", routing_seconds=3600, dtype="float64")
    route_results(out.with_name("runoff.nc"), network, out, routing)


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path)


def test_flow_at_gauges_gets_better_and_a_run_repeats_it(case, tmp_path):
    config, _, observed = case
    out = tmp_path / "p.safetensors"
    arguments = [config, observed, "--network", tmp_path / "rivers.csv", "--out", out]
    arguments += ["--iterations", 30, "--warm-up", 100, "--until", "2001-06-30"]
    result = CliRunner().invoke(main, ["calibrate", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "medians over 2 gauges" in result.output
    found = dict(line.rsplit(None, 1) for line in result.output.splitlines()[1:-1])
    scores = {name.strip(): float(value) for name, value in found.items()}
    assert scores["nse after"] > max(scores["nse before"], 0.9)
    assert scores["later nse after"] > scores["later nse before"]

    saved = parameter_file.read(out)
    network = read_network(tmp_path / "rivers.csv")
    assert sorted(saved.places) == sorted(list(network.catchments)[:5])
    config.write_text(config.read_text() + f"parameter_file: {out}\n")
    observe(config, network, tmp_path / "again.nc")
    repeated = compare(read_flow(tmp_path / "again.nc"), read_flow(observed), 100).scores["nse"]
    assert set(repeated.index) == {UPPER, LOWER}
    assert repeated.median() > 0.9


@pytest.mark.parametrize(
    ("step", "days", "model", "process"),
    [("1h", 130, "fast", "linear"), ("1d", 300, "default", "muskingum_cunge")],
)
def test_hours_and_parameters_that_move(tmp_path, step, days, model, process):
    config, network, observed = write_case(tmp_path, days, step, model)
    settings = CalibrationSettings(iterations=6, warm_up=60)
    scores = calibrate_to_gauges(
        read_config(config), observed, settings, tmp_path / "p", GaugedRiver(network, process)
    )
    assert scores.index.tolist() == [UPPER, LOWER]
    assert (scores["nse_after"] > scores["nse_before"]).all()


def test_catchments_of_a_gauge_move_together_and_count_once(case, tmp_path):
    config, network, observed = case
    gauged = GaugedRiver(network)
    seen = []
    original = GaugedProblem.__init__

    def remember(self, *arguments):
        original(self, *arguments)
        seen.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GaugedProblem, "__init__", remember)
        calibrate_to_gauges(read_config(config), observed, QUICK, tmp_path / "p", gauged)
    (problem,) = seen
    area = problem.model.area
    own = np.array([area[:3].sum(), area[3:5].sum()])
    np.testing.assert_allclose(problem.weights, own / np.array([own[0], own.sum()]))
    before = problem.model.parameters
    after = problem.parameters()
    for name in ("FC", "K1"):
        item = problem.items[name]

        def logit(values, item=item):
            share = (np.asarray(values) - item.lower) / (item.upper - item.lower)
            return np.log(share / (1.0 - share))

        if item.scale == "log":
            continue
        moved = logit(after[name].detach()) - logit(before[name][:5])
        assert np.abs(moved).max() > 0.01
        for group in (slice(0, 3), slice(3, 5)):
            together = moved[group]
            np.testing.assert_allclose(
                together, np.tile(together[:1], (len(together), 1)), atol=1e-6
            )
        assert not np.allclose(moved[0], moved[3])


def test_gradients_reach_the_parameters_of_all_catchments(case, tmp_path):
    """Against differences, through runoff, river and days."""
    config, network, observed = case
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "bmi_dhydro.training.gauge_calibration.descend",
            lambda problem, flow, *_: seen.append((problem, flow)),
        )
        calibrate_to_gauges(
            read_config(config), observed, QUICK, tmp_path / "p", GaugedRiver(network, "linear")
        )
    problem, _ = seen[0]
    for leaf in problem.leaves:
        leaf.grad = None
    problem.simulate()[150:].square().sum().backward()
    k = list(problem.logits).index("FC")
    leaf = problem.leaves[k]
    values = []
    for sign in (1.0, -1.0):
        leaf.data[:, 0] += sign * 1e-5
        values.append(float(problem.simulate()[150:].detach().square().sum()))
        leaf.data[:, 0] -= sign * 1e-5
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(float(leaf.grad[:, 0].sum()), rel=1e-4)


def test_a_gauge_without_flow_does_not_count(case, tmp_path):
    config, network, observed = case
    with xarray.open_dataset(observed) as data:
        data.load().isel(station=[1]).to_netcdf(tmp_path / "lower.nc")
    scores = calibrate_to_gauges(
        read_config(config), tmp_path / "lower.nc", QUICK, tmp_path / "p", GaugedRiver(network)
    )
    assert scores.index.tolist() == [LOWER]
    assert scores["nse_after"].iloc[0] > scores["nse_before"].iloc[0]


def test_bad_input(case, tmp_path):
    config, network, observed = case
    read = read_config(config)
    for other, match in (
        (network.subset(np.array([5])), "the network has no gauges"),
        (network.subset(np.array([0, 1, 2])), r"catchment cat-.* drains to no reach"),
    ):
        with pytest.raises((TrainingError, NetworkError), match=match):
            calibrate_to_gauges(read, observed, QUICK, tmp_path / "p", GaugedRiver(other))
    with pytest.raises(ConfigError, match="parameter 'K9' is unknown"):
        calibrate_to_gauges(
            read,
            observed,
            CalibrationSettings(warm_up=100, parameters=("K9",)),
            tmp_path / "p",
            GaugedRiver(network),
        )
    late = CalibrationSettings(warm_up=100, until="2001-02-28")
    with xarray.open_dataset(observed) as data:
        gone = data.load()
    flow = gone["channel_exit_water_x-section__volume_flow_rate"]
    flow[:200] = np.nan
    gone.to_netcdf(tmp_path / "gone.nc")
    with pytest.raises(TrainingError, match=r"no gauge of the network \(0001, 0002\) has flow"):
        calibrate_to_gauges(read, tmp_path / "gone.nc", late, tmp_path / "p", GaugedRiver(network))
    early = CalibrationSettings(warm_up=100, until="2000-12-01")
    with pytest.raises(TrainingError, match="no day from 2000-10-01 to .* counts: the first 100"):
        calibrate_to_gauges(read, observed, early, tmp_path / "p", GaugedRiver(network))
    assert not (tmp_path / "p").exists()
