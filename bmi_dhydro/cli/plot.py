"""The command that draws results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .tools import explained

if TYPE_CHECKING:
    from numpy.typing import NDArray


@click.command()
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument(
    "observed", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("plots"),
    show_default=True,
    help="Folder to write pictures to.",
)
@click.option("--catchment", multiple=True, help="Draw this one; repeatable. Some, unless given.")
@click.option("--start", help="First day that is drawn, ISO 8601; two years, unless given.")
@click.option("--end", help="Day at which to stop (not included).")
@click.option("--variable", help="Name of observed flow, where it is not recognised.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration of the run: draws maps of its parameters too.",
)
@click.option(
    "--page",
    is_flag=True,
    help="Also write page.html: a map, and the hydrograph of the catchment that is clicked. It "
    "needs nothing else, no network either.",
)
@explained
def plot(
    results: Path,
    observed: Path | None,
    out: Path,
    catchment: tuple[str, ...],
    start: str | None,
    end: str | None,
    variable: str | None,
    config: Path | None,
    page: bool,
) -> None:
    """Draw RESULTS of a run, beside OBSERVED flow where it is given.

    \b
    bmi-dhydro plot my-run/results.nc my-run/observed.nc --page
    bmi-dhydro plot my-run/results.nc --catchment cat-3 --start 2001-10-01 --end 2002-10-01

    Hydrographs with rain and snow, means of each month, flow duration, maps. Members of an ensemble
    are a fan.
    """
    from ..config.settings import parse_date
    from ..evaluation.overview import Overview, draw_overview
    from ..machine import required

    required("matplotlib", "plot")
    if page:
        required("plotly", "--page")
    overview = Overview.read(
        results,
        observed,
        parse_date(start, "--start") if start else None,
        parse_date(end, "--end") if end else None,
        variable,
    )
    given = None if config is None else _parameters(config, overview.ids)
    written = draw_overview(out, overview, catchment, bool(start or end), given)
    if page:
        from ..evaluation.page import write_page

        written.append(write_page(out / "page.html", overview, results.name))
    for path in written:
        click.echo(f"wrote {path}")


def _parameters(path: Path, ids: list[str]) -> dict[str, NDArray]:
    """Return the parameters that a run has, means of parallel parameter sets, by name and units."""
    import numpy as np

    from ..config import read_config
    from ..errors import ResultsError, listed
    from ..run.component import Component

    component = Component(read_config(path).without_files())
    try:
        known = component.catchments.ids.tolist()
        absent = [name for name in ids if name not in known]
        if absent:
            raise ResultsError(f"{path}: has no catchment {listed(absent)} of the results")
        rows = np.array([known.index(name) for name in ids])
        return {
            f"{item.name}, {item.units}": values[rows].reshape(rows.size, -1).mean(axis=1)
            for item in component.model.parameter_items
            if (values := component.model.parameters.get(item.name)) is not None
        }
    finally:
        component.abandon()
