"""Install the package into fresh environments: size, seconds, and the first picture.

    python benchmarks/install.py                       # the Python that runs this
    python benchmarks/install.py python3.10 python3.13 # others too

Each environment has nothing in it but pip. What is installed is a wheel, made once; the seconds are
those of downloading (or of pip's cache) too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]


def seconds_of(command: list[str], **options: object) -> float:
    """Run a command, and return how long that took."""
    begin = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    return time.perf_counter() - begin


def megabytes(folder: Path) -> float:
    """Return the size of all files of a folder."""
    return (
        sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) / 1e6
    )


def measure(python: str, wheel: Path, folder: Path) -> list[str]:
    """Return the row of a Python: version, size, seconds of installing, of the first demo."""
    seconds_of([python, "-m", "venv", str(folder)])
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    before = megabytes(folder)
    sizes, installing = [], 0.0
    for extra in ("", "[plot]"):
        command = [str(programs / "pip"), "install", "--no-compile", f"{wheel}{extra}"]
        installing += seconds_of(command)
        sizes.append(megabytes(folder) - before)
    environment = {
        **os.environ,
        "BMI_DHYDRO_CACHE_DIR": str(folder / "cache"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
    }
    runs = [
        seconds_of(
            [str(programs / "bmi-dhydro"), "demo", "--out", str(folder / "demo")], env=environment
        )
        for _ in range(2)
    ]
    picture = (folder / "demo" / "hydrograph.png").stat().st_size > 10_000
    version = subprocess.run(
        [str(programs / "python"), "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    shown = [f"{installing:.0f}", *(f"{run:.1f}" for run in runs)]
    return [version, *(f"{size:.0f}" for size in sizes), *shown, "yes" if picture else "no"]


@click.command()
@click.argument("pythons", nargs=-1)
def main(pythons: tuple[str, ...]) -> None:
    """Print a row for each of PYTHONS."""
    table = Table(title="Fresh environments, without torch", title_justify="left")
    headings = ("Python", "MB", "MB with pictures", "install, s", "first demo, s", "second demo, s")
    for heading in (*headings, "picture"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        seconds_of([sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(work), str(ROOT)])
        wheel = next(work.glob("*.whl"))
        for number, python in enumerate(pythons or (sys.executable,)):
            table.add_row(*measure(python, wheel, work / str(number)))
    Console().print(table)


if __name__ == "__main__":
    main()
