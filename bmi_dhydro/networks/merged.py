"""Several networks as one: the parameter sets of each become parameter sets of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .mlp import depth
from .parameter_network import (
    AREA_EXPONENT,
    DYNAMIC_HEAD,
    ENTRANCE,
    ENTRANCE_BIAS,
    FORCING_DEVIATION,
    FORCING_MEAN,
    STATIC_BIAS,
    STATIC_HEAD,
    NetworkLayout,
)


def merge(
    layout: NetworkLayout, networks: Sequence[Mapping[str, NDArray]]
) -> tuple[NetworkLayout, dict[str, NDArray]]:
    """Join networks that were trained apart, from different seeds.

    Hidden units stand side by side, so that each network computes what it did alone; its parameter
    sets follow those of the network before it. A catchment has one unit hydrograph, so the outputs
    for routing are averaged, before the sigmoid.

    Parameters
    ----------
    layout : NetworkLayout
        Layout of each network.
    networks : sequence of dict
        Weights, of equal shapes.

    Returns
    -------
    layout : NetworkLayout
        With the parameter sets of all networks.
    weights : dict of array
    """
    count = len(networks)
    whole = replace(layout, parameter_sets=count * layout.parameter_sets, networks=count)
    layers = depth(networks[0])
    merged: dict[str, NDArray] = {}
    for layer in range(layers):
        weight, bias = f"layer_{layer}.weight", f"layer_{layer}.bias"
        matrices, biases = _each(networks, weight), _each(networks, bias)
        if layer == layers - 1:
            apart = layer > 0
            merged[weight], merged[bias] = _merged_outputs(layout, matrices, biases, apart)
        else:
            merged[weight] = np.concatenate(matrices, axis=1) if layer == 0 else _diagonal(matrices)
            merged[bias] = np.concatenate(biases)
    if layout.static_by == "weather":
        matrices, biases = _each(networks, STATIC_HEAD), _each(networks, STATIC_BIAS)
        merged[STATIC_HEAD], merged[STATIC_BIAS] = _merged_outputs(layout, matrices, biases, True)
    merged[AREA_EXPONENT] = np.mean(_each(networks, AREA_EXPONENT), axis=0)
    if "lstm.hidden" in networks[0]:
        merged.update(_merged_lstm(layout, networks))
    return whole, merged


def _each(networks: Sequence[Mapping[str, NDArray]], name: str) -> list[NDArray]:
    return [np.asarray(network[name]) for network in networks]


def _merged_outputs(
    layout: NetworkLayout,
    matrices: Sequence[NDArray],
    biases: Sequence[NDArray],
    apart: bool,
) -> tuple[NDArray, NDArray]:
    """Join last layers, whose inputs are `apart` (those of each network) or the same for all."""
    count, size = len(matrices), layout.parameter_sets
    outputs = replace(layout, parameter_sets=count * size).outputs
    rows = matrices[0].shape[0]
    weight = np.zeros((rows * (count if apart else 1), outputs), matrices[0].dtype)
    bias = np.zeros(outputs, biases[0].dtype)
    for k, (matrix, offset) in enumerate(zip(matrices, biases, strict=True)):
        units = slice(k * rows, (k + 1) * rows) if apart else slice(None)
        for parameter in range(len(layout.process.parameters)):
            own = slice(parameter * size, (parameter + 1) * size)
            place = slice((parameter * count + k) * size, (parameter * count + k + 1) * size)
            weight[units, place] = matrix[:, own]
            bias[place] = offset[own]
        weight[units, -2:] += matrix[:, -2:] / count
        bias[-2:] += offset[-2:] / count
    return weight, bias


def single_network(
    layout: NetworkLayout, weights: Mapping[str, NDArray], number: int
) -> tuple[NetworkLayout, dict[str, NDArray]]:
    """Return one of the networks that were joined, with the routing that all share.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping of array
        Weights of the whole.
    number : int
        0 to `layout.networks` - 1.

    Returns
    -------
    layout : NetworkLayout
        With the parameter sets of that network.
    weights : dict of array
    """
    size = layout.parameter_sets // layout.networks

    def columns(parameters: int) -> NDArray:
        first = np.arange(parameters)[:, None] * layout.parameter_sets + number * size
        return (first + np.arange(size)).ravel()

    outputs = columns(len(layout.process.parameters))
    routing = layout.outputs - 2 + np.arange(2)
    chosen = np.concatenate([outputs, routing])
    own = dict(weights)
    last = depth(weights) - 1
    head, bias = f"layer_{last}.weight", f"layer_{last}.bias"
    if layout.static_by == "weather":
        head, bias = STATIC_HEAD, STATIC_BIAS
    own[head], own[bias] = weights[head][:, chosen], weights[bias][chosen]
    if DYNAMIC_HEAD in weights:
        own[DYNAMIC_HEAD] = weights[DYNAMIC_HEAD][:, columns(len(layout.dynamic))]
    return replace(layout, parameter_sets=size, networks=1), own


def _merged_lstm(
    layout: NetworkLayout, networks: Sequence[Mapping[str, NDArray]]
) -> dict[str, NDArray]:
    """Join LSTMs: each gate of the whole holds that gate of each network."""

    def gates(name: str) -> list[list[NDArray]]:
        return [np.split(network[name], 4, axis=-1) for network in networks]

    def of_gate(name: str, gate: int) -> list[NDArray]:
        return [split[gate] for split in gates(name)]

    heads = []
    size = layout.parameter_sets
    for k, network in enumerate(networks):
        head = network[DYNAMIC_HEAD]
        whole = np.zeros((head.shape[0], head.shape[1] * len(networks)), head.dtype)
        for parameter in range(len(layout.dynamic)):
            place = (parameter * len(networks) + k) * size
            whole[:, place : place + size] = head[:, parameter * size : (parameter + 1) * size]
        heads.append(whole)

    def joined(name: str, apart: bool) -> NDArray:
        """Join each gate's matrix, for inputs of each network or the same for all."""
        return np.concatenate(
            [
                _diagonal(of_gate(name, gate))
                if apart
                else np.concatenate(of_gate(name, gate), axis=1)
                for gate in range(4)
            ],
            axis=1,
        )

    before = ENTRANCE in networks[0]
    merged = {
        "lstm.input": joined("lstm.input", before),
        "lstm.hidden": joined("lstm.hidden", True),
        "lstm.bias": np.concatenate(
            [np.concatenate(of_gate("lstm.bias", gate)) for gate in range(4)]
        ),
        DYNAMIC_HEAD: np.concatenate(heads, axis=0),
        FORCING_MEAN: networks[0][FORCING_MEAN],
        FORCING_DEVIATION: networks[0][FORCING_DEVIATION],
    }
    if before:
        merged[ENTRANCE] = np.concatenate(_each(networks, ENTRANCE), axis=1)
        merged[ENTRANCE_BIAS] = np.concatenate(_each(networks, ENTRANCE_BIAS))
    return merged


def _diagonal(matrices: Sequence[NDArray]) -> NDArray:
    rows, columns = matrices[0].shape
    whole = np.zeros((rows * len(matrices), columns * len(matrices)), matrices[0].dtype)
    for k, matrix in enumerate(matrices):
        whole[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = matrix
    return whole
