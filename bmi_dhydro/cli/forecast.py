"""The commands of forecast chains."""

from __future__ import annotations

from pathlib import Path

import click

from .tools import explained, options_of_workers


def _time(text: str, option: str, step_seconds: int):  # type: ignore[no-untyped-def]
    """Read a time, which must fall on a step; `now` is the start of the present one, in UTC."""
    import numpy as np

    from ..config.settings import parse_date
    from ..errors import ConfigError

    if text == "now":
        now = np.datetime64("now", "s")
        return now - np.timedelta64(int(now.astype(int)) % step_seconds, "s")
    time = parse_date(text, option)
    if int(time.astype(int)) % step_seconds:
        raise ConfigError(f"{option}: {time} is not the start of a step of {step_seconds} s")
    return time


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--at", help="Time to forecast from, ISO 8601 in UTC, or now.")
@click.option("--status", is_flag=True, help="Show the chain, and do nothing.")
@options_of_workers
@explained
def forecast(
    config: Path, at: str | None, status: bool, workers: int, scheduler: str | None
) -> None:
    """Make the next forecast of a chain that CONFIG, a YAML file, describes.

    \b
    bmi-dhydro forecast chain.yaml --at 2001-10-01T06:00
    bmi-dhydro forecast chain.yaml --status

    Finds the newest state, runs the analysis on the weather of the past up to the given time, saves
    its state, and forecasts from there. Call it again with later times, from cron or a workflow:
    it goes on where the last call ended, also where that was killed. One that is there already is
    not made again. `bmi-dhydro docs forecast` explains every key.
    """
    from ..errors import ConfigError
    from ..forecast.chain import Chain, compute_here
    from ..forecast.config import read_forecast_config
    from ..forecast.division import divided_among
    from ..run.workers import here
    from ..run.workers import workers as started

    chain = Chain(read_forecast_config(config))
    if status:
        _show(chain)
        return
    if at is None:
        raise ConfigError("--at: is missing; give a time, or now")
    time = _time(at, "--at", chain.config.step_seconds)
    with started(workers, scheduler) as (mapper, count):
        compute = compute_here if mapper is here else divided_among(mapper, count)
        path = chain.run(time, compute)
    click.echo(f"{path}")


def _show(chain) -> None:  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.table import Table

    table = Table(title=str(chain.folder), title_justify="left")
    for heading in ("time", "state", "forecast", "notes"):
        table.add_column(heading)
    entries = chain.entries()
    for entry in entries[-20:]:
        marks = ["yes" if there else "" for there in (entry.state, entry.forecast)]
        table.add_row(str(entry.time), *marks, entry.notes)
    Console().print(table)
    if len(entries) > 20:
        click.echo(f"and {len(entries) - 20} before")
    for path in chain.damaged():
        click.echo(f"set aside, since damaged: {path}")


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--from", "first", required=True, help="First time to forecast from, ISO 8601.")
@click.option("--to", "last", required=True, help="Last one, included.")
@click.option("--every", default="1d", show_default=True, help="Time between two forecasts.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hindcast"),
    show_default=True,
    help="Folder for scores.csv and a picture.",
)
@options_of_workers
@explained
def hindcast(
    config: Path,
    first: str,
    last: str,
    every: str,
    out: Path,
    workers: int,
    scheduler: str | None,
) -> None:
    """Make the forecasts of a past period as the chain of CONFIG would have, and score them.

    \b
    bmi-dhydro hindcast chain.yaml --from 1985-10-01 --to 1987-09-30

    Scores by lead time, beside those without assimilation and of persistence (the last observed
    flow). Nothing is written into the chain's folder.
    """
    from rich.console import Console
    from rich.table import Table

    from ..config.settings import parse_duration
    from ..forecast import hindcast as hindcasts
    from ..forecast.chain import complete_catchments
    from ..forecast.config import read_forecast_config
    from ..progress_bar import progress
    from ..run.workers import workers as started

    chain = read_forecast_config(config)
    step = chain.step_seconds
    times = hindcasts.reference_times(
        _time(first, "--from", step),
        _time(last, "--to", step),
        parse_duration(every, "--every"),
        step,
    )
    catchments = complete_catchments(chain, times[0])
    with started(workers, scheduler) as (mapper, count):
        total = hindcasts.tasks(chain, catchments, len(times), mapper, count)
        with progress("forecasting", total) as advance:
            result = hindcasts.hindcast(chain, catchments, times, mapper, count, advance)
    medians = hindcasts.summary(hindcasts.scores(result))
    known, whole = int(medians["catchments"].max()), len(result.ids)
    of_all = "" if known == whole else f" of {whole}; the others have no observed flow"
    what = "catchments" if chain.network is None else "gauges"
    title = f"{len(times)} forecasts, medians over {known} {what}{of_all}"
    table = Table(title=title, title_justify="left")
    for heading in ("lead (days)", "", "RMSE (mm/d)", "CRPS", "NSE", "KGE"):
        table.add_column(heading, justify="right" if heading else "left")
    for _, row in medians.iterrows():
        values = (f"{row[name]:.3f}" for name in ("rmse", "crps", "nse", "kge"))
        table.add_row(f"{row['lead_days']:g}", str(row["kind"]), *values)
    Console().print(table)
    for path in hindcasts.write_report(out, result):
        click.echo(f"wrote {path}")
