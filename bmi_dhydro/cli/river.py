"""The command that routes results through a river."""

from __future__ import annotations

from pathlib import Path

import click

from .tools import explained


@click.command()
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("network", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--process",
    type=click.Choice(["muskingum_cunge", "muskingum_cunge_nwm", "linear"]),
    default="muskingum_cunge",
    show_default=True,
    help="Model of a reach.",
)
@click.option(
    "--at",
    "places",
    multiple=True,
    metavar="PLACE",
    help="Where results are wanted: gauges (if there are some), outlets, all, or the id of a gauge "
    "or reach; several times for several.",
)
@click.option("--variable", help="Runoff in RESULTS; recognised, unless given.")
@click.option(
    "--start",
    type=click.Choice(["steady", "dry"]),
    default="steady",
    show_default=True,
    help="Whether the river starts with the flow that the first step would keep up, or dry.",
)
@click.option(
    "--routing-step",
    default="5min",
    show_default=True,
    help="Longest routing step; a step of RESULTS is done in several.",
)
@click.option("--threads", type=click.IntRange(1), help="All processors, unless given.")
@explained
def route(
    results: Path,
    network: Path,
    out: Path,
    process: str,
    places: tuple[str, ...],
    variable: str | None,
    start: str,
    routing_step: str,
    threads: int | None,
) -> None:
    """Route the runoff of catchments through a river: RESULTS of a run, NETWORK, file to write.

    RESULTS are those of `bmi-dhydro run` or of any other model: a NetCDF file of time series of
    catchments. NETWORK is a table of reaches (.csv, .parquet, .nc), a RouteLink.nc or a NextGen
    hydrofabric (.gpkg). What is written is evaluated like results of catchments:

    \b
    bmi-dhydro run config.yaml --out runoff.nc
    bmi-dhydro route runoff.nc rivers.csv gauges.nc
    bmi-dhydro evaluate gauges.nc observed.nc --out scores
    """
    from ..config.settings import parse_duration
    from ..errors import counted
    from ..progress_bar import progress
    from ..river.tables import read_network
    from ..run.routed_results import Routing, route_results

    rivers = read_network(network)
    words = ("gauges", "outlets", "all")
    at: str | tuple[str, ...] = places or "auto"
    if len(places) == 1 and places[0] in words:
        at = places[0]
    seconds = parse_duration(routing_step, "--routing-step")
    routing = Routing(
        process, at, variable, "dry" if start == "dry" else "steady", seconds, threads=threads
    )
    done = route_results(results, rivers, out, routing, progress)
    click.echo(
        f"{len(rivers)} reaches, {counted(done.catchments, 'catchment')}, {done.steps} steps; "
        f"flow at {len(done.stations)} places"
    )
    if done.without_runoff:
        click.echo(f"{done.without_runoff} reaches have no catchment of their own in {results}")
    account = done.balance
    if account["in"]:
        click.echo(
            f"of the runoff {100 * account['out'] / account['in']:.1f} % has left the rivers, "
            f"{100 * account['stored'] / account['in']:+.1f} % is stored in them"
        )
    click.echo(f"wrote {out}")
