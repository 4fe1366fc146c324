"""The commands that bring data sets, as they are distributed, to the files of this package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import counted
from .tools import explained

if TYPE_CHECKING:
    from ..datasets.records import GaugedRecords


class _DataOrModel(click.Group):
    """Commands of data sets; what is none of them is the file of a model."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names, or that of models."""
        if args[0] not in self.commands and Path(args[0]).suffix:
            args = ["model", *args]
        return super().resolve_command(ctx, args)


@click.group("import", cls=_DataOrModel)
def import_data() -> None:
    """Bring a data set of gauged catchments, or a published model, to files of this package.

    \b
    bmi-dhydro import camels basin_dataset_public_v1p2 camels --forcing daymet
    bmi-dhydro import caravan Caravan gb --source camelsgb
    bmi-dhydro import dHBV_2_0_Ep100.pt dhbv_2.safetensors
    """


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all data sets have: folder, out, and which catchments."""
    command = click.option(
        "--select",
        multiple=True,
        metavar="ID",
        help="A catchment to take, several times for several; all, unless given.",
    )(command)
    command = click.argument("out", type=click.Path(file_okay=False, path_type=Path))(command)
    return click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))(
        command
    )


def _written(records: GaugedRecords, out: Path) -> None:
    import numpy as np

    from ..datasets.records import write

    paths = write(records, out)
    observed = np.isfinite(records.flow).mean()
    click.echo(
        f"{records.name}: {counted(len(records.catchments), 'catchment')}, "
        f"{records.days} days from {records.start}, flow on {100 * observed:.0f} % of them"
    )
    for note in records.notes:
        click.secho(f"note: {note}", fg="yellow")
    for path in paths:
        click.echo(f"wrote {path}")
    click.echo(f"train on it:  bmi-dhydro train {paths[-1]}")


@import_data.command()
@_options
@click.option(
    "--forcing",
    type=click.Choice(["daymet", "maurer_extended", "nldas", "nldas_extended", "maurer"]),
    default="daymet",
    show_default=True,
    help="Source of the weather.",
)
@explained
def camels(folder: Path, out: Path, select: tuple[str, ...], forcing: str) -> None:
    """Import CAMELS for the United States from FOLDER, as it is distributed, to OUT.

    FOLDER has basin_mean_forcing, usgs_streamflow and the tables camels_topo.txt, camels_soil.txt,
    camels_vege.txt and camels_geol.txt, at any depth. Flow becomes a depth over the area that the
    weather's files give; areas of other sources that differ are named.
    """
    from ..datasets import camels_us
    from ..progress_bar import progress

    _written(camels_us.read(folder, forcing, select, progress), out)


@import_data.command()
@_options
@click.option("--source", help="Source of catchments: camels, camelsgb, hysets, lamah, ...")
@click.option(
    "--evapotranspiration",
    type=click.Choice(["penman_monteith", "era5_land"]),
    help="Which potential evapotranspiration to take; computed from temperatures, unless given.",
)
@explained
def caravan(
    folder: Path,
    out: Path,
    select: tuple[str, ...],
    source: str | None,
    evapotranspiration: str | None,
) -> None:
    """Import a source of Caravan from FOLDER, as it is distributed, to OUT.

    FOLDER has attributes/SOURCE and timeseries/netcdf/SOURCE or timeseries/csv/SOURCE.
    """
    from ..datasets import caravan as reader
    from ..progress_bar import progress

    _written(reader.read(folder, source, select, evapotranspiration, progress), out)
