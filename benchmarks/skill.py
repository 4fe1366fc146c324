"""Skill on CAMELS by the field's protocol: training 1999 to 2008, test 1989 to 1999, NSE and KGE.

    python benchmarks/skill.py camels_us_daily.nc                  # score the models in skill/
    python benchmarks/skill.py camels_us_daily.nc --train dynamic  # train one of them again
    python benchmarks/skill.py camels_us_daily.nc --years choice   # years for choosing settings

Models learn from flow of 1 October 1999 to 30 September 2008 (the weather of the year before fills
their stores), and from nothing else: climate attributes are those of these years. Settings are
chosen by 1 October 1981 to 30 September 1989, and test years (1 October 1989 to 30 September 1999)
are looked at once for a model. Catchments are those of the usual 531 whose flow in the years in
question is in the file.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import msgspec
import numpy as np
import torch
import xarray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bmi_dhydro.catchments.attributes import ATTRIBUTES, NETWORK_INPUTS
from bmi_dhydro.evaluation import metrics
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.merged import merge
from bmi_dhydro.networks.parameter_network import NetworkLayout
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.training.loop import Trainer, simulate

LEARNED = "1998-10-01", "2008-09-30"
FLOW_FROM = "1999-10-01"
YEARS = {"test": ("1989-10-01", "1999-09-30"), "choice": ("1981-10-01", "1989-09-30")}

FOLDER = Path(__file__).with_name("skill")

# Catchments that are simulated at a time, so that memory stays bounded.
_TOGETHER = 64


def known_attributes(data: TrainingData) -> tuple[str, ...]:
    """Return all attributes of the vocabulary that the file has, but the area."""
    return tuple(name for name in ATTRIBUTES if name in data.attributes and name != "area")


@dataclass(frozen=True)
class Recipe:
    """How a model of the table is trained.

    Attributes
    ----------
    dynamic : tuple of str
        Parameters that move from day to day.
    settings : TrainingSettings
    all_attributes : bool
        Whether the network sees all attributes of the file, or those of a NextGen user alone.
    """

    dynamic: tuple[str, ...] = ()
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    all_attributes: bool = True


RECIPES = {
    "static": Recipe(),
    "static_nextgen": Recipe(all_attributes=False),
    "dynamic": Recipe(
        ("BETA", "K0", "BETAET"),
        TrainingSettings(days=730, memory=128, batches=1500),
    ),
}


def read(path: Path) -> TrainingData:
    """Return the catchments of the usual 531, with the climate of the years of learning."""
    with xarray.open_dataset(path) as data:
        usual = data["usual_531"].values == 1
    return read_gauged(path).catchments(usual).climate_of(*LEARNED)


def train(
    data: TrainingData, recipe: Recipe, seeds: range, about: dict[str, object]
) -> TrainedModel:
    """Train a model on the years of learning; the networks of several seeds make one."""
    names = known_attributes(data) if recipe.all_attributes else NETWORK_INPUTS
    layout = NetworkLayout(HBV, 16, names, recipe.dynamic)
    begin = time.perf_counter()
    learned = data.period(*LEARNED)
    flow = learned.streamflow.copy()
    flow[: learned.between(LEARNED[0], FLOW_FROM).stop - 1] = np.nan
    learned = replace(learned, streamflow=flow)
    networks = []
    with Progress() as bar:
        task = bar.add_task("training", total=recipe.settings.batches * len(seeds))
        for seed in seeds:
            trainer = Trainer(layout, learned, recipe.settings, seed)
            while not trainer.finished():
                trainer.step()
                bar.advance(task)
            networks.append(trainer.result())
    joined, weights = merge(layout, networks)
    training = {
        "data": "CAMELS-US with Maurer weather (Newman et al. 2015, 10.5194/hess-19-209-2015; "
        "Addor et al. 2017, 10.5194/hess-21-5293-2017)",
        "period": [FLOW_FROM, LEARNED[1]],
        "catchments": len(data.ids),
        "potential_evapotranspiration": "hargreaves",
        "seeds": list(seeds),
        "settings": msgspec.to_builtins(recipe.settings),
        "minutes": round((time.perf_counter() - begin) / 60, 1),
    }
    return TrainedModel(
        joined,
        weights,
        trainer.normalisation,
        {**about, "licence": "CC-BY-4.0", "training": training},
    )


def simulated(model: TrainedModel, data: TrainingData, end: str) -> np.ndarray:
    """Return flow from the beginning of the file to a day: shape (days, catchments)."""
    weights = {name: torch.as_tensor(values) for name, values in model.weights.items()}
    inputs = torch.as_tensor(model.normalisation(data.attributes), dtype=torch.float32)
    area = torch.as_tensor(data.attributes["area"], dtype=torch.float32)
    forcing = torch.as_tensor(data.forcing[data.between(str(data.dates[0]), end)])
    rows = []
    with torch.no_grad():
        for first in range(0, len(inputs), _TOGETHER):
            own = slice(first, first + _TOGETHER)
            weather = forcing[:, :, own].contiguous()
            flow = simulate(model.layout, weights, inputs[own], area[own], weather)
            rows.append(flow.numpy())
    return np.concatenate(rows, axis=1)


def scores(
    model: TrainedModel, data: TrainingData, years: tuple[str, str]
) -> dict[str, np.ndarray]:
    """Return measures of each catchment with flow in these years, by name."""
    flow = simulated(model, data, years[1])
    observed = data.streamflow[data.between(*years)]
    flow = flow[-len(observed) :]
    known = np.isfinite(observed).sum(axis=0) >= 365
    flow, observed = flow[:, known], observed[:, known]
    correlation, variability, bias = metrics.kge_parts(flow, observed)
    high, low = metrics.bias_of_extremes(flow, observed)
    return {
        "NSE": metrics.nse(flow, observed),
        "KGE": metrics.kge(flow, observed),
        "correlation": correlation,
        "variability": variability,
        "bias of the mean": bias - 1.0,
        "of high flows": high,
        "of low flows": low,
    }


def print_table(
    found: dict[str, dict[str, np.ndarray]], minutes: dict[str, float], title: str
) -> None:
    """Print medians over the catchments; of biases, the median and that of their sizes."""
    table = Table(title=title, title_justify="left")
    columns = list(next(iter(found.values())))
    for name in ("model", *columns, "catchments", "minutes"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name, measures in found.items():
        cells = []
        for column, values in measures.items():
            middle = np.nanmedian(values)
            biased = column.startswith(("bias", "of "))
            text = f"{100 * middle:+.0f} %" if biased else f"{middle:.3f}"
            cells.append(
                text + (f" (|{100 * np.nanmedian(np.abs(values)):.0f}|)" if biased else "")
            )
        count = len(next(iter(measures.values())))
        table.add_row(name, *cells, str(count), f"{minutes[name]:.0f}")
    Console(width=160).print(table)


@click.command()
@click.argument("data_file", type=click.Path(exists=True, path_type=Path))
@click.option("--train", "wanted", type=click.Choice(list(RECIPES)), help="Train this model first.")
@click.option("--seed", default=0, show_default=True)
@click.option("--networks", default=1, show_default=True, help="Networks, of seeds that follow.")
@click.option("--years", type=click.Choice(list(YEARS)), default="test", show_default=True)
@click.option("--only", multiple=True, help="Score these models; all in the folder, unless given.")
@click.option("--folder", default=FOLDER, type=click.Path(path_type=Path), show_default=True)
def main(
    data_file: Path,
    wanted: str | None,
    seed: int,
    networks: int,
    years: str,
    only: tuple[str, ...],
    folder: Path,
) -> None:
    """Train and score models on DATA_FILE, the CAMELS catchments of the United States."""
    data = read(data_file)
    if wanted is not None:
        folder.mkdir(exist_ok=True)
        name = wanted if networks == 1 else f"{wanted}_{networks}_seeds"
        about = {"name": f"{name} of benchmarks/skill.py", "version": "1"}
        model = train(data, RECIPES[wanted], range(seed, seed + networks), about)
        model.save(folder / f"{name}.safetensors")
        only = (*only, name)
    paths = [path for path in sorted(folder.glob("*.safetensors")) if not only or path.stem in only]
    models = {path.stem: trained_model.load(path) for path in paths}
    found = {name: scores(model, data, YEARS[years]) for name, model in models.items()}
    minutes = {name: float(model.about["training"]["minutes"]) for name, model in models.items()}
    print_table(found, minutes, f"CAMELS, {' to '.join(YEARS[years])}: medians over catchments")


if __name__ == "__main__":
    main()
