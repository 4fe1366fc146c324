"""The commands that learn from observations: training, and calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ..errors import ConfigError, counted
from ..machine import required
from ..training.config import LossName
from .tools import explained

if TYPE_CHECKING:
    from ..training.calibration import CalibrationSettings


@click.command()
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


@click.command()
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
