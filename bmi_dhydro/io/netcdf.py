"""netCDF4, imported so that it also works inside a host with its own netCDF library."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray


# What netCDF4, HDF5 and NumPy raise where a file is damaged.
READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
)

# Names under which data sets keep the ids of their catchments, where none has a `cf_role`.
_ID_NAMES = (
    "ids",
    "id",
    "station_id",
    "catchment",
    "catchment_id",
    "divide_id",
    "gauge_id",
    "basin",
    "station",
    "gauge",
)


def identifier(variables: Mapping[Any, Any]) -> str | None:
    """Return the name of the variable that has the ids of the catchments, if there is one.

    Parameters
    ----------
    variables : mapping
        Variables of netCDF4 or xarray, by name. The one with `cf_role = "timeseries_id"` is taken,
        else one that is called `ids`, `station_id`, `divide_id`, `gauge_id`, ...
    """
    for name, variable in variables.items():
        attributes = variable.attrs if hasattr(variable, "attrs") else variable.__dict__
        if attributes.get("cf_role") == "timeseries_id":
            return str(name)
    return next((name for name in _ID_NAMES if name in variables), None)


def texts(variable: Any) -> NDArray:
    """Return the values of a variable of ids as text, whatever they are kept as."""
    values: Any = variable[:]
    if values.dtype.kind == "S" and values.ndim == 2:
        values = netcdf4().chartostring(values, encoding="utf-8")
    return np.array([str(value).strip() for value in np.ma.getdata(values).tolist()])


@lru_cache(maxsize=1)
def netcdf4() -> Any:
    """Import netCDF4.

    A host such as ngen has loaded a netCDF library already; without RTLD_DEEPBIND the symbols of
    the one that comes with netCDF4 would bind to that, and crash.
    """
    deep = getattr(os, "RTLD_DEEPBIND", 0)
    if "netCDF4" in sys.modules or not deep:
        import netCDF4

        return netCDF4
    before = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | deep)
    try:
        import netCDF4
    finally:
        sys.setdlopenflags(before)
    return netCDF4


def loaded(path: Path, names: Sequence[str] = ()) -> xarray.Dataset:
    """Return variables of a file that others may be reading, in memory.

    Parameters
    ----------
    path : Path
    names : sequence of str
        The first of these that the file has is loaded; and all variables of one dimension, and
        strings.

    Returns
    -------
    Dataset
        Decoded after CF.

    Raises
    ------
    OSError
        If it is not a readable NetCDF file.
    ValueError
        If its times cannot be decoded.
    """
    import xarray

    reader = Reader(path)
    try:
        variables = reader.data.variables
        chosen = next((name for name in names if name in variables), None)
        arrays = {}
        for name, variable in variables.items():
            dimensions, values = list(variable.dimensions), None
            if variable.dtype == "S1" and variable.ndim == 2:
                values = netcdf4().chartostring(variable[:], encoding="utf-8")
                dimensions.pop()
            elif variable.ndim <= 1 or name == chosen:
                values = variable[...]
                if np.ma.is_masked(values) or np.asarray(values).dtype.kind == "f":
                    values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
                values = np.ma.getdata(values)
            if values is not None:
                packing = ("_FillValue", "missing_value", "scale_factor", "add_offset")
                attributes = {k: v for k, v in variable.__dict__.items() if k not in packing}
                arrays[name] = (dimensions, values, attributes)
        return xarray.decode_cf(xarray.Dataset(arrays), decode_timedelta=False)
    finally:
        reader.close()


class Reader:
    """A NetCDF file to read, opened once in a process however many read it.

    HDF5 crashes where a file with strings is opened twice and closed once; and many instances that
    read the same weather need no more than one handle.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    data : netCDF4.Dataset

    Raises
    ------
    OSError
        If it is not a readable NetCDF file.
    """

    def __init__(self, path: Path) -> None:
        _close_left()
        status = path.stat()
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, os.getpid())
        found = _OPEN.get(key)
        if found is None:
            found = _OPEN[key] = _Handle(path)
        self._handle: _Handle | None = found

    @property
    def data(self) -> Any:
        """Return the open file; asked each time, so that nobody keeps one that is closed."""
        assert self._handle is not None, "the file is closed"
        return self._handle.data

    def close(self) -> None:
        """Stop reading; the file is closed when nobody reads it."""
        self._handle = None


class _Handle:
    """An open file, closed when it is collected."""

    def __init__(self, path: Path) -> None:
        self.data = netcdf4().Dataset(path)
        self.data.set_auto_mask(True)
        weakref.finalize(self, _close, self.data, threading.get_ident())


# Files to be closed, with the thread that has opened them. HDF5 crashes where two threads are in
# it, and garbage may be collected by any thread.
_LEFT: list[tuple[Any, int]] = []


def _close(data: Any, owner: int) -> None:
    if threading.get_ident() == owner:
        data.close()
    else:
        _LEFT.append((data, owner))


def _close_left() -> None:
    """Close the files of this thread that another one has found to be garbage."""
    here = threading.get_ident()
    for item in [item for item in _LEFT if item[1] == here]:
        _LEFT.remove(item)
        item[0].close()


_OPEN: weakref.WeakValueDictionary[tuple[int, ...], _Handle] = weakref.WeakValueDictionary()
