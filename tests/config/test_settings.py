"""Values of configurations that decode and then cannot be."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.config import read_config
from bmi_dhydro.config.settings import parse_date, parse_duration
from bmi_dhydro.config.time_units import TimeUnits
from bmi_dhydro.errors import ConfigError, DhydroError
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.training.config import read_train_config

RUN = """\
catchments: {table: catchments.csv}
forcing: {file: weather.nc}
"""
CHAIN = """\
folder: chain
catchments: {table: catchments.csv}
start: 2000-10-01
analysis: {file: weather.nc}
observed: {file: flow.nc}
"""
TRAIN = """\
output: run
catchments: {table: catchments.csv}
forcing: {file: weather.nc}
observed: {file: flow.nc}
split: {train: [2000-10-01, 2002-09-30]}
"""


@pytest.mark.parametrize(
    "text", ["now", "today", "", "NaT", "2000-13-01", "2000-10-01T25:00", "20 BC"]
)
def test_words_are_no_dates(text):
    with pytest.raises(ConfigError, match=r"time.start: .* is no date"):
        parse_date(text, "time.start")


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2000", "2000-01-01"),
        ("2000-10", "2000-10-01"),
        ("2000-10-01", "2000-10-01"),
        ("2000-10-01 06:00", "2000-10-01T06"),
        ("2000-10-01T06:30:15Z", "2000-10-01T06:30:15"),
    ],
)
def test_dates(text, date):
    assert parse_date(text, "time.start") == np.datetime64(date, "s")


@pytest.mark.parametrize("text", ["0d", "9999999999999d", "1000000d", "-1d", "1.5d", "١d"])
def test_lengths_of_time_that_are_none(text):
    with pytest.raises(ConfigError, match="no length of time"):
        parse_duration(text, "save_state.every")


@pytest.mark.parametrize(
    ("read", "base", "more", "match"),
    [
        (read_config, RUN, "history: 99999999999\n", "`int` <= 1000000 - at `history`"),
        (read_config, RUN, "threads: 1000000000000\n", "<= 1000000 - at `threads`"),
        (read_config, RUN, "spin_up: {years: 99999999999}\n", "at `spin_up.years`"),
        (
            read_config,
            RUN,
            "spin_up: {tolerance: .nan}\n",
            "`float` > 0.0 - at `spin_up.tolerance`",
        ),
        (read_config, RUN, "ensemble: {members: 3, seed: 99999999999999999999}\n", "ensemble.seed"),
        (read_config, RUN, "parameters: {FC: .inf}\n", "parameters.FC: inf is not finite"),
        (read_config, RUN, "parameters: {FC: [1.0, .nan]}\n", "parameters.FC: .* is not finite"),
        (read_config, RUN, "time: {start: now}\n", "time.start: 'now' is no date"),
        (read_config, RUN, "time: {start: ''}\n", "time.start: '' is no date"),
        (read_config, RUN, "time: {units: parsecs}\n", "time.units: 'parsecs' is no unit of time"),
        (read_config, RUN, 'model: "a\\0b"\n', "is no path .*null byte"),
        (read_config, RUN, f"model: {'a' * 300}\n", "is too long for a path"),
        (read_config, RUN, f"initial_state: {'a/' * 3000}\n", "is too long for a path"),
        (read_config, RUN, "kernel: cpu\nkernel: cpu\n", "the key 'kernel' stands twice"),
        (read_config, RUN, "kernel: reference\ndevice: cuda\n", "reference runs on the CPU"),
        (read_config, RUN, "time: {stop: 1}\n", "unknown key 'time.stop'; .*'step'"),
        (
            read_config,
            RUN,
            "ensemble: {members: 2, weather: {temperature: {spraed: 1}}}\n",
            r"unknown key 'ensemble.weather.\*.spraed'; did you mean 'spread'",
        ),
        (
            read_config,
            RUN,
            "ensemble: {members: 2, weather: {temperature: {spread: 31}}}\n",
            "30 is the most",
        ),
        (read_config, RUN, "output: {variables: [a, 1, 2.5]}\n", "Expected `str`, got `int`"),
        (read_config, RUN, "a: &a [*a]\n", "unknown key 'a'|not valid YAML|not text"),
        (read_forecast_config, CHAIN, "assimilation: {bound: .nan}\n", "at `assimilation.bound`"),
        (read_forecast_config, CHAIN, "assimilation: {decay: 1.0}\n", "< 1.0 - at"),
        (read_forecast_config, CHAIN, "assimilation: {iterations: 0}\n", ">= 1 - at"),
        (read_forecast_config, CHAIN, "quantiles: [.nan]\n", "at `quantiles"),
        (read_forecast_config, CHAIN, "keep: 99999999999d\n", "keep: .* no length of time"),
        (read_train_config, TRAIN, "settings: {catchments: 0}\n", "at `settings.catchments`"),
        (read_train_config, TRAIN, "settings: {dropout: 1.5}\n", "at `settings.dropout`"),
        (read_train_config, TRAIN, "settings: {hidden: [0]}\n", r"at `settings.hidden\[0\]`"),
        (read_train_config, TRAIN, "settings: {learning_rate: .inf}\n", "settings.learning_rate"),
        (read_train_config, TRAIN, "seeds: [-1]\n", r"at `seeds\[0\]`"),
        (read_train_config, TRAIN, "components: 99999\n", "at `components`"),
        (read_train_config, TRAIN, "attributes: []\n", "attributes: the network must see some"),
        (read_train_config, TRAIN, "attributes: [ardity]\n", "did you mean 'aridity'"),
        (read_train_config, TRAIN, "dynamic: [BETA, BETA]\n", "a name stands twice"),
    ],
)
def test_what_cannot_be_is_one_message(tmp_path, read, base, more, match):
    path = tmp_path / "config.yaml"
    path.write_text(base + more)
    with pytest.raises(ConfigError, match=match) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"catchments: \x00",
        b"[" * 5000,
        b'a: "\\ud800"',
        b"a: !!python/object:x {}",
    ],
)
def test_files_that_are_no_text(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.yaml: "):
        read_config(path)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_path_that_is_none(name):
    with pytest.raises(ConfigError):
        read_config(name)


def test_nothing_is_selected(file_example):
    text = file_example.read_text()
    for select, match in (("[]", "no catchment is selected"), ("[cat-1, cat-1]", "selected twice")):
        file_example.write_text(text.replace("table:", f"select: {select}\n  table:"))
        with pytest.raises(DhydroError, match=match):
            BmiDhydro().initialize(str(file_example))


# ---- units of time ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "seconds"),
    [
        ("s", 1),
        ("seconds", 1),
        ("min", 60),
        ("h", 3600),
        ("hours", 3600),
        ("d", 86400),
        ("days", 86400),
    ],
)
def test_times_are_in_the_unit_that_is_reported(host_example, units, seconds):
    text = host_example.read_text()
    host_example.write_text(text.replace("  step: 1d", f"  step: 1d\n  units: {units}"))
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    assert bmi.get_time_units() == units
    assert bmi.get_start_time() == 0.0
    assert bmi.get_time_step() == 86400 / seconds
    bmi.update()
    assert bmi.get_current_time() == 86400 / seconds
    bmi.update_until(5 * 86400 / seconds)
    assert bmi.component.done == 5


@pytest.mark.parametrize(
    ("units", "start", "per_day"),
    [
        ("seconds since <start>", 0.0, 86400.0),
        ("days since <start>", 0.0, 1.0),
        ("hours since 2000-09-30", 24.0, 24.0),
        ("days since 2000-10-11 00:00:00", -10.0, 1.0),
    ],
)
def test_times_of_a_calendar(file_example, units, start, per_day):
    import cftime

    text = file_example.read_text().partition("output:")[0]
    file_example.write_text(text.replace("  step: 1d", f"  step: 1d\n  units: {units}"))
    bmi = BmiDhydro()
    bmi.initialize(str(file_example))
    reported = bmi.get_time_units()
    assert reported == units.replace("<start>", "2000-10-01 00:00:00")
    assert bmi.get_start_time() == start
    assert bmi.get_end_time() == start + 500 * per_day
    bmi.update_until(start + 3 * per_day)
    assert bmi.component.done == 3
    date = cftime.num2pydate(bmi.get_current_time(), reported)
    assert str(date) == "2000-10-04 00:00:00"
    bmi.update_until(start)
    assert bmi.component.done == 3


def test_a_calendar_needs_a_start(host_example):
    text = host_example.read_text()
    lines = [line for line in text.splitlines() if "start:" not in line]
    host_example.write_text("\n".join(lines) + "\n  units: hours since 1990-01-01\n")
    text = host_example.read_text()
    # The last section of the example is `time`.
    assert "time:" in text
    with pytest.raises(ConfigError, match="needs time.start"):
        BmiDhydro().initialize(str(host_example))


@pytest.mark.parametrize(
    "text", ["", "fortnights", "s since now", "h since", "since 2000-01-01", "C"]
)
def test_units_that_are_none(text):
    with pytest.raises(ConfigError, match=r"time\.units"):
        TimeUnits.parse(text, "time.units")
