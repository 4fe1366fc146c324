"""Adjoint derivatives of a component: how an objective of its outputs changes with anything.

In the manner of FMI 3 (`fmi3GetAdjointDerivative`): a host that has an objective gives the
derivative of that with respect to outputs (the seeds), and gets it with respect to inputs,
parameters, attributes and the state some steps back. So a coupled system can be differentiated
through its parameter sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import OrderError, VariableError, nearest
from ..kernels.autograd import run_process
from ..kernels.ir.binding import bind
from ..kernels.reference import TORCH_PRIMITIVES
from ..model.differentiable import (
    Block,
    device_of,
    leaf,
    pulled_back,
    remembered_dynamics,
    run,
    torch_parameters,
)
from ..networks.normalisation import logarithm
from ..physics import unit_hydrograph
from ..variables import OF_PARAMETER_SETS, ROUTING_PENDING, factor
from ..weather.quantities import PET_METHODS

if TYPE_CHECKING:
    from .component import Component

_logarithm = bind(logarithm, TORCH_PRIMITIVES)


@dataclass
class _Leaves:
    """Tensors that gradients are asked for, and the block that is made of them."""

    block: Block
    inputs: dict[str, Tensor] = field(default_factory=dict)
    parameters: dict[str, Tensor] = field(default_factory=dict)
    attributes: dict[str, Tensor] = field(default_factory=dict)
    states: dict[str, Tensor] = field(default_factory=dict)

    def find(self, name: str) -> Tensor:
        tables = (self.inputs, self.parameters, self.attributes, self.states)
        for table in tables:
            if name in table:
                return table[name]
        known = [name for table in tables for name in table]
        raise VariableError(f"no derivative with respect to {name!r}; {nearest(name, known)}")


def vjp(
    component: Component,
    seeds: Mapping[str, NDArray],
    wrt: Sequence[str],
    steps: int,
) -> dict[str, NDArray]:
    """Pull the derivative of an objective back through the last steps of a component.

    Parameters
    ----------
    component : Component
        Configured with `history` of at least `steps`.
    seeds : mapping
        Derivative of the objective with respect to outputs, by name (of the interface, in its
        units, or of the model): shape (steps, catchments), or (catchments,) for the last step.
    wrt : sequence of str
        Inputs of the interface, parameters, attributes, states (those `steps` back) or
        `"routing_pending"`.
    steps : int
        How far to go back.

    Returns
    -------
    dict of array
        The derivative of the objective with respect to each of `wrt`: shape (steps, catchments)
        for inputs, (catchments,) for parameters and attributes, (catchments, parameter sets) for
        states and, by the name with `_components` after it, for the parameters of each parameter
        set, (catchments, lags) for `"routing_pending"`. With respect to attributes it goes through
        the network and includes all parameters.

    Raises
    ------
    OrderError
        If fewer steps are remembered.
    VariableError
        If a name is unknown.
    ValueError
        If seeds have another shape.
    """
    history = component.history
    if history is None or steps > len(history):
        available = 0 if history is None else len(history)
        raise OrderError(
            f"{steps} steps cannot be gone back: {available} are remembered; set history: {steps} "
            "in the configuration and do as many steps"
        )
    with device_of(component.model):
        leaves = _leaves(component, wrt, *history.since(steps))
        found = _gradients(component, seeds, wrt, steps, leaves)
    # What has one value for all parameter sets changes them together.
    return {
        name: values.sum(axis=1) if name in component.model.process.parameter_names else values
        for name, values in found.items()
    }


def _gradients(
    component: Component,
    seeds: Mapping[str, NDArray],
    wrt: Sequence[str],
    steps: int,
    leaves: _Leaves,
) -> dict[str, NDArray]:
    """Return the derivative of the objective with respect to tensors of the block."""
    model = component.model
    outputs = {item.name: item for item in component.output_items}
    sources = {name: outputs[name].source if name in outputs else name for name in seeds}
    for name, source in sources.items():
        # The routing store is left out: it is what remains, not what leaves.
        known = (*outputs, *model.process.output_names, unit_hydrograph.DISCHARGE)
        if source not in known:
            raise VariableError(f"no derivative of {name!r}; {nearest(name, known)}")
    result = run(
        model.process,
        list(dict.fromkeys(sources.values())),
        leaves.block,
        model.step_seconds / 86400.0,
        model.routed,
        partial(run_process, threads=model.threads),
    )
    objective = torch.zeros((), dtype=leaves.block.forcing.dtype)
    for name, seed in seeds.items():
        weights = np.zeros((steps, model.catchments))
        if np.shape(seed) not in (weights.shape, weights.shape[1:]):
            raise ValueError(
                f"the seeds of {name} have shape {np.shape(seed)}, expected {weights.shape} (or "
                f"{weights.shape[1:]} for the last step)"
            )
        weights[slice(None) if np.ndim(seed) == 2 else -1] = seed
        if name in outputs:
            conversion = outputs[name].conversion
            weights *= factor(conversion, model.step_seconds, component.catchments.area)
        objective = objective + (result.outputs[sources[name]] * torch.as_tensor(weights)).sum()
    return pulled_back(
        objective, {name: leaves.find(name.removesuffix(OF_PARAMETER_SETS)) for name in wrt}
    )


def _leaves(
    component: Component,
    wrt: Sequence[str],
    set_by_host: NDArray,
    forcing: NDArray,
    snapshot: Mapping[str, NDArray],
) -> _Leaves:
    """Make the block of the last steps of tensors that gradients can be asked for."""
    model, catchments = component.model, component.catchments

    names = component.trained.layout.needed
    attributes = {name: leaf(catchments.attributes[name]) for name in names}
    attributes["area"] = leaf(model.area)
    values = model.parameters
    parameters = {name: leaf(array) for name, array in values.items()}
    process_names = model.process.parameter_names
    routing_names = [item.name for item in unit_hydrograph.PARAMETERS]
    process = [parameters[name] for name in process_names]
    routing = [parameters[name] for name in routing_names]
    seen = None
    if any(name in names for name in wrt):
        if component.trained.layout.static_by == "weather":
            raise VariableError(
                "no derivative with respect to attributes: the static parameters of this model "
                "come of the weather of a period, and were fixed before the run"
            )
        seen = _normalised(component, attributes)
        process, routing = _through_network(component, seen, process, routing)
    inputs = {
        item.name: leaf(set_by_host[:, row]) for row, item in enumerate(component.input_items)
    }
    states = {
        name: leaf(array)
        for name, array in zip(model.process.state_names, snapshot["state"], strict=True)
    }
    states[ROUTING_PENDING] = leaf(snapshot["pending"])
    block = Block(
        torch.stack(process),
        routing,
        attributes["area"],
        _forcing(component, inputs, forcing),
        torch.stack([states[name] for name in model.process.state_names]),
        states[ROUTING_PENDING] if model.routed else None,
    )
    if model.dynamics is not None:
        static = dict(zip(process_names, process, strict=True))
        block.dynamic = remembered_dynamics(model.dynamics, snapshot, static, block.forcing, seen)
    return _Leaves(block, inputs, parameters, attributes, states)


def _normalised(component: Component, attributes: Mapping[str, Tensor]) -> Tensor:
    """Return attributes as the network sees them."""
    normalisation = component.trained.normalisation
    columns = [
        _logarithm(attributes[name]) if name in normalisation.logarithms else attributes[name]
        for name in normalisation.names
    ]
    table = torch.stack(columns, dim=1)
    return (table - torch.as_tensor(normalisation.mean)) / torch.as_tensor(normalisation.deviation)


def _through_network(
    component: Component,
    inputs: Tensor,
    process: list[Tensor],
    routing: list[Tensor],
) -> tuple[list[Tensor], list[Tensor]]:
    """Let parameters depend on attributes, their values staying as they are.

    Those that a host, a parameter file or the configuration has given do not depend on them.
    """
    trained = component.trained
    weights = {name: torch.as_tensor(value).double() for name, value in trained.weights.items()}
    from_network = torch_parameters(trained.layout, weights, inputs)

    table = component.parameters.given

    def joined(own: list[Tensor], network: list[Tensor], names: Sequence[str]) -> list[Tensor]:
        # What was given from elsewhere stays when attributes change.
        free = [torch.as_tensor(~table[name]) for name in names]
        shaped = (
            values[:, None] if a.ndim == 2 else values for values, a in zip(free, own, strict=True)
        )
        return [
            a + torch.where(follows, b - b.detach(), 0.0)
            for a, b, follows in zip(own, network, shaped, strict=True)
        ]

    routing_names = [item.name for item in unit_hydrograph.PARAMETERS]
    return (
        joined(process, from_network[0], component.model.process.parameter_names),
        joined(routing, from_network[1], routing_names),
    )


def _forcing(component: Component, inputs: Mapping[str, Tensor], forcing: NDArray) -> Tensor:
    """Turn inputs of the interface into forcing; where weather is read there are none."""
    if not inputs:
        return torch.tensor(np.array(forcing, dtype=float))
    rows = {
        item.source: inputs[item.name] * scale
        for item, scale in zip(component.input_items, component.driver.scale, strict=True)
    }
    method = component.driver.preparation.method
    if method == "forcing":
        pet = rows["potential_evapotranspiration"]
        rows["potential_evapotranspiration"] = torch.where(pet > 0.0, pet, 0.0)
    else:
        chosen = PET_METHODS[method]
        steps = forcing.shape[0]
        time = component.driver.preparation.time_arguments(component.done - steps, steps)
        rows["potential_evapotranspiration"] = bind(chosen.function, TORCH_PRIMITIVES)(
            *(rows[name] for name in chosen.quantities), *map(torch.as_tensor, time)
        )
        scale = component.driver.preparation.scale(component.done - steps, steps)
        if scale is not None:
            rows["potential_evapotranspiration"] *= torch.as_tensor(scale)
    order = ("precipitation", "temperature", "potential_evapotranspiration")
    return torch.stack([rows[name] for name in order], dim=1)
