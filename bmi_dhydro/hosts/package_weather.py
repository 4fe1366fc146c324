"""The weather of a NextGen run: evapotranspiration added to what the engine hands over.

The engine hands over what its forcing has. Written into that file, potential evapotranspiration is
of the method that the model learned with, and an instance is given three values a step, not eight.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..errors import ForcingError
from ..files.whole import replaced
from ..io.netcdf import READ_ERRORS, identifier, netcdf4
from ..variables import Input
from ..weather.quantities import TEMPERATURE
from ..weather.source import AHEAD_STEPS, WeatherSource
from ..weather.tables import AORC_UNITS

# What the variable is called that `add_evapotranspiration` writes, unless the file has one.
_WRITTEN = "potential_evapotranspiration"

# What the engine calls variables that it knows, where that is not our name.
_ENGINE_NAMES = {"APCP_surface": "atmosphere_water__rainfall_volume_flux"}


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
