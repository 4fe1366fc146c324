"""Potential evapotranspiration of another method than the model learned with."""

import dataclasses
import logging

import msgspec
import netCDF4
import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError, ForcingError
from bmi_dhydro.forecast.chain import Chain
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.learned_evapotranspiration import LearnedEvapotranspiration
from bmi_dhydro.run.component import Component
from bmi_dhydro.training.run import learned_evapotranspiration
from bmi_dhydro.weather.evapotranspiration_choice import said_method

KEY = "evapotranspiration_mismatch"
EXTREMES = ("temperature_minimum", "temperature_maximum")


def changed(path, forcing="", more=""):
    """Return the path of a configuration like one of `write_example`, without results."""
    text = path.read_text().partition("output:")[0]
    text = text.replace("  potential_evapotranspiration: hargreaves\n", forcing)
    target = path.with_name("changed.yaml")
    target.write_text(text + more)
    return target


def without(weather, *names):
    """Take variables out of a weather file, by giving them names that nobody knows."""
    with netCDF4.Dataset(weather, "a") as data:
        for name in names:
            data.renameVariable(name, f"not_{name}")


def add_evapotranspiration(weather, factor, long_name):
    """Write Hargreaves evapotranspiration, times a factor, into a weather file; return it."""
    config = changed(weather.parent / "config.yaml", "  potential_evapotranspiration: hargreaves\n")
    component = Component(read_config(config))
    values = component.source.read(0, component.clock.steps)[:, 2]
    component.abandon()
    with netCDF4.Dataset(weather, "a") as data:
        variable = data.createVariable("pet", "f8", ("station", "time"))
        variable.setncatts({"units": "mm d-1", "long_name": long_name})
        variable[:] = factor * values.T
    return values


def flow(config, steps=None, trained=None):
    component = Component(read_config(config), trained)
    rows = []
    for _ in range(steps or component.clock.steps):
        component.update()
        rows.append(component.outputs[0].copy())
    component.abandon()
    return np.array(rows)


@pytest.fixture
def weather(file_example):
    return file_example.parent / "weather.nc"


def test_files_say_of_which_method_they_are():
    assert said_method("PET after Hargreaves-Samani, from tmin, tmax") == "hargreaves"
    assert said_method("FAO Penman-Monteith") == "penman_monteith"
    assert said_method("potential evapotranspiration") is None
    assert said_method("Penman or Oudin") is None


def test_another_method_is_refused_unless_it_is_asked_for(file_example, weather, caplog):
    expected = flow(changed(file_example))
    without(weather, *EXTREMES)
    with pytest.raises(ForcingError) as caught:
        Component(read_config(changed(file_example)))
    for part in ("weather.nc", "of oudin", "learned with hargreaves", *EXTREMES, KEY):
        assert part in str(caught.value)
    accepted = flow(changed(file_example, f"  {KEY}: accept\n"))
    assert "learned with hargreaves; flow is biased" in caplog.text
    rescaled = flow(changed(file_example, f"  {KEY}: rescale\n"))
    assert "it is rescaled, by" in caplog.text

    def error(ours):
        return np.abs(ours.mean(axis=0) / expected.mean(axis=0) - 1.0).mean()

    assert error(accepted) > 0.05
    assert error(rescaled) < 0.4 * error(accepted)


def test_the_method_of_training_is_taken_where_it_can_be(file_example, weather):
    component = Component(read_config(changed(file_example)))
    assert component.source.pet_method == "hargreaves"
    component.abandon()
    # A model that learned with Oudin takes Oudin from the same file.
    other = dataclasses.replace(
        trained_model.load(), evapotranspiration=LearnedEvapotranspiration(("oudin",))
    )
    component = Component(read_config(changed(file_example)), other)
    assert component.source.pet_method == "oudin"
    component.abandon()
    # One that learned with several takes any of them; one that does not know takes what is best.
    both = dataclasses.replace(other, evapotranspiration=LearnedEvapotranspiration(("a", "oudin")))
    forcing = "  potential_evapotranspiration: oudin\n"
    Component(read_config(changed(file_example, forcing)), both).abandon()
    unknown = dataclasses.replace(other, evapotranspiration=LearnedEvapotranspiration())
    Component(read_config(changed(file_example, forcing)), unknown).abandon()


def test_a_file_that_is_said_to_be_of_another_method_is_not_taken(file_example, weather):
    expected = flow(changed(file_example), 400)
    add_evapotranspiration(weather, 1.4, "after Oudin et al. (2005)")
    assert np.array_equal(flow(changed(file_example), 400), expected)
    forced = "  potential_evapotranspiration: forcing\n"
    with pytest.raises(ForcingError, match="of oudin, but the model learned with hargreaves"):
        Component(read_config(changed(file_example, forced)))
    # The file has both, so that the factors are its own, and exact.
    rescaled = flow(changed(file_example, f"{forced}  {KEY}: rescale\n"), 400)
    np.testing.assert_allclose(rescaled, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("factor", "right"), [(1.0, True), (1.06, True), (1.4, False), (0.7, False)]
)
def test_a_file_that_does_not_say_is_compared(file_example, weather, factor, right):
    add_evapotranspiration(weather, factor, "potential evapotranspiration")
    config = changed(file_example)
    if right:
        component = Component(read_config(config))
        assert component.source.pet_method == "forcing"
        component.abandon()
        return
    with pytest.raises(ForcingError, match=rf"unknown method.*\(it is {factor:.2f} times that\)"):
        Component(read_config(config))


def test_a_file_that_cannot_be_compared_is_told_of(file_example, weather, caplog):
    add_evapotranspiration(weather, 1.4, "potential evapotranspiration")
    without(weather, *EXTREMES)
    Component(read_config(changed(file_example))).abandon()
    assert "does not say of which method" in caplog.text


def test_extremes_of_a_day_come_from_its_hours(tmp_path):
    path = write_example(tmp_path / "hours", 3, 30, "1h", "file", model="fast")
    weather = path.parent / "weather.nc"
    with netCDF4.Dataset(weather, "a") as data:
        hours = np.asarray(data["temperature"][:]).reshape(3, 30, 24)
        # What was made up beside the hours is not quite theirs.
        data["temperature_minimum"][:] = np.repeat(hours.min(axis=2), 24, axis=1)
        data["temperature_maximum"][:] = np.repeat(hours.max(axis=2), 24, axis=1)
    expected = flow(changed(path))
    without(weather, *EXTREMES)
    component = Component(read_config(changed(path)))
    assert component.source.pet_method == "hargreaves"
    component.abandon()
    np.testing.assert_array_equal(flow(changed(path)), expected)
    # From the middle of a day on, and with steps of six hours.
    text = changed(path).read_text()
    later = path.with_name("later.yaml")
    later.write_text(text.replace("step: 1h", "step: 1h\n  start: 2000-10-03T07:00"))
    shifted = Component(read_config(later))
    whole = Component(read_config(changed(path)))
    assert np.array_equal(shifted.source.read(0, 50), whole.source.read(55, 50))
    six = path.with_name("six.yaml")
    six.write_text(text.replace("step: 1h", "step: 6h"))
    coarse = Component(read_config(six))
    expected = whole.source.read(0, 48).reshape(8, 6, 3, 3)
    np.testing.assert_allclose(coarse.source.read(0, 8)[:, 1], expected[:, :, 1].mean(axis=1))
    for component in (shifted, whole, coarse):
        component.abandon()


def test_rescaling_does_not_depend_on_the_other_catchments_or_the_period(file_example, weather):
    without(weather, *EXTREMES)
    forcing = f"  {KEY}: rescale\n"
    whole = flow(changed(file_example, forcing))
    text = changed(file_example, forcing).read_text()
    alone = file_example.with_name("alone.yaml")
    alone.write_text(text.replace("table:", "select: [cat-2, cat-5]\n  table:"))
    assert np.array_equal(flow(alone), whole[:, [1, 4]])
    half = file_example.with_name("half.yaml")
    state = file_example.with_name("state.nc")
    half.write_text(
        text.replace("step: 1d", "step: 1d\n  end: 2001-03-10") + f"save_state: {state}\n"
    )
    component = Component(read_config(half))
    for _ in range(component.clock.steps):
        component.update()
    component.close()
    rest = file_example.with_name("rest.yaml")
    rest.write_text(
        text.replace("step: 1d", "step: 1d\n  start: 2001-03-10") + f"initial_state: {state}\n"
    )
    assert np.array_equal(flow(rest), whole[component.clock.steps :])


@pytest.mark.parametrize(
    "more", ["", "dtype: float32\n", "ensemble: {members: 3}\n", "model: default\n"]
)
def test_a_host_and_a_file_are_rescaled_alike(file_example, weather, more):
    without(weather, *EXTREMES)
    own = "  potential_evapotranspiration: oudin\n"
    base = changed(file_example, f"{own}  {KEY}: rescale\n")
    text = base.read_text().replace("model: fast               #", "#")
    model = "" if "model:" in more else "model: fast\n"
    base.write_text(text + model + more)
    expected = flow(base, 40)
    with netCDF4.Dataset(weather) as data:
        rain, warmth = (np.asarray(data[n][:], float) for n in ("precipitation", "temperature"))
    host = file_example.with_name("host.yaml")
    host.write_text(
        "catchments: {table: catchments.csv}\ntime: {start: 2000-10-01}\n"
        f"forcing: {{potential_evapotranspiration: oudin, {KEY}: rescale}}\n" + model + more
    )
    bmi = BmiDhydro()
    bmi.initialize(str(host))
    names = bmi.get_input_var_names()
    assert len(names) == 2
    for step in range(40):
        bmi.set_value(names[0], rain[:, step])
        bmi.set_value(names[1], warmth[:, step])
        bmi.update()
        values = bmi.component.outputs[0]
        np.testing.assert_allclose(
            values, expected[step], rtol=1e-4 if "float32" in more else 1e-11
        )


def test_a_host_is_refused_another_method_too(host_example):
    text = host_example.read_text()
    for forcing, error, match in (
        ("potential_evapotranspiration: oudin", ForcingError, "learned with hargreaves"),
        (
            f"potential_evapotranspiration: priestley_taylor, {KEY}: rescale",
            ForcingError,
            r"knows no factors for it \(it has oudin, hamon\)",
        ),
        (f"{KEY}: rescale", ConfigError, "a host's potential evapotranspiration is not known"),
    ):
        host_example.write_text(f"{text}forcing: {{{forcing}}}\n")
        with pytest.raises(error, match=match):
            BmiDhydro().initialize(str(host_example))


def test_the_seasons_of_the_south_are_turned():
    learned = trained_model.load().evapotranspiration
    factors = learned.factors("oudin", np.array([45.0, -45.0, np.nan]))
    assert factors[0, 0] == factors[6, 1] == learned.monthly["oudin"][0]
    assert np.array_equal(factors[:, 0], factors[:, 2])
    assert learned.factors("penman_monteith", np.zeros(1)) is None


def test_a_chain_rescales_as_in_training(file_example, weather, tmp_path):
    """The file of a chain grows from call to call, so that its own factors would change."""
    without(weather, *EXTREMES)
    path = file_example.with_name("chain.yaml")
    text = (
        f"folder: {tmp_path}/chain\ncatchments: {{table: catchments.csv}}\nstart: 2000-10-01\n"
        "analysis: {file: weather.nc%s}\nforecast: {horizon: 3d}\n"
    )
    path.write_text(text % "")
    with pytest.raises(ForcingError, match="learned with hargreaves"):
        Chain(read_forecast_config(path)).run(np.datetime64("2001-03-01", "s"))
    path.write_text(text % f", {KEY}: rescale")
    config = read_forecast_config(path)
    ours = Chain(config).run(np.datetime64("2001-03-01", "s"))
    add = np.linspace(0.0, 3.0, 100)
    with netCDF4.Dataset(weather, "a") as data:
        data["temperature"][:, 400:] = np.asarray(data["temperature"][:, 400:]) + add
    other = msgspec.structs.replace(config, folder=str(tmp_path / "again"))
    again = Chain(other).run(np.datetime64("2001-03-01", "s"))
    with netCDF4.Dataset(ours) as a, netCDF4.Dataset(again) as b:
        name = next(n for n in a.variables if "volume_flow" in n)
        assert np.array_equal(a[name][:], b[name][:])


def test_training_knows_its_method_and_what_others_are_to_it(file_example, weather, caplog):
    component = Component(read_config(changed(file_example)))
    latitude = component.catchments.latitude
    learned = learned_evapotranspiration(component.source, latitude)
    component.abandon()
    assert learned.methods == ("hargreaves",)
    assert set(learned.monthly) == {"oudin", "hamon"}
    again = LearnedEvapotranspiration.described(
        {"potential_evapotranspiration": learned.description()}, {}
    )
    assert again == learned
    add_evapotranspiration(weather, 1.0, "made up")
    caplog.set_level(logging.WARNING)
    forced = changed(file_example, "  potential_evapotranspiration: forcing\n")
    component = Component(read_config(forced))
    assert learned_evapotranspiration(component.source, latitude).methods == ()
    component.abandon()
    assert "does not say of which method" in caplog.text


def test_results_say_what_was_taken(file_example, weather):
    without(weather, *EXTREMES)
    text = file_example.read_text()
    file_example.write_text(
        text.replace("  potential_evapotranspiration: hargreaves", f"  {KEY}: rescale")
    )
    component = Component(read_config(file_example))
    for _ in range(component.clock.steps):
        component.update()
    component.close()
    with netCDF4.Dataset(file_example.parent / "results.nc") as data:
        assert data.potential_evapotranspiration == "oudin, rescaled"
        assert data.potential_evapotranspiration_of_training == "hargreaves"
        distance = data["distance_to_training"]
        assert distance.dimensions == ("station",)
        assert 0.0 < distance[:].min() < distance[:].max() < 1.5
