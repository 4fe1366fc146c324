"""Errors that a user can act on: each says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DhydroError(Exception):
    """The base of every error that this package raises on purpose."""


class ConfigError(DhydroError, ValueError):
    """A configuration file is missing, malformed or contradicts itself."""


class MissingPackageError(DhydroError, ImportError):
    """What was asked for needs a package that is not installed."""


class CheckpointError(DhydroError, ValueError):
    """A trained model's file cannot be used."""


class CatchmentError(DhydroError, ValueError):
    """A catchment is unknown, or lacks an attribute."""


class NetworkError(DhydroError, ValueError):
    """A river network does not hold together, or lacks what a model of reaches needs."""


class ForcingError(DhydroError, ValueError):
    """Weather is missing, malformed or impossible."""


class UnitsError(DhydroError, ValueError):
    """A unit is unknown or measures something else."""


class StateError(DhydroError, ValueError):
    """A saved state cannot be restored here."""


class DamagedStateError(StateError):
    """A saved state is not whole, or not what was saved."""


class ChainError(DhydroError, RuntimeError):
    """A forecast chain cannot go on: another process works on it, or it is another chain."""


class ResultsError(DhydroError, OSError):
    """Results cannot be written or read."""


class TrainingError(DhydroError, ValueError):
    """Training cannot start, go on, or make sense of its data."""


class OrderError(DhydroError, RuntimeError):
    """A method was called before `initialize` or after `finalize`."""


class VariableError(DhydroError, KeyError):
    """A variable name is unknown."""

    def __str__(self) -> str:
        return str(self.args[0])


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that is most like `name`, or at all of them.

    Parameters
    ----------
    name : str
        What was written.
    known : iterable of str
        What could have been meant.
    """
    candidates = list(known)
    similar = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if similar:
        return f"did you mean {similar[0]!r}?"
    return "known: " + ", ".join(candidates) if candidates else "there are none"


def without_zeros(absent: Iterable[str], known: Iterable[str]) -> str:
    """Return a hint where ids that are not there differ from others in leading zeros alone.

    Parameters
    ----------
    absent : iterable of str
        Ids that were asked for.
    known : iterable of str
        Ids that there are.

    Returns
    -------
    str
        To be put behind a message; empty where there is nothing to say.
    """
    by_number = {name.lstrip("0"): name for name in known if name.isdigit()}
    for name in absent:
        same = by_number.get(name.lstrip("0"))
        if name.isdigit() and same is not None:
            return f" (did you mean {same}? ids are text: keep leading zeros, in YAML by quotes)"
    return ""


def counted(number: int, noun: str) -> str:
    """Return a number of things: "1 catchment", "2 catchments"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[object], most: int = 5) -> str:
    """Return the first names of a list, and how many more there are."""
    every = [str(name) for name in names]
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
