"""netCDF4, imported so that it also works inside a host with its own netCDF library."""

from __future__ import annotations

import os
import sys
import weakref
from functools import lru_cache
from pathlib import Path
from typing import Any


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
        status = path.stat()
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, os.getpid())
        found = _OPEN.get(key)
        if found is None:
            found = _OPEN[key] = _Handle(path)
        self._handle: _Handle | None = found

    @property
    def data(self) -> Any:
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
        weakref.finalize(self, self.data.close)


_OPEN: weakref.WeakValueDictionary[tuple[int, ...], _Handle] = weakref.WeakValueDictionary()
