"""The weather of a NextGen run: tables for each divide made one file, evapotranspiration added.

The engine hands over what its forcing has. Written into that file, potential evapotranspiration is
of the method that the model learned with, and an instance is given three values a step, not eight.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..errors import ForcingError, listed
from ..files.whole import replaced
from ..io.netcdf import READ_ERRORS, identifier, netcdf4
from ..variables import Input
from ..weather.file import AORC_UNITS
from ..weather.quantities import TEMPERATURE
from ..weather.source import AHEAD_STEPS, WeatherSource

# What the variable is called that `add_evapotranspiration` writes, unless the file has one.
_WRITTEN = "potential_evapotranspiration"

# What the engine calls variables that it knows, where that is not our name.
_ENGINE_NAMES = {"APCP_surface": "atmosphere_water__rainfall_volume_flux"}

# A column of a table: its name, and its unit in brackets if it says one.
_COLUMN = re.compile(r"^(?P<name>[^\[(]+?)\s*(?:[\[(](?P<units>[^\])]*)[\])])?$")


def engine_name(variable: str, item: Input) -> str:
    """Return how the engine calls an input that it finds under a name in its forcing.

    Parameters
    ----------
    variable : str
        In the forcing file.
    item : Input

    Returns
    -------
    str
        Our name for variables of AORC, the name in the file for those that it does not know.
    """
    if variable in _ENGINE_NAMES:
        return _ENGINE_NAMES[variable]
    return item.name if variable in AORC_UNITS else variable


def add_evapotranspiration(
    forcing: Path, target: Path, catchments: Catchments, method: str, step_seconds: int
) -> str:
    """Copy a weather file, and add potential evapotranspiration, in mm per hour.

    Parameters
    ----------
    forcing, target : Path
        `target` is replaced.
    catchments : Catchments
        For which it is computed; others of the file have none.
    method : str
        A name in `weather.quantities.PET_METHODS`.
    step_seconds : int
        Length of a step of the run.

    Returns
    -------
    str
        What the variable is called there.

    Raises
    ------
    ForcingError
        If the weather does not suffice, or the file cannot be written to.
    """
    source = WeatherSource(forcing, catchments, {}, method, step_seconds)
    try:
        rows, like = source.require(catchments.ids), source.variable(TEMPERATURE)
        with replaced(target) as temporary:
            shutil.copyfile(forcing, temporary)
            with netcdf4().Dataset(temporary, "a") as data:
                name = f"{_WRITTEN}_{method}" if _WRITTEN in data.variables else _WRITTEN
                variable = data.createVariable(name, "f8", data[like].dimensions, fill_value=np.nan)
                variable.units = "mm h-1"
                variable.long_name = f"potential evapotranspiration, {method}"
                ids = data[identifier(data.variables)].dimensions[0]
                _fill(variable, source, rows, variable.dimensions[0] == ids)
        return name
    except ForcingError:
        raise
    except READ_ERRORS as error:
        raise ForcingError(
            f"{forcing}: potential evapotranspiration cannot be added to a copy ({error}); save it "
            "as NetCDF 4"
        ) from None
    finally:
        source.close()


def _fill(variable: Any, source: WeatherSource, rows: NDArray, catchments_first: bool) -> None:
    """Compute the evapotranspiration of all steps of a file."""
    times = variable.shape[1 if catchments_first else 0]
    per_step = times // source.steps
    per_hour = 3600.0 / source.preparation.step_seconds
    place = slice(int(rows.min()), int(rows.max()) + 1)
    for first in range(0, source.steps, AHEAD_STEPS):
        count = min(AHEAD_STEPS, source.steps - first)
        values = np.full((count * per_step, place.stop - place.start), np.nan)
        rates = source.read(first, count)[:, 2] * per_hour
        values[:, rows - place.start] = np.repeat(rates, per_step, axis=0)
        part = slice(first * per_step, (first + count) * per_step)
        if catchments_first:
            variable[place, part] = values.T
        else:
            variable[part, place] = values


def gather_tables(folder: Path, ids: NDArray, target: Path) -> None:
    """Make one NetCDF file of a folder of weather tables, one for each divide.

    Parameters
    ----------
    folder : Path
        With files such as `cat-12.csv`: a column of times in UTC and those of AORC, as the engine's
        CSV provider reads them. A unit may stand in brackets behind a column's name.
    ids : array of str
    target : Path
        Replaced.

    Raises
    ------
    ForcingError
        If a divide has no table or several, a table is malformed, or times or columns of two
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
    """Return the table of each divide."""
    every = sorted(folder.glob("*.csv"))
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
        raise ForcingError(f"{folder}: there is no table (*.csv) of {listed(absent)}")
    return paths


def _read_table(path: Path) -> tuple[NDArray, list[str], NDArray]:
    """Return times, names of columns, and values, of shape (times, columns), of a table."""
    import pandas

    try:
        table = pandas.read_csv(path, skipinitialspace=True)
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
