"""The GPU kernel: Triton, compiled from the same step function and derived adjoint as the CPU's.

Everything here is torch tensors. With `TRITON_INTERPRET=1` in the environment, set before the first
kernel is made, they may be on the CPU: slow, for tests on machines without a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache as memoised
from typing import Any

import torch
from torch import Tensor

from ...physics import Process
from .. import cache
from .source import block_module, model_module


@dataclass(frozen=True)
class Launch:
    """How the work of a kernel is divided into programs.

    Attributes
    ----------
    cells : int
        Cells of a program, together.
    warps : int
        Warps of 32 threads each.
    """

    cells: int
    warps: int

    @staticmethod
    def lanes(parameter_sets: int) -> int:
        """Return the lanes that parameter sets take: the next power of two."""
        return 1 << (parameter_sets - 1).bit_length()

    def columns(self, parameter_sets: int) -> int:
        """Return how many columns a program has."""
        return max(1, self.cells // self.lanes(parameter_sets))

    @property
    def options(self) -> dict[str, int]:
        """Options of the compiler."""
        return {"num_warps": self.warps, "enable_fp_fusion": True}

    def programs(self, columns: int, parameter_sets: int) -> int:
        """Return how many programs there are."""
        return -(-columns // self.columns(parameter_sets))

    def constants(self, parameter_sets: int) -> dict[str, int]:
        """Return the constants and options of a launch."""
        return {
            "PARAMETER_SETS": parameter_sets,
            "CATCHMENTS": self.columns(parameter_sets),
            "LANES": self.lanes(parameter_sets),
            **self.options,
        }


# As many cells for each thread as its registers hold; `benchmarks/gpu.py --launch` compares.
FORWARD = Launch(cells=128, warps=1)
SIMULATE = Launch(cells=512, warps=4)
BACKWARD = Launch(cells=64, warps=2)

# Sums of so many outputs leave no registers for as many cells.
FEW_OUTPUTS = 8
SIMULATE_MANY = Launch(cells=256, warps=4)

# Flows on their way that a program reads at once: the more, the less it waits for memory.
LAGS = 32

# States of all steps of a block are kept for the adjoint where they are few, or take little memory.
SHORT = 64
LITTLE = 2**31


@memoised
def _block(process: Process, outputs: tuple[str, ...], dynamic: tuple[str, ...]) -> dict[str, Any]:
    source = block_module(process, outputs, dynamic)
    return cache.load_file(source, f"{process.name}_gpu")


@memoised
def _model(
    process: Process, outputs: tuple[str, ...], dynamic: tuple[str, ...], substeps: int
) -> dict[str, Any]:
    source = model_module(process, outputs, dynamic, substeps)
    return cache.load_file(source, f"{process.name}_model_gpu")


def launched_at(tensor: Tensor) -> AbstractContextManager[Any]:
    """Return the context in which kernels are launched where a tensor is."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def segment_length(steps: int, state: Tensor) -> int:
    """Return after how many steps states are kept for the adjoint.

    After each one, where that takes little memory; else after about the square root of them, so
    that those of one segment are computed again at a time.

    Parameters
    ----------
    steps : int
    state : Tensor
        States of all cells.
    """
    if steps <= SHORT or steps * state.numel() * state.element_size() <= LITTLE:
        return 1
    return math.isqrt(steps - 1) + 1


def advance(
    process: Process,
    outputs: Sequence[str],
    forcing: Tensor,
    parameters: Tensor,
    state: Tensor,
    rows: Tensor,
    dynamic: Mapping[str, Tensor] | None = None,
    starts: Tensor | None = None,
    launch: Launch = FORWARD,
) -> None:
    """Advance all cells through a block of steps, in one launch.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`.
    forcing : Tensor, shape (steps, forcings, catchments)
    parameters : Tensor, shape (parameters, catchments, parameter sets)
        Values per step.
    state : Tensor, shape (states, catchments, parameter sets)
        Changed in place.
    rows : Tensor, shape (steps, outputs, catchments)
        Written: means over parameter sets.
    dynamic : mapping of Tensor, shape (steps, catchments, parameter sets), optional
        Values per step of parameters that change with time, by name.
    starts : Tensor, shape (segments, states, catchments, parameter sets), optional
        Written: the states at the start of each segment of `segment_length` steps.
    launch : Launch
    """
    steps, _, catchments = forcing.shape
    parameter_sets = state.shape[2]
    names = tuple(dynamic or ())
    moving = torch.stack(list(dynamic.values()), dim=1) if dynamic else forcing
    forward = _block(process, tuple(outputs), names)["forward"]
    segment = segment_length(steps, state)
    with launched_at(forcing):
        forward[(launch.programs(catchments, parameter_sets),)](
            forcing,
            parameters,
            state,
            rows,
            moving,
            state if starts is None else starts,
            steps,
            segment,
            catchments,
            KEEP=0 if starts is None else 2 if segment == 1 else 1,
            **launch.constants(parameter_sets),
        )


@dataclass(frozen=True)
class Routing:
    """Unit hydrographs and what is on its way, on a device.

    Attributes
    ----------
    weights : Tensor, shape (lags, catchments)
        Shares of runoff that leave after each lag.
    pending : Tensor, shape (lags, columns)
        A ring of the flows yet to leave; changed in place.
    reach : Tensor of int32, shape (columns,)
        Lags that weights or flows reach, one at least: nothing is read or written beyond.
    position : Tensor of int64, shape (1,)
        Where in the ring the next flow is; whoever launches moves it on.
    """

    weights: Tensor
    pending: Tensor
    reach: Tensor
    position: Tensor


def simulate(
    process: Process,
    outputs: Sequence[str],
    substeps: int,
    forcing: Tensor,
    parameters: Tensor,
    state: Tensor,
    routing: Routing,
    rows: Tensor,
    rejected: Tensor,
    dynamic: Sequence[str] = (),
    moving: Tensor | None = None,
    launch: Launch | None = None,
    lags_together: int = LAGS,
) -> None:
    """Advance the whole model by a block of steps, in one launch.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`, discharge and the routing store.
    substeps : int
        In which a step is done; parameters and unit hydrographs are theirs.
    forcing : Tensor, shape (steps, forcings, columns)
    parameters : Tensor, shape (parameters, catchments, parameter sets)
        Columns have those of their catchment, see `Model`.
    state : Tensor, shape (states, columns, parameter sets)
        Changed in place.
    routing : Routing
    rows : Tensor, shape (steps, outputs, columns)
        Written: means over parameter sets; sums over the substeps of a step, but what is stored at
        its end.
    rejected : Tensor of int32, shape (1,)
        Nothing is done unless it is zero.
    dynamic : sequence of str
        Parameters that change with time.
    moving : Tensor, shape (steps, dynamic, columns, parameter sets), optional
        Their values.
    launch : Launch, optional
        What suits the number of outputs, unless given.
    lags_together : int
        Flows on their way that are read at once: a power of two.
    """
    steps, _, columns = forcing.shape
    lags, catchments = routing.weights.shape
    parameter_sets = state.shape[2]
    kernel = _model(process, tuple(outputs), tuple(dynamic), substeps)["simulate"]
    launch = launch or (SIMULATE if len(outputs) <= FEW_OUTPUTS else SIMULATE_MANY)
    with launched_at(forcing):
        kernel[(launch.programs(columns, parameter_sets),)](
            forcing,
            parameters,
            state,
            rows,
            forcing if moving is None else moving,
            routing.weights,
            routing.pending,
            routing.reach,
            routing.position,
            rejected,
            steps,
            columns,
            catchments,
            lags,
            LAGS=lags_together,
            **launch.constants(parameter_sets),
        )


def gradients(
    process: Process,
    outputs: Sequence[str],
    forcing: Tensor,
    parameters: Tensor,
    starts: Tensor,
    output_gradient: Tensor,
    final_gradient: Tensor,
    dynamic: Mapping[str, Tensor] | None = None,
    launch: Launch = BACKWARD,
    of_forcing: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor, dict[str, Tensor]]:
    """Pull gradients of a block's outputs and final state back to what it started from.

    Parameters
    ----------
    process, outputs, forcing, parameters, starts, dynamic
        As `advance`, which has written `starts`.
    output_gradient : Tensor, shape (steps, outputs, catchments)
    final_gradient : Tensor, shape (states, catchments, parameter sets)
    launch : Launch
    of_forcing : bool
        Whether gradients of forcing are wanted.

    Returns
    -------
    forcing_gradient, parameter_gradient, state_gradient : Tensor
        Shapes of `forcing`, `parameters` and `final_gradient`; the first None if not wanted.
    dynamic_gradient : dict of Tensor
        By name, shape (steps, catchments, parameter sets).
    """
    steps, _, catchments = forcing.shape
    parameter_sets = final_gradient.shape[2]
    names = tuple(dynamic or ())
    backward = _block(process, tuple(outputs), names)["backward"]
    moving = torch.stack(list(dynamic.values()), dim=1) if dynamic else forcing
    moving_gradient = torch.empty_like(moving)
    forcing_gradient = torch.empty_like(forcing) if of_forcing else forcing
    parameter_gradient = torch.empty_like(parameters)
    # Dynamic parameters have no slope of a static value.
    for name in names:
        parameter_gradient[process.parameter_names.index(name)] = 0.0
    state_gradient = final_gradient.clone(memory_format=torch.contiguous_format)
    length = segment_length(steps, final_gradient)
    again = length > 1
    # Either the states of all steps are known, or those of a segment are computed at a time.
    if not again:
        length = steps
    trajectory = starts.new_empty((length, *starts.shape[1:])) if again else starts
    parts = [slice(first, min(first + length, steps)) for first in range(0, steps, length)]
    for number, part in reversed(list(enumerate(parts))):
        with launched_at(forcing):
            backward[(launch.programs(catchments, parameter_sets),)](
                forcing[part],
                parameters,
                starts[number],
                moving[part],
                trajectory,
                output_gradient[part],
                forcing_gradient[part],
                parameter_gradient,
                state_gradient,
                moving_gradient[part],
                part.stop - part.start,
                catchments,
                AGAIN=again,
                FRESH=number == len(parts) - 1,
                OF_FORCING=of_forcing,
                **launch.constants(parameter_sets),
            )
    by_name = dict(zip(names, moving_gradient.unbind(1), strict=True)) if names else {}
    return forcing_gradient if of_forcing else None, parameter_gradient, state_gradient, by_name


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        process: Process,
        outputs: tuple[str, ...],
        names: tuple[str, ...],
        forcing: Tensor,
        parameters: Tensor,
        state: Tensor,
        *dynamic: Tensor,
    ) -> tuple[Tensor, Tensor]:
        steps, _, catchments = forcing.shape
        forcing, parameters = forcing.contiguous(), parameters.contiguous()
        final = state.detach().clone(memory_format=torch.contiguous_format)
        rows = torch.empty(
            (steps, len(outputs), catchments), dtype=state.dtype, device=state.device
        )
        starts = None
        if any(ctx.needs_input_grad):
            segments = -(-steps // segment_length(steps, state))
            starts = state.new_empty((segments, *state.shape))
        moving = dict(zip(names, dynamic, strict=True))
        advance(process, outputs, forcing, parameters, final, rows, moving, starts)
        ctx.process, ctx.outputs, ctx.names = process, outputs, names
        ctx.save_for_backward(forcing, parameters, starts, *dynamic)
        return rows, final

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        forcing, parameters, starts, *dynamic = ctx.saved_tensors
        to_forcing, to_parameters, to_state, to_dynamic = gradients(
            ctx.process,
            ctx.outputs,
            forcing,
            parameters,
            starts,
            gradient[0].contiguous(),
            gradient[1].contiguous(),
            dict(zip(ctx.names, dynamic, strict=True)),
            of_forcing=ctx.needs_input_grad[3],
        )
        moved = [to_dynamic[name] for name in ctx.names]
        return (None, None, None, to_forcing, to_parameters, to_state, *moved)


def run_process(
    process: Process,
    outputs: Sequence[str],
    forcing: Tensor,
    parameters: Tensor,
    state: Tensor,
    dynamic: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Run a block of steps, differentiable; as `reference.run_process`, on a GPU."""
    names = tuple(dynamic or ())
    values = [dynamic[name].contiguous() for name in names] if dynamic else []
    return _Block.apply(process, tuple(outputs), names, forcing, parameters, state, *values)
