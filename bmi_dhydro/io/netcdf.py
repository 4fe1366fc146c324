"""netCDF4, imported so that it also works inside a host with its own netCDF library."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
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
