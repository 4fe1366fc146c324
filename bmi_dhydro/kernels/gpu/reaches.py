"""River reaches on a GPU: Triton, printed from the same equations as the CPU's, and their adjoint.

A reach can be routed when all that drains to it has been, for the same routing step, and when it
has itself for the step before. So a launch takes the reaches at a distance of `d` from the springs
in step `s` wherever `d + s` is the same: a wave front that runs down the network and through time.
A block of T steps of a network of D reaches in a row takes T + D launches, however many reaches
there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as memoised
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...physics.reach import MOST_ITERATIONS, ReachProcess, step_with_depth
from .. import cache
from ..ir.adjoint import differentiate
from ..ir.printing import indented
from ..ir.program import Program, trace
from ..reach_reference import State
from .launch import launched_at
from .source import HEADER, function, operand, printed

# Reaches of a program.
LANES = 128


@dataclass(frozen=True)
class Front:
    """A network as a wave front needs it; reaches are in the order of `order`.

    Attributes
    ----------
    order : Tensor of int64, shape (reaches,)
        Places in the network, those nearest to springs first.
    level : Tensor of int32, shape (reaches,)
        Reaches between each and its farthest spring.
    begins : Tensor of int32, shape (reaches + 1,)
        Where the list of those that drain to each begins in `above`.
    above, below : Tensor of int32
        Those that drain to each, and the one that it drains to, or -1.
    levels, most : int
        Number of levels; of reaches that drain to one at most.
    """

    order: Tensor
    level: Tensor
    begins: Tensor
    above: Tensor
    below: Tensor
    levels: int
    most: int

    @classmethod
    def of(cls, to: NDArray, level: NDArray, device: torch.device) -> Front:
        """Arrange a network.

        Parameters
        ----------
        to, level : array of int, shape (reaches,)
            As `to` and `levels` of `river.network.Network`.
        device : torch.device
        """
        arranged = np.argsort(level, kind="stable")
        new = np.empty_like(arranged)
        new[arranged] = np.arange(to.size)
        below = np.where(to[arranged] >= 0, new[to[arranged]], -1)
        drained = np.flatnonzero(to >= 0)
        # In the order of places, as everywhere, so that sums round alike.
        above = drained[np.argsort(new[to[drained]], kind="stable")]
        begins = np.searchsorted(new[to[above]], np.arange(to.size + 1))

        def placed(values: NDArray, kind: type = np.int32) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=kind)).to(device)

        return cls(
            placed(arranged, np.int64),
            placed(level[arranged]),
            placed(begins),
            placed(new[above]),
            placed(below),
            int(level.max()) + 1,
            int(np.diff(begins).max()),
        )


def _assigned(names: Sequence[str], program: Program) -> list[str]:
    """Print a program and give its outputs names."""
    held = [f"out_{k}" for k in range(len(names))]
    # All are read before one is written: an output may be an input of another name.
    return [
        *printed(program),
        *(
            f"{h} = depth_before * 0.0 + {operand(v)}"
            for h, v in zip(held, program.outputs, strict=True)
        ),
        *(f"{name} = {h}" for name, h in zip(names, held, strict=True)),
    ]


_PLACE = (
    "r = tl.program_id(0) * LANES + tl.arange(0, LANES)",
    "inside = r < reaches",
    "s = wave - tl.load(level + r, mask=inside, other=0)",
    "inside = inside & (s >= 1) & (s <= steps)",
    "here = s.to(tl.int64) * reaches + r",
    "before = here - reaches",
)


def _parameter_loads(process: ReachProcess) -> list[str]:
    return [
        f"{name} = tl.load(parameters + {k} * reaches + r, mask=inside, other=0.5)"
        for k, name in enumerate(process.parameter_names)
    ]


def _load(name: str, source: str, place: str, other: str = "0.0") -> str:
    return f"{name} = tl.load({source} + {place}, mask=inside, other={other})"


def _lateral_load() -> list[str]:
    return [
        "step = (s - 1) // substeps",
        "own = step.to(tl.int64) * reaches + r",
        _load("lateral_inflow", "lateral", "own"),
    ]


def _search(process: ReachProcess) -> list[str]:
    """Print the search for the depth of some reaches; those that have ended stay as they are."""
    if process.begin is None or process.iterate is None or process.settle is None:
        program = trace(process.flow, ("depth", *process.argument_names)).renamed("flow_")
        return ["depth = depth_before * 0.0", *_assigned(["q"], program)]
    unknowns, ended = process.unknowns, process.unknowns[-1]
    arguments = process.argument_names
    begin = trace(process.begin, ("depth_before", *arguments)).renamed("begin_")
    iterate = trace(process.iterate, (*unknowns, *arguments)).renamed("next_")
    settle = trace(process.settle, (*unknowns, *arguments)).renamed("end_")
    going = f"tl.max(tl.where(inside & ({ended} < 0.5), 1, 0), axis=0)"
    return [
        *_assigned(unknowns, begin),
        f"left = {going}",
        "iteration = left * 0",
        f"while (iteration < {MOST_ITERATIONS}) & (left > 0):",
        *indented(_assigned([f"new_{name}" for name in unknowns], iterate)),
        f"    going = {ended} < 0.5",
        *(f"    {name} = tl.where(going, new_{name}, {name})" for name in unknowns),
        "    iteration += 1",
        f"    left = {going}",
        *_assigned(["depth", "q"], settle),
    ]


def forward_source(process: ReachProcess) -> str:
    """Print `forward`, a wave front; see `route` for the arrays."""
    arguments = ("q", "storage_before", "remainder", "inflow", "lateral_inflow", "seconds")
    balanced = trace(process.balance, arguments).renamed("balance_")
    body = [
        *_PLACE,
        "seconds = tl.load(length)",
        *_parameter_loads(process),
        *_lateral_load(),
        _load("flow_before", "flows", "before"),
        _load("depth_before", "depths", "before", "1.0"),
        _load("storage_before", "storages", "before"),
        _load("remainder", "remainders", "r"),
        "inflow = depth_before * 0.0",
        "first = tl.load(begins + r, mask=inside, other=0)",
        "last = tl.load(begins + r + 1, mask=inside, other=0)",
        "for k in range(most):",
        "    there = inside & (first + k < last)",
        "    up = tl.load(above + first + k, mask=there, other=0)",
        "    inflow += tl.load(flows + s.to(tl.int64) * reaches + up, mask=there, other=0.0)",
        "tl.store(inflows + here, inflow, mask=inside)",
        _load("inflow_before", "inflows", "before"),
        *_search(process),
        *_assigned(["flow", "storage", "remainder", "gained"], balanced),
        "tl.store(flows + here, flow, mask=inside)",
        "tl.store(depths + here, depth, mask=inside)",
        "tl.store(storages + here, storage, mask=inside)",
        "tl.store(remainders + r, remainder, mask=inside)",
    ]
    return function(
        "forward",
        "lateral, parameters, flows, depths, storages, inflows, remainders, level, begins, above, "
        "wave, steps, substeps, length, reaches, most, LANES: tl.constexpr",
        body,
    )


def backward_source(process: ReachProcess) -> str:
    """Print `backward`, the adjoint of a wave front."""
    arguments = process.argument_names
    adjoint = differentiate(trace(step_with_depth(process), ("depth", *arguments)), (0, 1))
    names = [f"to_{name}" for name in ("depth", *arguments)]
    implicit: list[str] = []
    if process.residual is not None:
        residual = differentiate(trace(process.residual, ("depth", *arguments)), (0,))
        implicit = [
            f"{residual.inputs[-1]} = depth_before * 0.0 + 1.0",
            *_assigned([f"slope_{n}" for n in ("depth", *arguments)], residual.renamed("part_")),
            "steep = slope_depth * slope_depth > 1e-20",
            "moved = tl.where(steep, -to_depth / tl.where(steep, slope_depth, 1.0), 0.0)",
            *(f"to_{n} = to_{n} + moved * slope_{n}" for n in arguments if n != "seconds"),
        ]
    body = [
        *_PLACE,
        "seconds = tl.load(length)",
        *_parameter_loads(process),
        *_lateral_load(),
        _load("flow_before", "flows", "before"),
        _load("storage_before", "storages", "before"),
        _load("inflow_before", "inflows", "before"),
        _load("inflow", "inflows", "here"),
        _load("depth", "depths", "here", "1.0"),
        "depth_before = depth * 0.0",
        "down = tl.load(below + r, mask=inside, other=-1)",
        "drains = inside & (down >= 0)",
        "there = s.to(tl.int64) * reaches + down",
        "later = drains & (s < steps)",
        f"{adjoint.inputs[-2]} = tl.load(to_flows + here, mask=inside, other=0.0)",
        f"{adjoint.inputs[-2]} += tl.load(to_inflows + there, mask=drains, other=0.0)",
        f"{adjoint.inputs[-2]} += tl.load(to_before + there + reaches, mask=later, other=0.0)",
        f"{adjoint.inputs[-1]} = tl.load(to_storages + here, mask=inside, other=0.0)",
        *_assigned(names, adjoint.renamed("back_")),
        "to_depth += tl.load(to_depths + here, mask=inside, other=0.0)",
        *implicit,
        "tl.store(to_inflows + here, to_inflow, mask=inside)",
        "tl.store(to_before + here, to_inflow_before, mask=inside)",
        # What the step before takes over.
        *(
            f"tl.store(to_{name}s + before, tl.load(to_{name}s + before, mask=inside, other=0.0) + "
            f"to_{name}_before, mask=inside)"
            for name in ("flow", "storage")
        ),
        "tl.store(to_lateral + own, tl.load(to_lateral + own, mask=inside, other=0.0) + "
        "to_lateral_inflow, mask=inside)",
        *(
            f"tl.store(to_parameters + {k} * reaches + r, tl.load(to_parameters + {k} * reaches + "
            f"r, mask=inside, other=0.0) + to_{name}, mask=inside)"
            for k, name in enumerate(process.parameter_names)
        ),
    ]
    return function(
        "backward",
        "lateral, parameters, flows, depths, storages, inflows, to_flows, to_depths, to_storages, "
        "to_inflows, to_before, to_lateral, to_parameters, level, below, wave, steps, substeps, "
        "length, reaches, LANES: tl.constexpr",
        body,
    )


@memoised
def _compiled(process: ReachProcess) -> dict[str, Any]:
    title = f"{process.long_name}, reaches, for a GPU"
    source = HEADER.format(title=title) + forward_source(process) + backward_source(process)
    return cache.load_file(source, f"{process.name}_reaches_gpu")


def route(
    process: ReachProcess,
    front: Front,
    lateral: Tensor,
    parameters: Tensor,
    state: State,
    substeps: int,
    seconds: float,
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], State]:
    """Route a block; arguments and result as `reach_reference.route_reference`.

    Gradients flow to lateral inflow, parameters, and flow and storage at the start.

    Parameters
    ----------
    process : ReachProcess
    front : Front
    lateral : Tensor, shape (steps, reaches)
    parameters : Tensor, shape (parameters, reaches)
    state : State
    substeps : int
    seconds : float

    Returns
    -------
    outputs : tuple of Tensor, shape (steps, reaches)
        Flow, mean flow, depth and storage.
    state : State
    """
    order = front.order
    flows, depths, storages, remainder = _Block.apply(
        process,
        front,
        lateral[:, order],
        parameters[:, order],
        *(values[order] for values in state),
        substeps,
        seconds,
    )
    # Back to the order of places.
    back = torch.empty_like(order)
    back[order] = torch.arange(order.numel(), device=order.device)
    flows, depths, storages = (values[1:, back] for values in (flows, depths, storages))
    every = slice(substeps - 1, None, substeps)
    mean = flows.reshape(-1, substeps, flows.shape[1]).mean(dim=1)
    outputs = (flows[every], mean, depths[every], storages[every])
    return outputs, State(flows[-1], depths[-1], storages[-1], remainder[back])


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        process: ReachProcess,
        front: Front,
        lateral: Tensor,
        parameters: Tensor,
        flow: Tensor,
        depth: Tensor,
        storage: Tensor,
        remainder: Tensor,
        substeps: int,
        seconds: float,
    ) -> tuple[Tensor, ...]:
        lateral, parameters = lateral.contiguous(), parameters.contiguous()
        reaches, steps = flow.numel(), len(lateral) * substeps
        flows, depths, storages, inflows = flow.new_zeros((4, steps + 1, reaches))
        for series, start in ((flows, flow), (depths, depth), (storages, storage)):
            series[0] = start
        drained = front.below >= 0
        inflows[0].index_add_(0, front.below[drained].long(), flow[drained])
        rest = remainder.clone()
        # As a tensor: a number would be one of single precision.
        length = flow.new_tensor([seconds])
        run = _compiled(process)["forward"]
        with launched_at(flow):
            for wave in range(1, steps + front.levels):
                run[(-(-reaches // LANES),)](
                    lateral,
                    parameters,
                    flows,
                    depths,
                    storages,
                    inflows,
                    rest,
                    front.level,
                    front.begins,
                    front.above,
                    wave,
                    steps,
                    substeps,
                    length,
                    reaches,
                    front.most,
                    LANES=LANES,
                )
        ctx.process, ctx.front, ctx.substeps, ctx.seconds = process, front, substeps, seconds
        ctx.save_for_backward(lateral, parameters, flows, depths, storages, inflows)
        ctx.mark_non_differentiable(rest)
        return flows, depths, storages, rest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        lateral, parameters, flows, depths, storages, inflows = ctx.saved_tensors
        front: Front = ctx.front
        to_flows, to_depths, to_storages = (given.clone() for given in gradients[:3])
        to_inflows, to_before = torch.zeros_like(flows), torch.zeros_like(flows)
        to_lateral, to_parameters = torch.zeros_like(lateral), torch.zeros_like(parameters)
        reaches, steps = flows.shape[1], len(flows) - 1
        length = flows.new_tensor([ctx.seconds])
        run = _compiled(ctx.process)["backward"]
        with launched_at(flows):
            for wave in range(steps + front.levels - 1, 0, -1):
                run[(-(-reaches // LANES),)](
                    lateral,
                    parameters,
                    flows,
                    depths,
                    storages,
                    inflows,
                    to_flows,
                    to_depths,
                    to_storages,
                    to_inflows,
                    to_before,
                    to_lateral,
                    to_parameters,
                    front.level,
                    front.below,
                    wave,
                    steps,
                    ctx.substeps,
                    length,
                    reaches,
                    LANES=LANES,
                )
        # Flow at the start has entered the reach below in the first step, too.
        drained = front.below >= 0
        to_flow = to_flows[0].clone()
        to_flow[drained] += to_before[1, front.below[drained].long()]
        return (
            None,
            None,
            to_lateral,
            to_parameters,
            to_flow,
            None,
            to_storages[0],
            None,
            None,
            None,
        )
