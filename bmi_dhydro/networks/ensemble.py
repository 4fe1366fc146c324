"""Several networks as one: the components of each become components of the whole."""

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
    layout: NetworkLayout, members: Sequence[Mapping[str, NDArray]]
) -> tuple[NetworkLayout, dict[str, NDArray]]:
    """Join networks that were trained apart, from different seeds.

    Hidden units stand side by side, so that each member computes what it did alone; its components
    follow those of the member before it. A catchment has one unit hydrograph, so the outputs for
    routing are averaged, before the sigmoid.

    Parameters
    ----------
    layout : NetworkLayout
        Layout of each member.
    members : sequence of dict
        Weights, of equal shapes.

    Returns
    -------
    layout : NetworkLayout
        With the components of all members.
    weights : dict of array
    """
    count, size = len(members), layout.components
    layers = depth(members[0])
    merged: dict[str, NDArray] = {}
    for layer in range(layers):
        matrices = [np.asarray(member[f"layer_{layer}.weight"]) for member in members]
        biases = [np.asarray(member[f"layer_{layer}.bias"]) for member in members]
        if layer < layers - 1:
            weight = np.concatenate(matrices, axis=1) if layer == 0 else _diagonal(matrices)
            merged[f"layer_{layer}.weight"] = weight
            merged[f"layer_{layer}.bias"] = np.concatenate(biases)
            continue
        whole = replace(layout, components=count * size)
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
    merged[AREA_EXPONENT] = np.mean([member[AREA_EXPONENT] for member in members], axis=0)
    if layout.dynamic:
        merged.update(_memories(layout, members))
    return replace(layout, components=count * size, members=count), merged


def member(
    layout: NetworkLayout, weights: Mapping[str, NDArray], number: int
) -> tuple[NetworkLayout, dict[str, NDArray]]:
    """Return one of the networks that were joined, with the routing that all share.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping of array
        Weights of the whole.
    number : int
        0 to `layout.members` - 1.

    Returns
    -------
    layout : NetworkLayout
        With the components of that member.
    weights : dict of array
    """
    size = layout.components // layout.members

    def columns(parameters: int) -> NDArray:
        first = np.arange(parameters)[:, None] * layout.components + number * size
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
    return replace(layout, components=size, members=1), own


def _memories(
    layout: NetworkLayout, members: Sequence[Mapping[str, NDArray]]
) -> dict[str, NDArray]:
    """Join memories: each gate of the whole holds that gate of each member."""

    def gates(name: str) -> list[list[NDArray]]:
        return [np.split(member[name], 4, axis=-1) for member in members]

    def of_gate(name: str, gate: int) -> list[NDArray]:
        return [parts[gate] for parts in gates(name)]

    heads = []
    size = layout.components
    for k, member in enumerate(members):
        head = member[DYNAMIC_HEAD]
        whole = np.zeros((head.shape[0], head.shape[1] * len(members)), head.dtype)
        for parameter in range(len(layout.dynamic)):
            place = (parameter * len(members) + k) * size
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
        FORCING_MEAN: members[0][FORCING_MEAN],
        FORCING_DEVIATION: members[0][FORCING_DEVIATION],
    }


def _diagonal(matrices: Sequence[NDArray]) -> NDArray:
    rows, columns = matrices[0].shape
    whole = np.zeros((rows * len(matrices), columns * len(matrices)), matrices[0].dtype)
    for k, matrix in enumerate(matrices):
        whole[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = matrix
    return whole
