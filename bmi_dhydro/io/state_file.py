"""States in files: one CF NetCDF for each save, whole or not at all, and older formats."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import DamagedStateError, StateError
from ..files.whole import append_digest, digest_holds, replaced
from ..model.model import Model
from ..model.state import FORMAT, SavedState, apply, capture, digest, parsed
from ..physics import Process
from .netcdf import READ_ERRORS, netcdf4

FORMAT_VERSION = 4

# Files of version 1 are `.safetensors`; those of NetCDF begin like this. Version 2 did not say in
# how many parts a step is done: in one. Up to version 3 a file has a digest of its arrays; then one
# of all of it at its end, which is known before HDF5, which a damaged file can hang, opens it.
_HDF5 = b"\x89HDF\r\n\x1a\n"

# Before the names of what is saved beside the model's memory, and of what a river remembers.
_MORE, _RIVER = "more_", "river_"

_DIGEST_AT_END = 4

# How long a chain waits for an older file to be read, in seconds.
PATIENCE = 60.0

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
        As `model.state.capture`.

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
        with replaced(path) as temporary:
            with netcdf4().Dataset(temporary, "w") as data:
                _write(data, saved, units)
            append_digest(temporary)
    except (OSError, RuntimeError, ValueError) as error:
        raise StateError(f"{path}: the state cannot be written ({error})") from None


def _write(data: Any, saved: SavedState, units: dict[str, tuple[str, str]]) -> None:
    # In one order, wherever they come from, so that equal states are equal files.
    arrays = {name: saved.arrays[name] for name in sorted(saved.arrays) if name != "state"}
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
            "parts": np.int32(saved.substeps),
        }
    )
    names = np.char.encode(np.asarray(saved.ids, dtype=str), "utf-8")
    data.createDimension("catchment", len(names))
    one = saved.members == 1
    axes = ["catchment"] if one else ["member", "catchment"]
    if not one:
        data.createDimension("member", saved.members)
    data.createDimension("component", saved.arrays["state"].shape[2])
    data.createDimension("characters", names.dtype.itemsize)
    identifier = data.createVariable("catchment_id", "S1", ("catchment", "characters"))
    identifier.setncatts({"cf_role": "timeseries_id", "long_name": "catchment"})
    identifier[:] = names.view("S1").reshape(len(names), names.dtype.itemsize)
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
    for name, values in saved.river.items():
        data.createDimension(f"{_RIVER}{name}_values", len(values))
        variable = data.createVariable(_RIVER + name, values.dtype, (f"{_RIVER}{name}_values",))
        variable[:] = values


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
        Names of the stores of the process model.

    Raises
    ------
    StateError
        If it is missing, damaged, foreign, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
        whole = digest_holds(path)
        if start != _HDF5 and whole is None:
            return parsed(path.read_bytes(), state_names, str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise StateError(f"{path}: the state cannot be read ({reason})") from None
    if whole is False:
        raise DamagedStateError(f"{path}: is damaged, its content is not what was written")
    try:
        with netcdf4().Dataset(path) as data:
            data.set_auto_mask(False)
            saved = _read(data, path, state_names, bool(whole))
    except READ_ERRORS as error:
        if isinstance(error, StateError):
            raise
        raise DamagedStateError(f"{path}: not a whole state ({error!r})") from None
    saved.check(str(path))
    return saved


def read_patiently(
    path: Path, state_names: tuple[str, ...], patience: float = PATIENCE
) -> SavedState:
    """Read a state file, but give up where it cannot be read in time.

    A file that is damaged where no digest tells of it can let HDF5 run for ever. So one without a
    digest at its end is first read by another process.

    Parameters
    ----------
    path, state_names
        As `read`.
    patience : float
        In seconds.

    Raises
    ------
    StateError
        As `read`; `DamagedStateError` where it takes too long.
    """
    try:
        has_digest = digest_holds(path) is not None
    except OSError:
        has_digest = True  # `read` says why not
    if not has_digest:
        code = "import sys; from bmi_dhydro.io.state_file import scan; scan(sys.argv[1])"
        try:
            subprocess.run(
                [sys.executable, "-c", code, str(path)],
                timeout=patience,
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise DamagedStateError(
                f"{path}: cannot be read within {patience:g} s, so it is damaged"
            ) from None
    return read(path, state_names)


def scan(path: str) -> None:
    """Read all of a NetCDF file, and forget it."""
    with netcdf4().Dataset(path) as data:
        for variable in data.variables.values():
            variable[...]


def _read(data: Any, path: Path, state_names: tuple[str, ...], whole: bool) -> SavedState:
    if getattr(data, "format", None) != FORMAT:
        raise StateError(f"{path}: a NetCDF file, but not a state of bmi_dhydro")
    version = int(data.format_version)
    if version > FORMAT_VERSION:
        raise StateError(
            f"{path}: is of version {version}, written by a newer bmi_dhydro ({data.source}); this "
            f"one reads up to version {FORMAT_VERSION}: install that one"
        )
    ids = netcdf4().chartostring(data["catchment_id"][:], encoding="utf-8")
    absent = [name for name in state_names if name not in data.variables]
    if absent:
        raise StateError(f"{path}: was saved with process {data.process}, which has no {absent[0]}")
    known = {"catchment_id", "time", *state_names}
    members = len(data.dimensions["member"]) if "member" in data.dimensions else 1

    def of_columns(name: str) -> NDArray:
        values: NDArray = data[name][:]
        return values if members == 1 else values.reshape(-1, *values.shape[2:])

    more = {name for name in data.variables if name.startswith(_MORE)}
    river = {name for name in data.variables if name.startswith(_RIVER)}
    arrays = {name: of_columns(name) for name in data.variables if name not in known | more | river}
    arrays["state"] = np.stack([of_columns(name) for name in state_names])
    beside = {name.removeprefix(_MORE): data[name][:].reshape(len(data[name]), -1) for name in more}
    if version >= _DIGEST_AT_END:
        if not whole:
            raise DamagedStateError(
                f"{path}: is damaged, or another program has changed it: its digest is missing"
            )
    elif digest({**arrays, **{_MORE + name: v for name, v in beside.items()}}) != data.digest:
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
        substeps=int(getattr(data, "parts", 1)),
        members=members,
        river={name.removeprefix(_RIVER): data[name][:] for name in river},
    )


def _shared(path: Path, state_names: tuple[str, ...]) -> SavedState:
    """Read a state file; read again only if it was changed, since many divides share one."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return read(path, state_names)  # which says why not
    return _read_once(path, state_names, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=1)
def _read_once(
    path: Path, state_names: tuple[str, ...], modified: int, size: int, inode: int
) -> SavedState:
    return read(path, state_names)


def restore(
    path: Path, model: Model, fingerprint: str, ids: NDArray, carry_over: bool = False
) -> SavedState:
    """Read a state file into a model; arguments and errors as `model.state.apply`.

    Returns
    -------
    SavedState
        What the file holds, its time among it.
    """
    saved = _shared(path, model.process.state_names)
    apply(saved, model, fingerprint, ids, str(path), carry_over)
    return saved
