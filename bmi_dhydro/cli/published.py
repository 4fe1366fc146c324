"""The commands for models that others have published: bringing one here, and fixing parameters."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import counted
from .data_sets import import_data
from .tools import explained

# Where nobody has said what the licence or the source of a model is.
NOT_STATED = "not stated"


@import_data.command("model")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--config",
    "configuration",
    type=click.Path(path_type=Path),
    help="Configuration of the model; config.yaml or config.json beside FILE, unless given.",
)
@click.option(
    "--statistics",
    type=click.Path(path_type=Path),
    help="Statistics of normalisation; normalization_statistics.json or statistics_basinnorm.json "
    "beside FILE, unless given.",
)
@click.option(
    "--licence", help="Under which the original is published; kept in OUT. Asked for, unless given."
)
@click.option(
    "--source",
    help="Where the original comes from, an address or a citation; kept in OUT. Asked for too.",
)
@click.option(
    "--evapotranspiration",
    type=click.Choice(["hargreaves", "penman_monteith", "priestley_taylor", "oudin", "hamon"]),
    help="Method of potential evapotranspiration that it learned with; not known, unless given.",
)
@explained
def import_model(
    file: Path,
    out: Path,
    configuration: Path | None,
    statistics: Path | None,
    licence: str | None,
    source: str | None,
    evapotranspiration: str | None,
) -> None:
    """Import a published delta-HBV model: weights in FILE (.pt), to OUT (.safetensors).

    \b
    bmi-dhydro import dHBV_2_0_Ep100.pt dhbv_2.safetensors --licence CC-BY-NC-4.0 --source doi:...
    bmi-dhydro info dhbv_2.safetensors

    Versions 1.0, 1.1p and 2.0 are known; see `bmi-dhydro docs published_models`. Nothing in FILE is
    executed.
    """
    from ..errors import ConfigError
    from ..published.conversion import import_published

    if out.suffix != ".safetensors":
        raise ConfigError(f"{out}: a trained model is a file named *.safetensors")
    about = {
        "licence": _answer(licence, "Licence of the original (such as CC-BY-NC-4.0)"),
        "source": _answer(source, "Where it comes from (an address or a citation)"),
    }
    model = import_published(file, configuration, statistics, about, evapotranspiration)
    model.save(out)
    layout = model.layout
    click.echo(
        f"{layout.process.long_name}: {counted(layout.parameter_sets, 'parameter set')}, "
        f"{', '.join(layout.dynamic) or 'nothing'} changes daily, "
        f"{counted(len(layout.needed), 'attribute')}"
    )
    if layout.static_by == "weather":
        click.echo(
            "its static parameters depend on the weather of a period; fix them for hosts and "
            "forecasts:  bmi-dhydro freeze CONFIG PARAMETERS"
        )
    unsaid = [name for name, value in about.items() if value == NOT_STATED]
    if unsaid:
        click.secho(
            f"note: {' and '.join(unsaid)} of the original: {NOT_STATED}; say it by "
            f"{' and '.join(f'--{name}' for name in unsaid)}",
            fg="yellow",
        )
    click.echo(f"wrote {out}")
    click.echo(f"see what it needs:  bmi-dhydro info {out}")


def _answer(given: str | None, question: str) -> str:
    """Return what was given, or the answer to a question; where nobody answers, that it is open."""
    if given is None:
        click.echo(f"{question}: ", nl=False)
        given = sys.stdin.readline()
        if not given.endswith("\n"):
            click.echo()
    return given.strip() or NOT_STATED


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@explained
def freeze(config: Path, out: Path) -> None:
    """Write the parameters that a run of CONFIG has to OUT, a parameter file (.safetensors).

    Runs, hosts and forecasts that name it as parameter_file have these parameters, whatever their
    weather. Models whose static parameters depend on the weather of a period (published LSTM
    models) need it where a run goes on from a state, or a host sets the weather.
    """
    from ..config import read_config
    from ..errors import ConfigError
    from ..run.frozen import freeze as write

    if out.suffix != ".safetensors":
        raise ConfigError(f"{out}: a parameter file is named *.safetensors")
    count = write(read_config(config), out)
    click.echo(f"parameters of {counted(count, 'catchment')}")
    click.echo(f"wrote {out}")
    click.echo(f"name it in configurations:  parameter_file: {out}")
