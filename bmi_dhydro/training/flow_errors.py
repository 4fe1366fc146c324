"""Learning how far observed flow lies from simulated flow, from days that training did not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..evaluation.metrics import share_within
from ..kernels.ir.binding import bind
from ..kernels.reference import TORCH_PRIMITIVES
from ..networks.flow_errors import OFFSET, SHARES, FlowErrors, log_quantiles

# What errors depend on beside flow. More attributes fit the catchments that they are learned from
# better, and others worse: with all of CAMELS' the band of left-out catchments held 81 % of the
# days, with this one 94 %.
ATTRIBUTES = ("aridity",)

# Catchments with a year of observed days below which nothing is learned: errors of a few catchments
# say little of others.
LEAST_CATCHMENTS, _LEAST_DAYS = 10, 365

_UNITS, _STEPS, _TOGETHER, _LEARNING_RATE = 16, 800, 2048, 0.01

_quantiles = bind(log_quantiles, TORCH_PRIMITIVES)


def learn_flow_errors(
    simulated: NDArray, observed: NDArray, attributes: Mapping[str, NDArray], seed: int = 0
) -> FlowErrors | None:
    """Learn quantiles of observed flow by the quantile ("pinball") loss (Koenker and Bassett 1978).

    Parameters
    ----------
    simulated, observed : array, shape (days, catchments)
        Daily flow in mm d-1 of days that training did not see; NaN where it was not observed.
    attributes : mapping of array, shape (catchments,)
        Those that the model needs; of these `ATTRIBUTES` count.
    seed : int

    Returns
    -------
    FlowErrors or None
        With the share of days in the band of catchments that it did not learn from, measured by
        leaving out one half of them and then the other. None where fewer than `LEAST_CATCHMENTS`
        have a year of observed days.
    """
    enough = np.isfinite(observed).sum(axis=0) >= _LEAST_DAYS
    count = int(enough.sum())
    if count < LEAST_CATCHMENTS:
        return None
    names = tuple(name for name in ATTRIBUTES if name in attributes)
    simulated, observed = simulated[:, enough], observed[:, enough]
    chosen = {name: np.asarray(attributes[name], dtype=float)[enough] for name in names}
    half = np.random.default_rng(seed).permutation(np.arange(count) % 2 == 0)
    shares = np.empty(count)
    for apart in (half, ~half):
        own = {name: values[~apart] for name, values in chosen.items()}
        other = {name: values[apart] for name, values in chosen.items()}
        errors = _learned(simulated[:, ~apart], observed[:, ~apart], own, seed)
        shares[apart] = coverage(errors, simulated[:, apart], observed[:, apart], other)
    about = {
        "catchments": count,
        "coverage": {
            name: round(float(np.quantile(shares, share)), 3)
            for name, share in (("lower quarter", 0.25), ("median", 0.5), ("upper quarter", 0.75))
        },
    }
    return _learned(simulated, observed, chosen, seed, about)


def coverage(
    errors: FlowErrors, simulated: NDArray, observed: NDArray, attributes: Mapping[str, NDArray]
) -> NDArray:
    """Return which share of observed days lies in the band of each catchment.

    Parameters
    ----------
    errors : FlowErrors
    simulated, observed : array, shape (days, catchments)
    attributes : mapping of array, shape (catchments,)

    Returns
    -------
    array, shape (catchments,)
        NaN where nothing was observed.
    """
    low, _, high = errors.quantiles(simulated, attributes)
    return share_within(observed, low, high)


def _learned(
    simulated: NDArray,
    observed: NDArray,
    attributes: Mapping[str, NDArray],
    seed: int,
    about: Mapping[str, object] | None = None,
) -> FlowErrors:
    logarithm = np.log(np.maximum(simulated, 0.0) + OFFSET)
    target = np.log(observed + OFFSET)
    columns = [logarithm[np.isfinite(observed)], *attributes.values()]
    mean, deviation, lowest, highest = (
        np.array([function(values) for values in columns], dtype=float)
        for function in (np.mean, np.std, np.min, np.max)
    )
    deviation = np.maximum(deviation, 1e-9)
    blank = FlowErrors(tuple(attributes), {}, mean, deviation, lowest, highest, about or {})
    random = np.random.default_rng(seed)
    first = 0.3 / np.sqrt(len(columns))
    weights = {
        "layer_0.weight": first * random.normal(size=(len(columns), _UNITS)),
        "layer_0.bias": np.zeros(_UNITS),
        "layer_1.weight": np.zeros((_UNITS, len(SHARES))),
        "layer_1.bias": np.zeros(len(SHARES)),
    }
    tensors = {
        name: torch.tensor(values, dtype=torch.float32).requires_grad_()
        for name, values in weights.items()
    }
    optimiser = torch.optim.Adam(tensors.values(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    days, places = np.nonzero(np.isfinite(target))
    for _ in range(_STEPS):
        drawn = random.integers(0, days.size, _TOGETHER)
        day, place = days[drawn], places[drawn]
        here = {name: values[place] for name, values in attributes.items()}
        ours = logarithm[day, place]
        inputs, begun, aim = (
            torch.as_tensor(values, dtype=torch.float32)
            for values in (blank.normalised(ours, here), ours, target[day, place])
        )
        loss = _pinball(torch.stack(_quantiles(tensors, begun, inputs)), aim)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    found = {name: values.detach().numpy() for name, values in tensors.items()}
    return replace(blank, weights=found)


def _pinball(quantiles: Tensor, target: Tensor) -> Tensor:
    """Return the mean quantile loss: least for the true quantiles."""
    shares = torch.tensor(SHARES, dtype=target.dtype)[:, None]
    error = target - quantiles
    return torch.maximum(shares * error, (shares - 1.0) * error).mean()
