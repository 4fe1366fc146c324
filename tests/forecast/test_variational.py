"""Variational assimilation: exact slopes, a better fit, and water that is accounted for."""

import msgspec
import numpy as np
import pytest
import torch
import xarray

from bmi_dhydro.forecast.chain import complete_catchments
from bmi_dhydro.forecast.config import AssimilationConfig, read_forecast_config
from bmi_dhydro.forecast.cycle import Forecaster
from bmi_dhydro.forecast.variational import Window
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.forecast.conftest import changed
from tests.model.conftest import forcing, make

# Controls that may move far, and observations that can be trusted.
SETTINGS = AssimilationConfig(window="6d", stores=0.3, precipitation=0.4)


def warm(catchments=4, step_seconds=86400, **options):
    model = make(catchments, step_seconds=step_seconds, **options)
    per_day = 86400 // step_seconds
    model.run(forcing(200 * per_day, catchments, per_day=per_day))
    return model


def window(model, seed=5, noise=0.5, settings=SETTINGS, gap=None):
    """Six days that are observed with the wrong precipitation."""
    per_day = 86400 // model.step_seconds
    weather = forcing(6 * per_day, model.catchments, per_day=per_day, seed=seed)
    truth = weather.copy()
    random = np.random.default_rng(seed)
    factor = np.exp(noise * random.normal(size=(6, model.catchments)))
    truth[:, 0] *= np.repeat(factor, per_day, axis=0)
    snapshot = model.snapshot()
    flow = model.run(truth)[:, model.outputs.index("discharge")]
    model.restore(snapshot)
    observed = flow.reshape(6, per_day, -1).sum(axis=1).astype(float)
    if gap is not None:
        observed[gap] = np.nan
    deviation = 0.1 * np.nan_to_num(observed) + 0.02
    return Window(model, weather, observed, 0, per_day, deviation, settings), observed


@pytest.mark.parametrize("step_seconds", [86400, 21600])
def test_slopes_agree_with_differences(step_seconds):
    ours, _ = window(warm(step_seconds=step_seconds))
    random = np.random.default_rng(0)
    controls = random.normal(0.0, 0.3, (4, ours.controls))
    flow, slopes = ours.linearised(controls)
    assert slopes.shape == (4, 6, ours.controls)
    for k in range(ours.controls):
        step = np.zeros_like(controls)
        step[:, k] = 1e-5
        with torch.no_grad():
            up, down = (
                ours.flow(torch.as_tensor(controls + sign * step), 1).numpy() for sign in (1, -1)
            )
        np.testing.assert_allclose(slopes[:, :, k].T, (up - down) / 2e-5, rtol=1e-4, atol=1e-7)
    with torch.no_grad():
        np.testing.assert_allclose(flow, ours.flow(torch.as_tensor(controls), 1).numpy())


def test_the_flow_of_no_correction_is_that_of_the_model():
    for step_seconds in (86400, 21600):
        model = warm(step_seconds=step_seconds)
        ours, _ = window(model)
        per_day = 86400 // step_seconds
        weather = forcing(6 * per_day, 4, per_day=per_day, seed=5)
        with torch.no_grad():
            flow = ours.flow(torch.zeros((4, ours.controls), dtype=torch.float64), 1).numpy()
        rows = model.run(weather)[:, model.outputs.index("discharge")]
        np.testing.assert_allclose(flow, rows.reshape(6, per_day, 4).sum(axis=1), rtol=1e-9)


def test_it_finds_a_minimum_and_fits():
    ours, _ = window(warm(), settings=msgspec.structs.replace(SETTINGS, iterations=30))
    found = ours.correct()
    assert (found.misfit_after < 0.7 * found.misfit_before).all()
    assert found.misfit_after.sum() < 0.2 * found.misfit_before.sum()
    assert found.used == 24
    assert np.abs(np.log(found.stores)).max() <= 0.3 * 3.0
    assert np.abs(np.log(found.precipitation)).max() <= 0.4 * 3.0
    # What is left is the prior: at the minimum the slope of the whole is zero.
    few = window(warm())[0].correct()
    np.testing.assert_allclose(few.misfit_after, found.misfit_after, rtol=0.05)


def test_a_catchment_without_observations_stays_as_it_is():
    ours, _ = window(warm(), gap=(slice(None), 2))
    found = ours.correct()
    assert (found.stores[:, 2] == 1.0).all()
    assert (found.precipitation[:, 2] == 1.0).all()
    assert (found.stores[:, 1] != 1.0).any()
    assert found.used == 18


def test_an_impossible_observation_is_left_out():
    model = warm()
    ours, observed = window(model, noise=0.0)
    observed[3, 1] = 900.0
    ours._deviation[3, 1] = 1.0
    found = ours.correct()
    assert found.left_out == 1
    assert np.abs(np.log(found.stores[:, 1])).max() < 0.05


@pytest.mark.parametrize("catchments", [37])
def test_a_catchment_is_the_same_alone_and_among_others(catchments):
    whole = window(warm(catchments))[0].correct()
    model = warm(catchments)
    snapshot = model.snapshot()
    chosen = np.array([3, 17, 36])
    part = make(catchments)
    part = type(part)(
        model.process,
        np.stack([model.parameters[n][chosen] for n in model.process.parameter_names]),
        np.stack([model.parameters[n][chosen] for n in list(model.parameters)[-3:]]),
        model.area[chosen],
    )
    part.restore({"state": snapshot["state"][:, chosen], "pending": snapshot["pending"][chosen]})
    ours, _ = window(model)
    few = Window(
        part,
        ours._forcing.numpy()[:, :, chosen],
        ours._observed[:, chosen],
        0,
        1,
        ours._deviation[:, chosen],
        SETTINGS,
    ).correct()
    assert np.array_equal(few.stores, whole.stores[:, chosen])
    assert np.array_equal(few.precipitation, whole.precipitation[:, chosen])


def forecaster(path):
    config = read_forecast_config(path)
    return config, Forecaster(config, complete_catchments(config, config.start_time))


def test_water_that_is_added_is_accounted_for(wrong_case):
    wrong_case.write_text(wrong_case.read_text() + "assimilation: {window: 6d}\n")
    _, ours = forecaster(wrong_case)
    start, time = (np.datetime64(text, "s") for text in ("2001-02-23", "2001-03-01"))
    before = ours.forecast(start, None).analysis.state
    analysis = ours.forecast(time, before).analysis
    weather = ours._read(ours.past, start, time)
    stored = [
        state.arrays["state"].sum(axis=0, dtype=float).mean(axis=1)
        + state.arrays["pending"].sum(axis=1, dtype=float)
        for state in (before, analysis.state)
    ]
    # What came in and was added is stored or has left; what has left is found by running again.
    model = ours._analysis_model
    assert np.abs(analysis.added).max() > 0.1
    model.restore(analysis.state.arrays)
    gained = stored[1] - stored[0]
    left = weather[:, 0].sum(axis=0) + analysis.added - gained
    assert (left > 0.0).all()
    assert (left < weather[:, 0].sum(axis=0) + analysis.added + stored[0]).all()


def errors(path, times):
    config, ours = forecaster(path)
    with xarray.open_dataset(path.parent / "observed.nc") as run:
        truth = run[RUNOFF_FLUX].load() * 24.0
    states, found = {}, []
    for time in times:
        latest = config.latest_state(time)
        early = [when for when in states if when <= latest]
        forecast = ours.forecast(time, states[max(early)] if early else None)
        states[time] = forecast.analysis.state
        days = time + np.arange(3) * np.timedelta64(1, "D")
        found.append(forecast.flow.mean(axis=1) - truth.sel(time=days).values)
    return np.sqrt(np.mean(np.square(found), axis=(0, 2)))


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_it_lowers_errors_that_come_from_wrong_weather_of_the_past(wrong_case, decay):
    """The future's weather is as wrong as the past's; what is corrected are the stores."""
    times = np.datetime64("2001-02-01", "s") + np.arange(60) * np.timedelta64(1, "D")
    text = wrong_case.read_text()
    without = errors(wrong_case, times)
    trust = "stores: 0.3, precipitation: 0.5, error: 0.1, floor: 0.05"
    wrong_case.write_text(text + f"assimilation: {{{trust}, decay: {decay}}}\n")
    with_it = errors(wrong_case, times)
    assert with_it[0] < 0.7 * without[0]
    assert with_it[2] < 0.95 * without[2]


def test_observations_in_other_units_and_with_gaps(wrong_case, tmp_path):
    """Volumes per second and gaps give what depths do; negative ones and strangers are left out."""
    wrong_case.write_text(wrong_case.read_text() + "assimilation: {window: 5d}\n")
    time = np.datetime64("2001-03-01", "s")
    expected = forecaster(wrong_case)[1].forecast(time, None)
    name = "channel_exit_water_x-section__volume_flow_rate"
    changed(wrong_case, f"variable: {RUNOFF_FLUX}", f"variable: {name}")
    found = forecaster(wrong_case)[1].forecast(time, None)
    np.testing.assert_allclose(found.flow, expected.flow, rtol=1e-4)
    import netCDF4

    with netCDF4.Dataset(tmp_path / "observed.nc", "a") as data:
        data[name][:, 1] = np.nan
        data[name][149:151, 2] = -5.0
    found = forecaster(wrong_case)[1].forecast(time, None)
    assert expected.analysis.used - found.analysis.used == 5 + 2
    assert (found.analysis.added[1], found.analysis.unexplained[1]) == (0.0, 0.0)


def test_drift_follows_what_is_always_missing(wrong_case, tmp_path):
    """Flow that is always a fifth higher than simulated: the mean difference goes that way."""
    import netCDF4

    with netCDF4.Dataset(tmp_path / "observed.nc", "a") as data:
        data[RUNOFF_FLUX][:] = 1.2 * data[RUNOFF_FLUX][:] + 0.02
    changed(wrong_case, "file: wrong.nc", "file: weather.nc")
    text = (
        wrong_case.read_text() + "assimilation: {stores: 0.000001, precipitation: 0.000001, %s}\n"
    )
    days = np.datetime64("2001-01-01", "s") + np.arange(60) * np.timedelta64(1, "D")
    found = {}
    for name, settings in (("with", "drift: 1.0"), ("without", "drift: 0.0")):
        wrong_case.write_text(text % settings)
        config, ours = forecaster(wrong_case)
        states = {}
        for time in days:
            early = [when for when in states if when <= config.latest_state(time)]
            forecast = ours.forecast(time, states[max(early)] if early else None)
            states[time] = forecast.analysis.state
        found[name] = forecast
    assert (found["with"].analysis.drift > 0.4).all()
    flow = {name: forecast.flow[-1, 0] for name, forecast in found.items()}
    assert (flow["with"] > flow["without"] + 0.2).all()
    # It is part of the state, and of the file.
    assert found["with"].analysis.state.more["drift"].shape == (1, 5)


@pytest.mark.parametrize("method", ["variational", "ensemble_filter"])
def test_without_observations_in_reach_nothing_is_corrected(wrong_case, tmp_path, method):
    """Observations that ended long ago, and then none but gaps."""
    import netCDF4

    noise = "ensemble: {members: 3, weather: {temperature: {spread: 0.5}}}\n"
    text = wrong_case.read_text() + noise
    wrong_case.write_text(text)
    time = np.datetime64("2001-03-01", "s")
    expected = forecaster(wrong_case)[1].forecast(time, None)
    with xarray.open_dataset(tmp_path / "observed.nc") as data:
        early = data.isel(time=slice(0, 30)).load()
    wrong_case.write_text(text + f"assimilation: {{method: {method}}}\n")
    with netCDF4.Dataset(tmp_path / "observed.nc", "a") as data:
        data[RUNOFF_FLUX][:] = np.nan
    found = forecaster(wrong_case)[1].forecast(time, None)
    assert found.analysis.used == 0
    assert (found.analysis.added == 0.0).all()
    if method == "ensemble_filter":
        np.testing.assert_array_equal(found.flow, expected.flow)
    (tmp_path / "observed.nc").unlink()
    early.to_netcdf(tmp_path / "observed.nc")
    if method == "variational":
        found = forecaster(wrong_case)[1].forecast(time, None)
        assert found.analysis.used == 0
