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
    FORCING_DEVIATION,
    FORCING_MEAN,
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
    count, size = len(networks), layout.parameter_sets
    layers = depth(networks[0])
    merged: dict[str, NDArray] = {}
    for layer in range(layers):
        matrices = [np.asarray(network[f"layer_{layer}.weight"]) for network in networks]
        biases = [np.asarray(network[f"layer_{layer}.bias"]) for network in networks]
        if layer < layers - 1:
            weight = np.concatenate(matrices, axis=1) if layer == 0 else _diagonal(matrices)
            merged[f"layer_{layer}.weight"] = weight
            merged[f"layer_{layer}.bias"] = np.concatenate(biases)
            continue
        whole = replace(layout, parameter_sets=count * size)
        rows = matrices[0].shape[0]
        stacked = rows * (1 if layer == 0 else count)
        weight = np.zeros((stacked, whole.outputs), matrices[0].dtype)
        bias = np.zeros(whole.outputs, biases[0].dtype)
        for k, (matrix, offset) in enumerate(zip(matrices, biases, strict=True)):
            units = slice(None) if layer == 0 else slice(k * rows, (k + 1) * rows)
            for parameter in range(len(layout.process.parameters)):
                own = slice(parameter * size, (parameter + 1) * size)
                place = slice((parameter * count + k) * size, (parameter * count + k + 1) * size)
                weight[units, place] = matrix[:, own]
                bias[place] = offset[own]
            weight[units, -2:] += matrix[:, -2:] / count
            bias[-2:] += offset[-2:] / count
        merged[f"layer_{layer}.weight"], merged[f"layer_{layer}.bias"] = weight, bias
    merged[AREA_EXPONENT] = np.mean([network[AREA_EXPONENT] for network in networks], axis=0)
    if layout.dynamic:
        merged.update(_merged_lstm(layout, networks))
    return replace(layout, parameter_sets=count * size, networks=count), merged


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
    own[f"layer_{last}.weight"] = weights[f"layer_{last}.weight"][:, chosen]
    own[f"layer_{last}.bias"] = weights[f"layer_{last}.bias"][chosen]
    if layout.dynamic:
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
    return {
        "lstm.input": np.concatenate(
            [np.concatenate(of_gate("lstm.input", gate), axis=1) for gate in range(4)], axis=1
        ),
        "lstm.hidden": np.concatenate(
            [_diagonal(of_gate("lstm.hidden", gate)) for gate in range(4)], axis=1
        ),
        "lstm.bias": np.concatenate(
            [np.concatenate(of_gate("lstm.bias", gate)) for gate in range(4)]
        ),
        DYNAMIC_HEAD: np.concatenate(heads, axis=0),
        FORCING_MEAN: networks[0][FORCING_MEAN],
        FORCING_DEVIATION: networks[0][FORCING_DEVIATION],
    }


def _diagonal(matrices: Sequence[NDArray]) -> NDArray:
    rows, columns = matrices[0].shape
    whole = np.zeros((rows * len(matrices), columns * len(matrices)), matrices[0].dtype)
    for k, matrix in enumerate(matrices):
        whole[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = matrix
    return whole
