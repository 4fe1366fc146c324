"""Skill on CAMELS by the field's protocol: training 1999 to 2008, test 1989 to 1999, NSE and KGE.

    python benchmarks/skill.py camels_us_daily.nc                  # score the models in skill/
    python benchmarks/skill.py camels_us_daily.nc --train dynamic  # train one of them again
    python benchmarks/skill.py camels_us_daily.nc --years choice   # years for choosing settings
    python benchmarks/skill.py camels_us_daily.nc --train static --space 12       # random folds
    python benchmarks/skill.py camels_us_daily.nc --train static --space regions  # leave one out

Models learn from flow of 1 October 1999 to 30 September 2008 (the weather of the year before fills
their stores), and from nothing else: climate attributes are those of these years. Settings are
chosen by 1 October 1981 to 30 September 1989, and test years (1 October 1989 to 30 September 1999)
are looked at once for a model. Catchments are those of the usual 531 whose flow in the years in
question is in the file. `lstm` is the field's usual peer (Kratzert et al. 2019,
10.5194/hess-23-5089-2019): it maps all weather of the file and all attributes to flow.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Sequence
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
from bmi_dhydro.errors import CheckpointError
from bmi_dhydro.evaluation import metrics
from bmi_dhydro.files.arrays import ArrayFormat
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.lstm_block import hidden_states
from bmi_dhydro.networks.normalisation import Normalisation
from bmi_dhydro.networks.parameter_network import (
    FORCING_DEVIATION,
    FORCING_MEAN,
    NetworkLayout,
)
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.training.flow_errors import coverage, learn_flow_errors
from bmi_dhydro.training.loop import Trainer, simulate
from bmi_dhydro.training.loss import LOSSES

LEARNED = "1998-10-01", "2008-09-30"
FLOW_FROM = "1999-10-01"
YEARS = {"test": ("1989-10-01", "1999-09-30"), "choice": ("1981-10-01", "1989-09-30")}

FOLDER = Path(__file__).with_name("skill")

# Files of the peer, which is no model of the package.
PEER = ArrayFormat(
    "bmi_dhydro benchmark peer", "a peer of the benchmark", 1, 1, CheckpointError, CheckpointError
)

QUARTERS = (0.25, 0.5, 0.75)

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
    peer : bool
        Whether it is an LSTM that gives flow itself.
    """

    dynamic: tuple[str, ...] = ()
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    all_attributes: bool = True
    peer: bool = False


RECIPES = {
    "static": Recipe(),
    "static_nextgen": Recipe(all_attributes=False),
    "dynamic": Recipe(
        ("BETA", "K0", "BETAET", "K1", "PERC"),
        TrainingSettings(days=730, memory=128, batches=3600, dropout=0.2),
    ),
    "lstm": Recipe(
        settings=TrainingSettings(days=730, memory=256, batches=1500, learning_rate=2e-3),
        peer=True,
    ),
}


def read(path: Path) -> TrainingData:
    """Return the catchments of the usual 531, with the climate of the years of learning.

    Their weather has more rows than the process takes, for the peer: the extremes of the day and
    radiation follow.
    """
    with xarray.open_dataset(path) as data:
        usual = data["usual_531"].values == 1
        more = [data[name].values.T for name in ("tmin", "tmax", "srad") if name in data]
    gauged = read_gauged(path).climate_of(*LEARNED)
    forcing = np.concatenate([gauged.forcing, *(rows[:, None] for rows in more)], axis=1)
    return replace(gauged, forcing=forcing.astype(np.float32)).catchments(usual)


class PeerTrainer(Trainer):
    """Trains an LSTM that gives flow, in units of the flow of all catchments."""

    def _first_weights(self) -> dict[str, torch.Tensor]:
        random = np.random.default_rng(self.seed)
        units = self.settings.memory
        inputs = self.data.forcing.shape[1] + len(self.layout.attributes)
        scale = 1.0 / np.sqrt(units)
        flow = self.data.streamflow
        bias = np.zeros(4 * units)
        bias[units : 2 * units] = 3.0  # remember at first (Gers et al. 2000)
        weights = {
            "lstm.input": random.uniform(-scale, scale, (inputs, 4 * units)),
            "lstm.hidden": random.uniform(-scale, scale, (units, 4 * units)),
            "lstm.bias": bias,
            "head.weight": random.uniform(-scale, scale, units),
            "head.bias": np.zeros(1),
            "flow": np.array([np.nanmean(flow), np.nanstd(flow)]),
            FORCING_MEAN: self.data.forcing.mean(axis=(0, 2), dtype=float),
            FORCING_DEVIATION: self.data.forcing.std(axis=(0, 2), dtype=float),
        }
        return {name: torch.tensor(v, dtype=torch.float32) for name, v in weights.items()}

    def discharge(self, weights, inputs, area, forcing, dropout=0.0, warm_up=0):
        """Return flow (days, catchments) in mm d-1; nothing keeps it from being negative."""
        return peer_flow(weights, inputs, forcing, dropout, warm_up)


def peer_flow(
    weights: dict[str, torch.Tensor],
    inputs: torch.Tensor,
    forcing: torch.Tensor,
    dropout: float = 0.0,
    warm_up: int = 0,
) -> torch.Tensor:
    """Return the flow of the peer; arguments as `training.loop.simulate`."""
    mean, deviation = weights[FORCING_MEAN].detach(), weights[FORCING_DEVIATION].detach()
    weather = (forcing.transpose(1, 2) - mean) / deviation
    of_input, of_hidden, bias = (weights[f"lstm.{name}"] for name in ("input", "hidden", "bias"))
    hidden = hidden_states(weather, inputs, of_input, of_hidden, bias, warm_up)[warm_up:]
    if dropout:
        hidden = torch.nn.functional.dropout(hidden, dropout)
    middle, spread = weights["flow"].detach()
    return middle + spread * (hidden @ weights["head.weight"] + weights["head.bias"])


@dataclass(frozen=True)
class Trained:
    """A model of the table: one of the package, or the peer."""

    model: TrainedModel | None = None
    peer: dict[str, np.ndarray] = field(default_factory=dict)
    scale: Normalisation | None = None
    minutes: float = 0.0

    def flow(self, data: TrainingData, own: slice, days: slice) -> np.ndarray:
        """Return the flow of some catchments from the beginning: shape (days, catchments)."""
        scale = self.scale if self.model is None else self.model.normalisation
        assert scale is not None
        inputs = torch.as_tensor(scale(data.attributes)[own], dtype=torch.float32)
        area = torch.as_tensor(data.attributes["area"][own], dtype=torch.float32)
        forcing = torch.as_tensor(data.forcing[days][:, :, own]).contiguous()
        weights = self.peer if self.model is None else self.model.weights
        tensors = {name: torch.as_tensor(values) for name, values in weights.items()}
        with torch.no_grad():
            if self.model is None:
                return peer_flow(tensors, inputs, forcing).numpy()
            forcing = forcing[:, :3].contiguous()
            return simulate(self.model.layout, tensors, inputs, area, forcing).numpy()

    def save(self, path: Path) -> None:
        """Write the model to a `.safetensors` file."""
        if self.model is not None:
            self.model.save(path)
            return
        scale = self.scale
        assert scale is not None
        arrays = {
            **self.peer,
            "attributes.mean": scale.mean,
            "attributes.deviation": scale.deviation,
        }
        about = {"attributes": json.dumps(scale.names), "minutes": str(self.minutes)}
        PEER.save(path, arrays, about)


def load(path: Path, peer: bool) -> Trained:
    """Read a model of the package, or a peer that `Trained.save` wrote."""
    if not peer:
        model = trained_model.load(path)
        return Trained(model, minutes=float(model.about["training"]["minutes"]))
    arrays, about = PEER.read(path)
    mean, deviation = (arrays.pop(f"attributes.{name}") for name in ("mean", "deviation"))
    names = tuple(json.loads(about["attributes"]))
    scale = Normalisation(names, mean, deviation, mean, mean)
    return Trained(peer=arrays, scale=scale, minutes=float(about["minutes"]))


def train(
    data: TrainingData, recipe: Recipe, seed: int, title: str, device: str = "cpu"
) -> Trained:
    """Train a model on the years of learning."""
    names = known_attributes(data) if recipe.all_attributes else NETWORK_INPUTS
    layout = NetworkLayout(HBV, 16, names, recipe.dynamic)
    begin = time.perf_counter()
    learned = data.period(*LEARNED)
    flow = learned.streamflow.copy()
    flow[: learned.between(LEARNED[0], FLOW_FROM).stop - 1] = np.nan
    learned = replace(learned, streamflow=flow)
    if not recipe.peer:
        learned = replace(learned, forcing=np.ascontiguousarray(learned.forcing[:, :3]))
    kind = PeerTrainer if recipe.peer else Trainer
    trainer = kind(layout, learned, recipe.settings, seed, device=device)
    with Progress(disable=not Console().is_terminal) as bar:
        task = bar.add_task(title, total=recipe.settings.batches)
        while not trainer.finished():
            trainer.step()
            bar.advance(task)
    minutes = round((time.perf_counter() - begin) / 60, 1)
    if recipe.peer:
        return Trained(peer=trainer.result(), scale=trainer.normalisation, minutes=minutes)
    training = {
        "data": "CAMELS-US with Maurer weather (Newman et al. 2015, 10.5194/hess-19-209-2015; "
        "Addor et al. 2017, 10.5194/hess-21-5293-2017)",
        "period": [FLOW_FROM, LEARNED[1]],
        "catchments": len(data.ids),
        "potential_evapotranspiration": "hargreaves",
        "seeds": [seed],
        "settings": msgspec.to_builtins(recipe.settings),
        "minutes": minutes,
    }
    about = {
        "name": f"{title} of benchmarks/skill.py",
        "version": "1",
        "licence": "CC-BY-4.0",
        "training": training,
    }
    model = TrainedModel(layout, trainer.result(), trainer.normalisation, about)
    return Trained(model, minutes=minutes)


def scored(data: TrainingData, years: tuple[str, str]) -> np.ndarray:
    """Return which catchments have a year of flow in these years: bool of shape (catchments,)."""
    return np.isfinite(data.streamflow[data.between(*years)]).sum(axis=0) >= 365


def pair(
    trained: Trained, data: TrainingData, years: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated and observed flow of these years, for catchments that have a year of it."""
    days = data.between(str(data.dates[0]), years[1])
    rows = [
        trained.flow(data, slice(first, first + _TOGETHER), days)
        for first in range(0, len(data.ids), _TOGETHER)
    ]
    observed = data.streamflow[data.between(*years)]
    flow = np.concatenate(rows, axis=1)[-len(observed) :]
    known = scored(data, years)
    return flow[:, known], observed[:, known]


def scores(flow: np.ndarray, observed: np.ndarray) -> dict[str, np.ndarray]:
    """Return measures of each catchment, by name."""
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


def half_flow_day(flow: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the day of the water year by which half its flow has passed: the mean over years.

    Snow delays it. Years of which a day is missing do not count. Shapes as `metrics.annual_trend`.
    """
    days = []
    for year in np.unique(years):
        part = flow[years == year]
        passed = np.cumsum(part, axis=0) >= 0.5 * part.sum(axis=0)
        whole = np.isfinite(part).all(axis=0) & (len(part) >= 365)
        days.append(np.where(whole, passed.argmax(axis=0), np.nan))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # catchments without a whole year
        return np.nanmean(days, axis=0)


def quantities(flow: np.ndarray, rain: np.ndarray, years: np.ndarray) -> dict[str, np.ndarray]:
    """Return what no training saw of each catchment, by name; `rain` is that of days with flow."""
    return {
        "baseflow index": metrics.baseflow_index(flow),
        "runoff ratio": np.nansum(flow, axis=0) / rain,
        "trend of annual flow, % in ten years": metrics.annual_trend(flow, years),
        "day by which half a year's flow has passed": half_flow_day(flow, years),
    }


def not_learned(
    flows: dict[str, np.ndarray],
    observed: np.ndarray,
    precipitation: np.ndarray,
    dates: np.ndarray,
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return how well quantities that no training saw agree with observed ones.

    Parameters
    ----------
    flows : dict of array, shape (days, catchments)
        By model, in mm d-1; where no flow was observed they do not count either.
    observed, precipitation : array, shape (days, catchments)
    dates : array of datetime64, shape (days,)

    Returns
    -------
    dict of dict of (float, float)
        By model and quantity: correlation over the catchments, and the median of the sizes of
        differences.
    """
    known = np.isfinite(observed)
    months = dates.astype("datetime64[M]").astype(int)
    years = 1970 + (months + 3) // 12  # water years, from October on
    rain = np.where(known, precipitation, 0.0).sum(axis=0)
    theirs = quantities(observed, rain, years)
    result: dict[str, dict[str, tuple[float, float]]] = {}
    for model, flow in flows.items():
        result[model] = {}
        for name, ours in quantities(np.where(known, flow, np.nan), rain, years).items():
            pairs = np.stack([ours, theirs[name]])
            pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
            correlation = np.corrcoef(pairs)[0, 1] if pairs.shape[1] > 1 else np.nan
            difference = np.median(np.abs(pairs[0] - pairs[1]))
            result[model][name] = float(correlation), float(difference)
    return result


def print_not_learned(found: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Print what `not_learned` found."""
    table = Table(
        title="Not learned: correlation over catchments, median size of differences",
        title_justify="left",
    )
    table.add_column("model")
    for quantity in next(iter(found.values())):
        table.add_column(quantity, justify="right")
    for model, measures in found.items():
        table.add_row(model, *(f"{r:.2f}, {size:.3g}" for r, size in measures.values()))
    Console(width=160).print(table)


def held_by_networks(flows: list[np.ndarray], observed: np.ndarray) -> float:
    """Return the share of days whose flow lies in the band of several networks, 5 to 95 %.

    The median over the catchments. A band of networks alone says how far these differ, not how far
    weather, observations and equations are wrong: expect less than 90 %.
    """
    low, high = np.quantile(flows, (0.05, 0.95), axis=0)
    return float(np.median(metrics.share_within(observed, low, high)))


def held_by_errors(
    trained: Trained, known: TrainingData, others: TrainingData, years: tuple[str, str]
) -> np.ndarray:
    """Return the share of days of each catchment in the band of learned errors, 5 to 95 %.

    Errors are those of the years of choice in the catchments of `known`, days those of `years` in
    `others` that have a year of flow.

    Raises
    ------
    ClickException
        If there are too few catchments to learn errors from.
    """
    has = scored(known, YEARS["choice"])
    here = {name: values[has] for name, values in known.attributes.items()}
    errors = learn_flow_errors(*pair(trained, known, YEARS["choice"]), here)
    if errors is None:
        raise click.ClickException("too few catchments have flow in the years of choice")
    there = {name: values[scored(others, years)] for name, values in others.attributes.items()}
    return coverage(errors, *pair(trained, others, years), there)


def in_space(
    data: TrainingData,
    recipe: Recipe,
    groups: np.ndarray,
    chosen: Sequence[str],
    years: tuple[str, str],
    files: str | None,
    device: str,
) -> tuple[dict[str, np.ndarray], float]:
    """Leave each of `chosen` (groups of catchments: "0,4,7") out of training once, and score it.

    Models are kept in `files`, if that is given, with the numbers of the groups after it, and are
    not trained again where they are there, so that what was cut off goes on. Returns measures by
    name, and minutes of training.
    """
    parts, minutes = [], 0.0
    for group in chosen:
        apart = np.isin(groups, [int(number) for number in group.split(",")])
        path = None if files is None else Path(f"{files}_{group}.safetensors")
        if path is not None and path.exists():
            trained = load(path, recipe.peer)
        else:
            trained = train(data.catchments(~apart), recipe, 0, f"without {group}", device)
            if path is not None:
                trained.save(path)
        minutes += trained.minutes
        other = data.catchments(apart)
        parts.append(scores(*pair(trained, other, years)))
        if years == YEARS["test"]:
            held = held_by_errors(trained, data.catchments(~apart), other, years)
            parts[-1]["days in band"] = held
        middle = np.nanmedian(parts[-1]["NSE"])
        count = len(parts[-1]["NSE"])
        print(f"without group {group}: NSE {middle:.3f} in {count} catchments", flush=True)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, minutes


def draw(
    path: Path,
    data: TrainingData,
    found: dict[str, dict[str, np.ndarray]],
    years: tuple[str, str],
) -> None:
    """Draw the distributions of NSE side by side, and a map of that of the best model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    axis, chart = figure.subplots(1, 2, width_ratios=(1.0, 1.4))
    best = max(found, key=lambda name: float(np.nanmedian(found[name]["NSE"])))
    known = scored(data, years)
    dots = chart.scatter(
        data.longitude[known],
        data.latitude[known],
        c=found[best]["NSE"],
        s=14,
        vmin=0.0,
        vmax=1.0,
        cmap="viridis",
    )
    figure.colorbar(dots, ax=chart, label="NSE", extend="min", shrink=0.8)
    chart.set(xlabel="longitude", ylabel="latitude", title=best, aspect=1.25)
    for name, measures in found.items():
        values = np.sort(measures["NSE"][np.isfinite(measures["NSE"])])
        share = (np.arange(values.size) + 0.5) / values.size
        axis.plot(values, share, label=f"{name}: {np.median(values):.3f}")
    axis.set(xlabel="NSE", ylabel="share of catchments", xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    axis.grid(alpha=0.3)
    axis.legend(title="median")
    figure.savefig(path, dpi=120)


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
@click.option("--years", type=click.Choice(list(YEARS)), default="test", show_default=True)
@click.option("--batches", type=int, help="Of training; those of the table, unless given.")
@click.option("--loss", type=click.Choice(list(LOSSES)), help="What training makes small.")
@click.option("--device", default="cpu", show_default=True, help="To train on: cpu, or cuda.")
@click.option("--space", help="Score what is trained in space: random folds (12), or regions.")
@click.option(
    "--held-out",
    multiple=True,
    help="Groups to leave out together, such as 0,4,7; may be given several times. Each group "
    "alone, unless given.",
)
@click.option("--only", multiple=True, help="Score these models; all in the folder, unless given.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Of trained models: skill/, unless given. With --space they are kept only where it is "
    "given, and what was cut off goes on.",
)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the distributions of NSE.")
def main(
    data_file: Path,
    wanted: str | None,
    seed: int,
    years: str,
    batches: int | None,
    loss: str | None,
    device: str,
    space: str | None,
    held_out: tuple[str, ...],
    only: tuple[str, ...],
    folder: Path | None,
    picture: Path | None,
) -> None:
    """Train and score models on DATA_FILE, the CAMELS catchments of the United States."""
    data = read(data_file)
    period = YEARS[years]
    title = f"CAMELS, {' to '.join(period)}: medians over catchments"
    given = {"batches": batches, "loss": loss}
    given = {key: value for key, value in given.items() if value is not None}
    recipe = RECIPES[wanted] if wanted is not None else Recipe()
    recipe = replace(recipe, settings=msgspec.structs.replace(recipe.settings, **given))
    if space is not None:
        if wanted is None:
            raise click.UsageError("--space trains: name what, with --train")
        group_of = data.fold
        if space != "regions":
            group_of = np.random.default_rng(0).permutation(np.arange(len(data.ids)) % int(space))
        chosen = held_out or tuple(map(str, np.unique(group_of)))
        files = None
        if folder is not None:
            folder.mkdir(exist_ok=True, parents=True)
            files = str(folder / f"{wanted}_without_{space}")
        measures, minutes = in_space(data, recipe, group_of, chosen, period, files, device)
        kind = "regions left out" if space == "regions" else f"{space} random folds"
        name = f"{wanted}, {kind}"
        print_table({name: measures}, {name: minutes}, title)
        return
    folder = FOLDER if folder is None else folder
    flows: dict[str, np.ndarray] = {}
    bands: list[str] = []
    minutes_of: dict[str, float] = {}
    observed = np.empty((0, 0))
    if wanted is not None:
        folder.mkdir(exist_ok=True)
        name = f"{wanted}_{seed}"
        trained = train(data, recipe, seed, name, device)
        file = folder / f"{name}.safetensors"
        trained.save(file)
        only = (*only, name)
    for path in sorted(folder.glob("*.safetensors")):
        if path.stem in only or (not only and wanted is None):
            trained = load(path, RECIPES[path.stem.rpartition("_")[0]].peer)
            flows[path.stem], observed = pair(trained, data, period)
            minutes_of[path.stem] = trained.minutes
            if years == "test":
                held = np.nanquantile(held_by_errors(trained, data, data, period), QUARTERS)
                bands.append(
                    f"{path.stem}: 5 to 95 % of errors of 1981 to 1989 hold {100 * held[1]:.0f} % "
                    f"of the days (median; quarters {100 * held[0]:.0f}, {100 * held[2]:.0f} %)"
                )
    for kind in RECIPES:
        seeds = [name for name in flows if name.rpartition("_")[0] == kind]
        if len(seeds) > 1:
            own = [flows[name] for name in seeds]
            name = f"{kind}, mean of {len(seeds)}"
            flows[name] = np.mean(own, axis=0)
            minutes_of[name] = sum(minutes_of[seed] for seed in seeds)
            share = 100 * held_by_networks(own, observed)
            bands.append(
                f"{kind}: the band of {len(seeds)} seeds, 5 to 95 %, holds {share:.0f} % of the "
                "days (median)"
            )
    found = {name: scores(flow, observed) for name, flow in flows.items()}
    print_table(found, minutes_of, title)
    for band in bands:
        print(band)
    known, days = scored(data, period), data.between(*period)
    rain = data.forcing[days][:, 0, known]
    print_not_learned(not_learned(flows, observed, rain, data.dates[days]))
    if picture is not None:
        draw(picture, data, found, period)


if __name__ == "__main__":
    main()
