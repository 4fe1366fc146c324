"""From the divides of a hydrofabric to the gauge that they drain to.

A made-up hydrofabric (a GeoPackage with the tables of NextGen's) is run divide by divide in hours;
its river brings the runoff to a gauge, and a picture shows both: precipitation and flow at the
gauge, and the river coloured by its highest flow.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import matplotlib
import numpy as np
import pandas
import xarray

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.river.network import Network
from bmi_dhydro.river.tables import read_network
from bmi_dhydro.run.routed_results import Routing, route_results
from bmi_dhydro.run.simulation import run_config

DIVIDES, DAYS, GAUGE = 60, 90, "01234567"
FLOW = "channel_exit_water_x-section__volume_flow_rate"


def write_hydrofabric(path: Path) -> np.ndarray:
    """Write flowpaths, nexus and channel geometry; return coordinates (2, divides) for the map."""
    random = np.random.default_rng(4)
    numbers = np.arange(1, DIVIDES + 1)
    below = np.array([0, *(random.integers(max(0, k - 9), k) + 1 for k in range(1, DIVIDES))])
    drained, places = np.ones(DIVIDES), np.zeros((2, DIVIDES))
    for k in range(DIVIDES - 1, 0, -1):
        drained[below[k] - 1] += drained[k]
    for k in range(1, DIVIDES):
        turn = random.uniform(0.2, np.pi - 0.2)
        step = 0.05 * np.array([np.cos(turn), np.sin(turn)])
        places[:, k] = places[:, below[k] - 1] + step
    nexus = [f"nex-{n}" if n else "tnx-1" for n in below]
    width = 3.0 * drained**0.45
    tables = {
        "flowpaths": pandas.DataFrame(
            {
                "id": [f"wb-{n}" for n in numbers],
                "toid": nexus,
                "divide_id": [f"cat-{n}" for n in numbers],
            }
        ),
        "nexus": pandas.DataFrame(
            {"id": nexus, "toid": [f"wb-{n}" for n in below]}
        ).drop_duplicates(),
        "flowpath-attributes": pandas.DataFrame(
            {
                "id": [f"wb-{n}" for n in numbers],
                "Length_m": random.uniform(3000.0, 9000.0, DIVIDES),
                "BtmWdth": width,
                "TopWdth": 1.7 * width,
                "TopWdthCC": 5.1 * width,
                "n": 0.05,
                "nCC": 0.1,
                "ChSlp": 0.4,
                "So": 10.0 ** random.uniform(-3.5, -2.2, DIVIDES),
                "rl_gages": [GAUGE, *[None] * (DIVIDES - 1)],
            }
        ),
    }
    with closing(sqlite3.connect(path)) as database:
        for name, rows in tables.items():
            rows.to_sql(name, database, index=False)
    return places


def draw(path: Path, runoff: Path, routed: Path, network: Network, places: np.ndarray) -> None:
    """Draw rain and flow at the gauge, and the river by its highest flow."""
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    with xarray.open_dataset(runoff) as land, xarray.open_dataset(routed) as river:
        rain = land["precipitation"].mean("station").values
        entered = land[FLOW].sum("station").values
        times, flow = river["time"].values, river[FLOW].values
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    axis, chart = figure.subplots(1, 2, width_ratios=(1.7, 1.0))
    outlet = network.gauges[GAUGE]
    axis.plot(times, entered, color="tab:green", linewidth=0.8, label="runoff of all divides")
    axis.plot(times, flow[:, outlet], color="tab:blue", label=f"flow at gauge {GAUGE}")
    axis.set(ylabel="m3 s-1", ylim=(0.0, 1.5 * entered.max()))
    axis.legend(loc="upper left", bbox_to_anchor=(0.01, 0.75))
    above = axis.twinx()
    above.bar(times, rain, width=1.0 / 24.0, color="tab:grey")
    above.set(ylabel="precipitation, mm in an hour", ylim=(4.0 * rain.max(), 0.0))
    for label in axis.get_xticklabels():
        label.set(rotation=30, ha="right")
    drains = network.to >= 0
    lines = np.stack([places[:, drains].T, places[:, network.to[drains]].T], axis=1)
    highest = flow.max(axis=0)
    colours = matplotlib.colors.LogNorm(highest.min(), highest.max())
    rivers = LineCollection(
        lines, array=highest[drains], cmap="viridis_r", norm=colours, linewidths=2.5
    )
    chart.add_collection(rivers)
    chart.plot(*places[:, outlet], "v", color="tab:red", label="gauge")
    chart.set(aspect="equal", xticks=[], yticks=[], title="highest flow of each reach")
    chart.autoscale()
    chart.legend()
    figure.colorbar(rivers, ax=chart, label="m3 s-1")
    figure.savefig(path, dpi=130)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="river_to_gauge_"))
    config = write_example(folder / "run", DIVIDES, DAYS, "1h", "file")
    places = write_hydrofabric(folder / "hydrofabric.gpkg")
    network = read_network(folder / "hydrofabric.gpkg")
    run_config(config, folder / "runoff.nc")
    done = route_results(
        folder / "runoff.nc", network, folder / "river.nc", Routing(at="all", start="dry")
    )
    picture = folder / "river_to_gauge.png"
    draw(picture, folder / "runoff.nc", folder / "river.nc", network, places)
    account = done.balance
    print(f"{done.catchments} divides, {len(network)} reaches, {done.steps} hours")
    print(
        f"of {account['in']:.3g} m3 of runoff {account['out'] / account['in']:.0%} passed the gauge"
    )
    print(f"see {picture}")


if __name__ == "__main__":
    main()
