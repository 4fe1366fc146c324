"""From the attributes of catchments to the parameters of a process model and its routing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..physics import Parameter, Process, between_bounds, share_between_bounds
from ..physics.primitives import log, maximum, minimum, where
from ..physics.unit_hydrograph import hydrograph_of, placed
from .mlp import logits, sigmoid

AREA_EXPONENT = "area_exponent"
DYNAMIC_HEAD = "dynamic_head"

# Where static parameters come from the LSTM: from its units to the outputs of the network.
STATIC_HEAD, STATIC_BIAS = "static_head.weight", "static_head.bias"

# A layer before the LSTM, with rectifiers.
ENTRANCE, ENTRANCE_BIAS = "entrance.weight", "entrance.bias"

# A static value at a bound could not be moved; the logit of this share is still within what
# `mlp.sigmoid` takes for a number.
_LEAST_SHARE = 1e-12

# What the LSTM sees of the weather, brought to this scale.
FORCING_MEAN, FORCING_DEVIATION = "forcing_mean", "forcing_deviation"


@dataclass(frozen=True)
class NetworkLayout:
    """What a network's outputs mean.

    Attributes
    ----------
    process : Process
    parameter_sets : int
        Parallel parameter sets of a catchment.
    attributes : tuple of str
        Names of the inputs, in order.
    dynamic : tuple of str
        Parameters that move from day to day around their static value, by a long short-term memory
        of the weather.
    networks : int
        Networks that were trained apart and joined; each has an equal share of the parameter sets.
    site : tuple of str
        Names of the attributes that the rules of `process.site` are about, in their order: the last
        inputs, as they are, which the network itself does not see.
    logarithms : tuple of str
        Forcings of which the LSTM sees a logarithm; see `normalisation.logarithm`.
    static_by : {"attributes", "weather"}
        What static parameters depend on: attributes alone, or what the LSTM has seen of the weather
        by the end of a period.
    """

    process: Process
    parameter_sets: int
    attributes: tuple[str, ...]
    dynamic: tuple[str, ...] = ()
    networks: int = 1
    site: tuple[str, ...] = ()
    logarithms: tuple[str, ...] = ()
    static_by: Literal["attributes", "weather"] = "attributes"

    @property
    def needed(self) -> tuple[str, ...]:
        """Attributes that a catchment must have."""
        return tuple(dict.fromkeys((*self.attributes, *self.site)))

    @property
    def outputs(self) -> int:
        """Number of outputs: one for each parameter and parameter set, and two for routing."""
        return len(self.process.parameters) * self.parameter_sets + 2


def static_logits(
    layout: NetworkLayout, weights: Mapping[str, Any], inputs: Any, remembered: Any = None
) -> Any:
    """Return the outputs of a network, before they are placed between bounds.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping
    inputs : array, shape (..., catchments, inputs)
        Normalised attributes, and those of `layout.site` as they are.
    remembered : array, shape (..., catchments, units), optional
        Hidden state of the LSTM at the end of a period, where `layout.static_by` is "weather".

    Returns
    -------
    array, shape (..., catchments, outputs)
    """
    if layout.static_by == "weather":
        return remembered @ weights[STATIC_HEAD] + weights[STATIC_BIAS]
    return logits(weights, inputs[..., : len(layout.attributes)])


def parameters(
    layout: NetworkLayout, weights: Mapping[str, Any], inputs: Any, remembered: Any = None
) -> tuple[list[Any], list[Any]]:
    """Evaluate a network and place its outputs between the bounds of the parameters.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping
        Weights as `mlp.logits` takes them (or `STATIC_HEAD` and `STATIC_BIAS`), and `AREA_EXPONENT`
        of shape (1,).
    inputs, remembered : array
        As `static_logits`.

    Returns
    -------
    process : list of array, shape (..., catchments, parameter sets)
        Daily values, one array for each parameter of the process.
    routing : list of array, shape (..., catchments)
        One array for each parameter of the unit hydrograph.
    """
    shares = sigmoid(static_logits(layout, weights, inputs, remembered))
    size = layout.parameter_sets
    process = [
        between_bounds(shares[..., k * size : (k + 1) * size], parameter)
        for k, parameter in enumerate(layout.process.parameters)
    ]
    names = layout.process.parameter_names
    for rule, place in zip(layout.process.site, range(-len(layout.site), 0), strict=True):
        k = names.index(rule.parameter)
        attribute = inputs[..., place, None]
        value = attribute if rule.value is None else rule.value
        process[k] = where(attribute >= rule.least, value + 0.0 * process[k], process[k])
    first = len(layout.process.parameters) * size
    exponent = sigmoid(weights[AREA_EXPONENT]) + 0.0 * shares[..., 0]
    delays = (shares[..., first], shares[..., first + 1], exponent)
    return process, placed(hydrograph_of(layout.process), delays)


def dynamic_items(layout: NetworkLayout) -> list[Parameter]:
    """Return the parameters that change with time, in the order of `layout.dynamic`."""
    items = {item.name: item for item in layout.process.parameters}
    return [items[name] for name in layout.dynamic]


def dynamic_centres(
    layout: NetworkLayout, weights: Mapping[str, Any], inputs: Any, remembered: Any = None
) -> list[Any]:
    """Return around what dynamic parameters move, straight from the network.

    Arguments as `parameters`; result as `centre`, for each of `layout.dynamic`.
    """
    size = layout.parameter_sets
    static = static_logits(layout, weights, inputs, remembered)
    places = [layout.process.parameter_names.index(name) for name in layout.dynamic]
    return [static[:, k * size : (k + 1) * size] for k in places]


def entered(weights: Mapping[str, Any], seen: Any) -> Any:
    """Return what the LSTM takes in of weather and attributes.

    Parameters
    ----------
    weights : mapping
        With a layer before the LSTM, if the network has one.
    seen : array, shape (..., forcings + attributes)
        Normalised.
    """
    if ENTRANCE not in weights:
        return seen
    return maximum(seen @ weights[ENTRANCE] + weights[ENTRANCE_BIAS], 0.0)


def centre(values: Any, parameter: Parameter) -> Any:
    """Return the logit of where static values lie between their bounds, for `dynamic_parameters`.

    Parameters
    ----------
    values : array, any shape
        In `parameter.units`.
    parameter : Parameter
    """
    share = share_between_bounds(values, parameter)
    share = minimum(maximum(share, _LEAST_SHARE), 1.0 - _LEAST_SHARE)
    return log(share / (1.0 - share))


def dynamic_parameters(
    layout: NetworkLayout, weights: Mapping[str, Any], centres: Any, hidden: Any
) -> list[Any]:
    """Place the parameters that change with time between their bounds.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping
        `DYNAMIC_HEAD` of shape (units, dynamic parameters x parameter sets).
    centres : sequence of array, shape (catchments, parameter sets)
        Around what each of `layout.dynamic` moves; see `centre`.
    hidden : array, shape (..., catchments, units)
        Hidden state of the LSTM, for one day or several.

    Returns
    -------
    list of array, shape (..., catchments, parameter sets)
        Daily values, one array for each of `layout.dynamic`. With a head of zeros they are the
        static ones.
    """
    size = layout.parameter_sets
    moved = hidden @ weights[DYNAMIC_HEAD]
    return [
        between_bounds(sigmoid(centres[k] + moved[..., k * size : (k + 1) * size]), item)
        for k, item in enumerate(dynamic_items(layout))
    ]


def initial_weights(
    layout: NetworkLayout, hidden: tuple[int, ...], seed: int, lstm_units: int = 0
) -> dict[str, np.ndarray]:
    """Draw the weights from which training starts.

    Parameters
    ----------
    layout : NetworkLayout
    hidden : tuple of int
        Units of each hidden layer.
    seed : int
    lstm_units : int
        Units of the LSTM that moves dynamic parameters.

    Returns
    -------
    dict
        float32 arrays. Components start with different parameters, so that they can specialise.
    """
    random = np.random.default_rng(seed)
    sizes = (len(layout.attributes), *hidden, layout.outputs)
    weights: dict[str, np.ndarray] = {}
    for layer, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        last = layer == len(sizes) - 2
        # Small hidden weights: parameters start as smooth functions of the attributes, which
        # carries over to regions that training never saw better than the usual He scale.
        scale = np.sqrt((0.1 if last else 0.3) / rows)
        weights[f"layer_{layer}.weight"] = random.normal(0.0, scale, (rows, columns))
        weights[f"layer_{layer}.bias"] = (
            random.normal(0.0, 1.0, columns) if last else np.zeros(columns)
        )
    weights[AREA_EXPONENT] = np.zeros(1)
    if layout.dynamic:
        inputs = len(layout.process.forcings) + len(layout.attributes)
        scale = 1.0 / np.sqrt(lstm_units)
        weights["lstm.input"] = random.uniform(-scale, scale, (inputs, 4 * lstm_units))
        weights["lstm.hidden"] = random.uniform(-scale, scale, (lstm_units, 4 * lstm_units))
        bias = np.zeros(4 * lstm_units)
        bias[lstm_units : 2 * lstm_units] = 3.0  # remember at first (Gers et al. 2000)
        weights["lstm.bias"] = bias
        # Parameters start as if they were static.
        weights[DYNAMIC_HEAD] = np.zeros((lstm_units, len(layout.dynamic) * layout.parameter_sets))
    return {name: value.astype(np.float32) for name, value in weights.items()}
