"""Routing a block as a differentiable function of torch tensors.

Forward by the compiled kernel, backward by its adjoint; between the two only the states at the
starts of segments are kept, and a segment is computed again when its turn comes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.cpu.reaches import compiled
from ..kernels.reach_reference import State, route_reference
from .river import STATES, River, Series


class Routed(NamedTuple):
    """What a block gives.

    Attributes
    ----------
    flow, mean_flow, depth, storage : Tensor, shape (steps, reaches)
        As `river.Flows`.
    state : State
        That of the block's end.
    """

    flow: Tensor
    mean_flow: Tensor
    depth: Tensor
    storage: Tensor
    state: State


def state_of(river: River) -> State:
    """Return the present states of a river as tensors."""
    return State(*(torch.from_numpy(river.states[name].copy()) for name in STATES))


def route(
    river: River,
    lateral_inflow: Tensor,
    parameters: Tensor | None = None,
    state: State | None = None,
    reference: bool = False,
) -> Routed:
    """Route a block, differentiably.

    Gradients flow to lateral inflow, parameters, and flow and storage at the start. The depth
    before the block is only where the search for the next one begins.

    Parameters
    ----------
    river : River
        Its network, model and length of steps; it stays as it is.
    lateral_inflow : Tensor, shape (steps, reaches)
        In m3 s-1, of the river's `dtype`. On a GPU it is routed there.
    parameters : Tensor, shape (parameters, reaches), optional
        Those of the river, unless given.
    state : State, optional
        What the block starts from: that of the river, unless given.
    reference : bool
        Whether autograd goes through the equations themselves, which is slow: to compare with.
    """
    if parameters is None:
        parameters = torch.from_numpy(river.parameters)
    state = state_of(river) if state is None else state
    network = river.network
    if lateral_inflow.is_cuda:
        from ..kernels.gpu import reaches

        front = reaches.Front.of(network.to, network.levels, lateral_inflow.device)
        placed = State(*(values.to(lateral_inflow) for values in state))
        found, after = reaches.route(
            river.process,
            front,
            lateral_inflow,
            parameters.to(lateral_inflow),
            placed,
            river.substeps,
            river.seconds,
        )
        flow, mean, depth, storage = found
        return Routed(flow, mean, depth, storage, after)
    if reference:
        found, after = route_reference(
            river.process,
            network.to,
            network.levels,
            lateral_inflow,
            parameters,
            state,
            river.substeps,
            river.seconds,
        )
        flow, mean, depth, storage = found
        return Routed(flow, mean, depth, storage, after)
    flow, mean, depth, storage, remainder = _Block.apply(river, lateral_inflow, parameters, *state)
    after = State(flow[-1], depth[-1], storage[-1], remainder)
    return Routed(flow, mean, depth, storage, after)


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        river: River,
        lateral: Tensor,
        parameters: Tensor,
        flow: Tensor,
        depth: Tensor,
        storage: Tensor,
        remainder: Tensor,
    ) -> tuple[Tensor, ...]:
        engine = river.twin()
        engine.place_parameters(parameters.detach().numpy())
        engine.states = {
            name: values.detach().numpy().astype(river.dtype)
            for name, values in zip(STATES, (flow, depth, storage, remainder), strict=True)
        }
        values = lateral.detach().numpy()
        found, ctx.starts = [], []
        for first in range(0, len(values), engine.steps_together):
            ctx.starts.append(engine.snapshot())
            found.append(engine.block(values[first : first + engine.steps_together]))
        ctx.engine = engine
        ctx.save_for_backward(lateral)
        flows, means, depths, storages = (
            torch.from_numpy(np.concatenate(parts)) for parts in zip(*found, strict=True)
        )
        rest = torch.from_numpy(engine.states["remainder"].copy())
        ctx.mark_non_differentiable(rest)
        return flows, means, depths, storages, rest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        (lateral,) = ctx.saved_tensors
        engine: River = ctx.engine
        values, together = lateral.numpy(), engine.steps_together
        to_flow, to_mean, to_depth, to_storage = (
            np.zeros_like(values) if given is None else given.numpy() for given in gradients[:4]
        )
        to_lateral = np.empty_like(values)
        to_parameters = np.zeros_like(engine.placed_parameters)
        carried = np.zeros((2, values.shape[1]), values.dtype)
        for k in reversed(range(len(ctx.starts))):
            part = slice(k * together, (k + 1) * together)
            engine.restore(ctx.starts[k])
            seeds = (to_flow[part], to_mean[part], to_depth[part], to_storage[part])
            to_lateral[part], carried = _pulled_back(
                engine, values[part], seeds, carried, to_parameters
            )
        return (
            None,
            torch.from_numpy(to_lateral),
            torch.from_numpy(to_parameters.reshape(len(to_parameters), -1)[:, engine.plan.slots]),
            torch.from_numpy(carried[0].copy()),
            None,
            torch.from_numpy(carried[1].copy()),
            None,
        )


def _pulled_back(
    engine: River,
    lateral: NDArray,
    seeds: tuple[NDArray, ...],
    carried: NDArray,
    to_parameters: NDArray,
) -> tuple[NDArray, NDArray]:
    """Pull gradients back through a segment.

    Parameters
    ----------
    engine : River
        In the state of the segment's start.
    lateral : array, shape (steps, reaches)
    seeds : tuple of array, shape (steps, reaches)
        Gradients with respect to flow, mean flow, depth and storage.
    carried : array, shape (2, reaches)
        Those with respect to flow and storage at the end, from what comes later.
    to_parameters : array, shape (parameters, groups, lanes)
        Added to.

    Returns
    -------
    to_lateral : array, shape (steps, reaches)
    carried : array, shape (2, reaches)
        Gradients with respect to flow and storage at the segment's start.
    """
    series = engine.series_of(lateral)
    engine.route(series)
    plan, steps, substeps = engine.plan, len(lateral), engine.substeps
    to_flow, to_depth, to_storage, to_inflow = (np.zeros_like(series.flow) for _ in range(4))

    def placed(values: NDArray) -> NDArray:
        slots = np.zeros((steps, plan.groups * plan.lanes), values.dtype)
        slots[:, plan.slots] = values
        return slots.reshape(steps, plan.groups, plan.lanes).transpose(1, 0, 2)

    every = slice(substeps, None, substeps)
    for target, values in zip(
        (to_flow, to_depth, to_storage), (seeds[0], seeds[2], seeds[3]), strict=True
    ):
        target[:, every] = placed(values)
    to_flow[:, 1:] += np.repeat(placed(seeds[1]), substeps, axis=1) / substeps
    for target, values in zip((to_flow, to_storage), carried, strict=True):
        target[:, -1] += placed(np.broadcast_to(values, (steps, values.size)))[:, 0]
    to_lateral = np.zeros_like(series.lateral)
    run_adjoint(engine, series, to_flow, to_depth, to_storage, to_inflow, to_lateral, to_parameters)
    start = [v[:, 0].reshape(-1)[plan.slots] for v in (to_flow, to_storage)]
    return to_lateral.reshape(steps, -1)[:, plan.slots], np.array(start)


def run_adjoint(engine: River, series: Series, *gradients: NDArray) -> None:
    """Run the adjoint of a block; gradients as `kernels.cpu.reaches.backward_source` names them."""
    kernel = compiled(engine.process, engine.dtype.name, backward=True)
    plan = engine.plan
    arguments = (
        engine.placed_parameters,
        series.lateral,
        engine.substeps,
        engine.seconds,
        plan.outlets,
        series.flow,
        series.depth,
        series.storage,
        series.inflow,
        *gradients,
    )
    if plan.trunk < plan.groups:
        kernel["run_serial"](plan.trunk, plan.groups, *arguments)
    engine.in_parts(kernel, series.flow.size, arguments)
