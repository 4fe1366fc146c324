"""A long short-term memory over many days at once, with its adjoint.

Attributes do not change from day to day, so what they add to the gates is computed once; what the
weather adds, and all gradients of weights, are one product for all days. Only the product with the
hidden state is done day after day. What a unit does is `lstm.cell_step`, compiled, and its adjoint
is derived from it. On a GPU cuDNN does the same.
"""

from __future__ import annotations

from functools import cache as memoised
from typing import Any

import torch
from torch import Tensor

from ..kernels.cpu.loop import CompiledLoop, LoopSource, over_lanes
from ..kernels.ir.adjoint import differentiate
from ..kernels.ir.printing import indented, operand, printed
from ..kernels.ir.program import trace
from .lstm import cell_step

_GATES = ("input_gate", "forget_gate", "candidate", "output_gate")


@memoised
def _compiled(units: int, dtype: str) -> tuple[CompiledLoop, CompiledLoop]:
    """Compile a day of all units of some catchments, and its adjoint.

    Arguments of the first: day, gates (days, catchments, 4 units), cell and hidden (days + 1,
    catchments, units). Of the second: day, gates, cell, gradients of hidden states (days,
    catchments, units), those that come from the day after to_hidden and to_cell (1, catchments,
    units), and slopes of the gates, written, as is to_cell.
    """
    program = trace(cell_step, (*_GATES, "before"))
    adjoint = differentiate(program, (0, 1))

    def loads(lanes: int) -> list[str]:
        return [
            *(
                f"{name} = load(gates, t, c, {k * units} + m, {lanes})"
                for k, name in enumerate(_GATES)
            ),
            f"before = load(cell, t, c, m, {lanes})",
        ]

    def forward(lanes: int) -> list[str]:
        values = [operand(value) for value in program.outputs]
        return [
            *loads(lanes),
            *printed(program),
            f"store(hidden, t + 1, c, m, {values[0]})",
            f"store(cell, t + 1, c, m, {values[1]})",
        ]

    def backward(lanes: int) -> list[str]:
        given = adjoint.inputs[len(program.inputs) :]
        slopes = [operand(value) for value in adjoint.outputs]
        return [
            *loads(lanes),
            f"{given[0]} = add(load(seeds, t, c, m, {lanes}), load(to_hidden, 0, c, m, {lanes}))",
            f"{given[1]} = load(to_cell, 0, c, m, {lanes})",
            *printed(adjoint),
            *(f"store(slopes, t, c, {k * units} + m, {slopes[k]})" for k in range(len(_GATES))),
            f"store(to_cell, 0, c, m, {slopes[-1]})",
        ]

    def loop(title: str, arguments: str, body: Any) -> CompiledLoop:
        lines = ["for c in range(start, stop):", *indented(over_lanes(units, dtype, body))]
        return CompiledLoop(LoopSource(title, dtype, arguments, lines), "lstm_block")

    return (
        loop("A day of an LSTM", "t, gates, cell, hidden", forward),
        loop(
            "The adjoint of a day of an LSTM",
            "t, gates, cell, seeds, to_hidden, to_cell, slopes",
            backward,
        ),
    )


class _LstmBlock(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weather: Tensor,
        static: Tensor,
        of_weather: Tensor,
        of_hidden: Tensor,
        constant: int,
    ) -> Tensor:
        days, catchments, _ = weather.shape
        units = of_hidden.shape[0]
        gates = torch.matmul(weather, of_weather)
        gates += static
        hidden = gates.new_zeros((days + 1, catchments, units))
        cell = torch.zeros_like(hidden)
        day = _compiled(units, str(gates.dtype).removeprefix("torch."))[0].serial
        arrays = [values.numpy() for values in (gates, cell, hidden)]
        for t in range(days):
            gates[t].addmm_(hidden[t], of_hidden)
            day(0, catchments, t, *arrays)
        ctx.constant = constant
        ctx.save_for_backward(weather, of_weather, of_hidden, gates, hidden, cell)
        return hidden[1:]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        weather, of_weather, of_hidden, gates, hidden, cell = ctx.saved_tensors
        skipped = ctx.constant
        weather, gates, hidden, cell = (v[skipped:] for v in (weather, gates, hidden, cell))
        days, catchments, _ = gates.shape
        units = of_hidden.shape[0]
        slopes = torch.empty_like(gates)
        to_hidden = gates.new_zeros((1, catchments, units))
        to_cell = torch.zeros_like(to_hidden)
        day = _compiled(units, str(gates.dtype).removeprefix("torch."))[1].serial
        seeds = gradient[0][skipped:].contiguous()
        arrays = [v.numpy() for v in (gates, cell, seeds, to_hidden, to_cell, slopes)]
        back = of_hidden.t().contiguous()
        for t in range(days - 1, -1, -1):
            day(0, catchments, t, *arrays)
            torch.mm(slopes[t], back, out=to_hidden[0])
        needed = ctx.needs_input_grad
        flat = slopes.flatten(0, 1)
        to_weather = None
        if needed[0]:
            to_weather = weather.new_zeros((skipped + days, *weather.shape[1:]))
            torch.matmul(slopes, of_weather.t(), out=to_weather[skipped:])
        return (
            to_weather,
            slopes.sum(dim=0) if needed[1] else None,
            weather.flatten(0, 1).t() @ flat if needed[2] else None,
            hidden[:-1].flatten(0, 1).t() @ flat if needed[3] else None,
            None,
        )


def hidden_states(
    weather: Tensor,
    inputs: Tensor,
    of_input: Tensor,
    of_hidden: Tensor,
    bias: Tensor,
    constant: int = 0,
) -> Tensor:
    """Return the hidden states after each of some days, from an empty state; differentiable.

    Parameters
    ----------
    weather : Tensor, shape (days, catchments, forcings)
        Normalised.
    inputs : Tensor, shape (catchments, attributes)
        Normalised; the same every day.
    of_input : Tensor, shape (forcings + attributes, 4 units)
    of_hidden : Tensor, shape (units, 4 units)
    bias : Tensor, shape (4 units,)
    constant : int
        First days through which no gradient flows: the state after them is taken as given.

    Returns
    -------
    Tensor, shape (days, catchments, units)
    """
    if weather.is_cuda:
        return _by_cudnn(weather, inputs, of_input, of_hidden, bias, constant)
    forcings = weather.shape[2]
    static = inputs @ of_input[forcings:] + bias
    return _LstmBlock.apply(weather, static, of_input[:forcings], of_hidden, constant)


def _by_cudnn(
    weather: Tensor,
    inputs: Tensor,
    of_input: Tensor,
    of_hidden: Tensor,
    bias: Tensor,
    constant: int,
) -> Tensor:
    seen = torch.cat([weather, inputs.expand(len(weather), -1, -1)], dim=2)
    empty = seen.new_zeros((1, seen.shape[1], of_hidden.shape[0]))
    # One after the other in memory, as cuDNN wants them.
    parts = [of_input.T, of_hidden.T, bias, torch.zeros_like(bias)]
    flat = torch.cat([part.reshape(-1) for part in parts])
    pieces = flat.split([part.numel() for part in parts])
    matrices = [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    def run(days: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.lstm(days, state, matrices, True, 1, 0.0, True, False, False)

    if not constant:
        return run(seen, [empty, empty])[0]
    with torch.no_grad():
        before, *state = run(seen[:constant], [empty, empty])
    return torch.cat([before, run(seen[constant:], state)[0]])
