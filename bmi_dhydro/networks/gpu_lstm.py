"""A step of the LSTM that moves parameters, on a GPU: what is done for each unit and parameter set.

Products of matrices are torch's; what lies between them is one pass over memory each, in Triton,
printed from the same equations as everywhere.
"""

from __future__ import annotations

from functools import cache as memoised
from typing import Any

from torch import Tensor

from ..kernels import cache
from ..kernels.gpu.launch import launched_at
from ..kernels.gpu.source import HEADER, function, operand, printed
from ..kernels.ir.program import trace
from ..physics import Parameter, between_bounds, per_step
from .lstm import cell_step
from .mlp import sigmoid

_GATES = ("input_gate", "forget_gate", "candidate", "output_gate")

# Numbers of a program, of four warps each.
_SIZE = 512


def units_source(forcings: int) -> str:
    """Print what is done for each unit of each catchment.

    Parameters
    ----------
    forcings : int
        Rows of weather that are still to be added to the gates; 0 where they have been.

    Returns
    -------
    str
        A function `units(day, of_weather, gates, cell, hidden, after, rejected, columns, ...)`;
        arrays as for `advance_units`.
    """
    program = trace(cell_step, (*_GATES, "before"))
    hidden, after = map(operand, program.outputs)
    body = [
        "at = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)",
        "inside = at < tl.where(tl.load(rejected) == 0, columns.to(tl.int64) * UNITS, 0)",
        "c = at // UNITS",
        "m = at % UNITS",
        *(
            f"{name} = tl.load(gates + c * (4 * UNITS) + {k} * UNITS + m, mask=inside, other=0.0)"
            for k, name in enumerate(_GATES)
        ),
        *(
            line
            for f in range(forcings)
            for line in (
                f"seen = tl.load(day + {f} * columns.to(tl.int64) + c, mask=inside, other=0.0)",
                *(
                    f"{name} += seen * tl.load(of_weather + {4 * f + k} * UNITS + m, mask=inside, "
                    "other=0.0)"
                    for k, name in enumerate(_GATES)
                ),
            )
        ),
        "before = tl.load(cell + at, mask=inside, other=0.0)",
        *printed(program),
        f"tl.store(hidden + at, {hidden}, mask=inside)",
        f"tl.store(after + at, {after}, mask=inside)",
    ]
    arguments = (
        "day, of_weather, gates, cell, hidden, after, rejected, columns, UNITS: tl.constexpr, "
        "SIZE: tl.constexpr"
    )
    return function("units", arguments, body)


def placed_source(items: tuple[Parameter, ...], days: float) -> str:
    """Print how parameters are placed between their bounds.

    Parameters
    ----------
    items : tuple of Parameter
    days : float
        Length of the step whose values are wanted.

    Returns
    -------
    str
        A function `placed(centres, moved, values, columns, ...)`; arrays as for `place`.
    """
    body = [
        "at = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)",
        "plane = columns.to(tl.int64) * PARAMETER_SETS",
        "inside = at < plane",
        "c = at // PARAMETER_SETS",
        "m = at % PARAMETER_SETS",
    ]
    for k, item in enumerate(items):

        def value(centre: Any, move: Any, own: Parameter = item) -> tuple[Any]:
            return (per_step(between_bounds(sigmoid(centre + move), own), own, days),)

        program = trace(value, ("centre", "move"))
        row = f"{len(items)} * PARAMETER_SETS"
        body += [
            f"centre = tl.load(centres + {k} * plane + at, mask=inside, other=0.0)",
            f"move = tl.load(moved + c * ({row}) + {k} * PARAMETER_SETS + m, mask=inside, "
            "other=0.0)",
            *printed(program),
            f"tl.store(values + {k} * plane + at, {operand(program.outputs[0])}, mask=inside)",
        ]
    arguments = "centres, moved, values, columns, PARAMETER_SETS: tl.constexpr, SIZE: tl.constexpr"
    return function("placed", arguments, body)


@memoised
def _units(forcings: int) -> Any:
    title = "Units of an LSTM, for a GPU"
    source = HEADER.format(title=title) + units_source(forcings)
    return cache.load_file(source, "lstm_units_gpu")["units"]


@memoised
def _placed(items: tuple[Parameter, ...], days: float) -> Any:
    title = "Parameters between their bounds, for a GPU"
    source = HEADER.format(title=title) + placed_source(items, days)
    return cache.load_file(source, "moving_parameters_gpu")["placed"]


def advance_units(
    day: Tensor,
    of_weather: Tensor,
    gates: Tensor,
    cell: Tensor,
    hidden: Tensor,
    after: Tensor,
    rejected: Tensor,
) -> None:
    """Advance the units of an LSTM by a day.

    Parameters
    ----------
    day : Tensor, shape (forcings, columns)
        Normalised weather; without rows where the gates have it already.
    of_weather : Tensor, shape (forcings, 4 units)
    gates : Tensor, shape (columns, 4 units)
        What else is added to the gates, before their nonlinearity.
    cell : Tensor, shape (columns, units)
        Contents of the units before.
    hidden, after : Tensor, shape (columns, units)
        Written: their outputs, and their contents.
    rejected : Tensor of int32, shape (1,)
        Nothing is written unless it is zero.
    """
    columns, units = cell.shape
    with launched_at(cell):
        _units(len(day))[(-(-columns * units // _SIZE),)](
            day,
            of_weather,
            gates,
            cell,
            hidden,
            after,
            rejected,
            columns,
            UNITS=units,
            SIZE=_SIZE,
            num_warps=4,
        )


def place(
    items: tuple[Parameter, ...], days: float, centres: Tensor, moved: Tensor, values: Tensor
) -> None:
    """Place the parameters that change with time between their bounds.

    Parameters
    ----------
    items : tuple of Parameter
    days : float
        Length of the step whose values are wanted.
    centres : Tensor, shape (parameters, columns, parameter sets)
        See `parameter_network.dynamic_parameters`.
    moved : Tensor, shape (columns, parameters x parameter sets)
        What the LSTM adds to them.
    values : Tensor, shape (parameters, columns, parameter sets)
        Written.
    """
    _, columns, parameter_sets = values.shape
    with launched_at(values):
        _placed(items, days)[(-(-columns * parameter_sets // _SIZE),)](
            centres,
            moved,
            values,
            columns,
            PARAMETER_SETS=parameter_sets,
            SIZE=_SIZE,
            num_warps=4,
        )
