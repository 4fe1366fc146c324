"""The command line: what people type, and how results are shown to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from .. import __version__
from ..errors import ConfigError, counted
from ..machine import install_command, installed, required
from ..training.config import LossName
from .data_sets import import_data
from .documents import docs
from .forecast import forecast, hindcast
from .plot import plot
from .river import route
from .tools import explained, options_of_workers

if TYPE_CHECKING:
    from ..training.calibration import CalibrationSettings


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
@explained
def example(folder: Path, catchments: int, days: int, step: str, forcing: str) -> None:
    """Write a complete run to FOLDER: config.yaml, and catchments and weather beside it.

    \b
    bmi-dhydro example my-run --catchments 10 --days 365 --step 1h
    bmi-dhydro run my-run/config.yaml

    Made-up observed flow goes with it, and configurations that train a model on it and forecast it.
    """
    from .example import write_example
    from .example_flow import write_observed_flow

    path = write_example(folder, catchments, days, step, forcing)
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
    help="Run each network of a model trained from several seeds, and write quantiles of runoff "
    "(or of output.variables): 5, 50 and 95 %.",
)
@options_of_workers
@explained
def run(config: Path, out: Path | None, band: bool, workers: int, scheduler: str | None) -> None:
    """Run CONFIG, a YAML file, from its first to its last step.

    Weather must be in a file (forcing.file); results go to output.file. Both are explained in
    `bmi-dhydro docs config`, and `bmi-dhydro example` writes a configuration to start from.
    """
    from ..config import read_config
    from ..errors import ConfigError
    from ..networks import trained_model
    from ..run.divided_run import run_divided
    from ..run.simulation import run_band, run_config
    from ..run.workers import here
    from ..run.workers import workers as started

    if band and (workers > 1 or scheduler):
        raise ConfigError("--band: runs in one process; leave out --workers and --scheduler")
    with started(workers, scheduler) as (mapper, count):
        if mapper is not here:
            catchments, steps, seconds = run_divided(config, out, mapper, count)
        else:
            component, seconds = run_band(config, out) if band else run_config(config, out)
            catchments, steps = component.catchments, component.done
    settings = read_config(config)
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


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--stop-after",
    type=click.IntRange(1),
    help="End after this many batches; a later call goes on from there.",
)
@explained
def train(config: Path, stop_after: int | None) -> None:
    """Train a model as CONFIG, a YAML file, says.

    Weather, observed flow and a catchment table go in; model.safetensors comes out, in the folder
    that the configuration names, with a log and curves. Call it again after a break, and it goes
    on with the same result. `bmi-dhydro docs training` explains every key.
    """
    required("torch", "training")
    from ..progress_bar import progress
    from ..training.run import TrainingRun

    run = TrainingRun(config)
    judged = "" if run.validation is None else f", {len(run.validation.data.stations)} to judge by"
    learned, gauges = run.learned, ""
    if learned.gauges is not None:
        gauges = f" of {counted(len(learned.gauges), 'gauge')}"
    click.echo(f"{counted(len(learned.ids), 'catchment')}{gauges} to learn from{judged}")
    model = run.run(progress, stop_after)
    if model is None:
        click.echo(f"stopped; call again to go on from {run.folder}")
    else:
        click.echo(f"wrote {model}")
        click.echo(f"describe it:  bmi-dhydro info {model}")


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("observed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("parameters.safetensors"),
    show_default=True,
    help="Parameter file to write.",
)
@click.option("--iterations", default=100, show_default=True, type=click.IntRange(1))
@click.option(
    "--loss",
    type=click.Choice(get_args(LossName)),
    default="nse",
    show_default=True,
    help="What is made small.",
)
@click.option("--warm-up", default=365, show_default=True, help="Days at the start not to count.")
@click.option("--until", help="Last day that counts; what comes later judges the result.")
@click.option("--only", help="Parameters to calibrate, separated by commas; all, unless given.")
@click.option(
    "--snow",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="NetCDF file of observed snow water equivalent, to calibrate on too.",
)
@click.option(
    "--evapotranspiration",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="NetCDF file of actual evapotranspiration, to calibrate on too.",
)
@click.option(
    "--target-weight",
    default=0.25,
    show_default=True,
    type=click.FloatRange(0.0, 1e6, min_open=True),
    help="How much the error of --snow and --evapotranspiration counts beside that of flow.",
)
@click.option(
    "--posterior",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for samples of the parameters' posterior distribution, around what was "
    "calibrated: parameter_file: FOLDER/{sample}.safetensors of `bmi-dhydro run --band`.",
)
@click.option(
    "--samples", default=50, show_default=True, type=click.IntRange(2), help="With --posterior."
)
@click.option("--variable", help="Name of observed flow, where it is not recognised.")
@click.option(
    "--network",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="River between the catchments and gauges where flow was observed: a table, a RouteLink.nc "
    "or a hydrofabric.",
)
@click.option(
    "--process",
    type=click.Choice(["muskingum_cunge", "linear"]),
    default="muskingum_cunge",
    show_default=True,
    help="Model of a reach, with --network.",
)
@click.option(
    "--routing-step", default="1h", show_default=True, help="Longest routing step, with --network."
)
@explained
def calibrate(
    config: Path,
    observed: Path,
    out: Path,
    iterations: int,
    loss: str,
    warm_up: int,
    until: str | None,
    only: str | None,
    snow: Path | None,
    evapotranspiration: Path | None,
    target_weight: float,
    posterior: Path | None,
    samples: int,
    variable: str | None,
    network: Path | None,
    process: str,
    routing_step: str,
) -> None:
    """Calibrate the catchments of CONFIG on OBSERVED flow, from the network's parameters on.

    Each catchment follows the gradient of its own error downhill. With --network all catchments
    upstream of a gauge follow that of the flow at the gauge, through the river. Name the file that
    comes out as parameter_file in a configuration, and runs use it.
    """
    required("torch", "calibration")
    if posterior is not None:
        required("emcee", "--posterior")
        if network is not None:
            raise ConfigError("--posterior: does not go with --network; leave one of them out")
    from ..config import read_config
    from ..progress_bar import progress
    from ..training.calibration import CalibrationSettings
    from ..training.calibration import calibrate as descend
    from ..training.config import TargetConfig

    names = tuple(name.strip() for name in only.split(",")) if only else ()
    targets = {
        name: TargetConfig(file=str(path), weight=target_weight)
        for name, path in (("snow", snow), ("evapotranspiration", evapotranspiration))
        if path is not None
    }
    settings = CalibrationSettings(
        iterations, loss, warm_up=warm_up, until=until, parameters=names, targets=targets
    )
    with progress("calibrating", iterations) as advance:
        if network is None:
            scores = descend(read_config(config), observed, settings, out, variable, advance)
        else:
            from ..config.settings import parse_duration
            from ..river.tables import read_network
            from ..training.gauge_calibration import calibrate_to_gauges
            from ..training.gauges import GaugedRiver

            seconds = parse_duration(routing_step, "--routing-step")
            river = GaugedRiver(read_network(network), process, seconds)
            scores = calibrate_to_gauges(
                read_config(config), observed, settings, out, river, variable, advance
            )
    places = "catchments" if network is None else "gauges"
    click.echo(f"medians over {len(scores)} {places}")
    for name, value in scores.median().items():
        click.echo(f"{str(name).replace('_', ' '):18s} {value:.3f}")
    click.echo(f"wrote {out}")
    if posterior is not None:
        _sample(config, observed, out, settings, posterior, samples, len(scores), variable)


def _sample(
    config: Path,
    observed: Path,
    calibrated: Path,
    settings: CalibrationSettings,
    folder: Path,
    samples: int,
    catchments: int,
    variable: str | None,
) -> None:
    """Sample the posterior around calibrated parameters, and say how that went."""
    import msgspec

    from ..config import read_config
    from ..progress_bar import progress
    from ..training.posterior import PosteriorSettings, sample_posterior

    own = msgspec.structs.replace(read_config(config), parameter_file=str(calibrated))
    with progress("sampling", catchments) as advance:
        table = sample_posterior(
            own, observed, settings, PosteriorSettings(samples), folder, variable, advance
        )
    for name, value in table.median().items():
        click.echo(f"{str(name).replace('_', ' '):24s} {value:.3f}")
    click.echo(f"wrote {samples} parameter files to {folder}")


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
    of_targets = target_scores(results, observed, comparison)
    for column in of_targets:
        values = of_targets[column].quantile([0.25, 0.5, 0.75])
        table.add_row(str(column), *(f"{value:.3f}" for value in values))
    Console().print(table)
    balance = water_balance(results, observed, comparison)
    for path in write_report(out, comparison, balance, results, of_targets):
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
    from ..errors import ConfigError
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
    )
    report = write_run_package(geopackage, forcing, out, options, progress)
    for note in report.notes:
        click.echo(note)
    click.echo(f"wrote {report.realization} and configurations of {report.divides} divides")


def _existing(path: str | None, option: str) -> Path | None:
    """Return the path of a file that must be there."""
    from ..errors import ConfigError

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

    A model is default, dynamic, or a .safetensors file: where it comes from, how good it is, what
    it needs and gives. A configuration is a .yaml file.
    """
    from .information import describe_config, describe_model

    if model_or_config.endswith((".yaml", ".yml")):
        describe_config(Path(model_or_config))
    else:
        describe_model(model_or_config)


main.add_command(import_data)
main.add_command(docs)
main.add_command(plot)
main.add_command(route)
main.add_command(forecast)
main.add_command(hindcast)


if __name__ == "__main__":
    sys.exit(main())
