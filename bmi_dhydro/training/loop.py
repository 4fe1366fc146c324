"""Training a parameter network through the process model.

Every batch is drawn from its own random numbers, made of the seed and the batch's number. So what
training has to remember are the weights and the optimiser, and training that was cut off goes on
with the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import TrainingError, listed
from ..evaluation.metrics import nse
from ..evaluation.targets import TARGETS
from ..kernels.gpu.devices import devices_of
from ..model.differentiable import (
    Block,
    hidden_states,
    run,
    torch_dynamics,
    torch_parameters,
)
from ..networks.normalisation import Normalisation
from ..networks.parameter_network import (
    FORCING_DEVIATION,
    FORCING_MEAN,
    NetworkLayout,
    initial_weights,
)
from ..physics.unit_hydrograph import DISCHARGE
from .config import TrainingSettings
from .data import TrainingData
from .fine_tuning import Start, distance, learned_names
from .gauges import FIXED
from .loss import LOSSES, spread_of
from .loss import nse as nse_loss
from .progress import Progress
from .stations import stations_of

# Part of a network, but not learned.
_FIXED = (FORCING_MEAN, FORCING_DEVIATION, *FIXED)


def simulate(
    layout: NetworkLayout,
    weights: dict[str, Tensor],
    inputs: Tensor,
    area: Tensor,
    forcing: Tensor,
    dropout: float = 0.0,
    warm_up: int = 0,
) -> Tensor:
    """Run the model over a block of days from empty stores.

    No gradient flows through the days that fill the stores, as usual for these models (Feng et al.
    2022): most of it comes from the days that count, and a batch takes a third less time.

    Parameters
    ----------
    layout : NetworkLayout
    weights : dict of Tensor
    inputs : Tensor, shape (catchments, attributes)
        Normalised.
    area : Tensor, shape (catchments,)
        In km2.
    forcing : Tensor, shape (days, forcings, catchments)
    dropout : float
        Dropout of the LSTM's outputs, in training.
    warm_up : int
        First days that only fill the stores.

    Returns
    -------
    Tensor, shape (days after `warm_up`, catchments)
        Discharge in mm d-1.
    """
    return simulate_outputs(layout, weights, inputs, area, forcing, dropout, warm_up, (DISCHARGE,))[
        DISCHARGE
    ]


def simulate_outputs(
    layout: NetworkLayout,
    weights: dict[str, Tensor],
    inputs: Tensor,
    area: Tensor,
    forcing: Tensor,
    dropout: float,
    warm_up: int,
    outputs: Sequence[str],
) -> dict[str, Tensor]:
    """Return several outputs of the days after `warm_up`, by name; arguments as `simulate`."""
    hidden = hidden_states(layout, weights, inputs, forcing, warm_up)
    remembered = None
    if layout.static_by == "weather":
        assert hidden is not None
        # As these models were trained: what is known at the end of the block.
        remembered = hidden[-1]
    process, routing = torch_parameters(layout, weights, inputs, remembered)
    dynamic = torch_dynamics(layout, weights, inputs, hidden, remembered, dropout, warm_up)
    block = Block(torch.stack(process), routing, area, forcing[warm_up:])
    block.dynamic = {name: values[warm_up:] for name, values in dynamic.items()}
    if warm_up:
        first = {name: values[:warm_up] for name, values in dynamic.items()}
        with torch.no_grad():
            filled = run(
                layout.process, (), replace(block, forcing=forcing[:warm_up], dynamic=first)
            )
        block.state, block.pending = filled.state, filled.pending
    return run(layout.process, outputs, block).outputs


def learning_rate(settings: TrainingSettings, batch: int) -> float:
    """Return the learning rate of a batch."""
    rise = max(1, settings.batches // 10)
    if batch < rise:
        return settings.learning_rate * (batch + 1) / rise
    done = (batch - rise) / max(1, settings.batches - rise)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


@dataclass(frozen=True)
class Validation:
    """Flow that training does not see, to judge it by.

    Attributes
    ----------
    data : TrainingData
        Its first `warm_up` days do not count.
    warm_up : int
    """

    data: TrainingData
    warm_up: int


class Trainer:
    """Trains one network.

    Parameters
    ----------
    layout : NetworkLayout
    data : TrainingData
        The catchments and days to learn from, and no others.
    settings : TrainingSettings
    seed : int
        Seed of the first weights, the batches and the noise.
    validation : Validation, optional
        Decides which weights are kept, and when to stop; without it the last are kept.
    progress : Progress, optional
        Progress of a run that was cut off.
    device : str
        Where it is done: `cpu`, `cuda` or `cuda:n`. Progress is kept in the host's memory, so that
        a run can go on elsewhere; batches and noise are the same, dropout is not.
    start : Start, optional
        The trained network to begin with; drawn weights, unless given.
    target_weights : mapping, optional
        How much the error of each of `data.targets` counts beside that of flow.

    Raises
    ------
    TrainingError
        If windows are longer than the data, or progress is that of another network.
    """

    def __init__(
        self,
        layout: NetworkLayout,
        data: TrainingData,
        settings: TrainingSettings,
        seed: int = 0,
        validation: Validation | None = None,
        progress: Progress | None = None,
        device: str = "cpu",
        start: Start | None = None,
        target_weights: Mapping[str, float] | None = None,
    ) -> None:
        if settings.days > len(data.dates):
            raise TrainingError(
                f"windows of {settings.days} days do not fit into {len(data.dates)} days of data"
            )
        self.layout, self.data, self.settings, self.seed = layout, data, settings, seed
        self.validation = validation
        self._start = start
        if start is None:
            seen = {name: data.attributes[name] for name in layout.attributes}
            site = {name: data.attributes[name] for name in layout.site}
            self.normalisation = Normalisation.of(seen, site)
        else:
            self.normalisation = start.normalisation(data.attributes)
        self._device = torch.device("cpu") if device == "cpu" else devices_of(device)[0]
        self._inputs, self._area = self._tensors(data)
        self._forcing = self._placed(data.forcing)
        self._observed = self._placed(data.streamflow)
        self._spread = self._placed(np.nanstd(data.streamflow, axis=0))
        self._targets = {
            TARGETS[name].output: (  # type: ignore[index]
                weight,
                self._placed(data.targets[name]),
                self._placed(spread_of(data.targets[name]).astype(np.float32)),
            )
            for name, weight in (target_weights or {}).items()
        }
        self._stations = stations_of(data)
        self._judged = None if validation is None else stations_of(validation.data)
        self._loss = LOSSES[settings.loss]
        first = self._first_weights()
        if progress is not None:
            progress.check_against(first, settings.batches)
        self.progress = progress or Progress(weights=first)
        self._weights = {
            name: self._placed(value.clone()).requires_grad_(name not in _FIXED)
            for name, value in self.progress.weights.items()
        }
        changing = learned_names(first, settings) - set(_FIXED)
        # In the same order whether or not progress was read from a file: the norm of gradients is a
        # sum over them.
        self._trained = [self._weights[name] for name in sorted(changing)]
        self._begun = {name: self._placed(first[name]) for name in sorted(changing)}
        self._averages: dict[str, Tensor] = {}
        if settings.average:
            begun = self.progress.averages or self.progress.weights
            self._averages = {name: self._placed(value.clone()) for name, value in begun.items()}
        self._optimiser = torch.optim.AdamW(
            self._trained, lr=1.0, weight_decay=settings.weight_decay
        )
        self._restore_moments(self.progress.moments)
        if start is not None and validation is not None and not self.progress.scores:
            # So that nothing worse than the start is kept.
            self._validate(validation)

    def _placed(self, values: NDArray | Tensor) -> Tensor:
        """Return values on the device."""
        return torch.as_tensor(values).to(self._device)

    def _first_weights(self) -> dict[str, Tensor]:
        settings = self.settings
        if self._start is not None:
            weights = self._start.weights
        else:
            weights = initial_weights(self.layout, settings.hidden, self.seed, settings.memory)
        if self.layout.dynamic and self._start is None:
            weights[FORCING_MEAN] = np.nanmean(self.data.forcing, axis=(0, 2), dtype=float)
            weights[FORCING_DEVIATION] = np.nanstd(self.data.forcing, axis=(0, 2), dtype=float)
        if self.data.gauged is not None:
            weights |= self.data.gauged.initial_weights(self.seed)
        # In one order of memory, as they are read from a file: products round differently in
        # others, and training that goes on would not be what it was without a break.
        return {
            name: torch.tensor(np.ascontiguousarray(value), dtype=torch.float32)
            for name, value in weights.items()
        }

    def _tensors(self, data: TrainingData) -> tuple[Tensor, Tensor]:
        inputs = self.normalisation(data.attributes).astype(np.float32)
        return self._placed(inputs), self._placed(data.attributes["area"].astype(np.float32))

    def _restore_moments(self, moments: dict[str, Tensor]) -> None:
        for name, weight in self._weights.items():
            found = {
                # The count of steps is a number, which the optimiser keeps in the host's memory.
                key.removeprefix(f"{name}/"): (self._placed(value) if value.ndim else value).clone()
                for key, value in moments.items()
                if key.startswith(f"{name}/")
            }
            if found:
                self._optimiser.state[weight] = found

    def snapshot(self) -> Progress:
        """Return what is needed to go on from here."""
        done = self.progress
        moments = {
            f"{name}/{key}": value.cpu().clone()
            for name, weight in self._weights.items()
            if name in self._begun
            for key, value in self._optimiser.state[weight].items()
        }
        return Progress(
            done.batch,
            _copies(self._weights),
            moments,
            list(done.losses),
            list(done.scores),
            dict(done.best),
            _copies(self._averages),
        )

    @property
    def _kept(self) -> dict[str, Tensor]:
        """The weights that are judged and kept: averages, where there are some."""
        return self._averages or self._weights

    def finished(self) -> bool:
        """Return whether all batches are done, or validation no longer improves."""
        scores = [score for _, score in self.progress.scores]
        stale = len(scores) - 1 - int(np.argmax(scores)) if scores else 0
        return self.progress.batch >= self.settings.batches or stale >= self.settings.patience

    def step(self) -> float:
        """Do one batch; return its loss.

        Raises
        ------
        FloatingPointError
            If the loss is not a number; names the batch and its catchments. The weights stay as
            they were.
        """
        settings, batch = self.settings, self.progress.batch
        stations, catchments, first = self._window(batch)
        index = self._placed(catchments)
        block = slice(first, first + settings.days)
        inputs = self._inputs[index]
        if settings.noise:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + batch)
            noise = torch.randn(inputs.shape, generator=generator)
            # What the network does not see stays as it is.
            noise[:, len(self.layout.attributes) :] = 0.0
            inputs = inputs + settings.noise * self._placed(noise)
        given = (
            self._weights,
            inputs,
            self._area[index],
            self._forcing[block][:, :, index],
            settings.dropout,
            settings.warm_up,
        )
        beside: dict[str, Tensor] = {}
        with self._random(batch):
            if self._targets:
                wanted = (DISCHARGE, *self._targets)
                beside = simulate_outputs(self.layout, *given, wanted)
                discharge = beside.pop(DISCHARGE)
            else:
                discharge = self.discharge(*given)
        counted = self._placed(stations)
        loss = self._loss(
            self._stations.flow(discharge, stations, catchments, self._weights),
            self._observed[block][settings.warm_up :, counted],
            self._spread[counted],
        )
        for name, (weight, observed, spread) in self._targets.items():
            seen = observed[block][settings.warm_up :, index]
            # A window may have none of it.
            if bool(torch.isfinite(seen).any()):
                loss = loss + weight * nse_loss(beside[name], seen, spread[index])
        if settings.keep_near:
            loss = loss + settings.keep_near * distance(self._weights, self._begun)
        self._optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._trained, settings.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            names = listed(self.data.ids[catchments], 5)
            raise FloatingPointError(
                f"loss of batch {batch} is {loss.item()} and its gradient {norm.item()}; days from "
                f"{self.data.dates[first]}, catchments {names}"
            )
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(settings, batch)
        self._optimiser.step()
        # At first there is little to average over.
        remains = min(settings.average, (batch + 1) / (batch + 10))
        for name, average in self._averages.items():
            average.lerp_(self._weights[name].detach(), 1.0 - remains)
        self.progress.batch += 1
        self.progress.losses.append(loss.item())
        due = self.progress.batch % settings.validate_every == 0
        if self.validation is not None and (due or self.progress.batch == settings.batches):
            self._validate(self.validation)
        return loss.item()

    def discharge(
        self,
        weights: dict[str, Tensor],
        inputs: Tensor,
        area: Tensor,
        forcing: Tensor,
        dropout: float = 0.0,
        warm_up: int = 0,
    ) -> Tensor:
        """Return discharge; arguments as `simulate`. Another kind of model overrides it."""
        return simulate(self.layout, weights, inputs, area, forcing, dropout, warm_up)

    @contextmanager
    def _random(self, batch: int) -> Iterator[None]:
        """Let the dropout of a batch be its own, and the caller's random state what it was."""
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed * 1_000_003 + batch)
            yield

    def _window(self, batch: int) -> tuple[NDArray, NDArray, int]:
        """Draw a batch: stations, their catchments, and the first day of their common window.

        A window is as likely as the number of stations that have flow in it, so that each of
        their years counts alike in data sets of different years.
        """
        settings = self.settings
        random = np.random.default_rng([self.seed, batch])
        days, stations = self.data.streamflow.shape
        while True:
            first = int(random.integers(0, days - settings.days + 1))
            counted = self.data.streamflow[first + settings.warm_up : first + settings.days]
            known = np.isfinite(counted).any(axis=0)
            known &= self._stations.begin <= first
            known &= first + settings.days <= self._stations.end
            usable = np.flatnonzero(known)
            if random.random() * stations < usable.size:
                return *self._stations.draw(random, usable, settings.catchments), first

    def _validate(self, validation: Validation) -> None:
        with torch.no_grad():
            inputs, area = self._tensors(validation.data)
            forcing = self._placed(validation.data.forcing)
            discharge = self.discharge(self._kept, inputs, area, forcing)[validation.warm_up :]
            every = np.arange(validation.data.streamflow.shape[1])
            rows = np.arange(len(validation.data.ids))
            assert self._judged is not None
            flow = self._judged.flow(discharge, every, rows, self._kept).cpu().numpy()
        skill = nse(flow, validation.data.streamflow[validation.warm_up :])
        score = float(np.nanmedian(skill))
        if all(score > earlier for _, earlier in self.progress.scores):
            self.progress.best = _copies(self._kept)
        self.progress.scores.append((self.progress.batch, score))

    def result(self) -> dict[str, NDArray]:
        """Return the weights to keep."""
        weights = self.progress.best or _copies(self._kept)
        return {name: value.numpy().copy() for name, value in weights.items()}


def _copies(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of weights in the host's memory."""
    return {name: value.detach().cpu().clone() for name, value in weights.items()}


def train(
    layout: NetworkLayout,
    data: TrainingData,
    settings: TrainingSettings,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda batch, loss: None,
) -> tuple[dict[str, NDArray], Normalisation]:
    """Train a network on observed streamflow, from beginning to end.

    Parameters
    ----------
    layout, data, settings, seed
        As for `Trainer`.
    progress : callable
        Called after each batch with its number and loss.

    Returns
    -------
    weights : dict of array
    normalisation : Normalisation
        Normalisation of the attributes.
    """
    trainer = Trainer(layout, data, settings, seed)
    while not trainer.finished():
        loss = trainer.step()
        progress(trainer.progress.batch, loss)
    return trainer.result(), trainer.normalisation
