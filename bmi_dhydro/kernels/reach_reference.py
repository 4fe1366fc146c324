"""The reference kernel of river reaches: their equations on torch tensors, by autograd.

Slow and plain; what the compiled kernel and its adjoint are compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..physics.reach import MOST_ITERATIONS, ReachProcess
from .ir.binding import bind
from .reference import TORCH_PRIMITIVES


class State(NamedTuple):
    """What routing goes on from: tensors of shape (reaches,), as `river.River.states`."""

    flow: Tensor
    depth: Tensor
    storage: Tensor
    remainder: Tensor


def route_reference(
    process: ReachProcess,
    to: NDArray,
    level: NDArray,
    lateral: Tensor,
    parameters: Tensor,
    state: State,
    substeps: int,
    seconds: float,
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], State]:
    """Route a block.

    Parameters
    ----------
    process : ReachProcess
    to : array of int, shape (reaches,)
        Place of the reach that each drains to, or -1.
    level : array of int, shape (reaches,)
        Reaches between each and its farthest spring.
    lateral : Tensor, shape (steps, reaches)
    parameters : Tensor, shape (parameters, reaches)
    state : State
    substeps : int
        Routing steps of a step.
    seconds : float
        Length of a routing step.

    Returns
    -------
    outputs : tuple of Tensor, shape (steps, reaches)
        Flow, mean flow, depth and storage.
    state : State
        At the end.
    """
    # Those of a level do not drain to each other.
    levels = [np.flatnonzero(level == n).tolist() for n in range(level.max() + 1)]
    above = [np.flatnonzero(to == k) for k in range(to.size)]
    flow, depth, storage, remainder = state
    rows: list[tuple[Tensor, ...]] = []
    for offered in lateral:
        total = torch.zeros_like(flow)
        for _ in range(substeps):
            new: list[list[Tensor]] = [list(v.unbind()) for v in (flow, depth, storage, remainder)]
            for level in levels:
                places = torch.as_tensor(level)
                before = torch.stack([_summed(flow, above[k]) for k in level])
                now = torch.stack([_summed(new[0], above[k]) for k in level])
                arguments = (before, now, flow[places], storage[places], offered[places])
                values = (*arguments, seconds, *parameters[:, places])
                found = _depth(process, depth[places], values)
                leaving = _bound(process.flow)(found, *values)
                leaving, kept, rest, _ = _bound(process.balance)(
                    leaving, storage[places], remainder[places], now, offered[places], seconds
                )
                for row, result in zip(new, (leaving, found, kept, rest), strict=True):
                    for k, value in zip(level, result.unbind(), strict=True):
                        row[k] = value
            flow, depth, storage, remainder = (torch.stack(row) for row in new)
            total = total + flow
        rows.append((flow, total / substeps, depth, storage))
    flows, means, depths, storages = (torch.stack(column) for column in zip(*rows, strict=True))
    return (flows, means, depths, storages), State(flow, depth, storage, remainder)


def _summed(values: Any, places: NDArray) -> Tensor:
    """Return the sum of some values, of none too."""
    total = torch.zeros_like(values[0])
    for k in places:
        total = total + values[k]
    return total


def _depth(process: ReachProcess, before: Tensor, arguments: tuple[Any, ...]) -> Tensor:
    """Find the depth; its derivatives are those of the equation that holds for it."""
    if process.begin is None or process.iterate is None or process.residual is None:
        return torch.zeros_like(before)
    with torch.no_grad():
        known = [a.detach() if isinstance(a, Tensor) else a for a in arguments]
        begin, iterate = _bound(process.begin), _bound(process.iterate)
        unknowns = [
            torch.as_tensor(value, dtype=before.dtype).expand(before.shape)
            for value in begin(before.detach(), *known)
        ]
        for _ in range(MOST_ITERATIONS):
            going = unknowns[-1] < 0.5
            if not bool(going.any()):
                break
            pairs = zip(iterate(*unknowns, *known), unknowns, strict=True)
            unknowns = [torch.where(going, new, old) for new, old in pairs]
        settle = process.settle
        assert settle is not None
        depth = _bound(settle)(*unknowns, *known)[0]
    residual = _bound(process.residual)
    found = depth.clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(residual(found, *known).sum(), found)
    excess = residual(depth, *arguments)
    steep = slope * slope > 1e-20
    moved = (excess - excess.detach()) / torch.where(steep, slope, 1.0)
    return depth - torch.where(steep, moved, 0.0)


def _bound(function: Callable[..., Any]) -> Callable[..., Any]:
    return bind(function, TORCH_PRIMITIVES)
