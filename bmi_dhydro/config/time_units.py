"""Units of time as the interface reports them, and hosts give times in."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from .settings import parse_date

# Seconds of a unit, by the names that UDUNITS knows.
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}

# Stands for the start of the run.
_START = "<start>"


@dataclass(frozen=True)
class TimeUnits:
    """A unit of time, counted from the start of a run or from a time of the calendar.

    Attributes
    ----------
    text : str
        UDUNITS, `<start>` where the start of the run is meant.
    seconds : float
        Length of the unit.
    origin : datetime64[s] or None
        What times are counted from; None for the start of the run.
    """

    text: str
    seconds: float
    origin: np.datetime64 | None = None

    @classmethod
    def parse(cls, text: str, key: str) -> TimeUnits:
        """Read a unit: `s`, `min`, `h`, `d`, with or without `since <start>` or `since TIME`.

        Raises
        ------
        ConfigError
            If it is none; names `key`.
        """
        match = re.fullmatch(r"(\w+)(?:\s+since\s+(.+))?", text.strip())
        if not match or match[1] not in _SECONDS:
            raise ConfigError(
                f"{key}: {text!r} is no unit of time; write s, min, h, d, 'seconds since <start>' "
                "or 'hours since 1990-01-01'"
            )
        origin = None
        if match[2] not in (None, _START):
            origin = parse_date(match[2], key)
        return cls(text.strip(), _SECONDS[match[1]], origin)

    @property
    def needs_start(self) -> bool:
        """Whether the start of the run must be known."""
        return "since" in self.text

    def described(self, start: np.datetime64 | None) -> str:
        """Return the unit as a host reads it, for a run that starts at a time."""
        return self.text.replace(_START, str(start).replace("T", " "))

    def at_start(self, start: np.datetime64 | None) -> float:
        """Return the time of the start of a run, in this unit."""
        if self.origin is None:
            return 0.0
        assert start is not None
        return float((start - self.origin).astype(int)) / self.seconds
