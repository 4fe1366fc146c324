"""Training on flow at gauges of a river that many catchments drain to."""

import dataclasses

import numpy as np
import pandas
import pytest
import torch
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import CheckpointError, ConfigError, NetworkError, TrainingError
from bmi_dhydro.evaluation.metrics import nse
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.reach_network import ReachNetwork, initial
from bmi_dhydro.physics import LINEAR
from bmi_dhydro.progress_bar import progress
from bmi_dhydro.river.learned import with_learned
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.training.gauges import FIXED
from bmi_dhydro.training.run import TrainingRun
from bmi_dhydro.training.stations import stations_of
from bmi_dhydro.variables import FLOW
from tests.river.conftest import made_up
from tests.training.conftest import changed
from tests.training.test_gauge_calibration import LOWER, UPPER, write_case

CONFIG = """
output: run
catchments: {table: case/catchments.csv}
forcing: {file: case/weather.nc, potential_evapotranspiration: hargreaves}
observed: {file: observed.nc}
network: {file: rivers.csv, routing_step: 6h}
split:
  train: [2000-10-01, 2002-06-30]
  validate: [2002-07-01, 2003-09-29]
components: 2
settings:
  {hidden: [8], batches: 12, catchments: 6, days: 300, warm_up: 150, validate_every: 4,
   learning_rate: 0.02}
"""

pytestmark = pytest.mark.filterwarnings(
    "ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"
)


@pytest.fixture
def case(tmp_path):
    write_case(tmp_path, 1094)
    path = tmp_path / "training.yaml"
    path.write_text(CONFIG)
    return path


def weights(path):
    return trained_model.load(path).weights


def test_a_network_learns_flow_at_gauges(case):
    changed(case, "batches: 12", "batches: 60")
    result = CliRunner().invoke(main, ["train", str(case)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "5 catchments of 2 gauges to learn from" in result.output
    log = pandas.read_csv(case.parent / "run" / "log_0.csv")
    assert log["loss"][-10:].mean() < 0.7 * log["loss"][:5].mean()
    model = trained_model.load(case.parent / "run" / "model.safetensors")
    assert model.about["skill"]["validation"]["catchments"] == 2
    assert model.about["training"]["gauges"] == 2


@pytest.mark.parametrize("dynamic", ["", "dynamic: [BETA, K0]\n"])
def test_what_is_trained_on_is_what_a_run_gives(case, dynamic):
    """The model that is trained, run with the same river: validation has judged that flow."""
    changed(case, "components: 2\n", f"components: 2\n{dynamic}")
    changed(case, "hidden: [8]", "hidden: [8], memory: 4")
    run = TrainingRun(case)
    path = run.run(progress)
    trainer = run._trainer(0)
    data, model = run.validation.data, trained_model.load(path)
    with torch.no_grad():
        tensors = {name: torch.as_tensor(values) for name, values in model.weights.items()}
        inputs, area = trainer._tensors(data)
        discharge = trainer.discharge(tensors, inputs, area, torch.as_tensor(data.forcing))
        every = np.arange(2), np.arange(5)
        theirs = stations_of(data).flow(discharge, *every, trainer.progress.weights).numpy()
    config = case.parent / "case" / "config.yaml"
    config.write_text(
        config.read_text().replace("model: default", f"model: {path}")
        + "network: {file: ../rivers.csv, output: gauges.nc, routing_step: 6h}\n"
    )
    run_config(config, case.parent / "runoff.nc")
    with xarray.open_dataset(config.parent / "gauges.nc") as results:
        assert results["station_id"].values.tolist() == [UPPER, LOWER]
        depth = 86.4 / results["area"].values
        ours = results[FLOW].values * depth
    counted = run.validation.warm_up
    # The run began earlier, so that its stores and its LSTM are older.
    ours, theirs = ours[-len(theirs) :][counted:], theirs[counted:]
    assert np.linalg.norm(ours - theirs) < 0.02 * np.linalg.norm(theirs)


def test_going_on_after_a_break_gives_the_same_model(case):
    expected = weights(TrainingRun(case).run(progress))
    changed(case, "output: run", "output: again")
    for batches in (3, 5):
        assert TrainingRun(case).run(progress, batches) is None
    broken = weights(TrainingRun(case).run(progress))
    for name, values in broken.items():
        assert np.array_equal(values, expected[name]), name


def test_gradients_reach_all_catchments_upstream_and_no_others(case):
    data = TrainingRun(case).learned
    discharge = torch.rand((20, 5)).requires_grad_()
    stations = stations_of(data)
    upper = stations.flow(discharge[:, :3], np.array([0]), np.arange(3), {})
    (slopes,) = torch.autograd.grad(upper.sum(), discharge)
    assert (slopes[:, :3].sum(dim=0) > 0.0).all()
    assert not slopes[:, 3:].any()
    # What enters leaves: of a steady flow all, so that depths are means by area.
    steady = torch.full((30, 5), 2.0)
    flow = stations.flow(steady, np.arange(2), np.arange(5), {})
    torch.testing.assert_close(flow, torch.full((30, 2), 2.0), rtol=1e-3, atol=0.0)


def test_gauges_are_drawn_by_the_area_that_is_theirs_alone(case):
    data = TrainingRun(case).learned
    stations = stations_of(data)
    area = data.attributes["area"]
    # The lower gauge has all five catchments, two of them first.
    own = np.array([1.0, area[3:].sum() / area.sum()])
    random = np.random.default_rng(0)
    drawn = [stations.draw(random, np.arange(2), 1) for _ in range(4000)]
    assert all(len(chosen) == 1 for chosen, _ in drawn)
    share = np.bincount([chosen[0] for chosen, _ in drawn], minlength=2) / 4000
    np.testing.assert_allclose(share, own / own.sum(), atol=0.03)
    for chosen, catchments in drawn[:10]:
        assert catchments.tolist() == ([0, 1, 2] if chosen[0] == 0 else [0, 1, 2, 3, 4])
    chosen, catchments = stations.draw(random, np.arange(2), 5)
    assert (sorted(chosen), catchments.tolist()) == ([0, 1], [0, 1, 2, 3, 4])


def test_gauges_without_flow_are_left_out_by_name(case, caplog):
    with xarray.open_dataset(case.parent / "observed.nc") as data:
        flow = data.load()
    flow[FLOW][:, 1] = np.nan
    flow.to_netcdf(case.parent / "upper.nc")
    changed(case, "observed.nc", "upper.nc")
    run = TrainingRun(case)
    assert f"left out, no observed flow or catchment: gauges {LOWER}" in caplog.text
    assert run.learned.stations.tolist() == [UPPER]
    assert run.learned.ids.tolist() == ["cat-1", "cat-2", "cat-3"]
    flow[FLOW][:] = np.nan
    flow.to_netcdf(case.parent / "none.nc")
    changed(case, "upper.nc", "none.nc")
    changed(case, "output: run", "output: none")
    with pytest.raises(TrainingError, match="no gauge .* has observed flow"):
        TrainingRun(case)


def test_bad_input(case):
    changed(case, "split:", "split:\n  hold_out: [1]")
    frame = pandas.read_csv(case.parent / "case" / "catchments.csv")
    frame["fold"] = np.arange(6) % 3
    frame.to_csv(case.parent / "case" / "catchments.csv", index=False)
    with pytest.raises(TrainingError, match="drain to gauges cannot be held out"):
        TrainingRun(case)
    changed(case, "  hold_out: [1]\n", "")
    changed(case, "routing_step: 6h", "routing_step: 0h")
    with pytest.raises(ConfigError, match="network.routing_step"):
        TrainingRun(case)
    changed(case, "routing_step: 0h", "routing_step: 6h")
    changed(case, "output: run", "output: other")
    rows = pandas.read_csv(case.parent / "rivers.csv", dtype={"gauge": str})
    rows.drop(columns="gauge").to_csv(case.parent / "rivers.csv", index=False)
    with pytest.raises(TrainingError, match="has no gauges"):
        TrainingRun(case)
    rows["catchment"] = ""
    rows.to_csv(case.parent / "rivers.csv", index=False)
    with pytest.raises(NetworkError, match="drains to no reach"):
        TrainingRun(case)


@pytest.mark.parametrize(
    "process", [pytest.param("muskingum_cunge", marks=pytest.mark.long), "linear"]
)
def test_reaches_are_learned_and_runs_take_them(case, process):
    """Flow of rivers three times as slow is learned; a run has the flow that was validated."""
    folder = case.parent
    rows = pandas.read_csv(folder / "rivers.csv", dtype={"gauge": str})
    rows["length"] = 40000.0
    rows.to_csv(folder / "rivers.csv", index=False)
    slow = rows.assign(
        manning_n=3.0 * rows["manning_n"],
        floodplain_manning_n=3.0 * rows["floodplain_manning_n"],
        celerity=rows["celerity"] / 3.0,
    )
    slow.to_csv(folder / "slow.csv", index=False)
    config = folder / "case" / "config.yaml"
    text, keys = config.read_text(), f"process: {process}, routing_step: 6h"
    config.write_text(f"{text}network: {{file: ../slow.csv, {keys}, output: ../slow.nc}}\n")
    run_config(config, folder / "runoff.nc")
    changed(case, "observed.nc", "slow.nc")
    changed(case, "routing_step: 6h", f"{keys}, learn: true")
    changed(case, "batches: 12", "batches: 60")
    path = TrainingRun(case).run(progress)
    trained = ReachNetwork.load(path.with_name("reaches.safetensors"))
    assert trained.process == process
    assert np.abs(trained.weights["out.weight"]).max() > 0.0
    text = text.replace("model: default", f"model: {path}")
    keys += f", learned: {path.with_name('reaches.safetensors')}"
    config.write_text(f"{text}network: {{file: ../rivers.csv, {keys}, output: ../ours.nc}}\n")
    run_config(config, folder / "runoff.nc")
    flows = {}
    for which in ("ours", "slow"):
        with xarray.open_dataset(folder / f"{which}.nc") as results:
            flows[which] = results[FLOW].values[-455:]
    skill = np.median(nse(flows["ours"], flows["slow"]))
    run = TrainingRun(case)
    scores = run._trainer(0).progress.scores
    assert skill == pytest.approx(max(score for _, score in scores), abs=0.02)


@pytest.mark.parametrize(
    "process", ["muskingum_cunge", pytest.param("linear", marks=pytest.mark.long)]
)
def test_what_is_learned_of_reaches_is_how_slow_they_are(case, process):
    """Given the runoff, the network of reaches alone finds flow that is three times as slow."""
    folder = case.parent
    rows = pandas.read_csv(folder / "rivers.csv", dtype={"gauge": str})
    # Wide channels, whose banks are not topped: there flow jumps with the depth.
    wide = {name: 5.0 * rows[name] for name in rows if name.endswith("width")}
    rows.assign(length=4000.0, slope=1e-3, **wide).to_csv(folder / "rivers.csv", index=False)
    changed(case, "routing_step: 6h", f"process: {process}, routing_step: 1h, learn: true")
    data = TrainingRun(case).learned
    stations, river = stations_of(data), data.gauged
    random = np.random.default_rng(0)
    runoff = torch.as_tensor(random.gamma(3.0, 0.8, (200, 5)).astype(np.float32))
    slow = dict(river.network.parameters)
    slow["celerity"] = slow["celerity"] / 3.0
    for name in ("manning_n", "floodplain_manning_n"):
        slow[name] = 3.0 * slow[name]
    truth = dataclasses.replace(
        data,
        gauged=dataclasses.replace(
            river, network=dataclasses.replace(river.network, parameters=slow)
        ),
    )
    every = np.arange(2), np.arange(5)
    flow = stations_of(truth).flow(runoff, *every, {})
    weights = {
        name: torch.tensor(values, dtype=torch.float32)
        for name, values in river.initial_weights(0).items()
    }
    learned = [w.requires_grad_() for name, w in weights.items() if name not in FIXED]
    optimiser, losses = torch.optim.Adam(learned, lr=0.03), []
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 70)
    for _ in range(70):
        optimiser.zero_grad()
        loss = ((stations.flow(runoff, *every, weights) - flow) ** 2).mean()
        loss.backward()
        optimiser.step()
        slower.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.15 * losses[0]
    with torch.no_grad():
        arrays = {name: value.numpy() for name, value in weights.items()}
    names = river.reach_process.parameter_names
    upstream = river.network.upstream_length
    before = river.network.parameters_of(river.reach_process)
    after = river.learned(arrays).changed(names, before, upstream, "a test")
    name, power = ("celerity", -1.0) if process == "linear" else ("manning_n", 1.0)
    factor = (after[names.index(name)] / before[names.index(name)]) ** power
    assert 2.0 < np.median(factor) < 4.0


def test_a_network_of_reaches_of_another_model(tmp_path):
    network = made_up(9, 1)
    rows = network.parameters_of(LINEAR)
    found = initial(LINEAR.parameter_names, rows, network.upstream_length, 0)
    path = tmp_path / "reaches.safetensors"
    ReachNetwork("linear", found).save(path)
    same = with_learned(network, "linear", str(path))
    np.testing.assert_allclose(same.parameters["celerity"], network.parameters["celerity"])
    with pytest.raises(CheckpointError, match="is for linear, whose reaches differ"):
        with_learned(network, "muskingum_cunge", str(path))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        with_learned(network, "linear", str(path))
    with pytest.raises(CheckpointError, match="cannot be read"):
        with_learned(network, "linear", str(tmp_path / "gone"))
