"""A step for which a host sets the weather, from its inputs to its outputs, in one compiled call.

NextGen's engine makes an instance for each catchment and steps them in turn, so that what a step
costs is calling, and finding memory that is no longer in the processor's cache. Everything a step
touches is therefore found from one table, and nothing between inputs and outputs is Python.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache as memoised
from typing import Any

import numba
import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...physics.calendar import day_of_year
from ...units import SECONDS_PER_DAY
from .. import cache
from ..ir.printing import OPTIONS, as_one, module_of
from .addresses import loads, table_of
from .loop import CompiledLoop
from .pointwise import compiled, source_of

# Arrays of a step in the order of the table: name, type (None is the model's), dimensions. Shapes
# are those of `exchange` and `cpu.CpuKernel.run`.
_ARRAYS = (
    ("clock", np.int64, 1),
    ("current", np.int64, 1),
    ("inputs", float, 2),
    ("lowest", float, 1),
    ("highest", float, 1),
    ("scale", float, 1),
    ("floor", float, 1),
    ("forcing", None, 3),
    ("parameters", None, 3),
    ("state", None, 3),
    ("weights", None, 2),
    ("pending", None, 2),
    ("reach", np.int32, 1),
    ("outputs", None, 3),
    ("sources", np.int64, 1),
    ("factors", float, 2),
    ("published", float, 2),
    ("gains", np.int64, 1),
    ("losses", np.int64, 1),
    ("flows", float, 2),
    ("opened", float, 1),
    ("leaked", float, 1),
    ("stored_rows", np.int64, 1),
    ("balance", float, 1),
)

# Where potential evapotranspiration is computed: weather as the host's in the units of a step; what
# the equation takes, as `weather.preparation` lays it out; hours by which the sun is ahead; and the
# start in seconds since 1970 with the length of a step.
_COMPUTED = (
    ("weather", float, 2),
    ("arguments", float, 2),
    ("evapotranspiration", float, 1),
    ("solar_shift", float, 1),
    ("calendar", np.int64, 1),
)

# Where parameters move: the address of the loop that moves them; `Dynamics.progress`; and what they
# are in the step, twice: as that loop writes them, and as that of the model reads them.
_MOVING = (
    ("mover", np.int64, 1),
    ("progress", np.int64, 1),
    ("values", None, 4),
    ("dynamic", None, 3),
)

_COMPUTE = f"""
seconds = calendar[0] + clock[0] * calendar[1]
day = day_of_year(seconds // {SECONDS_PER_DAY})
hour = (seconds % {SECONDS_PER_DAY}) / 3600.0
for c in range(weather.shape[1]):
    for k in range(weather.shape[0] - 1):
        arguments[k, c] = weather[k + 1, c]
    arguments[weather.shape[0], c] = day
    arguments[weather.shape[0] + 1, c] = (hour + solar_shift[c]) % 24.0
evapotranspire(arguments, evapotranspiration)
for c in range(weather.shape[1]):
    forcing[0, 0, c] = weather[0, c]
    forcing[0, 1, c] = weather[1, c]
    forcing[0, 2, c] = evapotranspiration[c]
""".strip().splitlines()


_MOVE = (
    "call_at(mover[0], 0, state.shape[1], forcing, progress[2], values)",
    "progress[0] = (progress[0] + 1) % progress[1]",
)


def _kinds(dtype: str, computed: bool, moves: bool) -> list[tuple[str, DTypeLike, int]]:
    """Return name, type and dimensions of the arrays of a step, for a model of a type."""
    more = (*(_COMPUTED if computed else ()), *(_MOVING if moves else ()))
    return [
        (name, dtype if kind is None else kind, dimensions)
        for name, kind, dimensions in (*_ARRAYS, *more)
    ]


@memoised
def _compiled(
    loop: CompiledLoop,
    dtype: str,
    evapotranspiration: Callable[..., object] | None,
    moves: bool,
) -> Callable[..., int]:
    """Return `step(address, inflow, substeps)`; see `CoupledStep`.

    The loop stands in the same function: called, it would be compiled twice, once for itself and
    once for its caller, and compiling is most of what a first start takes.
    """
    computed = evapotranspiration is not None
    method = ""
    if evapotranspiration is not None:
        # What is called is compiled elsewhere: its text is part of what this is made of.
        text = source_of(evapotranspiration) + inspect.getsource(day_of_year)
        method = f", by {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    kinds = _kinds(dtype, computed, moves)
    known = {name for name, _, _ in kinds} | {"start", "stop", "position"}
    missing = set(loop.source.arguments.split(", ")) - known
    if missing:
        raise ValueError(f"a coupled step has no {', '.join(sorted(missing))} for its loop")
    body = [
        *loads(kinds, "address"),
        *([] if computed else ["weather = plane(forcing, 0)"]),
        "wrong = scaled_inputs(inputs, lowest, highest, scale, floor, weather)",
        "if wrong >= 0:",
        "    return wrong",
        *(_COMPUTE if computed else ()),
        *(_MOVE if moves else ()),
        "start, stop = 0, state.shape[1]",
        "position = clock[0] * substeps % pending.shape[1]",
        *loop.source.lines,
        "published_outputs("
        "outputs, forcing, sources, factors, published, inflow, gains, losses, flows)",
        "counted_step(clock, current, outputs, stored_rows, flows, opened, leaked, balance)",
    ]
    names = ["address", "inflow", "substeps"]
    if computed:
        names += ["evapotranspire", "day_of_year"]
    lines = [
        "def step(address, inflow, substeps):",
        f"    return {as_one(body, loop.source.dtype, names)}",
        "",
        f"step = numba.njit({OPTIONS})(step)",
    ]
    called: dict[str, Any] = {}
    if evapotranspiration is not None:
        called["evapotranspire"] = compiled(evapotranspiration)
        called["day_of_year"] = numba.njit(day_of_year)
    title = f"{loop.source.title}: a coupled step{method}"
    source = module_of(title, loop.source.dtype, lines)
    return cache.load(source, "coupled", called)["step"]


class CoupledStep:
    """A step of a model on the CPU, with its inputs and outputs.

    Parameters
    ----------
    reject : callable
        Raises an error for an input that is impossible; called with its place among the inputs, in
        the order of memory. Nothing is done then.
    otherwise : callable
        Does a step where more is to be done than this does.

    Attributes
    ----------
    plain : bool
        Whether `update` may do a step by itself; only after `bind`.
    """

    # One piece of memory, instead of an object and a dictionary.
    __slots__ = (
        "_address",
        "_arrays",
        "_inflow",
        "_otherwise",
        "_reject",
        "_step",
        "_substeps",
        "_table",
        "plain",
    )

    def __init__(self, reject: Callable[[int], None], otherwise: Callable[[], None]) -> None:
        self.plain = False
        self._reject, self._otherwise = reject, otherwise

    def bind(
        self,
        loop: CompiledLoop,
        arrays: Mapping[str, NDArray],
        inflow: int,
        substeps: int,
        evapotranspiration: Callable[..., object] | None = None,
        moving: CompiledLoop | None = None,
    ) -> None:
        """Find all that a step touches.

        Parameters
        ----------
        loop : CompiledLoop
            Loop of the model; see `CpuKernel.serial`.
        arrays : mapping of array
            By the names of `exchange` and `CpuKernel.run`: `inputs`, `lowest`, `highest`, `scale`,
            `floor`, `forcing` (1, forcings, columns), `parameters`, `state`, `weights`, `pending`,
            `reach`, `outputs` (1, outputs of the model, columns), `sources`, `factors`,
            `published`, `gains`, `losses`, `flows`; of `WaterAccount`: `opened`, `leaked`; `clock`,
            the steps that are done; `balance`, written in m (see `instance.Held`), empty where it
            does not follow from `outputs`, of which `stored_rows` are stores; and `current`, set
            to whether it was. They are kept, and must not be replaced.
        inflow : int
            Place of what goes in among the forcings.
        substeps : int
            In which a step is done.
        evapotranspiration : callable, optional
            The equation of potential evapotranspiration, where it is computed of the inputs;
            `arrays` then holds `weather` (quantities, columns), `arguments`, `evapotranspiration`
            (columns,), `solar_shift` (columns,) and `calendar` (start in seconds since 1970,
            seconds of a step) too.
        moving : CompiledLoop, optional
            What moves parameters, as `Dynamics.serial` returns it; `arrays` then holds `progress`
            of `Dynamics`, and room for the parameters of a step, `values` (1, columns, parameters,
            parameter sets) and `dynamic`, the same without the first dimension.
        """
        dtype = arrays["state"].dtype.name
        if moving is not None:
            arrays = {**arrays, "mover": np.array([moving.address(dtype)])}
        kinds = _kinds(dtype, evapotranspiration is not None, moving is not None)
        self._arrays = [arrays[name] for name, _, _ in kinds]
        self._table = table_of(self._arrays, kinds)
        self._address = self._table.ctypes.data
        self._inflow, self._substeps = inflow, substeps
        self._step = _compiled(loop, dtype, evapotranspiration, moving is not None)

    def __call__(self) -> None:
        """Do a step, and count it."""
        wrong = self._step(self._address, self._inflow, self._substeps)
        if wrong >= 0:
            self._reject(wrong)

    def update(self) -> None:
        """Do a step, with all that belongs to it."""
        if self.plain:
            wrong = self._step(self._address, self._inflow, self._substeps)
            if wrong >= 0:
                self._reject(wrong)
        else:
            self._otherwise()
