"""Runs from the first to the last step, with progress for people who wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from .component import Component
from .config import read_config
from .errors import ConfigError


@contextmanager
def progress(title: str, total: int) -> Iterator[Any]:
    """Show a bar on a terminal, and nothing in a pipe.

    Yields
    ------
    callable
        To be called after each step.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


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
    component = Component(config)
    assert component.steps is not None
    begin = time.perf_counter()
    try:
        with progress("simulating", component.steps) as advance:
            for _ in range(component.steps):
                component.update()
                advance()
        component.close()
    except BaseException:
        component.abandon()
        raise
    return component, time.perf_counter() - begin
