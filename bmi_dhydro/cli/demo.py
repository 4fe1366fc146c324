"""The demonstration: made-up catchments through the Basic Model Interface."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from ..bmi import BmiDhydro
from ..catchments.synthetic import CLIMATES
from ..errors import counted
from ..evaluation.hydrograph import Hydrograph, hydrographs
from ..machine import install_command, installed
from ..progress_bar import progress
from ..variables import RUNOFF_FLUX
from .example import write_example

if TYPE_CHECKING:
    from ..run.component import Component

# Mean flow over the years shown would hide the detail: the picture shows this much.
_PICTURE_DAYS = 730

_RECORDED = {
    "flow": RUNOFF_FLUX,
    "baseflow": "land_surface_water__baseflow_volume_flux",
    "evaporation": "land_surface_water__evaporation_volume_flux",
    "snow": "snowpack__liquid-equivalent_depth",
}


def run_demo(folder: Path, catchments: int, years: int) -> None:
    """Write an example, run it step by step, and show what came out.

    Parameters
    ----------
    folder : Path
        Made if it is not there; an earlier demonstration in it is replaced.
    catchments, years : int
    """
    config = write_example(folder, catchments, years * 365, "1d", "file", replace_existing=True)
    model = BmiDhydro()
    model.initialize(str(config))
    component = model.component
    steps = round(model.get_end_time() / model.get_time_step())
    series = {name: np.empty((steps, catchments)) for name in (*_RECORDED, "precipitation")}
    rain, snowfall = (
        component.rows[component.model.outputs.index(k)] for k in ("rain", "snowfall")
    )
    begin = time.perf_counter()
    with progress("simulating", steps) as advance:
        for step in range(steps):
            model.update()
            for name, variable in _RECORDED.items():
                model.get_value(variable, series[name][step])
            series["precipitation"][step] = rain + snowfall
            advance()
    seconds = time.perf_counter() - begin
    model.finalize()
    for name in ("flow", "baseflow", "evaporation"):
        series[name] *= 24.0  # mm h-1 to mm d-1
    _show_table(component, series)
    written = [folder / "results.nc", config]
    if installed("matplotlib"):
        written.insert(1, folder / "hydrograph.png")
        _draw(written[1], component, series)
    else:
        click.echo(f"without a picture, which needs matplotlib: {install_command('matplotlib')}")
    click.echo(
        f"{counted(catchments, 'catchment')} x {component.model.parameter_sets} parallel "
        "parameter sets, "
        f"{steps} days through the interface in {seconds:.2f} s"
    )
    for path in written:
        click.echo(f"wrote {path}")


def _show_table(component: Component, series: dict[str, NDArray]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="Mean water balance (mm per year), largest snowpack (mm)", title_justify="left"
    )
    for heading in (
        "climate",
        "n",
        "rain+snow",
        "evap.",
        "runoff",
        "runoff/P",
        "baseflow/Q",
        "snow",
    ):
        table.add_column(heading, justify="left" if heading == "climate" else "right", no_wrap=True)
    for k, climate in enumerate(CLIMATES):
        members = slice(k, None, len(CLIMATES))
        count = series["flow"][:, members].shape[1]
        if count == 0:
            continue
        mean = {name: values[:, members].mean() * 365.25 for name, values in series.items()}
        table.add_row(
            climate.name,
            str(count),
            f"{mean['precipitation']:.0f}",
            f"{mean['evaporation']:.0f}",
            f"{mean['flow']:.0f}",
            f"{mean['flow'] / mean['precipitation']:.2f}",
            f"{mean['baseflow'] / mean['flow']:.2f}",
            f"{series['snow'][:, members].max():.0f}",
        )
    Console().print(table)


def _draw(path: Path, component: Component, series: dict[str, NDArray]) -> None:
    assert component.clock.start is not None
    steps = series["flow"].shape[0]
    shown = slice(max(0, steps - _PICTURE_DAYS), steps)
    dates = component.clock.start.astype("datetime64[D]") + np.arange(steps)[shown]
    panels = []
    for k, climate in enumerate(CLIMATES[: series["flow"].shape[1]]):
        panels.append(
            Hydrograph(
                f"{component.catchments.ids[k]}, {climate.name}, "
                f"{component.catchments.area[k]:.0f} km2",
                dates,
                series["flow"][shown, k],
                precipitation=series["precipitation"][shown, k],
                snow=series["snow"][shown, k],
            )
        )
    hydrographs(path, panels, "Made-up catchments, simulated with the default model")
