"""Tables of catchments: CSV, Parquet or NetCDF."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..catchments.catchments import Catchments
from ..errors import CatchmentError

if TYPE_CHECKING:
    import pandas
    import xarray

_log = logging.getLogger(__name__)


def read_table(path: Path, ids: Sequence[str] | None = None) -> Catchments:
    """Read a catchment table; read again only if it was changed.

    Parameters
    ----------
    path : Path
        `.csv`, `.parquet` or `.nc`, a row (or an element of one dimension) for each catchment;
        columns as `Catchments.from_columns`; others are left out.
    ids : sequence of str, optional
        Which catchments, in this order; all, unless given.

    Raises
    ------
    CatchmentError
        If the file is missing or malformed, or lacks a catchment.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatchmentError(f"{path}: no such catchment table ({reason})") from None
    table = _read(path, status.st_mtime_ns, status.st_size)
    # Copies, since the table is shared and what is made of it may be changed.
    if ids is None:
        return table.subset(np.arange(len(table)))
    return table.chosen(ids, str(path))


def _columns_of(data: xarray.Dataset, path: Path) -> pandas.DataFrame:
    """Return the variables of a NetCDF file that have one value for each catchment."""
    import pandas

    from .netcdf import identifier

    key = identifier(data.variables)
    if key is None or data[key].ndim != 1:
        raise CatchmentError(
            f"{path}: no variable names the catchments; call it 'id', or give one "
            "cf_role = 'timeseries_id'"
        )
    own = data[key].dims
    columns = {
        str(name): variable.values
        for name, variable in data.variables.items()
        if variable.dims == own
    }
    columns["id"] = columns.pop(key)
    return pandas.DataFrame(columns)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> Catchments:
    kind = path.suffix.lower()
    try:
        if kind == ".csv":
            import pandas

            frame = pandas.read_csv(path, dtype={"id": str}, comment="#")
        elif kind == ".parquet":
            import pandas

            frame = pandas.read_parquet(path)
        elif kind == ".nc":
            from .netcdf import loaded

            frame = _columns_of(loaded(path), path)
        else:
            raise CatchmentError(
                f"{path}: a catchment table is a .csv, .parquet or .nc file, not {kind!r}"
            )
    except Exception as error:  # readers of damaged tables raise many kinds
        if isinstance(error, CatchmentError):
            raise
        raise CatchmentError(f"{path}: cannot be read as a table: {error}") from None
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    return Catchments.from_columns(columns, str(path), strict=False)
