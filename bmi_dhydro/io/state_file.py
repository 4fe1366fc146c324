"""States in files: one CF NetCDF for each save, whole or not at all, and older formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import DamagedStateError, StateError
from ..files import replaced
from ..model import Model
from ..physics import Process
from ..state import FORMAT, SavedState, apply, capture, digest, parsed
from .netcdf import netcdf4

FORMAT_VERSION = 3

# Files of version 1 are `.safetensors`; those of NetCDF begin like this. Version 2 did not say in
# how many parts a step is done: in one.
_HDF5 = b"\x89HDF\r\n\x1a\n"

# Before the names of what is saved beside the model's memory.
_MORE = "more_"

_EPOCH = "seconds since 1970-01-01 00:00:00"


def save(
    path: Path,
    model: Model,
    fingerprint: str,
    ids: NDArray,
    time: np.datetime64 | None = None,
) -> None:
    """Write the state of a model, whole or not at all.

    Parameters
    ----------
    path : Path
    model, fingerprint, ids, time
        As `state.capture`.

    Raises
    ------
    StateError
        If the file cannot be written; an earlier one is untouched then.
    """
    write(path, capture(model, fingerprint, ids, time), model.process)


def write(path: Path, saved: SavedState, process: Process) -> None:
    """Write a state of a process model, whole or not at all; errors as `save`."""
    units = {item.name: (item.units, item.long_name) for item in process.states}
    try:
        with replaced(path) as temporary, netcdf4().Dataset(temporary, "w") as data:
            _write(data, saved, units)
    except (OSError, RuntimeError) as error:
        raise StateError(f"{path}: the state cannot be written ({error})") from None


def _write(data: Any, saved: SavedState, units: dict[str, tuple[str, str]]) -> None:
    arrays = {name: values for name, values in saved.arrays.items() if name != "state"}
    data.setncatts(
        {
            "Conventions": "CF-1.10",
            "title": "State of a hydrology model",
            "source": f"bmi_dhydro {__version__}",
            "format": FORMAT,
            "format_version": np.int32(FORMAT_VERSION),
            "trained_model_fingerprint": saved.fingerprint,
            "process": saved.process,
            "step_seconds": np.int32(saved.step_seconds),
            "steps": np.int64(saved.steps),
            "parts": np.int32(saved.parts),
            "digest": digest(
                {**saved.arrays, **{_MORE + name: v for name, v in saved.more.items()}}
            ),
        }
    )
    names = np.array(saved.ids, dtype="S")
    data.createDimension("catchment", len(names))
    one = saved.members == 1
    axes = ["catchment"] if one else ["member", "catchment"]
    if not one:
        data.createDimension("member", saved.members)
    data.createDimension("component", saved.arrays["state"].shape[2])
    data.createDimension("characters", names.dtype.itemsize)
    identifier = data.createVariable("catchment_id", "S1", ("catchment", "characters"))
    identifier.setncatts({"cf_role": "timeseries_id", "long_name": "catchment"})
    identifier[:] = netcdf4().stringtochar(names)
    if saved.time is not None:
        time = data.createVariable("time", "i8")
        time.setncatts(
            {"standard_name": "time", "units": _EPOCH, "calendar": "proleptic_gregorian"}
        )
        time[...] = saved.time.astype("datetime64[s]").astype(np.int64)
    for name, values in zip(saved.state_names, saved.arrays["state"], strict=True):
        variable = data.createVariable(name, values.dtype, (*axes, "component"))
        unit, long_name = units[name]
        variable.setncatts({"units": unit, "long_name": long_name})
        variable[:] = values.reshape(variable.shape)
    for name, values in arrays.items():
        dimensions = [*axes]
        for axis, length in enumerate(values.shape[1:]):
            dimensions.append(f"{name}_{axis}")
            data.createDimension(dimensions[-1], length)
        variable = data.createVariable(name, values.dtype, dimensions)
        if name == "pending":
            variable.setncatts(
                {"units": "mm", "long_name": "runoff on its way to the outlet, the next step first"}
            )
        variable[:] = values.reshape(variable.shape)
    _write_more(data, saved.more, axes)


def _write_more(data: Any, more: dict[str, NDArray], axes: list[str]) -> None:
    for name, values in more.items():
        row = f"{name}_row"
        data.createDimension(row, len(values))
        variable = data.createVariable(_MORE + name, values.dtype, (row, *axes))
        variable[:] = values.reshape(variable.shape)


def read(path: Path, state_names: tuple[str, ...]) -> SavedState:
    """Read a state file of this version or an older one.

    Parameters
    ----------
    path : Path
    state_names : tuple of str
        Of the process model.

    Raises
    ------
    StateError
        If it is missing, damaged, foreign, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
        if start != _HDF5:
            return parsed(path.read_bytes(), state_names, str(path))
    except OSError as error:
        raise StateError(f"{path}: the state cannot be read ({error.strerror})") from None
    try:
        with netcdf4().Dataset(path) as data:
            data.set_auto_mask(False)
            return _read(data, path, state_names)
    except (OSError, RuntimeError, IndexError, KeyError, AttributeError) as error:
        raise DamagedStateError(f"{path}: not a whole state ({error!r})") from None


def _read(data: Any, path: Path, state_names: tuple[str, ...]) -> SavedState:
    if getattr(data, "format", None) != FORMAT:
        raise StateError(f"{path}: a NetCDF file, but not a state of bmi_dhydro")
    version = int(data.format_version)
    if version > FORMAT_VERSION:
        raise StateError(
            f"{path}: is of version {version}, written by a newer bmi_dhydro ({data.source}); this "
            f"one reads up to version {FORMAT_VERSION}: install that one"
        )
    ids = netcdf4().chartostring(data["catchment_id"][:])
    absent = [name for name in state_names if name not in data.variables]
    if absent:
        raise StateError(f"{path}: was saved with process {data.process}, which has no {absent[0]}")
    known = {"catchment_id", "time", *state_names}
    members = len(data.dimensions["member"]) if "member" in data.dimensions else 1

    def of_traces(name: str) -> NDArray:
        values: NDArray = data[name][:]
        return values if members == 1 else values.reshape(-1, *values.shape[2:])

    more = {name for name in data.variables if name.startswith(_MORE)}
    arrays = {name: of_traces(name) for name in data.variables if name not in known | more}
    arrays["state"] = np.stack([of_traces(name) for name in state_names])
    beside = {name.removeprefix(_MORE): data[name][:].reshape(len(data[name]), -1) for name in more}
    if digest({**arrays, **{_MORE + name: v for name, v in beside.items()}}) != data.digest:
        raise DamagedStateError(f"{path}: is damaged, its values are not those that were saved")
    time = np.datetime64(int(data["time"][...]), "s") if "time" in data.variables else None
    return SavedState(
        str(data.trained_model_fingerprint),
        str(data.process),
        state_names,
        int(data.step_seconds),
        int(data.steps),
        np.array([str(name) for name in ids]),
        arrays,
        beside,
        time=time,
        parts=int(getattr(data, "parts", 1)),
        members=members,
    )


def restore(
    path: Path, model: Model, fingerprint: str, ids: NDArray, carry_over: bool = False
) -> SavedState:
    """Read a state file into a model; arguments and errors as `state.apply`.

    Returns
    -------
    SavedState
        What the file holds, its time among it.
    """
    saved = read(path, model.process.state_names)
    apply(saved, model, fingerprint, ids, str(path), carry_over)
    return saved
