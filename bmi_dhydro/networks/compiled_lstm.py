"""The LSTM that moves parameters from day to day, compiled: a block of steps of many columns.

The equations are those of `lstm`, `parameter_network` and `physics.process`; here are only the
loops, in one order of adding, so that a catchment has the same values alone and among others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache as memoised

from ..kernels import cache
from ..kernels.cpu.addresses import loads
from ..kernels.cpu.loop import CompiledLoop, LoopSource, over_lanes
from ..kernels.cpu.products import ROWS, filled
from ..kernels.ir.printing import OPTIONS, indented, module_of, operand, printed
from ..kernels.ir.program import Program, trace
from ..physics import Parameter, Quantity, between_bounds, per_step
from .lstm import cell_step
from .mlp import sigmoid
from .normalisation import logarithm

# Rows of a product, which are columns of a model here.
_TOGETHER = ROWS

# Most bytes on the stack; a thread has no more than half a megabyte on some systems.
_STACK = 200_000

_GATES = ("input_gate", "forget_gate", "candidate", "output_gate")


def _product_module() -> str:
    """Return the source of `add_product`, the same for all models, so that it is compiled once."""
    lines = [
        "from bmi_dhydro.kernels.cpu import products",
        "",
        "def add_product(source, matrix, spans, target, count):",
        "    products.add_product(source, matrix, spans, target, count)",
        "",
        f"add_product = numba.njit({OPTIONS})(add_product)",
    ]
    return module_of("Products with packed matrices", float, lines)


def _assigned(program: Program, stores: Sequence[str]) -> list[str]:
    """Print a program, and store what it returns; `stores` have a place for the value."""
    values = [operand(value) for value in program.outputs]
    return [
        *printed(program),
        *(store.format(value) for store, value in zip(stores, values, strict=True)),
    ]


def _work(columns: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Print arrays of zeros (`_TOGETHER`, 1, columns) by name: made by Numba, or on the stack.

    Returns
    -------
    before, lines : list of str
        As `LoopSource` takes them; on the stack while they fit.
    """
    if 8 * _TOGETHER * sum(columns.values()) > _STACK:
        zeros = [f"{name} = np.zeros(({_TOGETHER}, 1, {n}), real)" for name, n in columns.items()]
        return zeros, []
    shapes = ", ".join(f"{_TOGETHER} 1 {n}" for n in columns.values())
    return [], [f"{', '.join(columns)} = work_arrays({shapes!r})"]


def _gates_of_state(units: int, several_steps: bool) -> list[str]:
    """Print what fills the gates of a group with what attributes and the state add to them."""
    fresh = [
        "zero_rows(gates, count)",
        "add_product(hiddens, recurrent, recurrent_spans, gates, count)",
    ]
    if several_steps:
        # Comparing sees whatever changes a state: a day's end, a restart, an assimilation.
        fresh += [
            f"copy_rows(remembered, first, hidden, first, count, {units})",
            f"copy_rows(recalled, first, gates, 0, count, {4 * units})",
        ]
        fresh = [
            f"if rows_differ(remembered, first, hidden, first, count, {units}):",
            *indented(fresh),
            f"copy_rows(gates, 0, recalled, first, count, {4 * units})",
        ]
    return [
        f"copy_rows(hiddens, 0, hidden, first, count, {units})",
        *fresh,
        f"add_rows(gates, 0, static, first, count, {4 * units})",
    ]


def kept_arrays(matrices: str) -> list[tuple[str, str, int]]:
    """Return the arrays that a network keeps, in the order of their table.

    progress (any,), of which the first is the steps of today that are done; static (columns,
    4 units), what attributes and bias add to the gates; hidden, cell (columns, units), LSTM state
    after whole days, written; window (columns, forcings, steps of a day), NaN before the first
    step, written; mean, deviation (forcings,); entering (columns, entrance), what attributes and
    bias add to the layer before the LSTM; door, taken_in, recurrent, head: as `products.packed`
    returns them, each followed by its spans, of (forcings, entrance), (forcings or entrance,
    4 units), (units, 4 units) and (units, parameters x parameter sets); centres (parameters,
    columns, parameter sets). Written, where a day has several steps: remembered (columns, units), a
    state, NaN at first, and recalled (columns, 4 units), what it adds to the gates. Written:
    new_hidden, new_cell (columns, units), the state after the last step.

    Parameters
    ----------
    matrices : str
        Kind of number of the packed matrices.

    Returns
    -------
    list of (name, kind, dimensions)
    """
    packed = [
        item
        for name in ("door", "taken_in", "recurrent", "head")
        for item in ((name, matrices, 3), (f"{name}_spans", "int64", 2))
    ]
    return [
        ("progress", "int64", 1),
        *((name, "float64", 2) for name in ("static", "hidden", "cell")),
        ("window", "float64", 3),
        *((name, "float64", 1) for name in ("mean", "deviation")),
        ("entering", "float64", 2),
        *packed,
        ("centres", "float64", 3),
        *((name, "float64", 2) for name in ("remembered", "recalled", "new_hidden", "new_cell")),
    ]


@memoised
def compiled_lstm(
    parameters: tuple[Parameter, ...],
    parameter_sets: int,
    units: int,
    forcings: tuple[Quantity, ...],
    days: float,
    logarithms: tuple[str, ...] = (),
    entrance: int = 0,
    several_steps: bool = False,
    matrices: str = "float32",
) -> CompiledLoop:
    """Compile a block of steps of an LSTM and of the parameters that it moves.

    Parameters
    ----------
    parameters : tuple of Parameter
        Those that move.
    parameter_sets, units : int
        Units of the LSTM.
    forcings : tuple of Quantity
        What it sees of the weather: daily sums of depths, means of others.
    days : float
        Length of the step (or substep) whose parameters are wanted, in days.
    logarithms : tuple of str
        Forcings of which it sees a logarithm; see `normalisation.logarithm`.
    entrance : int
        Units of a layer with rectifiers before the LSTM; none, unless given.
    several_steps : bool
        Whether a day has more than one. The state that they begin from is the same for all, so what
        it adds to the gates is computed once a day, and kept.

    matrices : str
        Kind of number of the packed matrices.

    Returns
    -------
    CompiledLoop
        Its arguments: forcing (steps, forcings, columns), of any kind; address, that of the table
        of `kept_arrays`; and values (steps, columns, parameters, parameter sets), of any kind,
        which is written, as is what `kept_arrays` says.
    """
    count = len(forcings)
    names = (*_GATES, "before")
    cell = trace(cell_step, names)
    depths = [item.is_depth for item in forcings]

    def gates(lanes: int) -> list[str]:
        return [
            *(
                f"{name} = load(gates, r, 0, {k * units} + m, {lanes})"
                for k, name in enumerate(_GATES)
            ),
            f"before = load_row(cell, c, m, {lanes})",
            *_assigned(cell, ("store(hiddens, r, 0, m, {})", "store_row(new_cell, c, m, {})")),
        ]

    def placed(k: int, item: Parameter) -> list[str]:
        def value(logit: object) -> object:
            return per_step(between_bounds(sigmoid(logit), item), item, days)

        def body(lanes: int) -> list[str]:
            return [
                f"logit = add(load(centres, {k}, c, m, {lanes}), "
                f"load(moved, r, 0, {k * parameter_sets} + m, {lanes}))",
                *_assigned(
                    trace(value, ("logit",)), (f"store_rounded(values, t, c, {k}, m, {{}})",)
                ),
            ]

        return over_lanes(parameter_sets, float, body)

    def scaled(f: int) -> list[str]:
        """Bring the day's value of a forcing to the scale of training: to `seen`, or `weather`."""
        place = f"weather[r, 0, {f}]" if entrance else f"seen[r, 0, {f}]"
        number = "total"
        lines = []
        if forcings[f].name in logarithms:
            program = trace(logarithm, ("total",))
            lines, number = printed(program), operand(program.outputs[0])
        return [*lines, f"{place} = ({number} - mean[{f}]) / deviation[{f}]"]

    values = [line for k, item in enumerate(parameters) for line in placed(k, item)]
    before = entrance or count
    each = [
        "c = first + r",
        *(
            line
            for f, depth in enumerate(depths)
            for line in (
                f"window[c, {f}, place] = real(forcing[t, {f}, c])",
                f"total = day_total(window, c, {f})",
                *([] if depth else ["total /= window.shape[2]"]),
                *scaled(f),
            )
        ),
    ]
    layer_before = []
    if entrance:
        layer_before = [
            f"copy_rows(entered, 0, entering, first, count, {entrance})",
            "add_product(weather, door, door_spans, entered, count)",
            "for r in range(count):",
            f"    for m in range({entrance}):",
            "        seen[r, 0, m] = max(entered[r, 0, m], real(0.0))",
        ]
    work = {
        "gates": filled(4 * units),
        "moved": filled(len(parameters) * parameter_sets),
        "seen": before,
        "hiddens": units,
        **({"weather": count, "entered": filled(entrance)} if entrance else {}),
    }
    before_lines, work_lines = _work(work)
    function = [
        *loads(kept_arrays(matrices), "address"),
        *work_lines,
        f"for first in range(start, stop, {_TOGETHER}):",
        f"    count = min({_TOGETHER}, stop - first)",
        "    place = progress[0]",
        "    if place == 0 and window[first, 0, 0] != window[first, 0, 0]:",
        # Where nothing is known of yesterday, the first step stands for it.
        "        begin_window(window, forcing, first, count)",
        "    for t in range(forcing.shape[0]):",
        "        for r in range(count):",
        *indented(each, 3),
        *indented(layer_before, 2),
        *indented(_gates_of_state(units, several_steps), 2),
        "        add_product(seen, taken_in, taken_in_spans, gates, count)",
        "        for r in range(count):",
        "            c = first + r",
        *indented(over_lanes(units, float, gates), 3),
        f"        copy_rows(new_hidden, first, hiddens, 0, count, {units})",
        "        zero_rows(moved, count)",
        "        add_product(hiddens, head, head_spans, moved, count)",
        "        for r in range(count):",
        "            c = first + r",
        *indented(values, 3),
        "        place += 1",
        "        if place == window.shape[2]:",
        "            place = 0",
        f"            copy_rows(hidden, first, new_hidden, first, count, {units})",
        f"            copy_rows(cell, first, new_cell, first, count, {units})",
    ]
    product = _product_module()
    title = (
        f"The LSTM of dynamic parameters, by {hashlib.sha256(product.encode()).hexdigest()[:16]}"
    )
    called = {"add_product": cache.load(product, "product")["add_product"]}
    arguments = "forcing, address, values"
    read = ["add_product", *(work if before_lines else ())]
    source = LoopSource(title, float, arguments, function, before_lines, read)
    return CompiledLoop(source, "lstm", called)
