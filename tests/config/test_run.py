import pytest

from bmi_dhydro.config import read_config
from bmi_dhydro.config.settings import parse_date, parse_step
from bmi_dhydro.errors import ConfigError

GOOD = """
catchments:
  table: tables/catchments.csv
forcing:
  file: ../weather.nc
time:
  start: 1990-10-01
  end: 1991-10-01T00:00:00Z
  step: 1h
"""


def read(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return read_config(path)


def test_paths_are_relative_to_the_file(tmp_path):
    config = read(tmp_path, GOOD)
    assert config.catchments.table == str(tmp_path / "tables" / "catchments.csv")
    assert config.forcing.file == str(tmp_path.parent / "weather.nc")
    assert config.model == "default"
    assert config.step_seconds == 3600
    assert config.time.start == "1990-10-01"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("catchments: [", "not valid YAML"),
        ("", "a configuration is a mapping"),
        ("time: {step: 1d}", "missing required field `catchments`"),
        (GOOD + "kernal: cpu\n", "unknown key 'kernal'; did you mean 'kernel'"),
        (GOOD.replace("start:", "begin:"), "unknown key 'time.begin'; known: start, end, step"),
        (GOOD + "kernel: fpga\n", "Invalid enum value 'fpga' - at `kernel`"),
        (GOOD + "threads: many\n", "Expected `int | null`, got `str` - at `threads`"),
        (GOOD + "threads: 0\n", "Expected `int` >= 1 - at `threads`"),
        (GOOD.replace("1h", "7h"), "time.step: '7h' does not divide a day"),
        (GOOD.replace("1h", "soon"), "time.step: 'soon' is no length of time"),
        (GOOD.replace("1990-10-01\n", "autumn\n"), "time.start: 'autumn' is no date"),
        (GOOD.replace("1991-10-01T00:00:00Z", "1990-09-30"), "is not after time.start"),
        (GOOD.replace("table:", "inline: {id: a}\n  table:"), "either 'table' .* or 'inline'"),
        ("catchments: {}", "either 'table'"),
        ("catchments: {inline: {id: a}, select: [a]}", "catchments.select: goes with"),
        ("catchments: {inline: {id: a}, climate: forcing}", "needs forcing.file"),
        ("catchments: {inline: {id: a}}\noutput: {file: a.nc}", "time.start: is needed"),
        (GOOD + "output: {variables: [rain]}", "output.variables: goes with output.file"),
        (
            "catchments: {inline: {id: a}}\nforcing: {variables: {precipitation: p}}",
            "forcing.variables: goes with forcing.file",
        ),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert "config.yaml" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_config(tmp_path / "none.yaml")


def test_yaml_cannot_make_objects(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML"):
        read(tmp_path, "!!python/object/apply:os.getcwd []")


@pytest.mark.parametrize(
    ("text", "seconds"), [("1d", 86400), ("d", 86400), ("6 h", 21600), ("15min", 900)]
)
def test_steps(text, seconds):
    assert parse_step(text) == seconds


def test_dates():
    assert str(parse_date("1990-10-01", "x")) == "1990-10-01T00:00:00"
    with pytest.raises(ConfigError, match="x: '' is no date"):
        parse_date("", "x")
