"""Train the usual peer of a differentiable model: an LSTM that maps weather to flow, nothing else.

    python examples/train_lstm_peer.py mopex_daily.nc [--held-out 0,2,5] [--fewer 30]

Same data, attributes, years and loss as `train_default_model.py`, windows of two years; after
Kratzert et al. 2019 (10.5194/hess-23-5089-2019). With --held-out the catchments of some spatial
groups are left out of training and tested, with --fewer all but a few; without either all are
trained on, and tested on the later years.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import torch
from rich.progress import track
from train_default_model import TESTING, TRAINING, WARM_UP_START, drawn, summary

from bmi_dhydro.catchments.attributes import NETWORK_INPUTS
from bmi_dhydro.evaluation.metrics import kge, nse
from bmi_dhydro.networks.normalisation import Normalisation
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.training.loop import learning_rate
from bmi_dhydro.training.loss import nse as loss_function

# Catchments that are tested at a time, so that memory stays bounded.
_CHUNK = 32


class Peer(torch.nn.Module):
    """Weather and attributes of each day to flow, in units of each catchment's variability."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(inputs, hidden)
        self.dropout = torch.nn.Dropout(0.4)
        self.head = torch.nn.Linear(hidden, 1)
        # Remember at first (Gers et al. 2000): the bias of the forget gate.
        with torch.no_grad():
            self.lstm.bias_hh_l0[hidden : 2 * hidden] = 3.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.lstm(inputs)[0]))[..., 0]


def inputs_of(
    data: TrainingData, days: slice, chosen: np.ndarray, weather: np.ndarray, scale: Normalisation
) -> torch.Tensor:
    """Return normalised weather and attributes: shape (days, catchments, inputs)."""
    rows = data.forcing[days][:, :, chosen].transpose(0, 2, 1)
    rows = (rows - weather[0]) / weather[1]
    attributes = scale({name: data.attributes[name][chosen] for name in NETWORK_INPUTS})
    static = np.broadcast_to(attributes, (rows.shape[0], *attributes.shape))
    return torch.as_tensor(np.concatenate([rows, static], axis=2), dtype=torch.float32)


@click.command()
@click.argument("data_file", type=click.Path(exists=True, path_type=Path))
@click.option("--held-out", help="Spatial groups to leave out of training and to test: 0,2,5.")
@click.option("--fewer", type=int, help="Learn from so many catchments, test on all others.")
@click.option("--scores-file", help="Where to keep the scores of each catchment (.npz).")
@click.option("--hidden", default=128, show_default=True)
@click.option("--batches", default=1500, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    data_file: Path,
    held_out: str | None,
    fewer: int | None,
    scores_file: str | None,
    hidden: int,
    batches: int,
    seed: int,
) -> None:
    """Train on DATA_FILE and print the skill on the testing years."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    begin = time.perf_counter()
    everything = read_gauged(data_file)
    data = everything.catchments(~everything.flagged).climate_of(*TRAINING).observed_in(*TRAINING)
    apart = np.zeros(len(data.ids), bool)
    if held_out is not None:
        apart = np.isin(data.fold, [int(group) for group in held_out.split(",")])
    if fewer is not None:
        apart |= ~drawn(data, fewer)
    learned, judged = data.catchments(~apart), data.catchments(apart) if apart.any() else data
    settings = TrainingSettings(batches=batches, days=730, learning_rate=2e-3)

    past = learned.period(*TRAINING)
    weather = past.forcing.mean(axis=(0, 2)), past.forcing.std(axis=(0, 2))
    scale = Normalisation.of({name: past.attributes[name] for name in NETWORK_INPUTS})
    mean, spread = np.nanmean(past.streamflow), np.nanstd(past.streamflow)
    own_spread = np.nanstd(past.streamflow, axis=0)
    model = Peer(3 + len(NETWORK_INPUTS), hidden)
    optimiser = torch.optim.Adam(model.parameters())
    for batch in track(range(batches), "training"):
        size = min(settings.catchments, len(past.ids))
        chosen = random.choice(len(past.ids), size, replace=False)
        first = int(random.integers(0, len(past.dates) - settings.days + 1))
        days = slice(first, first + settings.days)
        flow = mean + spread * model(inputs_of(past, days, chosen, weather, scale))
        loss = loss_function(
            flow[settings.warm_up :],
            torch.as_tensor(past.streamflow[days][settings.warm_up :, chosen]),
            torch.as_tensor(own_spread[chosen]),
        )
        if not torch.isfinite(loss):
            continue  # a window without a single observation
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, batch)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimiser.step()

    model.eval()
    observed = judged.streamflow[judged.between(*TESTING)]
    simulated = np.empty_like(observed)
    with torch.no_grad():
        for start in range(0, len(judged.ids), _CHUNK):
            chosen = np.arange(start, min(start + _CHUNK, len(judged.ids)))
            days = judged.between(WARM_UP_START, TESTING[1])
            flow = mean + spread * model(inputs_of(judged, days, chosen, weather, scale)).numpy()
            simulated[:, chosen] = np.maximum(flow[-observed.shape[0] :], 0.0)
    scores = nse(simulated, observed), kge(simulated, observed)
    if scores_file is not None:
        np.savez(scores_file, ids=judged.ids, nse=scores[0], kge=scores[1])
    where = "in time" if not apart.any() else f"groups {held_out}, learned from {fewer or 'all'}"
    print(where, summary(scores), f"{(time.perf_counter() - begin) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
