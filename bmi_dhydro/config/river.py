"""The configuration of a river alone, read from YAML; the fields below are its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ..errors import ConfigError
from .run import ReachProcessName, TimeConfig
from .settings import Count, Section, parse_date, parse_duration, parse_step, read_checked, resolved
from .time_units import TimeUnits


class RiverConfig(Section, frozen=True):
    """A river, to which another component gives lateral inflow."""

    network: str
    """Reaches: a table (.csv, .parquet, .nc), a RouteLink.nc, or a hydrofabric (.gpkg)."""
    process: ReachProcessName = "muskingum_cunge"
    """Model of a reach."""
    learned: str | None = None
    """Trained network that changes roughness and width, or celerity, of the reaches (written by
    `bmi-dhydro train`)."""
    time: TimeConfig = TimeConfig()
    """The period and the step."""
    routing_step: str = "5min"
    """Longest step of routing; a longer step of the component is done in several."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of the model; what hosts see is float64."""
    threads: Count | None = None
    """Threads; all processors of this process, unless given."""
    initial_flow: float | str = 0.0
    """Flow at the start in m3 s-1: of all reaches, or a CSV file with the columns `id` and
    `flow`."""
    initial_state: str | None = None
    """File of `save_state` to start from."""
    save_state: str | None = None
    """File for the state at the end."""


def read_river_config(path: str | Path) -> RiverConfig:
    """Read the configuration of a river; relative paths are relative to its folder.

    Raises
    ------
    ConfigError
        If the file is missing, no YAML, or has unknown, missing or impossible keys.
    """
    return read_checked(Path(path), RiverConfig, _resolved, _check)


def _resolved(config: RiverConfig, folder: Path) -> RiverConfig:
    flow = config.initial_flow
    return msgspec.structs.replace(
        config,
        network=resolved(config.network, folder),
        learned=resolved(config.learned, folder),
        initial_flow=resolved(flow, folder) if isinstance(flow, str) else flow,
        initial_state=resolved(config.initial_state, folder),
        save_state=resolved(config.save_state, folder),
    )


def _check(config: RiverConfig) -> None:
    parse_step(config.time.step)
    parse_duration(config.routing_step, "routing_step")
    units = TimeUnits.parse(config.time.units, "time.units")
    if config.time.start is None and (units.needs_start or config.time.end is not None):
        raise ConfigError("time.start is needed where time.units or time.end is a date")
    if config.time.end is not None:
        first, last = (
            parse_date(text, key)
            for text, key in ((config.time.start, "time.start"), (config.time.end, "time.end"))
            if text is not None
        )
        if last <= first:
            raise ConfigError(f"time.end: {config.time.end} is not after {config.time.start}")
    if config.initial_state is not None and config.initial_flow != 0.0:
        raise ConfigError("initial_flow: the initial state already has the flow; leave one out")
