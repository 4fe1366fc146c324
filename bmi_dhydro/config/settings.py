"""What configurations are made of: sections, bounds of numbers, dates, lengths of time, paths."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints, overload

import msgspec
import numpy as np
import yaml
from msgspec import Meta

from ..errors import ConfigError, nearest
from ..networks.shipped import shipped
from ..units import SECONDS_PER_DAY

# Numbers beyond these bounds are errors of typing more often than wishes.
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Few = Annotated[int, Meta(ge=1, le=4096)]
CountOrZero = Annotated[int, Meta(ge=0, le=1_000_000)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
NotNegative = Annotated[float, Meta(ge=0.0, le=1e6)]
Positive = Annotated[float, Meta(gt=0.0, le=1e6)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
ShareBelowOne = Annotated[float, Meta(ge=0.0, lt=1.0)]

# Longest length of time, in seconds: 300 years.
_LONGEST = 300 * 365 * SECONDS_PER_DAY

# What file systems take: of a path, and of each name in it.
_LONGEST_PATH, _LONGEST_NAME = 4095, 255


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A section of a configuration; an unknown key is an error."""


_DURATION = re.compile(
    r"([0-9]{0,12})\s*(d|day|days|h|hour|hours|min|minute|minutes|s|second|seconds)"
)
_SECONDS = {"d": SECONDS_PER_DAY, "h": 3600, "m": 60, "s": 1}


def parse_step(text: str) -> int:
    """Return the seconds of a step such as `1d`, `6h`, `15min`.

    Raises
    ------
    ConfigError
        If it is no length of time or does not divide a day.
    """
    seconds = parse_duration(text, "time.step")
    if SECONDS_PER_DAY % seconds:
        raise ConfigError(f"time.step: {text!r} does not divide a day")
    return seconds


def parse_duration(text: str, key: str) -> int:
    """Return the seconds of a length of time such as `1d`, `6h`, `15min`.

    Raises
    ------
    ConfigError
        If it is none, or more than 300 years; names `key`.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = int(match[1] or 1) * _SECONDS[match[2][0]] if match else 0
    if not 0 < seconds <= _LONGEST:
        raise ConfigError(f"{key}: {text!r} is no length of time; write 1d, 6h, 1h, 15min, ...")
    return seconds


_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?Z?", re.ASCII)


def parse_date(text: str, key: str) -> np.datetime64:
    """Return an ISO 8601 date or time in UTC.

    Raises
    ------
    ConfigError
        If it is none; names `key`. Words such as `now` are none: a run is to be repeatable.
    """
    date: np.datetime64 = np.datetime64("NaT", "s")
    if _DATE.fullmatch(text.strip()):
        with contextlib.suppress(ValueError):
            date = np.datetime64(text.strip().removesuffix("Z"), "s")
    if np.isnat(date):
        raise ConfigError(f"{key}: {text!r} is no date; write 1990-10-01 or 1990-10-01T06:00")
    return date


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Leaves dates as text, so that they are read in one place, and rejects a key given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Make a dictionary of a mapping."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_Kind = TypeVar("_Kind", bound=Section)


def read_section(file: Path, kind: type[_Kind]) -> _Kind:
    """Read a YAML file as a section; paths in it stay as they are.

    Raises
    ------
    ConfigError
        If the file is missing, no YAML, or has unknown, missing or impossible keys.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None)
        reason = reason or ("is not text" if isinstance(error, UnicodeError) else error)
        raise ConfigError(f"{file}: cannot read the configuration ({reason})") from None
    try:
        document = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: a configuration is a mapping of keys, such as 'catchments:'")
    try:
        section = msgspec.convert(document, kind)
        # Names go into files, so they have to be text.
        msgspec.json.encode(section)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {_explained(str(error), kind)}") from None
    except (UnicodeError, RecursionError) as error:
        raise ConfigError(f"{file}: has a value that is not text ({error})") from None
    return section


def read_checked(
    file: Path,
    kind: type[_Kind],
    resolve: Callable[[_Kind, Path], _Kind],
    check: Callable[[_Kind], None],
) -> _Kind:
    """Read a whole configuration: a section whose paths are absolute, and whose keys go together.

    Parameters
    ----------
    file : Path
    kind : type
        Type of the section.
    resolve : callable
        Makes paths absolute that are relative to a folder.
    check : callable
        Refuses what each key allows but the whole does not.

    Raises
    ------
    ConfigError
        As `read_section`, and what the callables raise; names the file.
    """
    section = read_section(file, kind)
    try:
        section = resolve(section, file.parent)
        check(section)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    return section


# How msgspec tells of a key that a section does not have.
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*?)`)?$", re.DOTALL)


def _explained(message: str, kind: type) -> str:
    """Add the nearest known key to msgspec's message about an unknown one."""
    match = _UNKNOWN.match(message)
    if not match and message.startswith("Expected `str`, got `int`"):
        message += "; write it in quotes, since a number loses its leading zeros"
    if not match:
        return message.replace("`$.", "`").replace("`$`", "the top level").replace("[...]", ".*")
    key, where = match[1], re.sub(r"\[.*?\]", ".*", match[2] or "")
    section: Any = kind
    for part in where.split("."):
        if part not in ("", "*"):
            section = _struct_in(get_type_hints(section)[part])
    known = section.__struct_encode_fields__
    place = ".".join(filter(None, (where, key)))
    return f"unknown key {place!r}; {nearest(key, known)}"


def _struct_in(hint: Any) -> Any:
    """Return the section in a type such as `dict[str, Section] | None`."""
    if hasattr(hint, "__struct_fields__"):
        return hint
    return next(filter(None, map(_struct_in, get_args(hint))), None)


@overload
def resolved(path: str, folder: Path) -> str: ...
@overload
def resolved(path: None, folder: Path) -> None: ...
def resolved(path: str | None, folder: Path) -> str | None:
    """Return a path of a configuration in `folder` as an absolute one.

    Raises
    ------
    ConfigError
        If no file can have it.
    """
    if path is None:
        return None
    if "\0" in path:
        raise ConfigError(f"{path[:60]!r} is no path (it holds a null byte)")
    try:
        whole = str((folder / path).resolve())
        encoded = os.fsencode(whole)
        longest = max(len(os.fsencode(name)) for name in Path(whole).parts)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{path[:60]!r} is no path ({error})") from None
    if len(encoded) > _LONGEST_PATH or longest > _LONGEST_NAME:
        raise ConfigError(f"{path[:60]!r}...: is too long for a path")
    return whole


@overload
def resolved_model(model: str, folder: Path) -> str: ...
@overload
def resolved_model(model: None, folder: Path) -> None: ...
def resolved_model(model: str | None, folder: Path) -> str | None:
    """Return a trained model that comes with the package as it is, a file as `resolved` does."""
    return model if shipped(model) else resolved(model, folder)
