"""Tables of weather, CSV or Parquet, one for each catchment: brought to one NetCDF file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ForcingError, listed, without_zeros
from ..files.whole import replaced
from ..io.netcdf import netcdf4
from ..kernels.cache import cache_folder

# A column of a table: its name, and its unit in brackets if it says one.
_COLUMN = re.compile(r"^(?P<name>[^\[(]+?)\s*(?:[\[(](?P<units>[^\])]*)[\])])?$")

# Units of the variables of AORC, where a file does not say them.
AORC_UNITS = {
    "precip_rate": "mm s-1",
    "APCP_surface": "kg m-2",
    "TMP_2maboveground": "K",
    "SPFH_2maboveground": "kg kg-1",
    "DSWRF_surface": "W m-2",
    "DLWRF_surface": "W m-2",
    "PRES_surface": "Pa",
    "UGRD_10maboveground": "m s-1",
    "VGRD_10maboveground": "m s-1",
}


def gathered(folder: Path, ids: NDArray) -> Path:
    """Return one NetCDF file of a folder of weather tables, made where it is not there yet.

    Parameters
    ----------
    folder : Path
        See `gather_tables`.
    ids : array of str
        The catchments that are wanted.

    Returns
    -------
    Path
        In the cache folder; another one once a table has changed.

    Raises
    ------
    ForcingError
        As `gather_tables`.
    """
    paths = _tables_of(folder, ids)
    digest = hashlib.sha256()
    for name, path in zip(ids.tolist(), paths, strict=True):
        status = path.stat()
        digest.update(f"{name} {path} {status.st_size} {status.st_mtime_ns}\n".encode())
    target = cache_folder() / "weather" / f"{digest.hexdigest()[:32]}.nc"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        gather_tables(folder, ids, target)
    return target


def gather_tables(folder: Path, ids: NDArray, target: Path) -> None:
    """Make one NetCDF file of a folder of weather tables, one for each catchment.

    Parameters
    ----------
    folder : Path
        With files such as `cat-12.csv` or `01048000.parquet`: a column of times in UTC (`time` or
        `date`), and those of weather, whose units stand in brackets behind their names:
        `prcp [mm d-1]`. Those of AORC need none.
    ids : array of str
    target : Path
        Replaced.

    Raises
    ------
    ForcingError
        If a catchment has no table or several, a table is malformed, or times or columns of two
        tables differ.
    """
    paths = _tables_of(folder, ids)
    first: tuple[NDArray, list[str]] | None = None
    values: list[NDArray] = []
    for path in paths:
        times, columns, numbers = _read_table(path)
        if first is None:
            first = times, columns
        elif not np.array_equal(times, first[0]):
            raise ForcingError(f"{path}: its times are not those of {paths[0].name}")
        elif columns != first[1]:
            raise ForcingError(f"{path}: its columns are not those of {paths[0].name}")
        values.append(numbers)
    assert first is not None
    times, columns = first
    epoch = times.astype("datetime64[s]").astype(int)
    with replaced(target) as temporary, netcdf4().Dataset(temporary, "w") as data:
        data.createDimension("catchment-id", len(ids))
        data.createDimension("time", times.size)
        data.createVariable("ids", str, ("catchment-id",))[:] = ids.astype(object)
        dimensions = ("catchment-id", "time")
        time = data.createVariable("Time", "i8", dimensions, compression="zlib")
        time.units = "s"
        time[:] = np.tile(epoch, (len(ids), 1))
        for k, column in enumerate(columns):
            found = _COLUMN.match(column)
            name = found["name"] if found else column
            variable = data.createVariable(name, "f8", dimensions, compression="zlib")
            units = (found["units"] if found else None) or AORC_UNITS.get(name)
            if units:
                variable.units = units
            variable[:] = np.array([numbers[:, k] for numbers in values])


def _tables_of(folder: Path, ids: NDArray) -> list[Path]:
    """Return the table of each catchment."""
    every = sorted(path for path in folder.iterdir() if path.suffix.lower() in _KINDS)
    stems = [path.stem for path in every]
    paths, absent = [], []
    for name in ids.tolist():
        own = re.compile(rf"(?<![0-9A-Za-z]){re.escape(name)}(?![0-9])")
        found = [path for path in every if own.search(path.stem)]
        if len(found) > 1:
            raise ForcingError(
                f"{folder}: {name} has several tables, "
                f"{listed([path.name for path in found])}; leave one"
            )
        if found:
            paths.append(found[0])
        else:
            absent.append(name)
    if absent:
        hint = without_zeros(absent, stems)
        raise ForcingError(
            f"{folder}: there is no table (*.csv, *.parquet) of {listed(absent)}{hint}"
        )
    return paths


def _read_table(path: Path) -> tuple[NDArray, list[str], NDArray]:
    """Return times, names of columns, and values, of shape (times, columns), of a table."""
    import pandas

    try:
        table = _KINDS[path.suffix.lower()](path)
        label = next(name for name in table.columns if str(name).lower() in ("time", "date"))
        times = pandas.to_datetime(table.pop(label), utc=True).dt.tz_localize(None).to_numpy()
        numbers = table.select_dtypes("number")
    except Exception as error:  # pandas raises many kinds
        raise ForcingError(
            f"{path}: is no table of weather with a column `time` ({error!r})"
        ) from None
    other = [str(name) for name in table.columns if name not in numbers.columns]
    if other:
        raise ForcingError(f"{path}: column {listed(other)} has values that are no numbers")
    return times.astype("datetime64[s]"), [str(name) for name in numbers], numbers.to_numpy(float)


def _read_csv(path: Path) -> Any:
    import pandas

    return pandas.read_csv(path, skipinitialspace=True, comment="#")


def _read_parquet(path: Path) -> Any:
    import pandas

    table = pandas.read_parquet(path)
    # Times are often the index.
    return table.reset_index() if table.index.name is not None else table


_KINDS: dict[str, Callable[[Path], Any]] = {".csv": _read_csv, ".parquet": _read_parquet}
