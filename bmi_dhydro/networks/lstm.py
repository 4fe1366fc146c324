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
    kept = sigmoid(gates[..., units : 2 * units]) * cell
    cell = kept + sigmoid(gates[..., :units]) * tanh(gates[..., 2 * units : 3 * units])
    return sigmoid(gates[..., 3 * units :]) * tanh(cell), cell
