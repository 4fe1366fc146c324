"""A bar for people who wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# Makes a progress bar: title, total -> context manager of a callable that takes what to show.
Bar = Callable[[str, int], AbstractContextManager[Callable[..., Any]]]


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[..., Any]]:
    """Show a bar on a terminal, and nothing in a pipe.

    Parameters
    ----------
    title : str
    total : int
        Steps until it is full.

    Yields
    ------
    callable
        To be called after each step, with what to show beside the title, if anything.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda beside="": bar.update(
            task, advance=1, description=f"{title}  {beside}" if beside else None
        )


@contextmanager
def no_progress(title: str, total: int) -> Iterator[Callable[..., Any]]:
    """Show nothing; arguments as `progress`."""
    yield lambda beside="": None
