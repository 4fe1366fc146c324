"""Curves of a process model replaced by small networks: less prior physics, by choice.

A curve says which share of a flux passes, from how full a store is. Whatever share between 0 and 1
a network gives, the flux stays within what there is, so the water balance closes as before. The
network's weights are parameters of the process, in each of its parameter sets: the parameter
network gives them to catchments, and kernels, gradients, states and files treat them like all
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from types import FunctionType
from typing import Any

from .primitives import exp, minimum
from .process import Parameter, Process

# Hidden units of a curve. The bounds let a unit switch within a tenth of the store, and the share
# come within 0.1 % of nothing and of all.
UNITS = 4
_SLOPE, _OFFSET, _HEIGHT, _SHIFT = 12.0, 8.0, 6.0, 7.0


def learned_share(fullness: Any, weights: Sequence[Any]) -> Any:
    """Return the share that passes, between 0 and 1.

    A network of one layer, tanh units and a logistic outlet.

    Parameters
    ----------
    fullness : array
        Content of the store over its capacity; more than full counts as full.
    weights : sequence of array
        Values of `weight_parameters`, in their order.

    Returns
    -------
    array
    """
    fullness = minimum(fullness, 1.0)
    total = weights[0]
    for unit in range(UNITS):
        slope, offset, height = weights[1 + 3 * unit : 4 + 3 * unit]
        # height * tanh(slope * fullness + offset)
        total = total + height * (2.0 / (1.0 + exp(-2.0 * (slope * fullness + offset))) - 1.0)
    return 1.0 / (1.0 + exp(-total))


def weight_parameters(curve: str) -> tuple[Parameter, ...]:
    """Return the weights of a curve's network as parameters of a process."""
    items = [Parameter(f"{curve}_shift", f"shift of the learned {curve}", "1", -_SHIFT, _SHIFT)]
    for unit in range(1, UNITS + 1):
        for name, bound in (("slope", _SLOPE), ("offset", _OFFSET), ("height", _HEIGHT)):
            title = f"{name} of unit {unit} of the learned {curve}"
            items.append(Parameter(f"{curve}_{name}_{unit}", title, "1", -bound, bound))
    return tuple(items)


@cache
def with_learned_curves(process: Process, learned: tuple[str, ...]) -> Process:
    """Return a process with some of its curves replaced by networks.

    Parameters
    ----------
    process : Process
    learned : tuple of str
        Names among `process.curves`; none gives the process itself.

    Returns
    -------
    Process
        Without the parameters of these curves, and with the weights of their networks.

    Raises
    ------
    ValueError
        If the process has no such curve.
    """
    for name in learned:
        if name not in process.curves:
            known = ", ".join(process.curves) or "none"
            raise ValueError(f"{process.name} has no curve {name!r}; it has: {known}")
    if not learned:
        return process
    weights = {name: weight_parameters(name) for name in learned}
    replaced = {parameter for name in learned for parameter in process.curves[name]}
    kept = tuple(item for item in process.parameters if item.name not in replaced)
    # The step function's own code, with another meaning of the names of its curves. Where it hands
    # a curve its parameters, it hands over the weights.
    step = FunctionType(
        process.step.__code__,
        {**process.step.__globals__, **dict.fromkeys(learned, _learned_curve)},
        process.step.__name__,
    )
    first = len(process.states) + len(process.forcings)
    names = [item.name for item in kept]

    def learned_step(*arguments: Any) -> tuple:
        values = dict(zip(names, arguments[first:], strict=False))
        position = first + len(names)
        for name in learned:
            count = len(weights[name])
            for parameter in process.curves[name]:
                values[parameter] = arguments[position : position + count]
            position += count
        return step(*arguments[:first], *(values[name] for name in process.parameter_names))

    return replace(
        process,
        step=learned_step,
        parameters=(*kept, *(item for name in learned for item in weights[name])),
        learned=learned,
    )


def _learned_curve(fullness: Any, *weights: Any) -> Any:
    return learned_share(fullness, weights[0])
