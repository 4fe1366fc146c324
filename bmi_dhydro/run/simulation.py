"""Runs from the first to the last step, with progress for people who wait."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from ..config import Config, read_config
from ..errors import ConfigError
from ..progress_bar import progress
from .component import Component


def complete(path: Path, out: Path | None) -> Config:
    """Read a configuration that can be run, with results in `out` if it is given.

    Raises
    ------
    ConfigError
        If there is no weather file or nothing to write.
    """
    config = read_config(path)
    if config.forcing.file is None:
        raise ConfigError(
            f"{path}: forcing.file is missing; without it the weather comes from a host, through "
            "the Basic Model Interface"
        )
    if out is not None:
        output = msgspec.structs.replace(config.output, file=str(out.resolve()))
        config = msgspec.structs.replace(config, output=output)
    if config.output.file is None:
        raise ConfigError(f"{path}: output.file is missing; give it, or --out FILE")
    return config


def run_config(path: Path, out: Path | None = None) -> tuple[Component, float]:
    """Run a configuration whose weather is in a file, and write its results.

    Parameters
    ----------
    path : Path
    out : Path, optional
        Where to write results, instead of `output.file`.

    Returns
    -------
    component : Component
        Finished.
    seconds : float
        That the steps took.

    Raises
    ------
    ConfigError
        If there is no weather file or nothing to write.
    """
    component = Component(complete(path, out), bar=progress)
    assert component.clock.steps is not None
    begin = time.perf_counter()
    try:
        with progress("simulating", component.clock.steps) as advance:
            for _ in range(component.clock.steps):
                component.update()
                advance()
        component.close()
    except BaseException:
        component.abandon()
        raise
    return component, time.perf_counter() - begin
