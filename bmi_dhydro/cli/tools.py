"""What the commands share: errors as one line, options for several workers."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import click

from ..errors import DhydroError


def explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of this package into one line and an exit code of 1."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: click.secho(
                f"warning: {message}", fg="yellow", err=True
            )
            try:
                return command(*arguments, **options)
            except DhydroError as error:
                raise click.ClickException(str(error)) from None

    return wrapped


def options_of_workers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--workers` and `--scheduler`."""
    command = click.option(
        "--scheduler",
        help="Address of a Dask scheduler (tcp://host:8786), whose workers do the work.",
    )(command)
    return click.option(
        "--workers",
        default=1,
        show_default=True,
        type=click.IntRange(1),
        help="Processes to divide the catchments among.",
    )(command)
