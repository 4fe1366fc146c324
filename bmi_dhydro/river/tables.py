"""River networks from files: tables, National Water Model RouteLink files, NextGen hydrofabrics."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, listed
from .network import Network

if TYPE_CHECKING:
    import pandas

# What columns are called: here, in RouteLink files, in hydrofabrics. Case does not matter.
_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "reach", "reach_id", "link", "feature_id", "comid"),
    "to": ("to", "toid", "to_id", "downstream"),
    "gauge": ("gauge", "gauge_id", "gages", "gage", "rl_gages"),
    "catchment": ("catchment", "catchment_id", "divide_id"),
    "longitude": ("longitude", "lon"),
    "latitude": ("latitude", "lat"),
    "length": ("length", "length_m"),
    "bottom_width": ("bottom_width", "btmwdth"),
    "top_width": ("top_width", "topwdth"),
    "floodplain_width": ("floodplain_width", "topwdthcc"),
    "manning_n": ("manning_n", "n"),
    "floodplain_manning_n": ("floodplain_manning_n", "ncc"),
    "side_slope": ("side_slope", "chslp"),
    "slope": ("slope", "so"),
    "celerity": ("celerity",),
    "weight": ("weight", "musx"),
}
_TEXTS = ("id", "to", "gauge", "catchment")
_PLACES = ("longitude", "latitude")

_ATTRIBUTE_TABLES = (
    "flowpath-attributes",
    "flowpath_attributes",
    "flowpath-attributes-ml",
    "flowpath_attributes_ml",
)


def read_network(path: str | Path) -> Network:
    """Read a river network.

    Parameters
    ----------
    path : str or Path
        A row for each reach as `.csv`, `.parquet` or `.nc` (one dimension), with the columns `id`,
        `to` (the reach that it drains to; 0 or empty where the river leaves the network) and the
        parameters of `physics.REACH_PROCESSES`; also, if there are some, `gauge`, `catchment`
        (whose runoff enters it), `longitude` and `latitude`. The National Water Model's
        `RouteLink.nc` is one, by its own names. Or a NextGen hydrofabric, a GeoPackage with the
        tables `flowpaths`, `nexus` and `flowpath-attributes` (or `flowpath-attributes-ml`).

    Raises
    ------
    NetworkError
        If the file is missing or of another kind, a column is missing, or reaches do not hold
        together.
    """
    path = Path(path)
    if not path.exists():
        raise NetworkError(f"{path}: no such file of a river network")
    kind = path.suffix.lower()
    if kind == ".gpkg":
        return _hydrofabric(path)
    if kind == ".csv":
        return _network(path, _csv(path))
    if kind == ".parquet":
        return _network(path, _parquet(path))
    if kind in (".nc", ".nc4"):
        return _network(path, _netcdf(path))
    raise NetworkError(
        f"{path}: a river network is a .csv, .parquet, .nc or .gpkg file, not {kind!r}"
    )


def read_values(path: Path, name: str, network: Network) -> NDArray:
    """Read a value for each reach of a network.

    Parameters
    ----------
    path : Path
        A CSV file with the columns `id` and `name`.
    name : str
    network : Network

    Returns
    -------
    array, shape (reaches,)

    Raises
    ------
    NetworkError
        If the file or a column is missing, or a reach has no value; names reaches.
    """
    if not path.exists():
        raise NetworkError(f"{path}: no such file")
    columns = _csv(path)
    ids = _column(columns, "id")
    if ids is None or name not in columns:
        raise NetworkError(f"{path}: needs the columns id and {name}; it has {listed(columns)}")
    values = dict(zip(map(str, columns[ids]), columns[name], strict=True))
    missing = [reach for reach in network.ids.tolist() if reach not in values]
    if missing:
        raise NetworkError(f"{path}: has no {name} of reach {listed(missing)}")
    try:
        return np.array([values[reach] for reach in network.ids.tolist()], dtype=float)
    except ValueError as error:
        raise NetworkError(f"{path}: {name}: {error}") from None


def _csv(path: Path) -> dict[str, NDArray]:
    import pandas

    try:
        head = pandas.read_csv(path, nrows=0)
        texts = {c: str for c in head.columns if _known(c) in _TEXTS}
        frame = pandas.read_csv(path, dtype=texts, keep_default_na=True)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise NetworkError(f"{path}: no table ({error})") from None
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _parquet(path: Path) -> dict[str, NDArray]:
    import pandas

    try:
        frame = pandas.read_parquet(path)
    except ImportError:
        raise NetworkError(f"{path}: reading it needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # of pyarrow, which has no class of its own for this
        raise NetworkError(f"{path}: no Parquet file ({error})") from None
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _netcdf(path: Path) -> dict[str, NDArray]:
    import xarray

    try:
        with xarray.open_dataset(path, decode_times=False) as data:
            ids = next((str(name) for name in data.variables if _known(str(name)) == "id"), None)
            if ids is None or data[ids].ndim != 1:
                raise NetworkError(f"{path}: has no ids of reaches, such as 'id' or 'link'")
            (dimension,) = data[ids].dims
            return {
                str(name): values.values
                for name, values in data.variables.items()
                if values.dims == (dimension,)
            }
    except (OSError, ValueError) as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError(f"{path}: not a NetCDF file ({error})") from None


def _hydrofabric(path: Path) -> Network:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = {
                row[0]
                for row in database.execute(
                    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
                )
            }
            attributes = next((name for name in _ATTRIBUTE_TABLES if name in tables), None)
            for name in ("flowpaths", "nexus"):
                if name not in tables:
                    raise NetworkError(
                        f"{path}: has no table {name!r}; it has {listed(tables, 20)}"
                    )
            if attributes is None:
                raise NetworkError(
                    f"{path}: has no table of the geometry of flowpaths, such as "
                    f"{_ATTRIBUTE_TABLES[0]!r}; it has {listed(sorted(tables), 20)}"
                )
            flowpaths = _rows(database, path, "flowpaths", ("id", "to", "catchment"))
            nexus = _rows(database, path, "nexus", ("id", "to"))
            wanted = [name for name in _NAMES if name not in ("to", "catchment", *_PLACES)]
            geometry = _rows(database, path, attributes, wanted, optional=wanted[1:])
    except sqlite3.DatabaseError as error:
        raise NetworkError(f"{path}: not a GeoPackage ({error})") from None
    geometry = geometry.drop_duplicates("id").set_index("id")
    missing = ~flowpaths["id"].isin(geometry.index)
    if missing.any():
        raise NetworkError(
            f"{path}: {attributes} lacks flowpath {listed(flowpaths['id'][missing])}"
        )
    geometry = geometry.reindex(flowpaths["id"]).reset_index(drop=True)
    below = dict(zip(nexus["id"], nexus["to"], strict=True))
    ids = set(flowpaths["id"])
    # A nexus whose flowpath is not there is where a subset ends, or the sea.
    to = [below.get(name) for name in flowpaths["to"]]
    columns: dict[str, NDArray] = {
        "id": flowpaths["id"].to_numpy(),
        "to": np.array([name if name in ids else "" for name in to], dtype=object),
        "catchment": flowpaths["catchment"].to_numpy(),
    }
    columns |= {str(name): geometry[name].to_numpy() for name in geometry.columns}
    return _network(path, columns)


def _rows(
    database: sqlite3.Connection,
    path: Path,
    table: str,
    names: Iterable[str],
    optional: Iterable[str] = (),
) -> pandas.DataFrame:
    """Read columns of a table by the names that they have here."""
    import pandas

    there = [str(row[1]) for row in database.execute(f'PRAGMA table_info("{table}")')]
    found = {}
    for name in names:
        column = _column(there, name)
        if column is not None:
            found[name] = column
        elif name not in optional:
            raise NetworkError(
                f"{path}: table {table!r} has no column {_NAMES[name][0]!r}; it has "
                f"{listed(there, 30)}"
            )
    chosen = ", ".join(f'"{column}"' for column in found.values())
    rows = database.execute(f'SELECT {chosen} FROM "{table}"').fetchall()
    return pandas.DataFrame(rows, columns=list(found))


def _column(there: Iterable[str], name: str) -> str | None:
    """Return what a column is called in a table."""
    lower = {column.lower(): column for column in there}
    return next((lower[alias] for alias in _NAMES[name] if alias in lower), None)


def _known(column: str) -> str | None:
    """Return the name that a column has here."""
    return next((name for name, known in _NAMES.items() if column.lower() in known), None)


def _network(path: Path, columns: Mapping[str, NDArray]) -> Network:
    found: dict[str, Any] = {}
    for name in _NAMES:
        column = _column(columns, name)
        if column is not None:
            found[name] = columns[column]
    for name in ("id", "to", "length"):
        if name not in found:
            raise NetworkError(
                f"{path}: has no column {name!r} (or {', '.join(_NAMES[name][1:])}); it has "
                f"{listed(columns, 20)}"
            )
    numbers = {}
    for name, values in found.items():
        if name not in _TEXTS:
            try:
                numbers[name] = np.asarray(values, dtype=float)
            except (TypeError, ValueError) as error:
                raise NetworkError(f"{path}: {name}: {error}") from None
    return Network.of(
        _decoded(found["id"]),
        _decoded(found["to"]),
        {name: values for name, values in numbers.items() if name not in _PLACES},
        _decoded(found["gauge"]) if "gauge" in found else None,
        numbers.get("longitude"),
        numbers.get("latitude"),
        _decoded(found["catchment"]) if "catchment" in found else None,
        str(path),
    )


def _decoded(values: NDArray) -> NDArray:
    """Return text of what NetCDF files hold as bytes."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O":
        return np.array([v.decode() if isinstance(v, bytes) else v for v in values], dtype=object)
    return values
