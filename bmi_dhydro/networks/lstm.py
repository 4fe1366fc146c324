"""A long short-term memory as a plain function of its weights, one day at a time.

Written over primitives and `@` like `mlp`, so that stepping through time needs no torch. The gates
stand in torch's order: input, forget, candidate, output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .mlp import sigmoid


def tanh(values: Any) -> Any:
    """Return the hyperbolic tangent."""
    return 2.0 * sigmoid(2.0 * values) - 1.0


def cell_step(
    input_gate: Any, forget_gate: Any, candidate: Any, output_gate: Any, cell: Any
) -> Any:
    """Advance one unit, given what its gates are before their nonlinearity.

    Returns
    -------
    hidden, cell : array
    """
    cell = sigmoid(forget_gate) * cell + sigmoid(input_gate) * tanh(candidate)
    return sigmoid(output_gate) * tanh(cell), cell


def step(weights: Mapping[str, Any], inputs: Any, hidden: Any, cell: Any) -> tuple[Any, Any]:
    """Advance by one day.

    Parameters
    ----------
    weights : mapping
        `lstm.input` of shape (inputs, 4 units), `lstm.hidden` of shape (units, 4 units),
        `lstm.bias` of shape (4 units,).
    inputs : array, shape (..., catchments, inputs)
    hidden, cell : array, shape (..., catchments, units)

    Returns
    -------
    hidden, cell : array, shape (..., catchments, units)
    """
    units = hidden.shape[-1]
    gates = inputs @ weights["lstm.input"] + hidden @ weights["lstm.hidden"] + weights["lstm.bias"]
    one, two, three, four = (gates[..., k * units : (k + 1) * units] for k in range(4))
    return cell_step(one, two, three, four, cell)
