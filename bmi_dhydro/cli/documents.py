"""The command that shows the documentation, which is installed with the package."""

from __future__ import annotations

import contextlib
import sysconfig
from importlib import metadata
from pathlib import Path

import click

from ..errors import DhydroError, nearest
from .tools import explained

_INSTALLED = Path("share") / "doc" / "bmi_dhydro"

# Parts that other pages are made of.
_PART = "_introduction"


def folder() -> Path:
    """Return the folder of the documentation.

    Returns
    -------
    Path
        Beside the installed package, or that of the repository where the package is used from it.

    Raises
    ------
    DhydroError
        If it is nowhere.
    """
    candidates = [Path(__file__).parents[2] / "docs", Path(sysconfig.get_path("data")) / _INSTALLED]
    try:
        files = metadata.files("bmi_dhydro") or []
    except metadata.PackageNotFoundError:
        files = []
    candidates += [
        Path(str(file.locate())).parent for file in files if _INSTALLED in Path(file).parents
    ]
    found = next((path for path in candidates if (path / "guide.md").exists()), None)
    if found is None:
        raise DhydroError("the documentation was not installed; it is in `docs` of the repository")
    return found


def pages() -> dict[str, Path]:
    """Return the pages of the documentation, by the names that the command takes."""
    return {
        path.stem: path for path in sorted(folder().glob("*.md")) if not path.stem.endswith(_PART)
    }


@click.command()
@click.argument("page", required=False)
@explained
def docs(page: str | None) -> None:
    """Show PAGE of the documentation, or which there are.

    \b
    bmi-dhydro docs               what pages there are
    bmi-dhydro docs config        all keys of the configuration of a run
    bmi-dhydro docs training      training, and all keys of its configuration
    """
    from rich.console import Console
    from rich.markdown import Markdown

    known = pages()
    if page is None:
        for name, path in known.items():
            lines = path.read_text(encoding="utf-8").splitlines()
            title = next((line.lstrip("# ") for line in lines if line.startswith("# ")), name)
            click.echo(f"{name:14s} {title}")
        click.echo(f"in {folder()}")
        return
    name = page.removesuffix(".md").removeprefix("docs/")
    if name not in known:
        raise DhydroError(f"there is no page {page!r}; {nearest(name, known)}")
    console = Console()
    turned = console.pager(styles=True) if console.is_terminal else contextlib.nullcontext()
    with turned:
        console.print(Markdown(known[name].read_text(encoding="utf-8")))
