import numpy as np
import pytest

from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks import trained_model
from bmi_dhydro.physics import HBV
from tests.conftest import random_routing
from tests.model.conftest import forcing, make


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step_seconds", [86400, 3600])
@pytest.mark.parametrize("routed", [True, False])
def test_stepping_equals_the_block_bit_for_bit(dtype, step_seconds, routed):
    weather = forcing(240, per_day=86400 // step_seconds).astype(dtype)
    options = {"dtype": dtype, "step_seconds": step_seconds, "routed": routed}
    together, stepped = make(**options), make(**options)
    block = together.run(weather)
    for k, row in enumerate(weather):
        assert np.array_equal(stepped.step(row), block[k])
    assert np.array_equal(stepped.state, together.state)
    assert np.array_equal(stepped.pending, together.pending)
    assert stepped.steps == 240


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("step_seconds", [86400, 21600])
def test_water_balance_over_forty_years_of_real_weather(mopex, dtype, tolerance, step_seconds):
    data = mopex.catchments(np.arange(0, 322, 23)).climate_of("1948-10-01", "1988-09-30")
    assert_water_closes(data, ("1948-10-01", "1988-09-30"), dtype, tolerance, step_seconds)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("step_seconds", [86400, 3600])
def test_water_balance_of_few_real_catchments(few_real, dtype, tolerance, step_seconds):
    assert_water_closes(few_real, ("1958-10-01", "1970-09-30"), dtype, tolerance, step_seconds)


def assert_water_closes(data, period, dtype, tolerance, step_seconds):
    per_day = 86400 // step_seconds
    days = data.between(*period)
    weather = np.repeat(data.forcing[days], per_day, axis=0).astype(dtype)
    weather[:, [0, 2]] /= per_day
    trained = trained_model.load()
    model = Model(
        HBV,
        *trained.parameters(data.attributes),
        data.attributes["area"],
        execution=Execution(dtype=dtype),
        step_seconds=step_seconds,
        outputs=("evapotranspiration", "discharge"),
    )
    before = model.stored()
    results = model.run(weather).astype(float)
    fallen = weather[:, 0].sum(axis=0, dtype=float)
    left = results.sum(axis=(0, 1))
    error = np.abs(fallen - left - (model.stored() - before)) / fallen
    assert error.max() < tolerance


def test_all_fluxes_and_stores_are_available_and_add_up():
    model = make()
    weather = forcing(500)
    before = model.stored()
    results = dict(zip(model.outputs, model.run(weather).transpose(1, 0, 2), strict=True))
    assert np.allclose(results["rain"] + results["snowfall"], weather[:, 0])
    parts = results["surface_runoff"] + results["interflow"] + results["baseflow"]
    assert np.allclose(parts, results["runoff"])
    stores = (
        results["snow_water_equivalent"]
        + results["soil_moisture"]
        + results["groundwater"]
        + results["routing_store"]
    )
    assert np.allclose(stores[-1], model.stored())
    change = np.diff(np.vstack([before, stores]), axis=0)
    balance = weather[:, 0] - results["evapotranspiration"] - results["discharge"] - change
    assert np.abs(balance).max() < 1e-10
    assert np.allclose(results["groundwater"], results["upper_zone"] + results["lower_zone"])


@pytest.mark.parametrize("step_seconds", [3600, 21600, 900])
def test_short_steps_drain_a_store_as_daily_ones(step_seconds):
    def drained(seconds):
        model = make(step_seconds=seconds)
        for name in ("C", "PERC"):
            model.set_parameter(name, 0.0)
        model.state[:] = 0.0
        model.state[4] = 100.0
        per_day = 86400 // seconds
        weather = np.zeros((30 * per_day, 3, 4))
        weather[:, 1] = 20.0
        flow = model.run(weather)[:, model.outputs.index("baseflow")]
        return flow.reshape(30, per_day, 4).sum(axis=1), model.state[4].copy()

    daily, short = drained(86400), drained(step_seconds)
    np.testing.assert_allclose(short[0], daily[0], rtol=1e-12)
    np.testing.assert_allclose(short[1], daily[1], rtol=1e-12)


def test_hours_melt_and_refreeze_what_a_day_does():
    def snow(seconds):
        model = make(step_seconds=seconds)
        model.state[:] = 0.0
        model.state[0] = 300.0
        per_day = 86400 // seconds
        weather = np.zeros((12 * per_day, 3, 4))
        weather[: 8 * per_day, 1] = 6.0
        weather[8 * per_day :, 1] = -6.0
        rows = model.run(weather).reshape(12, per_day, len(model.outputs), 4)
        names = ("melt", "refreezing", "snow_water_equivalent")
        melt, refreezing, store = (rows[:, :, model.outputs.index(name)] for name in names)
        return melt.sum(axis=1), refreezing.sum(axis=1), store[:, -1]

    for hourly, daily in zip(snow(3600), snow(86400), strict=True):
        np.testing.assert_allclose(hourly, daily, rtol=1e-9, atol=1e-9)


def test_hours_under_steady_weather_come_to_the_same_water_balance():
    def steady(seconds):
        model = make(step_seconds=seconds)
        per_day = 86400 // seconds
        weather = np.zeros((4000 * per_day, 3, 4))
        weather[:, 0], weather[:, 1], weather[:, 2] = 5.0 / per_day, 12.0, 2.0 / per_day
        rows = model.run(weather)[-per_day:].sum(axis=0)
        return [rows[model.outputs.index(name)] for name in ("discharge", "evapotranspiration")]

    for hourly, daily in zip(steady(3600), steady(86400), strict=True):
        np.testing.assert_allclose(hourly, daily, rtol=0.01)


def test_hours_give_the_flow_of_days_on_few_real_catchments(few_real):
    assert_hours_give_the_flow_of_days(few_real.period("1960-10-01", "1968-09-30"))


def test_hours_give_the_flow_of_days_on_real_catchments(mopex):
    data = mopex.catchments(~mopex.flagged).catchments(slice(None, None, 12))
    assert_hours_give_the_flow_of_days(data.period("1960-10-01", "1968-09-30"))


def assert_hours_give_the_flow_of_days(data):
    """Parameters are daily; the weather of a day is spread over its hours."""
    parameters = trained_model.load().parameters(data.attributes)

    def flow(per_day):
        model = Model(
            HBV,
            *parameters,
            data.attributes["area"],
            step_seconds=86400 // per_day,
            outputs=("discharge",),
        )
        weather = np.repeat(data.forcing.astype(float), per_day, axis=0)
        weather[:, [0, 2]] /= per_day
        daily = model.run(weather).reshape(len(data.dates), per_day, -1).sum(axis=1)
        return daily[730:]

    daily, hourly = flow(1), flow(24)
    mean = daily.mean(axis=0)
    total = hourly.mean(axis=0) / mean - 1.0
    assert np.abs(total).max() < 0.015
    # The fast stores of the model that is shipped drain by 0.5 % more within a day.
    assert np.abs(np.median(total)) < 0.006
    apart = np.abs(hourly - daily).mean(axis=0) / mean
    assert np.median(apart) < 0.015
    assert np.mean(apart < 0.02) > 0.85


def test_changing_a_parameter_rescales_it_and_loses_no_water():
    weather = forcing(400, per_day=24)
    model = make(step_seconds=3600)
    before = model.stored()
    first = model.run(weather[:200])
    model.set_parameter("route_delay", 5.0)
    model.set_parameter("K1", np.full((1, 8), 0.2), np.array([2]))
    assert (model.parameters["K1"][2] == 0.2).all()
    assert (model.parameters["K1"][1] != 0.2).all()
    second = model.run(weather[200:])
    out = [model.outputs.index(name) for name in ("discharge", "evapotranspiration")]
    left = sum(part[:, out].sum(axis=(0, 1)) for part in (first, second))
    assert weather[:, 0].sum(axis=0) - left == pytest.approx(model.stored() - before, abs=1e-9)


def test_parameters_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        make().parameters["BETA"][:] = 1.0


def test_bad_arguments():
    with pytest.raises(ValueError, match="7000 s does not divide a day"):
        make(step_seconds=7000)
    with pytest.raises(ValueError, match="output 'snow' is unknown; known: snowpack"):
        make(outputs=("snow",))
    with pytest.raises(ValueError, match=r"expected \(steps, 3, 4\)"):
        make().run(np.zeros((5, 3, 3)))
    with pytest.raises(ValueError, match="has 14 parameters, but values of 3"):
        Model(HBV, np.zeros((3, 1, 1)), random_routing(1), [1.0])


def test_unit_hydrographs_end_where_nothing_more_comes():
    """Kernels stop there; what is on its way longer, because parameters changed, is not lost."""
    model, whole = make(4, step_seconds=3600), make(4, step_seconds=3600)
    for other in (model, whole):
        other.set_parameter("route_delay", np.array([0.1, 0.4, 6.0, 2.0]))
    weights = model.ring.weights
    assert (weights[0] != 0).sum() < 100 < 300 < (weights[2] != 0).sum()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-15)
    weather = forcing(60, 4, per_day=24)
    model.run(weather[:300])
    before, pending = model.stored(), model.pending
    model.set_parameter("route_delay", 0.1)
    dry = weather[300:700].copy()
    dry[:, 0] = 0.0
    rows = model.run(dry)
    left = rows[:, [model.outputs.index(n) for n in ("discharge", "evapotranspiration")]]
    np.testing.assert_allclose(before - model.stored(), left.sum(axis=(0, 1)), atol=1e-9)
    # A state that is set from outside is as far as it reaches.
    whole.set_parameter("route_delay", 0.1)
    whole.pending = pending
    whole.state[...] = 0.0
    flow = whole.run(np.zeros((400, 3, 4)))[:, whole.outputs.index("discharge")]
    np.testing.assert_allclose(flow.sum(axis=0), pending.sum(axis=1), rtol=1e-12)
