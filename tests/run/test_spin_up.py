import dataclasses
import re
from contextlib import contextmanager

import netCDF4
import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import ConfigError
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks import trained_model
from bmi_dhydro.physics import PROCESSES
from bmi_dhydro.run.component import Component


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A folder that is kept for compiled kernels, and one for spin-ups."""
    monkeypatch.setattr("bmi_dhydro.run.spin_up.cache_folder", lambda: tmp_path / "kept")
    return tmp_path / "kept"


def opened(path, extra=""):
    text = path.read_text().partition("output:")[0]
    target = path.with_name("spin.yaml")
    target.write_text(text + extra)
    model = BmiDhydro()
    model.initialize(str(target))
    return model


def test_stores_come_into_balance_and_the_clock_stays(file_example, own_cache, caplog):
    caplog.set_level("INFO")
    model = opened(file_example, "spin_up: {tolerance: 0.5}\n")
    assert model.get_current_time() == 0.0
    component = model.component
    before = component.model.stored()
    assert before.min() > 20.0
    year = component.source.read(0, 365)
    component.model.run(year)
    assert np.abs(component.model.stored() - before).max() < 1.0
    assert len(list((own_cache / "spin_up").iterdir())) == 1


def test_other_equations_are_another_run(file_example, own_cache, monkeypatch):
    """Also where they differ in what a closure holds, as published forms do."""
    process = trained_model.load("fast").layout.process

    original, place = process.step, process.argument_names.index("CFMAX")

    def melting_faster(factor):
        def step(*given):
            return original(*given[:place], factor * given[place], *given[place + 1 :])

        step.__module__ = original.__module__  # so that it is traced as an equation of the package
        return dataclasses.replace(process, step=step)

    monkeypatch.setattr(trained_model, "_load", trained_model._load.__wrapped__)
    counts = []
    for factor in (2.0, 3.0, 2.0):
        monkeypatch.setitem(PROCESSES, "hbv", melting_faster(factor))
        opened(file_example, "spin_up: {tolerance: 0.5}\nkernel: reference\n")
        counts.append(len(list((own_cache / "spin_up").iterdir())))
    assert counts == [1, 2, 2]


def test_it_is_what_repeating_by_hand_gives(file_example):
    spun = opened(file_example, "spin_up: {tolerance: 1.0e-9, most: 3}\n")
    plain = opened(file_example).component
    year = plain.source.read(0, 365)
    for _ in range(3):
        plain.model.run(year)
    assert np.array_equal(spun.component.model.state, plain.model.state)
    assert np.array_equal(spun.component.model.pending, plain.model.pending)


def test_the_result_is_kept_for_the_same_run_only(file_example, own_cache, caplog):
    first = opened(file_example, "spin_up: {tolerance: 0.5}\n")
    caplog.set_level("INFO")
    second = opened(file_example, "spin_up: {tolerance: 0.5}\n")
    assert "0 repetitions" in caplog.text
    assert np.array_equal(second.component.model.state, first.component.model.state)
    for model in (first, second):
        model.update()
    name = first.get_output_var_names()[0]
    assert np.array_equal(*(m.get_value(name, np.empty(5)) for m in (first, second)))
    opened(file_example, "spin_up: {tolerance: 0.5}\nparameters: {K2: 0.01}\n")
    assert len(list((own_cache / "spin_up").iterdir())) == 2
    kept = next((own_cache / "spin_up").iterdir())
    kept.write_bytes(b"damaged")
    opened(file_example, "spin_up: {tolerance: 0.5}\n")
    opened(file_example, "spin_up: {tolerance: 0.5}\nparameters: {K2: 0.01}\n")
    assert "the kept spin-up is made again" in caplog.text


def test_what_does_not_settle_is_said_so(file_example, caplog):
    opened(file_example, "spin_up: {tolerance: 0.000001, most: 2}\n")
    assert "after 2 times 1 year(s) the stores of cat-1" in caplog.text


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("spin_up: {years: 2}", r"spin_up.years: the run from 2000-10-01.* is shorter than 2 year"),
        ("spin_up: {years: 0}", "Expected `int` >= 1 - at `spin_up.years`"),
        ("spin_up: {}\ninitial_state: s.nc", "give either it or initial_state"),
    ],
)
def test_bad_configurations(file_example, extra, message):
    with pytest.raises(ConfigError, match=message):
        opened(file_example, extra + "\n")


def test_a_host_cannot_be_repeated(host_example):
    with pytest.raises(ConfigError, match=r"give spin_up\.weather, a file, or initial_state"):
        opened(host_example, "spin_up: {}\n")


def rewritten(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return path


def test_another_precipitation_does_not_get_the_old_stores(file_example, own_cache):
    with netCDF4.Dataset(file_example.parent / "weather.nc", "a") as data:
        half = data.createVariable("half", "f4", ("station", "time"))
        half.units = "mm h-1"
        half[:] = 0.5 * data["precipitation"][:]
    settings = "spin_up: {tolerance: 0.5}\n"
    wet = opened(file_example, settings).component.model.stored()
    rewritten(
        file_example,
        "  file: weather.nc ",
        "  variables: {precipitation: half}\n  file: weather.nc ",
    )
    dry = opened(file_example, settings).component.model.stored()
    assert (dry < 0.8 * wet).all()
    assert len(list((own_cache / "spin_up").iterdir())) == 2
    # Latitude decides evapotranspiration.
    table = file_example.parent / "catchments.csv"
    frame = pandas.read_csv(table)
    frame["latitude"] += 0.5
    frame.to_csv(table, index=False)
    opened(file_example, settings)
    assert len(list((own_cache / "spin_up").iterdir())) == 3


@pytest.mark.parametrize("more", ["", "dtype: float32\n", "model: default\n"])
def test_a_catchment_starts_from_the_same_alone_and_among_others(file_example, more):
    rewritten(file_example, "model: fast", "# model")
    more += "" if "model" in more else "model: fast\n"
    settings = more + "spin_up: {tolerance: 0.05}\n"
    whole = opened(file_example, settings).component.model
    rewritten(file_example, "table:", "select: [cat-4, cat-2]\n  table:")
    part = opened(file_example, settings).component.model
    snapshot = whole.snapshot()
    for name, values in part.snapshot().items():
        expected = snapshot[name][:, [3, 1]] if name == "state" else snapshot[name][[3, 1]]
        assert np.array_equal(values, expected), name


def test_members_start_from_the_same(file_example):
    plain = opened(file_example, "spin_up: {tolerance: 0.5}\n").component.model.snapshot()
    more = "ensemble: {members: 3, weather: {precipitation: {spread: 0.4}}}\n"
    members = opened(file_example, more + "spin_up: {tolerance: 0.5}\n").component.model.snapshot()
    assert np.array_equal(members["state"], np.tile(plain["state"], (1, 3, 1)))
    assert np.array_equal(members["pending"], np.tile(plain["pending"], (3, 1)))


def test_only_those_that_have_not_settled_are_repeated(file_example, monkeypatch):
    sizes = []
    run = Model.run

    def counted(self, forcing, results=None):
        sizes.append(self.catchments)
        return run(self, forcing, results)

    monkeypatch.setattr(Model, "run", counted)
    opened(file_example, "spin_up: {tolerance: 0.01}\n")
    assert sizes[0] == 5
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 5


@pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning")
def test_snow_that_never_melts_is_put_where_all_repetitions_would_bring_it(file_example, caplog):
    with netCDF4.Dataset(file_example.parent / "weather.nc", "a") as data:
        for name in ("temperature", "temperature_minimum", "temperature_maximum"):
            data[name][2] = data[name][2] - 45.0
    settings = "spin_up: {tolerance: 0.5, most: %d}\n"
    few = opened(file_example, settings % 8).component
    many = opened(file_example, settings % 40).component
    assert "snow of which some never melts" in caplog.text
    assert "cat-3" in caplog.text
    yearly = few.source.read(0, 365)[:, 0, 2].sum()
    snow = [c.model.state[0, 2].mean() + c.model.state[1, 2].mean() for c in (few, many)]
    # Nothing melts at 30 degrees of frost, so that a year's precipitation is added each time.
    np.testing.assert_allclose(snow, [8 * yearly, 40 * yearly], rtol=0.02)
    for k in (0, 1, 3, 4):
        assert np.array_equal(few.model.state[:, k], many.model.state[:, k])


def test_a_memory_that_keeps_its_start_is_said_so(file_example, tmp_path, caplog):
    """Weights that hold on to whatever the memory was before."""
    trained = trained_model.load("default")
    weights = {name: np.array(value) for name, value in trained.weights.items()}
    units = weights["lstm.hidden"].shape[0]
    weights["lstm.input"][:], weights["lstm.hidden"][:] = 0.0, 0.0
    # Gates stand in the order input, forget, candidate, output.
    weights["lstm.bias"][:] = np.repeat([-25.0, 25.0, 0.0, 25.0], units)
    path = tmp_path / "stubborn.safetensors"
    dataclasses.replace(trained, weights=weights).save(path)
    rewritten(file_example, "model: fast", "# model")
    opened(file_example, f"model: {path}\nspin_up: {{tolerance: 0.5}}\n")
    assert "the memory of the weather of 5 catchments" in caplog.text
    caplog.clear()
    # And that forget it at once.
    weights["lstm.bias"][:] = np.repeat([25.0, -25.0, 0.0, 25.0], units)
    dataclasses.replace(trained, weights=weights).save(path)
    opened(file_example, f"model: {path}\nspin_up: {{tolerance: 0.5}}\n")
    assert "memory of the weather" not in caplog.text


def test_a_bar_shows_how_many_are_left(file_example):
    shown = []

    @contextmanager
    def bar(title, total):
        shown.append((title, total))
        yield shown.append

    text = file_example.read_text().partition("output:")[0]
    path = file_example.with_name("bar.yaml")
    path.write_text(text + "spin_up: {tolerance: 0.5, most: 7}\n")
    Component(read_config(path), bar=bar).abandon()
    assert shown[0] == ("spin-up", 7)
    assert shown[1].endswith(" of 5 catchments left")
    assert shown[-1] == "0 of 5 catchments left"


BEFORE = 400


def coupled(path, start, extra="", weather="weather.nc"):
    """Open an instance whose weather a host sets, spun up by a file of weather before it."""
    text = path.read_text().partition("output:")[0]
    text = re.sub(r"forcing:\n(  .*\n)+", "", text)
    text = re.sub(r"  (start|end): .*\n", "", text)
    text = text.replace("time:\n", f"time:\n  start: {start}\n")
    target = path.with_name("coupled.yaml")
    target.write_text(f"{text}spin_up: {{weather: {weather}, tolerance: 0.5}}\n{extra}")
    model = BmiDhydro()
    model.initialize(str(target))
    return model


def start_of(path, days=BEFORE):
    with xarray.open_dataset(path.with_name("weather.nc")) as weather:
        return weather.time.values[0].astype("datetime64[s]") + np.timedelta64(days, "D")


@pytest.mark.parametrize(
    "extra", ["", "dtype: float32\n", "ensemble: {members: 2}\n", "model: default\n"]
)
def test_a_coupled_instance_starts_where_weather_before_it_ends(file_example, extra):
    if extra.startswith("model"):
        file_example.write_text(file_example.read_text().replace("model: fast", extra.strip()))
        extra = ""
    spun = opened(file_example, f"spin_up: {{tolerance: 0.5}}\n{extra}")
    spun.update_until(BEFORE * 86400.0)
    spun = spun.component
    spun.synchronise()
    model = coupled(file_example, start_of(file_example), extra)
    assert model.get_current_time() == 0.0
    ours = model.component
    assert np.array_equal(ours.model.state, spun.model.state)
    assert np.array_equal(ours.model.pending, spun.model.pending)
    assert [value == 0 for value in ours.mass_terms()] == [True] * 4
    for name in model.get_input_var_names():
        model.set_value(name, np.full(model.get_grid_size(model.get_var_grid(name)), 1.0))
    model.update()
    runoff = model.get_value(model.get_output_var_names()[0], np.empty(ours.model.columns))
    assert np.isfinite(runoff).all()


def test_weather_before_a_run_has_to_reach_to_its_start(file_example, host_example):
    with pytest.raises(ConfigError, match="has to reach from before the run to time.start"):
        coupled(file_example, start_of(file_example, 5000))
    with pytest.raises(ConfigError, match=r"weather\.nc.*has to reach"):
        coupled(file_example, start_of(file_example, 0))
    with pytest.raises(ConfigError, match="forcing.file is there already"):
        opened(file_example, "spin_up: {weather: weather.nc}\n")
    host_example.write_text(re.sub(r"  start: .*\n", "", host_example.read_text()))
    with pytest.raises(ConfigError, match=r"needs time\.start"):
        opened(host_example, "spin_up: {weather: weather.nc}\n")
