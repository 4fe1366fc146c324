"""Chains whose forecasts are for gauges of the rivers that catchments drain to."""

import numpy as np
import pandas
import pytest
import torch
import xarray

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.errors import CatchmentError, ConfigError, NetworkError
from bmi_dhydro.forecast import hindcast as hindcasts
from bmi_dhydro.forecast.chain import complete_catchments
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.forecast.cycle import Forecaster
from bmi_dhydro.forecast.division import divided_among
from bmi_dhydro.forecast.gauged_window import _Basin
from bmi_dhydro.io import state_file
from bmi_dhydro.physics import HBV
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.run.workers import here
from bmi_dhydro.variables import FLOW, RUNOFF_FLUX
from tests.forecast.conftest import CONFIG, DAYS, NOISE, chain, changed, day, made_worse
from tests.forecast.test_chain import contents, same
from tests.river.conftest import made_up

NETWORK = "network: {file: rivers.csv, routing_step: 2h}\n"
OBSERVED = f"observed: {{file: observed.nc, variable: {FLOW}}}\n"
TRUST = "stores: 0.3, precipitation: 0.5, error: 0.1, floor: 0.05"
UPPER, LOWER, OTHER = "0001", "0002", "0003"

pytestmark = pytest.mark.filterwarnings(
    "ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"
)


def write_rivers(folder, copies=1):
    """Two rivers: of five catchments with two gauges, and of two with one; and copies of both."""
    parameters = {k: v[:7] for k, v in made_up(14, width=20.0).parameters.items()}
    tables = []
    for copy in range(copies):
        rows = pandas.DataFrame({"id": range(1, 8), "to": [3, 3, 4, 5, 0, 7, 0], **parameters})
        rows["length"] = 3000.0
        rows["catchment"] = [f"cat-{7 * copy + k + 1}" for k in range(7)]
        rows["gauge"] = ["", "", UPPER, "", LOWER, "", OTHER]
        if copy:
            rows["gauge"] = np.where(rows["gauge"] == "", "", rows["gauge"] + f"-{copy}")
            rows["to"] = np.where(rows["to"] == 0, 0, rows["to"] + 100 * copy)
            rows["id"] += 100 * copy
        tables.append(rows)
    pandas.concat(tables).to_csv(folder / "rivers.csv", index=False)


def write_case(folder, step="1d", days=400, copies=1):
    """A chain with perfect weather; `observed.nc` is what a run of the same says at gauges."""
    write_example(folder, 7 * copies, days, step, "file")
    write_rivers(folder, copies)
    config = folder / "config.yaml"
    network = NETWORK.replace("rivers.csv", "rivers.csv, output: observed.nc")
    config.write_text(config.read_text() + network)
    run_config(config, folder / "runoff.nc")
    path = folder / "chain.yaml"
    path.write_text(CONFIG.format(step=step) + NETWORK + OBSERVED)
    return path


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path)


def wrong(case):
    made_worse(case.parent / "weather.nc", case.parent / "wrong.nc")
    return changed(case, "file: weather.nc", "file: wrong.nc")


def depths(folder):
    """Observed flow in mm per day over what drains to the gauges."""
    with xarray.open_dataset(folder / "observed.nc") as data:
        return (data[FLOW] * (86.4 / data["area"])).load()


def mean_rain(folder, time, step):
    """Return precipitation in mm d-1 over what drains to the gauges: the mean by area."""
    with xarray.open_dataset(folder / "runoff.nc") as data:
        rain = data["precipitation"].sel(time=time) * {"1d": 1, "6h": 4}[step]
        upstream = ([0, 1, 2], [0, 1, 2, 3, 4], [5, 6])
        parts = [rain.isel(station=own).weighted(data["area"][own]) for own in upstream]
        return np.stack([part.mean("station").values for part in parts], axis=1)


@pytest.mark.parametrize("step", ["1d", "6h"])
def test_a_chain_forecasts_what_an_uninterrupted_run_routes(tmp_path, step):
    """Each forecast begins with the states of catchments and rivers that the last has left."""
    ours = chain(write_case(tmp_path, step, 200))
    truth = depths(tmp_path)
    for time in DAYS:
        with xarray.open_dataset(ours.run(time)) as data:
            assert data["station_id"].values.tolist() == [UPPER, LOWER, OTHER]
            flow = data[RUNOFF_FLUX].values[:, 0] * 24.0
            np.testing.assert_allclose(flow, truth.sel(time=data["time"]).values, rtol=1e-5)
            # Rain over all that drains to a gauge.
            rain = data["precipitation"].values.astype(float) * 24.0
            np.testing.assert_allclose(rain, mean_rain(tmp_path, data["time"], step), rtol=1e-4)
            volume = data[f"{FLOW}_quantile"].values[:, 1]
            np.testing.assert_allclose(volume, flow * data["area"].values / 86.4, rtol=1e-5)
    saved = state_file.read(tmp_path / "chain" / "states" / "2001-03-05T00.nc", HBV.state_names)
    assert (saved.river["storage"] > 0.0).all()


def errors(path, times):
    config = read_forecast_config(path)
    ours = Forecaster(config, complete_catchments(config, config.start_time))
    truth, states, found = depths(path.parent), {}, []
    for time in times:
        early = [when for when in states if when <= config.latest_state(time)]
        forecast = ours.forecast(time, states[max(early)] if early else None)
        states[time] = forecast.analysis.state
        days = time + np.arange(3) * np.timedelta64(1, "D")
        found.append(forecast.flow.mean(axis=1) - truth.sel(time=days).values)
    ours.close()
    return np.sqrt(np.mean(np.square(found), axis=(0, 2))), forecast.analysis


# The filter moves stores alone, which say less of the days after where parameters move.
@pytest.mark.parametrize(
    ("method", "model"), [("variational", "default"), ("ensemble_filter", "fast")]
)
def test_flow_at_gauges_corrects_the_catchments_upstream(case, method, model):
    days = 18 if method == "variational" else 40
    times = np.datetime64("2001-02-01", "s") + np.arange(days) * np.timedelta64(1, "D")
    text = wrong(case).read_text() + f"model: {model}\n"
    if method == "ensemble_filter":
        noise = "{members: 12, weather: {precipitation: {spread: 0.6, hours: 150}}}"
        text += f"ensemble: {noise}\n"
        case.write_text(text)
    without, _ = errors(case, times)
    wanted = f"method: {method}, {TRUST}, decay: 0.0, drift: 0.0"
    case.write_text(text + f"assimilation: {{{wanted}}}\n")
    with_it, analysis = errors(case, times)
    assert with_it[0] < 0.8 * without[0]
    assert with_it[2] < 0.95 * without[2]
    assert analysis.used > 0
    assert analysis.added.shape == (3,)
    assert np.abs(analysis.added).max() > 0.0


@pytest.mark.parametrize(
    "more",
    [
        "",
        pytest.param("assimilation: {window: 3d}\n", marks=pytest.mark.long),
        "dtype: float32\nmodel: fast\nassimilation: {window: 3d}\n",
        pytest.param(NOISE + "assimilation: {window: 3d}\n", marks=pytest.mark.long),
        NOISE + "assimilation: {method: ensemble_filter}\n",
    ],
)
def test_a_hindcast_is_what_the_chain_says(case, more):
    wrong(case)
    case.write_text(case.read_text() + more)
    config = read_forecast_config(case)
    times = day("2001-03-01") + np.arange(3) * np.timedelta64(1, "D")
    result = hindcasts.hindcast(config, complete_catchments(config, times[0]), times)
    assert result.ids.tolist() == [UPPER, LOWER, OTHER]
    ours = chain(case)
    for k, time in enumerate(times):
        with xarray.open_dataset(ours.run(time)) as data:
            flow = data[RUNOFF_FLUX].values * 24.0
        np.testing.assert_allclose(result.flow[hindcasts.FORECAST][k], flow, rtol=1e-5, atol=1e-6)
    truth = depths(case.parent)
    np.testing.assert_allclose(result.observed[:, 0], truth.sel(time=times).values, rtol=1e-5)
    scores = hindcasts.scores(result)
    assert set(scores["catchment"]) == {UPPER, LOWER, OTHER}


@pytest.mark.parametrize("method", ["variational", "ensemble_filter"])
def test_rivers_divided_are_those_of_one_process(tmp_path, method):
    """To the last bit, also where a share of the catchments has no gauge."""
    case = write_case(tmp_path, days=200, copies=6)
    rows = pandas.read_csv(tmp_path / "rivers.csv", dtype={"gauge": str}, keep_default_na=False)
    rows.loc[rows["id"] > 400, "gauge"] = ""
    rows.to_csv(tmp_path / "rivers.csv", index=False)
    wrong(case)
    text = case.read_text() + NOISE + f"assimilation: {{method: {method}, window: 3d}}\n"
    for folder in ("one", "two"):
        case.write_text(text.replace("folder: chain", f"folder: {folder}"))
        ours = chain(case)
        for time in DAYS[:3]:
            ours.run(time) if folder == "one" else ours.run(time, divided_among(here, 2))
    one, two = (contents(tmp_path / folder) for folder in ("one", "two"))
    for name in one:
        for attributes, arrays in (one[name], two[name]):
            attributes.pop("digest", None)
            if "river_ids" in arrays:
                order = np.argsort(arrays["river_ids"].tobytes().split(b"\n"))
                for key in ("flow", "depth", "storage", "remainder"):
                    arrays[f"river_{key}"] = arrays[f"river_{key}"][order]
                arrays.pop("river_ids")
                places = np.argsort(arrays["river_places"].tobytes().split(b"\n"))
                arrays["river_drift"] = arrays["river_drift"][places]
                arrays.pop("river_places")
    same(two, one)


def test_gradients_of_the_misfit_agree_with_differences(case):
    case.write_text(wrong(case).read_text() + f"assimilation: {{{TRUST}, window: 3d}}\n")
    config = read_forecast_config(case)
    ours = Forecaster(config, complete_catchments(config, config.start_time))
    ours.forecast(day("2001-03-01"), None)
    basins = []
    flow = _Basin.flow

    def kept(self, controls, copies=1):
        basins.append(self)
        return flow(self, controls, copies)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_Basin, "flow", kept)
        ours.forecast(day("2001-03-02"), None)
    basin = max(basins, key=lambda one: len(one._names))
    assert basin._names == [UPPER, LOWER]
    random = np.random.default_rng(0)
    controls = torch.as_tensor(random.normal(0.0, 0.3, (2, basin.controls))).requires_grad_()
    weights = torch.as_tensor(random.normal(size=(3, 2)))
    (slopes,) = torch.autograd.grad((weights * basin.flow(controls)).sum(), controls)
    for k in range(basin.controls):
        for gauge in range(2):
            moved = []
            for sign in (1.0, -1.0):
                with torch.no_grad():
                    other = controls.clone()
                    other[gauge, k] += sign * 1e-4
                    moved.append((weights * basin.flow(other)).sum().item())
            difference = (moved[0] - moved[1]) / 2e-4
            assert slopes[gauge, k].item() == pytest.approx(difference, rel=1e-3, abs=1e-6)
    ours.close()


def test_a_gauge_without_observations_leaves_its_catchments(case):
    case.write_text(wrong(case).read_text() + f"assimilation: {{{TRUST}}}\n")
    with xarray.open_dataset(case.parent / "observed.nc") as data:
        flow = data.load()
    flow[FLOW][:, 2] = np.nan
    flow.to_netcdf(case.parent / "gaps.nc")
    changed(case, "file: observed.nc", "file: gaps.nc")
    config = read_forecast_config(case)
    ours = Forecaster(config, complete_catchments(config, config.start_time))
    analysis = ours.forecast(day("2001-03-01"), None).analysis
    assert analysis.used == 2 * 5
    assert (np.abs(analysis.added[:2]) > 0.0).all()
    assert (analysis.added[2], analysis.unexplained[2], analysis.drift[2]) == (0.0, 0.0, 0.0)
    ours.close()


def test_bad_input_and_pictures(case):
    text = case.read_text()
    case.write_text(text + f"plots: ['{LOWER}']\n")
    path = chain(case).run(DAYS[0])
    assert path.with_name(f"{path.stem}_{LOWER}.png").stat().st_size > 5000
    case.write_text(text.replace("chain", "other") + "plots: [cat-1]\n")
    with pytest.raises(CatchmentError, match="plots: there is no gauge or reach cat-1"):
        chain(case).run(DAYS[0])
    case.write_text(text.replace("routing_step: 2h", "routing_step: 0h"))
    with pytest.raises(ConfigError, match="network.routing_step"):
        chain(case)
    case.write_text(text.replace("routing_step: 2h", "at: [nowhere]"))
    with pytest.raises(NetworkError, match="nowhere is neither a reach nor a gauge"):
        chain(case).run(DAYS[1])
