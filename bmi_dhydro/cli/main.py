"""The command line: what people type, and how results are shown to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from .. import __version__
from ..errors import ConfigError, counted
from ..machine import install_command, installed
from ..networks.shipped import SHIPPED
from .data_sets import import_data
from .documents import docs
from .forecast import forecast, hindcast
from .learning import calibrate, train
from .plot import plot
from .published import freeze
from .river import route
from .tools import explained, options_of_workers


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bmi-dhydro")
def main() -> None:
    """Simulate catchments with a trained differentiable hydrology model.

    \b
    Begin with
      bmi-dhydro demo                         a run of made-up catchments, with a picture
      bmi-dhydro example my-run               a folder to start your own run from
      bmi-dhydro run my-run/config.yaml       run it
      bmi-dhydro docs                         the documentation
    """


@main.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("bmi-dhydro-demo"),
    show_default=True,
    help="Folder to write to.",
)
@click.option(
    "--catchments",
    default=24,
    show_default=True,
    type=click.IntRange(1),
    help="How many catchments to make up.",
)
@click.option(
    "--years",
    default=4,
    show_default=True,
    type=click.IntRange(1, 40),
    help="How long to simulate.",
)
@explained
def demo(out: Path, catchments: int, years: int) -> None:
    """Simulate made-up catchments in four climates, through the Basic Model Interface.

    Writes hydrograph.png and results.nc, and the configuration, catchments and weather that they
    come from, so that you can change them and run again.
    """
    from .demo import run_demo

    run_demo(out, catchments, years)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--catchments", default=4, show_default=True, type=click.IntRange(1))
@click.option("--days", default=730, show_default=True, type=click.IntRange(1))
@click.option("--step", default="1d", show_default=True, help="1d, 1h, or what divides a day.")
@click.option(
    "--forcing",
    type=click.Choice(["file", "host"]),
    default="file",
    show_default=True,
    help="Weather in a file, or left to a host (then nothing names it).",
)
@click.option(
    "--model",
    type=click.Choice(list(SHIPPED)),
    default="default",
    show_default=True,
    help="Trained model: more skill, or shorter steps.",
)
@explained
def example(folder: Path, catchments: int, days: int, step: str, forcing: str, model: str) -> None:
    """Write a complete run to FOLDER: config.yaml, and catchments and weather beside it.

    \b
    bmi-dhydro example my-run --catchments 10 --days 365 --step 1h
    bmi-dhydro run my-run/config.yaml

    Made-up observed flow goes with it, and configurations that train a model on it and forecast it.
    """
    from .example import write_example
    from .example_flow import write_observed_flow

    path = write_example(folder, catchments, days, step, forcing, model=model)
    click.echo(f"wrote {path}")
    if forcing == "file":
        commands = write_observed_flow(path)
        click.echo(f"run it:  bmi-dhydro run {path}")
        click.echo("then:    " + "\n         ".join(commands))
    else:
        click.echo(f'use it:  BmiDhydro().initialize("{path}")')


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="NetCDF file to write, instead of output.file in the configuration.",
)
@click.option(
    "--band",
    is_flag=True,
    help="Write quantiles of flow too, 5, 50 and 95 %: of what may be observed, where the model "
    "has learned its errors; else of its networks of several seeds, or of samples of parameters, "
    "which are run apart.",
)
@options_of_workers
@explained
def run(config: Path, out: Path | None, band: bool, workers: int, scheduler: str | None) -> None:
    """Run CONFIG, a YAML file, from its first to its last step.

    Weather must be in a file (forcing.file); results go to output.file. Both are explained in
    `bmi-dhydro docs config`, and `bmi-dhydro example` writes a configuration to start from.
    """
    from ..networks import trained_model
    from ..run.divided_run import run_divided
    from ..run.flow_band import add_band, learned_errors, run_band
    from ..run.simulation import complete, run_config
    from ..run.workers import here
    from ..run.workers import workers as started

    settings = complete(config, out)
    errors = learned_errors(settings) if band else None
    apart = band and errors is None
    if apart and (workers > 1 or scheduler):
        raise ConfigError(
            "--band: several networks or samples run in one process; leave out --workers and "
            "--scheduler"
        )
    with started(workers, scheduler) as (mapper, count):
        if mapper is not here:
            catchments, steps, seconds = run_divided(config, out, mapper, count)
        else:
            component, seconds = run_band(config, out) if apart else run_config(config, out)
            catchments, steps = component.catchments, component.done
    if errors is not None:
        add_band(Path(str(settings.output.file)), errors)
    parameter_sets = trained_model.load(settings.model).layout.parameter_sets
    cells = len(catchments) * settings.members * parameter_sets * steps
    click.echo(
        f"{counted(len(catchments), 'catchment')}, {counted(steps, 'step')} in {seconds:.2f} s "
        f"({_in_words(cells / seconds)} cell-steps per second, files included)"
    )
    click.echo(f"wrote {out or settings.output.file}")
    if settings.network is not None and settings.network.output is not None:
        click.echo(f"wrote {settings.network.output}")


def _in_words(number: float) -> str:
    """Return a number as people say it: 4.2 thousand, 310 million."""
    for size, word in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:.3g}"


_SHOWN = (
    "nse",
    "kge",
    "correlation",
    "variability",
    "bias_ratio",
    "relative_bias",
    "bias_high",
    "bias_low",
)


@main.command()
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("observed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="Folder for scores.csv and pictures.",
)
@click.option("--variable", help="Name of observed flow, where it is not recognised.")
@click.option("--result-variable", help="Name of flow in RESULTS, where it is not recognised.")
@click.option(
    "--warm-up",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Days at the start not to count.",
)
@click.option("--start", help="First day that counts, ISO 8601; that of the results, unless given.")
@click.option("--end", help="Day at which to stop (not included); that of the results.")
@click.option("--step", default="1d", show_default=True, help="Compare means of 1d, 1h, ...")
@explained
def evaluate(
    results: Path,
    observed: Path,
    out: Path,
    variable: str | None,
    result_variable: str | None,
    warm_up: int,
    start: str | None,
    end: str | None,
    step: str,
) -> None:
    """Compare RESULTS with OBSERVED flow, both NetCDF: NSE, KGE and its parts, bias.

    Also written: hydrographs of the best, the median and the worst catchment, and quantities that
    no training saw: baseflow index, annual trend, runoff ratio against aridity, the year of the
    snowpack.

    Flow may be a depth per step, a rate, or a volume with catchment areas; steps without an
    observation do not count, nor do catchments without any. Of an ensemble the mean of its members
    is compared.
    """
    from rich.console import Console
    from rich.table import Table

    from ..config.settings import parse_date, parse_step
    from ..errors import ResultsError, listed
    from ..evaluation.comparison import compare
    from ..evaluation.flow_band import band_coverage
    from ..evaluation.report import write_report
    from ..evaluation.series import is_simulated, members_in, read_flow
    from ..evaluation.targets import target_scores
    from ..evaluation.water_balance import water_balance

    if is_simulated(observed) and not is_simulated(results):
        raise ResultsError(
            f"{observed} has results of a run and {results} has not: give RESULTS first, then "
            "OBSERVED"
        )
    comparison = compare(
        read_flow(results, result_variable),
        read_flow(observed, variable),
        warm_up,
        parse_date(start, "--start") if start else None,
        parse_date(end, "--end") if end else None,
        parse_step(step),
    )
    scores = comparison.scores
    if comparison.without_flow:
        click.echo(
            f"left out, no observation: {listed(comparison.without_flow)} "
            f"({counted(len(comparison.without_flow), 'catchment')})"
        )
    members = members_in(results)
    if members > 1:
        click.echo(f"the mean of {members} members is compared")
    table = Table(title=counted(len(scores), "catchment"), title_justify="left")
    for heading in ("", "lower quarter", "median", "upper quarter"):
        table.add_column(heading, justify="right" if heading else "left")
    for name in _SHOWN:
        values = scores[name].quantile([0.25, 0.5, 0.75])
        table.add_row(name, *(f"{value:.3f}" for value in values))
    others = target_scores(results, observed, comparison).join(band_coverage(results, comparison))
    for column in others:
        values = others[column].quantile([0.25, 0.5, 0.75])
        table.add_row(str(column), *(f"{value:.3f}" for value in values))
    Console().print(table)
    balance = water_balance(results, observed, comparison)
    for path in write_report(out, comparison, balance, results, others):
        click.echo(f"wrote {path}")
    if not installed("matplotlib"):
        click.echo(f"without pictures, which need matplotlib: {install_command('matplotlib')}")


@main.command()
@click.argument("geopackage", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--check",
    is_flag=True,
    help="Check a run that is there: give its folder instead of GEOPACKAGE.",
)
@click.option(
    "--forcing",
    type=click.Path(exists=True, path_type=Path),
    help="Hourly weather of all divides (forcings.nc), or a folder with a CSV table of each.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write.",
)
@click.option("--start", help="Of the run, ISO 8601 in UTC; that of the weather, unless given.")
@click.option("--end", help="Of the run (not included); that of the weather, unless given.")
@click.option(
    "--climate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV of climate indices by id (`bmi-dhydro climate` makes one), or NetCDF of longer "
    "weather, where the weather is shorter than a year.",
)
@click.option("--model", default="default", show_default=True, help="Trained model.")
@click.option(
    "--parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Parameter file that `bmi-dhydro calibrate` has written, for the divides that it has.",
)
@click.option(
    "--attributes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table (CSV, Parquet, NetCDF) of attributes that the hydrofabric lacks, by divide, for "
    "models that need others.",
)
@click.option(
    "--fleet", is_flag=True, help="Instances read the weather themselves and share one engine."
)
@click.option(
    "--multi",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON of another module's formulation that gives potential evapotranspiration.",
)
@click.option("--multi-output", help="What that module calls it; its main output, unless given.")
@click.option("--output", multiple=True, help="Also let the engine write this output; repeatable.")
@click.option(
    "--vegetation",
    type=click.Choice(["usgs", "modis"]),
    default="usgs",
    show_default=True,
    help="Table that mode.IVGTYP refers to.",
)
@click.option(
    "--spin-up",
    default=1,
    show_default=True,
    type=click.IntRange(0),
    help="Years of the weather by which the stores are filled; 0 starts with empty ones.",
)
@click.option(
    "--initial-state",
    type=click.Path(exists=True, path_type=Path),
    help="State file to start from, instead, or a folder with those of all divides.",
)
@click.option(
    "--evapotranspiration",
    type=click.Choice(["written", "computed"]),
    default="written",
    show_default=True,
    help="Potential evapotranspiration is written into the package's copy of the weather, by the "
    "method that the model learned with; or computed by each instance, where weather will be "
    "replaced.",
)
@click.option(
    "--save-states",
    is_flag=True,
    help="Instances save their states in outputs/states when the run ends; the next run starts "
    "from them by --initial-state.",
)
@click.option(
    "--routing",
    metavar="template|FILE",
    help="Turns the engine's routing on: with a configuration of t-route made for this run, or one "
    "of your own.",
)
@explained
def ngen(
    geopackage: Path,
    check: bool,
    forcing: Path | None,
    out: Path | None,
    start: str | None,
    end: str | None,
    climate: Path | None,
    model: str,
    parameters: Path | None,
    attributes: Path | None,
    fleet: bool,
    multi: Path | None,
    multi_output: str | None,
    output: tuple[str, ...],
    vegetation: str,
    spin_up: int,
    initial_state: Path | None,
    evapotranspiration: Literal["written", "computed"],
    save_states: bool,
    routing: str | None,
) -> None:
    """Write a complete NextGen run for the divides of GEOPACKAGE, a hydrofabric 2.2.

    \b
    bmi-dhydro ngen gage-10154200_subset.gpkg --forcing forcings.nc --out my-run
    cd my-run && ngen config/*.gpkg all config/*.gpkg all config/realization.json
    bmi-dhydro ngen --check my-run          after you have changed something

    The layout is that of NextGen in a Box; `bmi-dhydro docs nextgen` explains every key.
    """
    from ..config.settings import parse_date
    from ..hosts.package_options import PackageOptions
    from ..hosts.run_check import check_run
    from ..hosts.run_package import write_run_package
    from ..progress_bar import progress

    if check:
        for sentence in check_run(geopackage):
            click.echo(sentence)
        return
    if forcing is None or out is None:
        raise ConfigError("--forcing and --out: are needed to write a run")
    if geopackage.is_dir():
        raise ConfigError(f"{geopackage}: is a folder; give a hydrofabric, or --check")
    options = PackageOptions(
        model,
        parse_date(start, "--start") if start else None,
        parse_date(end, "--end") if end else None,
        climate,
        fleet,
        multi,
        multi_output,
        output,
        vegetation,
        spin_up,
        initial_state,
        evapotranspiration,
        save_states,
        "template" if routing == "template" else _existing(routing, "--routing"),
        parameters,
        attributes,
    )
    report = write_run_package(geopackage, forcing, out, options, progress)
    for note in report.notes:
        click.echo(note)
    click.echo(f"wrote {report.realization} and configurations of {report.divides} divides")


def _existing(path: str | None, option: str) -> Path | None:
    """Return the path of a file that must be there."""
    if path is not None and not Path(path).is_file():
        raise ConfigError(f"{option}: there is no file {path}")
    return None if path is None else Path(path)


@main.command()
@click.argument("weather", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("catchments", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--model", default="default", show_default=True, help="Trained model to use it with.")
@explained
def climate(weather: Path, catchments: Path, out: Path, model: str) -> None:
    """Write climate indices of WEATHER for CATCHMENTS to OUT, a CSV table.

    CATCHMENTS is a table with ids, areas and latitudes, or a hydrofabric (.gpkg). The whole weather
    file counts: a long record describes the climate better than that of a run. Potential
    evapotranspiration is of the method that the model learned with, where the weather allows.
    """
    from dataclasses import replace

    from ..hosts.hydrofabric import read_hydrofabric
    from ..hosts.run_package import climate_of_weather
    from ..io.catchment_table import read_table
    from ..io.export import write_catchments
    from ..networks.trained_model import load

    if catchments.suffix.lower() == ".gpkg":
        table = read_hydrofabric(catchments).catchments
    else:
        table = read_table(catchments)
    indices = climate_of_weather(weather, table, load(model))
    write_catchments(out, replace(table, attributes={**table.attributes, **indices}), "%.9g")
    click.echo(f"wrote {out}")


@main.command()
@click.argument("model_or_config", default="default")
@explained
def info(model_or_config: str) -> None:
    """Describe a trained model, or check and describe a configuration.

    A model is default, fast, ensemble, or a .safetensors file: where it comes from, how good it is,
    what it needs and gives. A configuration is a .yaml file.
    """
    from .information import describe_config, describe_model

    if model_or_config.endswith((".yaml", ".yml")):
        describe_config(Path(model_or_config))
    else:
        describe_model(model_or_config)


main.add_command(import_data)
main.add_command(train)
main.add_command(freeze)
main.add_command(calibrate)
main.add_command(docs)
main.add_command(plot)
main.add_command(route)
main.add_command(forecast)
main.add_command(hindcast)


if __name__ == "__main__":
    sys.exit(main())
