"""Fine-tune a trained model on a few catchments that it has not seen, and show what that gives.

    python examples/train_on_few_catchments.py camels_us_daily.nc [--catchments 10] [--draws 5]

Starts from the static model of `benchmarks/skill.py`, which was trained on CAMELS catchments of the
usual 531. Other catchments of the same data set are drawn, and learned from in the same years
(October 1999 to September 2008); all are tested in October 1989 to September 1999. Beside the model
at the start and the fine-tuned ones stands one that learned from these catchments alone. Settings
were chosen by October 1981 to September 1989.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
import xarray
from rich.console import Console
from rich.table import Table

from bmi_dhydro.evaluation.metrics import kge, nse
from bmi_dhydro.networks.trained_model import TrainedModel, load
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.training.fine_tuning import Start
from bmi_dhydro.training.loop import Trainer, simulate

LEARNED, FLOW_FROM = ("1998-10-01", "2008-09-30"), "1999-10-01"
TEST = "1989-10-01", "1999-09-30"
MODEL = Path(__file__).parents[1] / "benchmarks" / "skill" / "static_0.safetensors"

# What each row of the table is trained with; the first learns from nothing.
SETTINGS = {
    "the model at the start": None,
    "all weights": TrainingSettings(batches=400),
    "all weights, near the start": TrainingSettings(batches=400, keep_near=0.003),
    "the last layer alone": TrainingSettings(batches=400, layers="last"),
    "these catchments alone, from drawn weights": TrainingSettings(batches=400),
}


def strangers(path: Path) -> TrainingData:
    """Return the catchments that the model has not seen and that have flow in both periods."""
    data = read_gauged(path).climate_of(*LEARNED)
    with xarray.open_dataset(path) as file:
        usual = file["usual_531"].values == 1
    known = [
        np.isfinite(data.streamflow[data.between(*years)]).sum(axis=0) > 3 * 365
        for years in ((FLOW_FROM, LEARNED[1]), TEST)
    ]
    return data.catchments(~usual & known[0] & known[1])


def trained(data: TrainingData, begun: TrainedModel, settings: TrainingSettings, fresh: bool):
    """Return weights and normalisation of a network trained on these catchments."""
    learned = data.period(*LEARNED)
    flow = learned.streamflow.copy()
    flow[: learned.between(LEARNED[0], FLOW_FROM).stop - 1] = np.nan
    trainer = Trainer(
        begun.layout,
        replace(learned, streamflow=flow),
        settings,
        start=None if fresh else Start(begun),
    )
    while not trainer.finished():
        trainer.step()
    return trainer.result(), trainer.normalisation


def test_flow(data: TrainingData, begun: TrainedModel, weights, normalisation) -> np.ndarray:
    """Return the flow of the test years, from the beginning of the data."""
    days = data.between(str(data.dates[0]), TEST[1])
    with torch.no_grad():
        flow = simulate(
            begun.layout,
            {name: torch.as_tensor(values) for name, values in weights.items()},
            torch.as_tensor(normalisation(data.attributes), dtype=torch.float32),
            torch.as_tensor(data.attributes["area"], dtype=torch.float32),
            torch.as_tensor(data.forcing[days]).contiguous(),
        ).numpy()
    return flow[-len(data.dates[data.between(*TEST)]) :]


@click.command()
@click.argument("data_file", type=click.Path(exists=True, path_type=Path))
@click.option("--catchments", default=10, show_default=True)
@click.option("--draws", default=5, show_default=True, help="How often catchments are drawn.")
def main(data_file: Path, catchments: int, draws: int) -> None:
    """Print the skill of each way to train, over all draws."""
    everything, begun = strangers(data_file), load(MODEL)
    random = np.random.default_rng(0)
    order = random.permutation(len(everything.ids))[: catchments * draws]
    found: dict[str, list[np.ndarray]] = {name: [] for name in SETTINGS}
    seconds = dict.fromkeys(SETTINGS, 0.0)
    for first in range(0, order.size, catchments):
        data = everything.catchments(
            np.isin(np.arange(len(everything.ids)), order[first : first + catchments])
        )
        observed = data.streamflow[data.between(*TEST)]
        for name, settings in SETTINGS.items():
            begin = time.perf_counter()
            weights, normalisation = begun.weights, begun.normalisation
            if settings is not None:
                fresh = name.startswith("these")
                weights, normalisation = trained(data, begun, settings, fresh)
            seconds[name] += time.perf_counter() - begin
            flow = test_flow(data, begun, weights, normalisation)
            found[name].append(np.stack([nse(flow, observed), kge(flow, observed)]))
    table = Table(title=f"{order.size} catchments, {catchments} at a time", title_justify="left")
    for heading in ("learned", "NSE", "KGE", "lower quarter of NSE", "seconds"):
        table.add_column(heading, justify="left" if heading == "learned" else "right")
    for name, rows in found.items():
        scores = np.concatenate(rows, axis=1)
        table.add_row(
            name,
            *(f"{np.median(row):.3f}" for row in scores),
            f"{np.quantile(scores[0], 0.25):.3f}",
            f"{seconds[name] / len(rows):.0f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
