"""The reference kernel: the equations on torch tensors, differentiable by autograd.

Slow and plain; what the other kernels are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from ..physics import Process
from ..physics.unit_hydrograph import DISCHARGE, ROUTING_STORE
from .interface import HostArrays, StepBlock
from .ir.binding import bind


def _minimum(a: Tensor | float, b: Tensor | float) -> Tensor:
    a = torch.as_tensor(a)
    return torch.where((a < b) | torch.isnan(a), a, b)


def _maximum(a: Tensor | float, b: Tensor | float) -> Tensor:
    a = torch.as_tensor(a)
    return torch.where((a > b) | torch.isnan(a), a, b)


TORCH_PRIMITIVES = {
    "arccos": torch.arccos,
    "cos": torch.cos,
    "exp": torch.exp,
    "log": torch.log,
    "maximum": _maximum,
    "minimum": _minimum,
    "power": torch.pow,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "where": torch.where,
}


def run_process(
    process: Process,
    outputs: Sequence[str],
    forcing: Tensor,
    parameters: Tensor,
    state: Tensor,
    dynamic: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Run a block of steps of a process model, without routing.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`.
    forcing : Tensor, shape (steps, forcings, catchments)
    parameters : Tensor, shape (parameters, catchments, parameter sets)
        Values per step.
    state : Tensor, shape (states, catchments, parameter sets)
    dynamic : mapping of Tensor, shape (steps, catchments, parameter sets), optional
        Values per step of parameters that change with time, by name.

    Returns
    -------
    outputs : Tensor, shape (steps, outputs, catchments)
        Means over parameter sets.
    state : Tensor, shape (states, catchments, parameter sets)
        The state after the block.
    """
    step = bind(process.step, TORCH_PRIMITIVES)
    positions = [process.output_names.index(name) for name in outputs]
    count = len(process.states)
    values = list(state)
    rows = []
    changing = {process.parameter_names.index(n): v for n, v in (dynamic or {}).items()}
    for t, weather in enumerate(forcing):
        current = [changing[k][t] if k in changing else p for k, p in enumerate(parameters)]
        results = step(*values, *(weather[:, :, None]), *current)
        values = list(results[:count])
        rows.append(torch.stack([results[k].mean(dim=-1) for k in positions]))
    return torch.stack(rows), torch.stack(values)


def route(runoff: Tensor, weights: Tensor, pending: Tensor) -> tuple[Tensor, Tensor]:
    """Convolve runoff with a unit hydrograph.

    Parameters
    ----------
    runoff : Tensor, shape (steps, catchments)
    weights : Tensor, shape (catchments, lags)
    pending : Tensor, shape (catchments, lags)
        Flows of earlier steps yet to leave, the next one first.

    Returns
    -------
    discharge : Tensor, shape (steps, catchments)
    pending : Tensor, shape (catchments, lags)
    """
    steps, catchments = runoff.shape
    lags = weights.shape[1]
    padded = torch.nn.functional.pad(runoff.T[None], (lags - 1, lags - 1))
    flows = torch.nn.functional.conv1d(padded, weights.flip(1)[:, None], groups=catchments)[0]
    flows = torch.nn.functional.pad(flows, (0, 1)) + torch.nn.functional.pad(pending, (0, steps))
    return flows[:, :steps].T, flows[:, steps:]


class ReferenceKernel(HostArrays):
    """Runs a process model with torch; arguments as `CpuKernel`."""

    name = "reference"

    def __init__(
        self,
        process: Process,
        outputs: Sequence[str],
        parameter_sets: int,
        dtype: DTypeLike = np.float64,
        threads: int | None = None,
        dynamic: Sequence[str] = (),
    ) -> None:
        self._process = process
        self._dynamic = tuple(dynamic)
        self._outputs = tuple(outputs)
        averaged = [name for name in outputs if name not in (DISCHARGE, ROUTING_STORE)]
        self._averaged = list(dict.fromkeys([process.runoff, *averaged]))

    @torch.no_grad()
    def run(self, block: StepBlock) -> None:
        """Advance all cells through a block of steps, in place."""
        state, ring, outputs, dynamic = block.state, block.ring, block.outputs, block.dynamic
        members = state.shape[1] // len(block.parameters)
        parameters = np.tile(block.parameters, (members, 1, 1))
        weights = torch.from_numpy(np.tile(ring.weights, (members, 1)))
        dtype = torch.from_numpy(state).dtype
        rows, final = run_process(
            self._process,
            self._averaged,
            torch.from_numpy(block.forcing).to(dtype),
            torch.from_numpy(parameters).transpose(0, 1),
            torch.from_numpy(state),
            {}
            if dynamic is None
            else {n: torch.from_numpy(dynamic[:, :, k]) for k, n in enumerate(self._dynamic)},
        )
        runoff = rows[:, 0]
        waiting = torch.from_numpy(np.roll(ring.pending, -ring.position, axis=1))
        discharge, after = route(runoff, weights, waiting)
        state[...] = final.numpy()
        for k, name in enumerate(self._outputs):
            if name == DISCHARGE:
                outputs[:, k] = discharge.numpy()
            elif name == ROUTING_STORE:
                gained = torch.cumsum(runoff - discharge, dim=0)
                outputs[:, k] = (waiting.sum(dim=1) + gained).numpy()
            else:
                outputs[:, k] = rows[:, self._averaged.index(name)].numpy()
        ring.pending[...] = np.roll(after.numpy(), ring.position + len(runoff), axis=1)
