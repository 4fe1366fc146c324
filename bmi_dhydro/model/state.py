"""What a model remembers, taken out of it and put into another: the content of every warm start.

`io.state_file` keeps it in files; `to_bytes` is the payload of hosts that save modules themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedStateError, StateError, listed
from ..files.arrays import ArrayFormat
from .model import Model

FORMAT = "bmi_dhydro state"

# Payloads of version 1 have a digest of their arrays alone.
PAYLOAD = ArrayFormat(FORMAT, "a state", 2, 2, StateError, DamagedStateError)

# Before the names of what is saved beside the state, in a payload, and of what a river remembers.
_MORE, _RIVER = "more.", "river."

# What rounding may take from an empty store, in mm.
ROUNDING = 1e-3


@dataclass(frozen=True)
class SavedState:
    """All that the next steps of a model depend on, beside parameters and weather.

    Attributes
    ----------
    fingerprint : str
        Fingerprint of the trained model.
    process : str
    state_names : tuple of str
        Names of the process' states, in the order of `arrays["state"]`.
    step_seconds, steps : int
        Length of a step, and steps done.
    substeps : int
        In which a step is done: lags of `pending` are so much shorter.
    ids : array of str, shape (catchments,)
    arrays : dict of array
        As `Model.snapshot` returns them.
    more : dict of array, shape (rows, columns)
        What a host wants back beside the state.
    time : datetime64[s] or None
        That the state is of.
    members : int
        Members of an ensemble: each of `arrays` has a row for each catchment of each member.
    river : dict of array
        What the river remembers that the catchments drain to, as `river.state_file.packed` returns
        it; empty where there is none.
    """

    fingerprint: str
    process: str
    state_names: tuple[str, ...]
    step_seconds: int
    steps: int
    ids: NDArray
    arrays: dict[str, NDArray]
    more: dict[str, NDArray] = field(default_factory=dict)
    time: np.datetime64 | None = None
    substeps: int = 1
    members: int = 1
    river: dict[str, NDArray] = field(default_factory=dict)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Row of each catchment, found once for the many that may share a state."""
        return {name: row for row, name in enumerate(self.ids.tolist())}

    def check(self, source: str) -> None:
        """Refuse a state that no model can have left, whatever it is called in errors.

        Raises
        ------
        DamagedStateError
            If stores or flows are not finite or below zero, or there is no step of that length.
        """
        if self.step_seconds < 1 or self.steps < 0 or self.substeps < 1 or self.members < 1:
            raise DamagedStateError(f"{source}: not a whole state (its steps cannot be)")
        # The weather of a day that has not begun is not a number.
        every = {**self.arrays, **self.more, **self.river}
        PAYLOAD.check_finite(every, source, ("day_window",))
        for name in ("state", "pending"):
            if name not in self.arrays:
                raise DamagedStateError(f"{source}: not a whole state ({name!r} is missing)")
            if (self.arrays[name] < -ROUNDING).any():
                raise DamagedStateError(f"{source}: has stores below zero ({name})")

    def of(self, ids: NDArray) -> SavedState:
        """Return the state of some of the catchments, in this order.

        Raises
        ------
        StateError
            If it has none for one of them.
        """
        places = self._places
        absent = [name for name in ids.tolist() if name not in places]
        if absent:
            raise StateError(f"has no state for catchment {listed(absent)}")
        own = np.array([places[name] for name in ids.tolist()])
        rows = np.concatenate([own + member * len(places) for member in range(self.members)])
        return replace(
            self,
            ids=ids,
            arrays={name: self._rows(name, rows) for name in sorted(self.arrays)},
            more={name: values[:, rows] for name, values in self.more.items()},
        )

    def _rows(self, name: str, rows: NDArray) -> NDArray:
        # The columns are the second axis of the process' states, the first of all else.
        values = self.arrays[name]
        return values[:, rows] if name == "state" else values[rows]

    def of_all_members(self, members: int) -> SavedState:
        """Return the state of one member as that of several."""
        rows = np.tile(np.arange(len(self.ids)), members)
        return replace(
            self,
            members=members,
            arrays={name: self._rows(name, rows) for name in self.arrays},
            more={name: values[:, rows] for name, values in self.more.items()},
        )

    @staticmethod
    def joined(parts: Sequence[SavedState]) -> SavedState:
        """Return one state of states of different catchments, saved alike."""

        def together(arrays: list[NDArray], name: str) -> NDArray:
            axis = 1 if name == "state" else 0
            split = [np.split(values, parts[0].members, axis=axis) for values in arrays]
            by_member = [values for member in zip(*split, strict=True) for values in member]
            return np.concatenate(by_member, axis=axis)

        first = parts[0]
        return replace(
            first,
            ids=np.concatenate([part.ids for part in parts]),
            arrays={name: together([p.arrays[name] for p in parts], name) for name in first.arrays},
            more={name: together([p.more[name] for p in parts], "state") for name in first.more},
        )


def capture(
    model: Model, fingerprint: str, ids: NDArray, time: np.datetime64 | None = None
) -> SavedState:
    """Copy what a model remembers.

    Parameters
    ----------
    model : Model
    fingerprint : str
        Fingerprint of the trained model.
    ids : array of str, shape (catchments,)
    time : datetime64[s], optional
    """
    return SavedState(
        fingerprint,
        model.process.name,
        model.process.state_names,
        model.step_seconds,
        model.steps,
        ids,
        {name: np.ascontiguousarray(values) for name, values in model.snapshot().items()},
        time=time,
        substeps=model.substeps,
        members=model.members,
    )


def apply(
    saved: SavedState,
    model: Model,
    fingerprint: str,
    ids: NDArray,
    source: str,
    carry_over: bool = False,
) -> dict[str, NDArray]:
    """Put a saved state into a model; its clock stays as it is.

    Parameters
    ----------
    saved : SavedState
    model : Model
        A model that was made of the same trained model, with the same step; its catchments may be a
        part of those saved, in another order. All its members take the state of one, or each its
        own.
    fingerprint : str
    ids : array of str
    source : str
        What to call the state in errors.
    carry_over : bool
        Whether to take over what is physical (stores, water on its way) from a state of another
        trained model of the same process and step. Stores of other parameter sets are taken as
        their mean; an LSTM starts empty.

    Returns
    -------
    dict of array
        What was saved beside the state, for these catchments.

    Raises
    ------
    StateError
        If the state is of another model, step, set of catchments or number of members. `model` is
        unchanged then.
    """
    checks = [("process", saved.process, model.process.name)]
    checks += [("step_seconds", str(saved.step_seconds), str(model.step_seconds))]
    if not carry_over:
        checks.insert(0, ("fingerprint", saved.fingerprint, fingerprint))
    for key, theirs, ours in checks:
        if theirs != ours:
            hint = "; set carry_over to take over its stores" if key == "fingerprint" else ""
            raise StateError(
                f"{source}: was saved with {key} {theirs}, but here it is {ours}{hint}"
            )
    if saved.members not in (1, model.members):
        raise StateError(f"{source}: has {saved.members} members; the model has {model.members}")
    try:
        own = saved.of(ids)
    except StateError as error:
        raise StateError(f"{source}: {error}") from None
    if saved.members != model.members:
        own = own.of_all_members(model.members)
    chosen = own.arrays
    snapshot = model.snapshot()
    if saved.substeps != model.substeps:
        widths = model.substeps / saved.substeps
        chosen["pending"] = _respaced(chosen["pending"], widths, snapshot["pending"].shape[1])
    if carry_over:
        if chosen["state"].shape[2] != model.parameter_sets:
            mean = chosen["state"].mean(axis=2, keepdims=True)
            chosen["state"] = np.repeat(mean, model.parameter_sets, axis=2)
        chosen = {**snapshot, "state": chosen["state"], "pending": chosen["pending"]}
    expected = {name: values.shape for name, values in snapshot.items()}
    if {name: values.shape for name, values in chosen.items()} != expected:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in sorted(chosen.items()))
        ours = ", ".join(f"{name} {shape}" for name, shape in sorted(expected.items()))
        raise StateError(f"{source}: has {shapes}; the model has {ours}")
    model.restore(chosen)
    return own.more


def _respaced(pending: NDArray, width: float, lags: int) -> NDArray:
    """Return flows on their way in lags of another length: as much water, evenly within a lag.

    Parameters
    ----------
    pending : array, shape (catchments, lags)
    width : float
        Width of one of its lags, in new ones.
    lags : int
        New ones; what would leave later leaves in the last.
    """
    old = np.arange(pending.shape[1] + 1) * width
    new = np.minimum(np.arange(lags + 1.0), old[-1])
    new[-1] = old[-1]
    left = np.concatenate(
        [np.zeros_like(pending[:, :1]), np.cumsum(pending, axis=1, dtype=float)], axis=1
    )
    at_new = np.array([np.interp(new, old, row) for row in left])
    return np.diff(at_new, axis=1).astype(pending.dtype)


def digest(arrays: Mapping[str, NDArray]) -> str:
    """Return a checksum of arrays, by which damage is noticed."""
    result = hashlib.sha256()
    for name in sorted(arrays):
        result.update(name.encode())
        result.update(np.ascontiguousarray(arrays[name]).data)
    return result.hexdigest()


def to_bytes(
    model: Model,
    fingerprint: str,
    ids: NDArray,
    more: Mapping[str, NDArray] | None = None,
    river: Mapping[str, NDArray] | None = None,
) -> bytes:
    """Return all that a model remembers, as a `.safetensors` payload; nothing in it is executed.

    Parameters
    ----------
    model, fingerprint, ids
        As `capture`.
    more : mapping of array, shape (rows, columns), optional
        What a host wants back beside the state.
    river : mapping of array, optional
        What a river remembers.
    """
    saved = capture(model, fingerprint, ids)
    arrays = dict(saved.arrays)
    arrays.update((_MORE + name, values) for name, values in (more or {}).items())
    arrays.update((_RIVER + name, values) for name, values in (river or {}).items())
    metadata = {
        "fingerprint": fingerprint,
        "process": saved.process,
        "step_seconds": str(saved.step_seconds),
        "steps": str(saved.steps),
        "parts": str(saved.substeps),
        "members": str(saved.members),
        "ids": json.dumps(ids.tolist()),
    }
    return PAYLOAD.pack(arrays, metadata)


def parsed(payload: bytes, state_names: tuple[str, ...], source: str) -> SavedState:
    """Read what `to_bytes` returned.

    Parameters
    ----------
    payload : bytes
    state_names : tuple of str
        Names of the stores of the process; a payload does not name them.
    source : str
        What to call it in errors.

    Raises
    ------
    StateError
        If it is damaged or foreign, or has values that are not finite.
    """
    arrays, metadata = PAYLOAD.unpack(payload, source)
    try:
        if metadata["format_version"] == "1" and metadata["digest"] != digest(arrays):
            raise DamagedStateError(
                f"{source}: is damaged, its values are not those that were saved"
            )
        saved = SavedState(
            metadata["fingerprint"],
            metadata["process"],
            state_names,
            int(metadata["step_seconds"]),
            int(metadata["steps"]),
            np.array(json.loads(metadata["ids"])),
            {n: values for n, values in arrays.items() if not n.startswith((_MORE, _RIVER))},
            _named(arrays, _MORE),
            # Older payloads do not say so.
            substeps=int(metadata.get("parts", 1)),
            members=int(metadata.get("members", 1)),
            river=_named(arrays, _RIVER),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise DamagedStateError(f"{source}: not a whole state ({error!r})") from None
    saved.check(source)
    return saved


def _named(arrays: Mapping[str, NDArray], prefix: str) -> dict[str, NDArray]:
    """Return the arrays whose names begin with a prefix, without it."""
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}


def from_bytes(
    payload: bytes, model: Model, fingerprint: str, ids: NDArray, source: str
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Restore what `to_bytes` returned; arguments and errors as `apply`.

    Returns
    -------
    more : dict of array
        What was saved beside the state, for these catchments.
    river : dict of array
        What the river remembers.
    """
    saved = parsed(payload, model.process.state_names, source)
    return apply(saved, model, fingerprint, ids, source), saved.river


def refuse_impossible(model: Model, ids: NDArray, moment: str) -> None:
    """Refuse stores that a host has made what they cannot be, through a pointer to them.

    Parameters
    ----------
    model : Model
    ids : array of str, shape (catchments,)
    moment : str
        Time of the next step, for the error.

    Raises
    ------
    StateError
        If one is not finite or below zero.
    """
    stores = model.state
    wrong = ~(np.isfinite(stores) & (stores >= -ROUNDING))
    if not wrong.any():
        return
    row, column, parameter_set = np.argwhere(wrong)[0].tolist()
    raise StateError(
        f"{model.process.state_names[row]} is {stores[row, column, parameter_set]:g} mm for "
        f"catchment {ids[column % len(ids)]} at {moment}, as somebody has set it "
        "through a pointer; the step was not done"
    )
