"""Catchments from a NextGen hydrofabric (version 2.2), a GeoPackage.

A GeoPackage is an SQLite database: areas, identifiers and attributes are columns of its tables, so
that no geometry has to be read.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..errors import CatchmentError, listed, nearest
from ..machine import required

if TYPE_CHECKING:
    import pandas

_log = logging.getLogger(__name__)

_LAYERS = tuple(f"soil_layers_stag={layer}" for layer in range(1, 5))

# Forest classes of the tables of vegetation types that land surface models use.
FOREST_CLASSES = {"usgs": (11, 12, 13, 14, 15), "modis": (1, 2, 3, 4, 5)}

_CENTIMETRES = 1e-2


@dataclass(frozen=True)
class _Source:
    """Where an attribute comes from: columns of `divide-attributes`, and what is made of them."""

    columns: tuple[str, ...]
    made: Callable[[NDArray], NDArray]


def _mean(values: NDArray) -> NDArray:
    return values.mean(axis=1)


def _log10_geometric_mean(values: NDArray) -> NDArray:
    return np.log10(np.where(values > 0.0, values, np.nan)).mean(axis=1)


_SOURCES: dict[str, _Source] = {
    "soil_porosity": _Source(tuple(f"mean.smcmax_{layer}" for layer in _LAYERS), _mean),
    "wilting_point": _Source(tuple(f"mean.smcwlt_{layer}" for layer in _LAYERS), _mean),
    "clapp_hornberger_b": _Source(tuple(f"mode.bexp_{layer}" for layer in _LAYERS), _mean),
    "log10_saturated_conductivity": _Source(
        tuple(f"geom_mean.dksat_{layer}" for layer in _LAYERS), _log10_geometric_mean
    ),
}
_VEGETATION, _ELEVATION = "mode.IVGTYP", "mean.elevation"
_CENTROID = ("centroid_x", "centroid_y")


@dataclass(frozen=True)
class Hydrofabric:
    """Divides of a hydrofabric as catchments.

    Attributes
    ----------
    catchments : Catchments
        Without climate attributes.
    filled : dict of array of str
        Ids of divides for which an attribute was filled, by attribute: with the median of all
        others, since a divide without soil (a lake, a city) says nothing of its neighbours.
    """

    catchments: Catchments
    filled: Mapping[str, NDArray]


def read_hydrofabric(path: Path, vegetation: str = "usgs") -> Hydrofabric:
    """Read the divides of a hydrofabric.

    Parameters
    ----------
    path : Path
        GeoPackage with the tables `divides` (divide_id, areasqkm) and `divide-attributes`.
    vegetation : {"usgs", "modis"}
        Which table `mode.IVGTYP` refers to.

    Raises
    ------
    CatchmentError
        If the file, a table or a column is missing, or an attribute has no value at all.
    """
    if not path.exists():
        raise CatchmentError(f"{path}: no such GeoPackage")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            divides = _table(database, path, "divides", ("divide_id", "areasqkm"))
            columns = [name for source in _SOURCES.values() for name in source.columns]
            needed = ("divide_id", *columns, _VEGETATION, _ELEVATION, *_CENTROID)
            attributes = _table(database, path, "divide-attributes", needed)
            projection = _projection(database)
    except sqlite3.DatabaseError as error:
        raise CatchmentError(f"{path}: not a GeoPackage ({error})") from None
    twice = divides["divide_id"][divides["divide_id"].duplicated()]
    if twice.size:
        raise CatchmentError(f"{path}: table divides has {listed(twice)} twice")
    attributes = attributes.drop_duplicates("divide_id").set_index("divide_id")
    rows = attributes.reindex(divides["divide_id"])
    ids = divides["divide_id"].to_numpy().astype(str)
    missing = ~np.isin(ids, attributes.index.to_numpy().astype(str))
    if missing.any():
        _log.warning("%s: divide-attributes lacks %s", path, listed(ids[missing]))
    values = {
        name: source.made(rows[list(source.columns)].to_numpy(dtype=float))
        for name, source in _SOURCES.items()
    }
    classes = rows[_VEGETATION].to_numpy(dtype=float)
    forest = np.isin(classes, FOREST_CLASSES[vegetation]).astype(float)
    values["forest_fraction"] = np.where(np.isfinite(classes), forest, np.nan)
    filled = {}
    for name, column in values.items():
        unknown = ~np.isfinite(column)
        if unknown.all():
            raise CatchmentError(f"{path}: no divide has a value for {name}")
        if unknown.any():
            column[unknown] = np.median(column[~unknown])
            filled[name] = ids[unknown]
    area = divides["areasqkm"].to_numpy(dtype=float)
    if not (area > 0).all():
        raise CatchmentError(f"{path}: areasqkm is not positive for {listed(ids[~(area > 0)])}")
    longitude, latitude = _degrees(
        path, projection, *(rows[name].to_numpy(dtype=float) for name in _CENTROID)
    )
    catchments = Catchments(
        ids,
        area,
        latitude,
        longitude,
        rows[_ELEVATION].to_numpy(dtype=float) * _CENTIMETRES,
        np.full(ids.size, np.nan),
        values,
    )
    return Hydrofabric(catchments, filled)


def _table(
    database: sqlite3.Connection, path: Path, name: str, columns: tuple[str, ...]
) -> pandas.DataFrame:
    import pandas

    tables = [
        row[0]
        for row in database.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE "
            "'rtree%' AND name NOT LIKE 'sqlite%'"
        )
    ]
    if name not in tables:
        raise CatchmentError(
            f"{path}: has no table {name!r}, which NextGen hydrofabric 2.2 has; it has "
            f"{listed(tables, 20)}"
        )
    known = {
        _canonical(str(row[1])): str(row[1])
        for row in database.execute(f'PRAGMA table_info("{name}")')
    }
    absent = [column for column in columns if column not in known]
    if absent:
        raise CatchmentError(
            f"{path}: table {name!r} has no column {absent[0]!r}; {nearest(absent[0], known)}"
        )
    chosen = ", ".join(f'"{known[column]}"' for column in columns)
    rows = database.execute(f'SELECT {chosen} FROM "{name}"').fetchall()
    if not rows:
        raise CatchmentError(f"{path}: table {name!r} is empty")
    return pandas.DataFrame(rows, columns=list(columns))


# Names of soil layers in Puerto Rico's hydrofabric and in version 4.0.
_OTHER_LAYERS = re.compile(r"_Time\._soil_layers_stag[.=](\d)$")
_OTHER_TIME = re.compile(r"_Time\.?$")


def _canonical(column: str) -> str:
    """Return the name of a column as hydrofabric 2.2 has it, whatever version this one is."""
    return _OTHER_TIME.sub("", _OTHER_LAYERS.sub(r"_soil_layers_stag=\1", column))


def _projection(database: sqlite3.Connection) -> str:
    """Return the reference system that the divides are in, such as EPSG:5070."""
    row = database.execute(
        "SELECT organization, organization_coordsys_id FROM gpkg_spatial_ref_sys WHERE srs_id = "
        "(SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = 'divides')"
    ).fetchone()
    return "EPSG:5070" if row is None else f"{row[0]}:{row[1]}"


def _degrees(path: Path, projection: str, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    required("pyproj", "the reference system of a hydrofabric")
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    try:
        transformer = Transformer.from_crs(projection, "EPSG:4326", always_xy=True)
    except CRSError as error:
        raise CatchmentError(f"{path}: reference system {projection!r}: {error}") from None
    longitude, latitude = transformer.transform(x, y)
    finite: Any = np.isfinite(latitude) & np.isfinite(longitude)
    return np.where(finite, longitude, np.nan), np.where(finite, latitude, np.nan)
