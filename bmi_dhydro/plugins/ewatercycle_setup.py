"""Configuration and weather of a run that eWaterCycle sets up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

from ..config import CatchmentsConfig, read_config
from ..config.settings import parse_date
from ..errors import ConfigError, ForcingError, listed
from ..files.whole import replaced
from ..io.catchment_table import read_table

WEATHER_FILE = "weather.nc"

# So that eWaterCycle can date what it asks for, and find catchments by their coordinates.
_FIXED: dict[str, Any] = {"grid": "points", "time": {"units": "seconds since <start>"}}

# Calls of eWaterCycle that are keys of a section here.
_TIMES = {"start_time": "start", "end_time": "end"}


def configuration(base: Path | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run: what it starts from, changed.

    Parameters
    ----------
    base : Path or None
        Configuration of a run, whose paths become absolute.
    changes : mapping
        Keys that replace those of `base`; of a section, those that are given. `start_time` and
        `end_time` stand for `time.start` and `time.end`.

    Returns
    -------
    dict
        Ready to be written as YAML.

    Raises
    ------
    ConfigError
        If `base` is wrong, or nothing says which catchments.
    """
    wanted: dict[str, Any] = {}
    if base is not None:
        # Only what the file says: what else there is keeps its default.
        complete = msgspec.to_builtins(read_config(base))
        written = yaml.safe_load(base.read_text(encoding="utf-8"))
        wanted = {key: _as_written(complete[key], written[key]) for key in written}
    wanted = _merged(wanted, _FIXED)
    own = dict(changes)
    times = {
        key: str(parse_date(str(own.pop(name)), name))
        for name, key in _TIMES.items()
        if own.get(name) is not None
    }
    wanted = _merged(_merged(wanted, {"time": times}), own)
    if "catchments" not in wanted:
        raise ConfigError(
            "catchments: nothing says which; give a parameter set whose config is that of a run, "
            "or setup(catchments={'table': FILE})"
        )
    return wanted


def _as_written(complete: Any, written: Any) -> Any:
    """Return the values of a section that its file gives."""
    if isinstance(written, dict) and isinstance(complete, dict):
        return {key: _as_written(complete.get(key), written[key]) for key in written}
    return complete


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with another put over it, section by section."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def write_checked(wanted: Mapping[str, Any], path: Path) -> Path:
    """Write a configuration, and read it again, so that errors come now and name their key.

    Parameters
    ----------
    wanted : mapping
    path : Path
        YAML file.

    Raises
    ------
    ConfigError
    """
    with replaced(path) as temporary:
        temporary.write_text(yaml.safe_dump(dict(wanted), sort_keys=False), encoding="utf-8")
    read_config(path)
    return path


def catchment_ids(wanted: Mapping[str, Any]) -> list[str]:
    """Return the ids of the catchments of a configuration.

    Parameters
    ----------
    wanted : mapping
        From `configuration`.
    """
    catchments = msgspec.convert(wanted["catchments"], CatchmentsConfig)
    if catchments.select is not None:
        return [str(name) for name in catchments.select]
    if catchments.inline is not None:
        return [str(catchments.inline["id"])]
    assert catchments.table is not None
    return [str(name) for name in read_table(Path(catchments.table)).ids]


def weather_of(files: Mapping[str, Path], ids: Sequence[str], path: Path) -> None:
    """Bring the files of a forcing of eWaterCycle, one for each variable, to one file of weather.

    Parameters
    ----------
    files : mapping of Path
        NetCDF files by the name of their variable (`pr`, `tas`, ...: CMOR), with a time dimension:
        of a lumped forcing, which is one series for all catchments; or with a dimension of
        catchments.
    ids : sequence of str
        The catchments that a lumped forcing stands for.
    path : Path
        NetCDF file to write.

    Raises
    ------
    ForcingError
        If a file is missing or lacks its variable, or is a grid of more than one cell.
    """
    import xarray

    found = {}
    for name, file in files.items():
        try:
            with xarray.open_dataset(file) as data:
                if name not in data:
                    raise ForcingError(
                        f"{file}: has no variable {name}; it has {listed(list(data.data_vars))}"
                    )
                found[name] = _of_catchments(data[name].load(), ids, file)
        except OSError as error:
            raise ForcingError(f"{file}: cannot be read ({error})") from None
    dataset = xarray.Dataset(found)
    with replaced(path) as temporary:
        dataset.to_netcdf(temporary)


def _of_catchments(values: Any, ids: Sequence[str], file: Path) -> Any:
    """Return a variable with the dimensions time and catchment, and nothing else."""
    import xarray

    dimensions = [
        name for name in values.dims if name != "time" and (values.sizes[name] > 1 or name == "id")
    ]
    values = values.squeeze([d for d in values.dims if d != "time" and d not in dimensions])
    if "time" not in values.dims:
        raise ForcingError(f"{file}: {values.name} has no dimension time")
    if len(dimensions) > 1:
        raise ForcingError(
            f"{file}: {values.name} is a grid of {' x '.join(map(str, dimensions))}; a lumped "
            "forcing, or one with a dimension of catchments, is needed"
        )
    if dimensions:
        own = values.transpose("time", dimensions[0])
        if own.shape[1] != len(ids):
            raise ForcingError(
                f"{file}: has {own.shape[1]} catchments, and the configuration has {len(ids)}"
            )
        if dimensions[0] in values.coords:
            known = [str(name) for name in values[dimensions[0]].values]
            if sorted(known) != sorted(ids):
                raise ForcingError(
                    f"{file}: its catchments, {listed(known)}, are not those of the configuration, "
                    f"{listed(list(ids))}"
                )
            ids = known
        array = own.values
    else:
        array = np.repeat(values.values[:, None], len(ids), axis=1)
    return xarray.DataArray(
        array,
        dims=("time", "catchment"),
        coords={
            "time": values["time"].variable,
            "id": ("catchment", list(ids), {"cf_role": "timeseries_id"}),
        },
        attrs=values.attrs,
    )
