"""Units of time: what hosts read, and at which number a run starts."""

import numpy as np
import pytest

from bmi_dhydro.config.time_units import TimeUnits
from bmi_dhydro.errors import ConfigError

START = np.datetime64("2000-10-01T06:00:00", "s")


@pytest.mark.parametrize(
    ("text", "seconds"), [("s", 1.0), ("minutes", 60.0), ("h", 3600.0), (" days ", 86400.0)]
)
def test_a_unit_alone_counts_from_the_start(text, seconds):
    units = TimeUnits.parse(text, "time.units")
    assert (units.seconds, units.origin, units.needs_start) == (seconds, None, False)
    assert units.at_start(START) == 0.0
    assert units.described(START) == text.strip()


def test_since_the_start():
    units = TimeUnits.parse("hours since <start>", "time.units")
    assert units.needs_start
    assert units.at_start(START) == 0.0
    assert units.described(START) == "hours since 2000-10-01 06:00:00"


def test_since_a_time_of_the_calendar():
    units = TimeUnits.parse("days since 2000-01-01", "time.units")
    assert units.at_start(START) == 274.25
    assert TimeUnits.parse("s since 2000-10-02", "time.units").at_start(START) == -18 * 3600.0


@pytest.mark.parametrize("text", ["", "fortnight", "days until 2000-01-01", "days since"])
def test_what_is_no_unit(text):
    with pytest.raises(ConfigError, match=r"time\.units: .* is no unit of time; write s, min, h"):
        TimeUnits.parse(text, "time.units")


def test_what_is_no_date():
    with pytest.raises(ConfigError, match=r"time\.units: "):
        TimeUnits.parse("days since yesterday", "time.units")
