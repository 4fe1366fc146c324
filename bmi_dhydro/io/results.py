"""Results to NetCDF, as time series at points (CF discrete sampling geometry)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..catchments.catchments import Catchments
from ..errors import ResultsError
from ..files.whole import beside, put_in_place, replaced
from .netcdf import netcdf4
from .stations import define_members, define_stations

# Steps kept in memory before they are written.
_BUFFER_BYTES = 16 * 2**20

# Steps that are copied together where files are merged.
_STEPS_TOGETHER = 1024


class ResultsWriter:
    """Writes results in blocks; the file appears when it is complete.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    catchments : Catchments
    variables : sequence of (name, units, long_name)
    start : datetime64[s]
        Start of the first step.
    step_seconds : int
    attributes : dict of str
        Global attributes to add.
    members : int
        Members of an ensemble; where there are several, variables have an axis for them.
    of_stations : mapping of (values, units, long_name), optional
        What is said once of each catchment, by name.

    Raises
    ------
    ResultsError
        If the file cannot be written; nothing is left behind then.
    """

    def __init__(
        self,
        path: Path,
        catchments: Catchments,
        variables: list[tuple[str, str, str]],
        start: np.datetime64,
        step_seconds: int,
        attributes: dict[str, str],
        members: int = 1,
        of_stations: Mapping[str, tuple[NDArray, str, str]] | None = None,
    ) -> None:
        self.path = path
        self._of_stations = of_stations or {}
        self._members = members
        self._temporary = beside(path)
        self._step_seconds = step_seconds
        self._names = [name for name, _, _ in variables]
        count = len(catchments) * members
        row_bytes = 4 * count * len(variables)
        self._buffer = np.empty(
            (max(1, min(4096, _BUFFER_BYTES // max(row_bytes, 1))), len(variables), count),
            dtype=np.float32,
        )
        self._filled = 0
        self._written = 0
        self._data: Any = None
        try:
            self._data = netcdf4().Dataset(self._temporary, "w", format="NETCDF4")
            self._define(catchments, variables, start, attributes)
        except (OSError, RuntimeError) as error:
            self.abandon()
            raise self._failure(error) from None

    def _define(
        self,
        catchments: Catchments,
        variables: list[tuple[str, str, str]],
        start: np.datetime64,
        attributes: dict[str, str],
    ) -> None:
        data = self._data
        data.setncatts(
            {
                "Conventions": "CF-1.10",
                "featureType": "timeSeries",
                "source": f"bmi_dhydro {__version__}",
                **attributes,
            }
        )
        define_stations(data, catchments)
        for name, (values, units, long_name) in self._of_stations.items():
            variable = data.createVariable(name, "f8", ("station",))
            variable.setncatts({"units": units, "long_name": long_name})
            variable[:] = values
        data.createDimension("time", None)
        data.createDimension("bounds", 2)
        time = data.createVariable("time", "f8", ("time",), chunksizes=(1024,))
        time.setncatts(
            {
                "standard_name": "time",
                "long_name": "start of the step",
                "units": f"seconds since {str(start).replace('T', ' ')}",
                "calendar": "proleptic_gregorian",
                "bounds": "time_bounds",
                "axis": "T",
            }
        )
        data.createVariable("time_bounds", "f8", ("time", "bounds"), chunksizes=(1024, 2))
        axes, chunk = (
            ["time", "station"],
            [
                min(self._buffer.shape[0], 365),
                min(len(catchments), 512),
            ],
        )
        if self._members > 1:
            define_members(data, self._members)
            axes.insert(1, "member")
            chunk = [max(1, chunk[0] // self._members), self._members, chunk[1]]
        for name, units, long_name in variables:
            variable = data.createVariable(
                name, "f4", axes, chunksizes=chunk, fill_value=np.float32(np.nan)
            )
            variable.setncatts(
                {
                    "units": units,
                    "long_name": long_name,
                    "coordinates": "station_id latitude longitude",
                }
            )

    def write(self, values: NDArray) -> None:
        """Add one step.

        Parameters
        ----------
        values : array, shape (variables, columns)
        """
        self._buffer[self._filled] = values
        self._filled += 1
        if self._filled == self._buffer.shape[0]:
            self._flush()

    def _flush(self) -> None:
        if not self._filled:
            return
        if self._data is None:
            raise ResultsError(f"{self.path}: results were given up after an earlier error")
        steps = slice(self._written, self._written + self._filled)
        try:
            begin = np.arange(steps.start, steps.stop) * float(self._step_seconds)
            self._data["time"][steps] = begin
            self._data["time_bounds"][steps] = np.stack([begin, begin + self._step_seconds], 1)
            for k, name in enumerate(self._names):
                variable = self._data[name]
                values = self._buffer[: self._filled, k]
                variable[steps] = values.reshape(self._filled, *variable.shape[1:])
            self._data.sync()
        except (OSError, RuntimeError) as error:
            self.abandon()
            raise self._failure(error) from None
        self._written = steps.stop
        self._filled = 0

    def close(self) -> None:
        """Write what is left and give the file its name."""
        if self._data is None:
            return
        self._flush()
        try:
            self._data.close()
            self._data = None
            put_in_place(self._temporary, self.path)
        except (OSError, RuntimeError) as error:
            self.abandon()
            raise self._failure(error) from None

    def abandon(self) -> None:
        """Remove what was written so far."""
        if self._data is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._data.close()
            self._data = None
        self._temporary.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> ResultsError:
        return ResultsError(
            f"{self.path}: results cannot be written ({error}); nothing is left of them. Is the "
            "folder there and writable, and the disk not full?"
        )


def merge(parts: Sequence[Path], path: Path, places: Sequence[NDArray]) -> None:
    """Write one file of results of different catchments over the same steps.

    Parameters
    ----------
    parts : sequence of Path
    path : Path
    places : sequence of array of int
        Where the stations of each part shall be, in increasing order.

    Raises
    ------
    ResultsError
        If the file cannot be written; an earlier one is untouched then.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(netcdf4().Dataset(part)) for part in parts]
        try:
            with replaced(path) as temporary, netcdf4().Dataset(temporary, "w") as data:
                _merge(files, places, data)
        except (OSError, RuntimeError) as error:
            raise ResultsError(
                f"{path}: results cannot be written ({error}); nothing is left of them. Is the "
                "folder writable, and the disk not full?"
            ) from None


def _as_slice(places: NDArray) -> slice | NDArray:
    """Return places that follow each other as a slice, which is written faster."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places


def _merge(files: Sequence[Any], places: Sequence[NDArray], data: Any) -> None:
    first = files[0]
    total_stations = sum(map(len, places))
    data.setncatts(first.__dict__)
    for name, dimension in first.dimensions.items():
        size = None if dimension.isunlimited() else len(dimension)
        data.createDimension(name, total_stations if name == "station" else size)
    for name, source in first.variables.items():
        attributes = dict(source.__dict__)
        options = {"fill_value": attributes.pop("_FillValue", None)}
        if source.dtype is not str and source.chunking() != "contiguous":
            options["chunksizes"] = source.chunking()
        target = data.createVariable(name, source.dtype, source.dimensions, **options)
        target.setncatts(attributes)
        if "station" not in source.dimensions:
            target[:] = source[:]
            continue
        if source.dimensions == ("station",):
            whole = np.empty(total_stations, object if source.dtype is str else source.dtype)
            for file, stations in zip(files, places, strict=True):
                whole[stations] = file[name][:]
            target[:] = whole
            continue
        for file, chosen in zip(files, map(_as_slice, places), strict=True):
            total = len(file.dimensions["time"])
            for step in range(0, total, _STEPS_TOGETHER):
                steps = slice(step, min(step + _STEPS_TOGETHER, total))
                target[steps, ..., chosen] = file[name][steps]
