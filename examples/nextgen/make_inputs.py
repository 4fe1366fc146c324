"""Make up what a NextGen run starts from: a hydrofabric and hourly weather.

    python examples/nextgen/make_inputs.py FOLDER [--divides 3] [--days 10]

writes FOLDER/hydrofabric.gpkg, in the schema of NextGen hydrofabric 2.2, FOLDER/forcings.nc, in the
layout and units of AORC as NextGen reads it, and FOLDER/climate.csv, the climate indices that ten
days of weather cannot give.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import click
import netCDF4
import numpy as np
from pyproj import Transformer

from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.catchments.synthetic import make_catchments, make_weather
from bmi_dhydro.cli.example import climate

LAYERS = [f"soil_layers_stag={layer}" for layer in range(1, 5)]
DECIDUOUS_FOREST, CROPLAND = 11, 2


def polygon(x: float, y: float) -> bytes:
    """Return a square of 3 km around a point, as a GeoPackage geometry."""
    half = 1500.0
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    ring = b"".join(struct.pack("<dd", x + dx, y + dy) for dx, dy in corners)
    header = b"GP" + struct.pack("<BBi", 0, 1, 5070)
    return header + struct.pack("<BII", 1, 3, 1) + struct.pack("<I", len(corners)) + ring


def point(x: float, y: float) -> bytes:
    """Return a point as a GeoPackage geometry."""
    return b"GP" + struct.pack("<BBi", 0, 1, 5070) + struct.pack("<BIdd", 1, 1, x, y)


def write_hydrofabric(path: Path, catchments: Catchments) -> None:
    """Write divides and their attributes, and the nexuses that they drain to."""
    path.unlink(missing_ok=True)
    to_albers = Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True)
    x, y = to_albers.transform(catchments.longitude, catchments.latitude)
    soil = catchments.attributes
    columns: dict[str, np.ndarray] = {}
    conductivity = 10.0 ** soil["log10_saturated_conductivity"]
    for k, layer in enumerate(LAYERS):
        columns[f"mode.bexp_{layer}"] = soil["clapp_hornberger_b"]
        columns[f"geom_mean.dksat_{layer}"] = conductivity * (1.0, 0.5, 2.0, 1.0)[k]
        columns[f"mean.smcmax_{layer}"] = soil["soil_porosity"]
        columns[f"mean.smcwlt_{layer}"] = soil["wilting_point"]
    forest = soil["forest_fraction"] > 0.5
    columns["mode.IVGTYP"] = np.where(forest, DECIDUOUS_FOREST, CROPLAND)
    columns["mean.elevation"] = catchments.elevation * 100.0  # cm
    columns["mean.slope"] = np.full(len(catchments), 85.0)  # degrees, 90 is flat
    columns["centroid_x"], columns["centroid_y"] = np.asarray(x), np.asarray(y)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY, "
            "organization TEXT, organization_coordsys_id INTEGER, definition TEXT)"
        )
        database.execute(
            "INSERT INTO gpkg_spatial_ref_sys VALUES "
            "('NAD83 / Conus Albers', 5070, 'EPSG', 5070, 'see EPSG:5070')"
        )
        database.execute(
            "CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT, "
            "srs_id INTEGER)"
        )
        database.execute("INSERT INTO gpkg_contents VALUES ('divides', 'features', 5070)")
        database.execute("INSERT INTO gpkg_contents VALUES ('nexus', 'features', 5070)")
        database.execute("INSERT INTO gpkg_contents VALUES ('divide-attributes', 'attributes', 0)")
        database.execute(
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, "
            "geometry_type_name TEXT, srs_id INTEGER, z INTEGER, m INTEGER)"
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('divides', 'geom', 'POLYGON', 5070, 0, 0)"
        )
        database.execute(
            "CREATE TABLE divides (fid INTEGER PRIMARY KEY, geom BLOB, divide_id TEXT, toid TEXT, "
            "type TEXT, areasqkm REAL, tot_drainage_areasqkm REAL, vpuid TEXT)"
        )
        # The engine reads both layers: divides drain to nexuses, and these, here, to nowhere.
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('nexus', 'geom', 'POINT', 5070, 0, 0)"
        )
        database.execute(
            "CREATE TABLE nexus (fid INTEGER PRIMARY KEY, geom BLOB, id TEXT, toid TEXT, "
            "type TEXT, vpuid TEXT)"
        )
        names = ", ".join(f'"{name}" REAL' for name in columns)
        database.execute(f'CREATE TABLE "divide-attributes" (divide_id TEXT, vpuid TEXT, {names})')
        for k, name in enumerate(catchments.ids.tolist()):
            area = float(catchments.area[k])
            number = name.partition("-")[2]
            database.execute(
                "INSERT INTO divides VALUES (?, ?, ?, ?, 'network', ?, ?, '01')",
                (k + 1, polygon(float(x[k]), float(y[k])), name, f"tnx-{number}", area, area),
            )
            database.execute(
                "INSERT INTO nexus VALUES (?, ?, ?, 'wb-0', 'terminal', '01')",
                (k + 1, point(float(x[k]), float(y[k]) - 1500.0), f"tnx-{number}"),
            )
            values = [float(column[k]) for column in columns.values()]
            marks = ", ".join("?" * (2 + len(values)))
            database.execute(
                f'INSERT INTO "divide-attributes" VALUES ({marks})', (name, "01", *values)
            )
    database.close()


def write_forcing(path: Path, catchments: Catchments, days: int, seed: int) -> None:
    """Write hourly weather in the layout, names and units of AORC."""
    weather = make_weather(catchments, days, 3600, seed=seed)
    steps = weather.precipitation.shape[0]
    hour = (np.arange(steps) % 24 - 6.0)[:, None]
    sun = np.maximum(np.sin(np.pi * hour / 12.0), 0.0)
    warmth = weather.temperature
    pressure = 101325.0 * np.exp(-catchments.elevation / 8400.0)
    saturation = 610.8 * np.exp(17.27 * warmth / (warmth + 237.3))
    rows = {
        "precip_rate": ("mm s^-1", weather.precipitation / 3600.0),
        "TMP_2maboveground": ("K", warmth + 273.15),
        "SPFH_2maboveground": ("kg kg-1", 0.622 * 0.65 * saturation / pressure),
        "DSWRF_surface": ("W m-2", 620.0 * sun + 0.0 * warmth),
        "DLWRF_surface": ("W m-2", 0.8 * 5.67e-8 * (warmth + 273.15) ** 4),
        "PRES_surface": ("Pa", pressure + 0.0 * warmth),
        "UGRD_10maboveground": ("m s-1", 2.0 + 0.0 * warmth),
        "VGRD_10maboveground": ("m s-1", -1.0 + 0.0 * warmth),
    }
    epoch = weather.start.astype("datetime64[s]").astype(int) + np.arange(steps) * 3600
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("catchment-id", len(catchments))
        data.createDimension("time", steps)
        data.createVariable("ids", str, ("catchment-id",))[:] = catchments.ids.astype(object)
        time = data.createVariable("Time", "i4", ("catchment-id", "time"), compression="zlib")
        time.units = "s"
        time[:] = np.tile(epoch, (len(catchments), 1))
        for name, (units, values) in rows.items():
            variable = data.createVariable(name, "f4", ("catchment-id", "time"), compression="zlib")
            variable.units = units
            variable[:] = values.T


def made_up_divides(count: int, seed: int = 0) -> Catchments:
    """Return catchments as small as divides are."""
    catchments = make_catchments(count, seed)
    catchments.area[:] = 4.0 + 12.0 * np.random.default_rng(seed).random(count)
    return catchments


def write_climate(path: Path, catchments: Catchments, seed: int) -> None:
    """Write climate indices of ten years of weather."""
    import pandas

    indices = climate(make_weather(catchments, 3650, seed=seed), catchments)
    frame = pandas.DataFrame({"id": catchments.ids, **indices})
    frame.to_csv(path, index=False, float_format="%.6g")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--divides", default=3, show_default=True)
@click.option("--days", default=10, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(folder: Path, divides: int, days: int, seed: int) -> None:
    """Write hydrofabric.gpkg, forcings.nc and climate.csv to FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    catchments = made_up_divides(divides, seed)
    write_hydrofabric(folder / "hydrofabric.gpkg", catchments)
    write_forcing(folder / "forcings.nc", catchments, days, seed)
    write_climate(folder / "climate.csv", catchments, seed)
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
