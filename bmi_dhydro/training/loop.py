"""Training a parameter network through the process model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..differentiable import Block, run, torch_parameters
from ..networks.normalisation import Normalisation
from ..networks.parameter_network import NetworkLayout, initial_weights
from ..physics.unit_hydrograph import DISCHARGE
from .data import TrainingData
from .loss import scaled_squared_error


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    batches : int
        Optimisation steps.
    catchments, days : int
        Size of a batch; the first `warm_up` days of it do not count.
    warm_up : int
    learning_rate, weight_decay : float
    noise : float
        Standard deviation of noise on the normalised attributes, against learning catchments
        by heart.
    seed : int
    """

    hidden: tuple[int, ...] = (128,)
    batches: int = 1500
    catchments: int = 96
    days: int = 1095
    warm_up: int = 365
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    noise: float = 0.0
    seed: int = 0


def simulate(
    layout: NetworkLayout,
    weights: dict[str, Tensor],
    inputs: Tensor,
    area: Tensor,
    forcing: Tensor,
) -> Tensor:
    """Run the model over a block of days from empty stores.

    Parameters
    ----------
    layout : NetworkLayout
    weights : dict of Tensor
    inputs : Tensor, shape (catchments, attributes)
        Normalised.
    area : Tensor, shape (catchments,)
        In km2.
    forcing : Tensor, shape (days, forcings, catchments)

    Returns
    -------
    Tensor, shape (days, catchments)
        Discharge in mm d-1.
    """
    process, routing = torch_parameters(layout, weights, inputs)
    block = Block(torch.stack(process), routing, area, forcing)
    return run(layout.process, (DISCHARGE,), block).outputs[DISCHARGE]


def _windows(
    observed: NDArray, settings: TrainingSettings, random: np.random.Generator
) -> Iterator[tuple[NDArray, int]]:
    """Draw batches: indices of catchments and the first day of their common window."""
    days, catchments = observed.shape
    size = min(settings.catchments, catchments)
    while True:
        first = int(random.integers(0, days - settings.days + 1))
        counted = observed[first + settings.warm_up : first + settings.days]
        usable = np.flatnonzero(np.isfinite(counted).any(axis=0))
        if usable.size:
            yield random.choice(usable, min(size, usable.size), replace=False), first


def train(
    layout: NetworkLayout,
    data: TrainingData,
    settings: TrainingSettings,
    progress: Callable[[int, float], None] = lambda batch, loss: None,
) -> tuple[dict[str, NDArray], Normalisation]:
    """Train a network on observed streamflow.

    Parameters
    ----------
    layout : NetworkLayout
    data : TrainingData
        The catchments and days to learn from, and no others.
    settings : TrainingSettings
    progress : callable
        Called after each batch with its number and loss.

    Returns
    -------
    weights : dict of array
    normalisation : Normalisation
        Of the attributes.

    Raises
    ------
    FloatingPointError
        If a loss is not a number; names the batch and its catchments.
    """
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    normalisation = Normalisation.of({name: data.attributes[name] for name in layout.attributes})
    inputs = torch.as_tensor(normalisation(data.attributes), dtype=torch.float32)
    area = torch.as_tensor(data.attributes["area"], dtype=torch.float32)
    forcing = torch.as_tensor(data.forcing)
    observed = torch.as_tensor(data.streamflow)
    spread = torch.as_tensor(np.nanstd(data.streamflow, axis=0))
    weights = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in initial_weights(layout, settings.hidden, settings.seed).items()
    }
    optimiser = torch.optim.AdamW(
        weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=settings.learning_rate, total_steps=settings.batches
    )
    windows = _windows(data.streamflow, settings, random)
    for batch in range(settings.batches):
        chosen, first = next(windows)
        index = torch.as_tensor(chosen)
        block = slice(first, first + settings.days)
        seen = inputs[index]
        if settings.noise:
            seen = seen + settings.noise * torch.randn_like(seen)
        discharge = simulate(layout, weights, seen, area[index], forcing[block][:, :, index])
        loss = scaled_squared_error(
            discharge[settings.warm_up :],
            observed[block][settings.warm_up :, index],
            spread[index],
        )
        if not torch.isfinite(loss):
            names = ", ".join(map(str, data.ids[chosen][:5]))
            raise FloatingPointError(
                f"loss of batch {batch} is {loss.item()}; days from {data.dates[first]}, "
                f"catchments {names} and {max(0, len(chosen) - 5)} more"
            )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimiser.step()
        schedule.step()
        progress(batch, loss.item())
    return {name: value.detach().numpy() for name, value in weights.items()}, normalisation
