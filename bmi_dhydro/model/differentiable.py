"""A block of the whole model as one differentiable function of torch tensors.

Training, calibration and derivatives for hosts all go through here: daily parameters to those of a
step, the process by its compiled kernel and adjoint, routing by a unit hydrograph.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..kernels.autograd import run_process
from ..kernels.ir.binding import bind
from ..kernels.reference import TORCH_PRIMITIVES, route
from ..networks import lstm, lstm_block
from ..networks.dynamics import Dynamics, day_of
from ..networks.normalisation import logarithm
from ..networks.parameter_network import (
    ENTRANCE,
    FORCING_DEVIATION,
    FORCING_MEAN,
    NetworkLayout,
    centre,
    dynamic_centres,
    dynamic_items,
    dynamic_parameters,
    entered,
)
from ..networks.parameter_network import parameters as network_parameters
from ..physics import Process, per_step, unit_hydrograph
from ..physics.unit_hydrograph import DISCHARGE
from ..units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from .model import Model

# The network that gives parameters, on tensors; arguments as `parameter_network.parameters`.
torch_parameters = bind(network_parameters, TORCH_PRIMITIVES)

_dynamic_parameters = bind(dynamic_parameters, TORCH_PRIMITIVES)
_dynamic_centres = bind(dynamic_centres, TORCH_PRIMITIVES)
_centre = bind(centre, TORCH_PRIMITIVES)
_entered = bind(entered, TORCH_PRIMITIVES)
_logarithm = bind(logarithm, TORCH_PRIMITIVES)
_lstm_step = bind(lstm.step, TORCH_PRIMITIVES)
_delay = bind(unit_hydrograph.delay, TORCH_PRIMITIVES)
_weights = bind(unit_hydrograph.weights, TORCH_PRIMITIVES)


@dataclass
class Block:
    """What a block of steps starts from.

    Attributes
    ----------
    parameters : Tensor, shape (parameters, catchments, parameter sets)
        Daily values.
    routing : sequence of Tensor, shape (catchments,)
        Values of `unit_hydrograph.PARAMETERS`.
    area : Tensor, shape (catchments,)
        In km2.
    forcing : Tensor, shape (steps, forcings, catchments)
        As for `Model.run`.
    state : Tensor, shape (states, catchments, parameter sets), optional
        Nearly empty stores, unless given.
    pending : Tensor, shape (catchments, lags), optional
        Flows on their way, the next one first; none, unless given.
    dynamic : mapping of Tensor, shape (steps, catchments, parameter sets)
        Daily values of the parameters that change with time, by name.
    weights : Tensor, shape (catchments, lags), optional
        Unit hydrograph, where it is known; then no gradients flow to `routing` and `area`.
    """

    parameters: Tensor
    routing: Sequence[Tensor]
    area: Tensor
    forcing: Tensor
    state: Tensor | None = None
    pending: Tensor | None = None
    dynamic: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Tensor | None = None


@dataclass
class Result:
    """What a block of steps gives.

    Attributes
    ----------
    outputs : dict of Tensor, shape (steps, catchments)
        In mm (per step), by name.
    state : Tensor, shape (states, catchments, parameter sets)
    pending : Tensor, shape (catchments, lags)
    """

    outputs: dict[str, Tensor] = field(default_factory=dict)
    state: Tensor | None = None
    pending: Tensor | None = None


def hidden_states(
    layout: NetworkLayout,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    forcing: Tensor,
    constant: int = 0,
) -> Tensor | None:
    """Return what the LSTM remembers after each day of a block, from an empty state.

    It runs over the whole block (`networks.lstm_block`); `networks.lstm` is the same day by day.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping of Tensor
    inputs : Tensor, shape (catchments, inputs)
        Normalised.
    forcing : Tensor, shape (days, forcings, catchments)
    constant : int
        First days through which no gradient flows.

    Returns
    -------
    Tensor, shape (days, catchments, units), or None
        None where the network has no LSTM.
    """
    if not layout.dynamic and layout.static_by == "attributes":
        return None
    rows = _logarithms(layout, list(forcing.unbind(1)))
    weather = (torch.stack(rows, dim=2) - weights[FORCING_MEAN]) / weights[FORCING_DEVIATION]
    seen = inputs[:, : len(layout.attributes)]
    if ENTRANCE in weights:
        weather = _entered(weights, torch.cat([weather, seen.expand(len(weather), -1, -1)], dim=2))
        seen = seen[:, :0]
    of_input, of_hidden, bias = (weights[f"lstm.{name}"] for name in ("input", "hidden", "bias"))
    return lstm_block.hidden_states(weather, seen, of_input, of_hidden, bias, constant)


def torch_dynamics(
    layout: NetworkLayout,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    hidden: Tensor | None,
    remembered: Tensor | None = None,
    dropout: float = 0.0,
    constant: int = 0,
) -> dict[str, Tensor]:
    """Return the parameters that change from day to day over a block.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping of Tensor
    inputs : Tensor, shape (catchments, inputs)
        Normalised.
    hidden : Tensor, shape (days, catchments, units), or None
        From `hidden_states`.
    remembered : Tensor, shape (catchments, units), optional
        As `parameter_network.static_logits`.
    dropout : float
        Share of the LSTM's outputs that is left out, in training.
    constant : int
        First days through which no gradient flows.

    Returns
    -------
    dict of Tensor, shape (days, catchments, parameter sets)
        Daily values, by name.
    """
    if not layout.dynamic:
        return {}
    assert hidden is not None
    if dropout:
        hidden = _left_out(hidden, dropout)
    centres = _dynamic_centres(layout, weights, inputs, remembered)
    later = _dynamic_parameters(layout, weights, centres, hidden[constant:])
    if not constant:
        return dict(zip(layout.dynamic, later, strict=True))
    with torch.no_grad():
        first = _dynamic_parameters(layout, weights, centres, hidden[:constant])
    values = [torch.cat(both) for both in zip(first, later, strict=True)]
    return dict(zip(layout.dynamic, values, strict=True))


def _logarithms(layout: NetworkLayout, rows: list[Tensor]) -> list[Tensor]:
    """Take logarithms of the forcings of which the LSTM sees them."""
    return [
        _logarithm(values) if item.name in layout.logarithms else values
        for values, item in zip(rows, layout.process.forcings, strict=True)
    ]


def _left_out(values: Tensor, share: float) -> Tensor:
    """Set a share of values to zero, and scale the others so that the mean stays (dropout).

    On a CPU a byte decides, so that `share` is met to 1/256: eight of them are drawn at once, which
    takes a tenth of the time of `torch.nn.functional.dropout`.
    """
    if values.is_cuda:
        return torch.nn.functional.dropout(values, share)
    count = values.numel()
    drawn = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), 2**63 - 1)
    limit = min(max(1, round(256 * share)), 255)
    kept = (drawn.view(torch.uint8)[:count] >= limit).view(values.shape)
    return values * kept * (256.0 / (256 - limit))


def remembered_dynamics(
    dynamics: Dynamics,
    snapshot: Mapping[str, NDArray],
    parameters: Mapping[str, Tensor],
    forcing: Tensor,
    inputs: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the parameters that change daily over a block that starts from an LSTM state.

    What `Dynamics.advance` gives step by step, for steps of any length, with gradients to the
    static values around which parameters move, the weather and the attributes.

    Parameters
    ----------
    dynamics : Dynamics
        Is not changed.
    snapshot : mapping
        What `Model.snapshot` returned where the block starts.
    parameters : mapping of Tensor, shape (catchments, parameter sets)
        Static daily values, those of `dynamics.layout.dynamic` at least.
    forcing : Tensor, shape (steps, forcings, catchments)
        Forcing of steps.
    inputs : Tensor, shape (catchments, attributes), optional
        Normalised attributes; those of `dynamics`, unless given.

    Returns
    -------
    dict of Tensor, shape (steps, catchments, parameter sets)
        Daily values, by name.
    """
    layout = dynamics.layout
    weights = {name: torch.as_tensor(value) for name, value in dynamics.weights.items()}
    inputs = torch.as_tensor(dynamics.inputs) if inputs is None else inputs
    hidden, cell = (torch.as_tensor(snapshot[name]) for name in ("hidden", "cell"))
    per_day = dynamics.window.shape[2]
    position = 0
    yesterday = forcing[:1].expand(per_day, -1, -1)
    if per_day > 1:
        position = int(snapshot["day_position"][0])
        window = torch.as_tensor(snapshot["day_window"]).permute(2, 1, 0)
        if not bool(torch.isnan(window).any()):
            yesterday = torch.cat([window[position:], window[:position]])
    weather = torch.cat([yesterday, forcing])
    moving = []
    for first, last in _days(len(forcing), per_day, position):
        windows = torch.stack(
            [weather[k + 1 : k + 1 + per_day] for k in range(first, last)], dim=3
        )  # (steps of a day, forcings, catchments, steps)
        rows = _logarithms(layout, day_of(windows.transpose(0, 1), layout.process.forcings))
        day = torch.stack(rows, dim=2)
        day = (day.transpose(0, 1) - weights[FORCING_MEAN]) / weights[FORCING_DEVIATION]
        steps, size = day.shape[:2]
        static = inputs[:, : len(layout.attributes)].expand(steps, -1, -1)
        seen = _entered(weights, torch.cat([day, static], dim=2).flatten(0, 1))
        state = (values.expand(steps, -1, -1).flatten(0, 1) for values in (hidden, cell))
        now, cells = _lstm_step(weights, seen, *state)
        moving.append(now.reshape(steps, size, -1))
        if (position + last) % per_day == 0:
            hidden, cell = now[-size:], cells[-size:]
    return moved_dynamics(dynamics, parameters, torch.cat(moving))


def moved_dynamics(
    dynamics: Dynamics, parameters: Mapping[str, Tensor], hidden: Tensor
) -> dict[str, Tensor]:
    """Return the parameters that change daily, from the LSTM's hidden states.

    Parameters
    ----------
    dynamics : Dynamics
    parameters : mapping of Tensor, shape (catchments, parameter sets)
        Static daily values.
    hidden : Tensor, shape (steps, catchments, units)

    Returns
    -------
    dict of Tensor, shape (steps, catchments, parameter sets)
        Daily values, by name.
    """
    layout = dynamics.layout
    weights = {name: torch.as_tensor(value) for name, value in dynamics.weights.items()}
    centres = [_centre(parameters[item.name], item) for item in dynamic_items(layout)]
    values = _dynamic_parameters(layout, weights, centres, hidden)
    return dict(zip(layout.dynamic, values, strict=True))


def _days(steps: int, per_day: int, position: int) -> list[tuple[int, int]]:
    """Divide a block that starts `position` steps into a day at the ends of days."""
    ends = [*range(per_day - position, steps, per_day), steps]
    return list(itertools.pairwise([0, *ends]))


def hydrograph(process: Process, routing: Sequence[Tensor], area: Tensor, days: float) -> Tensor:
    """Return the unit hydrograph of steps of `days` days: shape (catchments, lags)."""
    shape, route_delay, exponent = routing
    form = unit_hydrograph.hydrograph_of(process)
    times, matrix = (
        None if values is None else torch.tensor(values, dtype=shape.dtype, device=shape.device)
        for values in (form.lag_times(days), form.lag_matrix(days))
    )
    return _weights(shape, _delay(route_delay, exponent, area), times, matrix)


def initial_state(process: Process, parameters: Tensor) -> Tensor:
    """Return the stores that a model starts from: shape (states, catchments, parameter sets)."""
    values = parameters.new_tensor([item.initial for item in process.states])
    return values[:, None, None].expand(-1, *parameters.shape[1:]).contiguous()


def run(
    process: Process,
    outputs: Sequence[str],
    block: Block,
    days: float = 1.0,
    routed: bool = True,
    kernel: Callable[..., tuple[Tensor, Tensor]] = run_process,
) -> Result:
    """Run a block of steps; gradients flow to every tensor of `block`.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        Names among `process.output_names`, and `"discharge"`.
    block : Block
    days : float
        Length of a step.
    routed : bool
        Whether runoff passes the unit hydrograph before it is discharge.
    kernel : callable
        `autograd.run_process` (compiled) or `reference.run_process`.

    Returns
    -------
    Result
    """
    substeps = process.substeps(days)
    days = days / substeps
    values = torch.stack(
        [
            per_step(daily, item, days)
            for daily, item in zip(block.parameters, process.parameters, strict=True)
        ]
    )
    state = initial_state(process, values) if block.state is None else block.state
    averaged = list(dict.fromkeys([process.runoff, *(n for n in outputs if n != DISCHARGE)]))
    items = {item.name: item for item in process.parameters}
    dynamic = {
        name: _repeated(per_step(v, items[name], days), substeps)
        for name, v in block.dynamic.items()
    }
    shares = torch.as_tensor(process.forcing_shares(substeps)).to(block.forcing)[:, None]
    forcing = _repeated(block.forcing * shares, substeps)
    rows, final = kernel(process, averaged, forcing, values, state, dynamic)
    result = Result({}, final, block.pending)
    for k, name in enumerate(averaged):
        stored = name in unit_hydrograph.stored_outputs(process)
        result.outputs[name] = (
            rows[substeps - 1 :: substeps, k] if stored else _added(rows[:, k], substeps)
        )
    if not routed:
        result.outputs[DISCHARGE] = result.outputs[process.runoff]
        return result
    weights = block.weights
    if weights is None:
        weights = hydrograph(process, block.routing, block.area, days)
    pending = torch.zeros_like(weights) if block.pending is None else block.pending
    discharge, result.pending = route(rows[:, 0], weights, pending)
    result.outputs[DISCHARGE] = _added(discharge, substeps)
    return result


def _repeated(values: Tensor, substeps: int) -> Tensor:
    """Repeat each step for its substeps."""
    if substeps == 1:
        return values
    return values[:, None].expand(-1, substeps, *values.shape[1:]).reshape(-1, *values.shape[1:])


def _added(values: Tensor, substeps: int) -> Tensor:
    """Add up the substeps of each step."""
    return sum((values[k::substeps] for k in range(1, substeps)), start=values[::substeps])


def leaf(values: ArrayLike) -> Tensor:
    """Return a float64 copy of an array that gradients can be asked for."""
    return torch.tensor(np.array(values, dtype=float), requires_grad=True)


def device_of(model: Model) -> torch.device:
    """Return where blocks of a model are differentiated: where it is, on the first of its GPUs."""
    return model.device_side.residents()[0].device if model.resident else torch.device("cpu")


def block_gradients(
    model: Model, forcing: NDArray, seeds: Mapping[str, ArrayLike], wrt: Sequence[str]
) -> dict[str, NDArray]:
    """Pull the derivative of an objective back through a block that starts now.

    The model itself stays as it is. Gradients are of the compiled adjoint, in float64.

    Parameters
    ----------
    model : Model
    forcing : array, shape (steps, forcings, catchments)
        As for `Model.run`.
    seeds : mapping
        Derivative of the objective with respect to outputs of the block, by name: shape
        (steps, catchments). All outputs but `"routing_store"` have one.
    wrt : sequence of str
        Names of forcings, parameters (daily values) or states, `"area"`, or `"pending"`.

    Returns
    -------
    dict of array
        The derivative of the objective with respect to each of `wrt`, in its shape; forcings have
        (steps, catchments).

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    with device_of(model):
        return _block_gradients(model, forcing, seeds, wrt)


def _block_gradients(
    model: Model, forcing: NDArray, seeds: Mapping[str, ArrayLike], wrt: Sequence[str]
) -> dict[str, NDArray]:
    process = model.process
    weather = {name: leaf(forcing[:, k]) for k, name in enumerate(process.forcing_names)}
    states = {
        name: leaf(values) for name, values in zip(process.state_names, model.state, strict=True)
    }
    parameters = {name: leaf(values) for name, values in model.parameters.items()}
    leaves = {**weather, **states, **parameters}
    leaves["area"], leaves["pending"] = leaf(model.area), leaf(model.pending)
    known = (*process.output_names, DISCHARGE)
    for name, table in [*((n, leaves) for n in wrt), *((n, known) for n in seeds)]:
        if name not in table:
            raise ValueError(f"no derivative of or by {name!r}; known: {', '.join(table)}")
    # Members share parameters; their gradients add up.
    own = {name: parameters[name].repeat(model.members, 1) for name in process.parameter_names}
    routing = [parameters[item.name].repeat(model.members) for item in unit_hydrograph.PARAMETERS]
    block = Block(
        torch.stack([own[name] for name in process.parameter_names]),
        routing,
        leaves["area"].repeat(model.members),
        torch.stack(list(weather.values()), dim=1),
        torch.stack(list(states.values())),
        leaves["pending"] if model.routed else None,
    )
    if model.dynamics is not None:
        snapshot = model.dynamics.snapshot()
        block.dynamic = remembered_dynamics(model.dynamics, snapshot, own, block.forcing)
    days, kernel = model.step_seconds / SECONDS_PER_DAY, partial(run_process, threads=model.threads)
    result = run(process, list(seeds), block, days, model.routed, kernel)
    objective = sum(
        (
            (result.outputs[name] * torch.as_tensor(np.asarray(seed, dtype=float))).sum()
            for name, seed in seeds.items()
        ),
        start=torch.zeros((), dtype=torch.float64),
    )
    return pulled_back(objective, {name: leaves[name] for name in wrt})


def pulled_back(objective: Tensor, leaves: Mapping[str, Tensor]) -> dict[str, NDArray]:
    """Return the derivative of an objective with respect to each leaf; zero where there is none."""
    gradients = torch.autograd.grad(objective, list(leaves.values()), allow_unused=True)
    return {
        name: np.zeros(tuple(tensor.shape)) if gradient is None else gradient.cpu().numpy()
        for (name, tensor), gradient in zip(leaves.items(), gradients, strict=True)
    }
