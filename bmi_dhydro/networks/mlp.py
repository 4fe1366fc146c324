"""A multilayer perceptron as a plain function of its weights.

Written over primitives and `@`, it runs on NumPy arrays where a model is used and on torch tensors
where it is trained: one definition, and no torch to load for using it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..physics.primitives import exp, maximum, minimum

# Beyond this the sigmoid is 0 or 1 in float32, and its derivative would be infinity over infinity.
_SATURATED = 30.0


def depth(weights: Mapping[str, Any]) -> int:
    """Return the number of layers, the last one included."""
    return sum(name.startswith("layer_") and name.endswith(".weight") for name in weights)


def sigmoid(values: Any) -> Any:
    """Return the logistic function, with a derivative that is finite everywhere."""
    return 1.0 / (1.0 + exp(-minimum(maximum(values, -_SATURATED), _SATURATED)))


def logits(weights: Mapping[str, Any], inputs: Any) -> Any:
    """Apply hidden layers with rectifiers, and a last layer.

    Parameters
    ----------
    weights : mapping
        `layer_0.weight` of shape (inputs, units), `layer_0.bias` of shape (units,), `layer_1...`.
    inputs : array, shape (..., catchments, inputs)

    Returns
    -------
    array, shape (..., catchments, outputs)
        For a sigmoid.
    """
    last = depth(weights) - 1
    values = inputs
    for layer in range(last):
        values = maximum(
            values @ weights[f"layer_{layer}.weight"] + weights[f"layer_{layer}.bias"], 0.0
        )
    return values @ weights[f"layer_{last}.weight"] + weights[f"layer_{last}.bias"]
