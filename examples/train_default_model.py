"""Train the model that comes with the package, and measure it on years and regions it never saw.

    python examples/train_default_model.py mopex_daily.nc hbv.safetensors --camels camels_us.nc

The data are the MOPEX catchments of the NOAA National Weather Service (Duan et al. 2006,
10.1016/j.jhydrol.2005.07.031) and those of CAMELS-US (Newman et al. 2015,
10.5194/hess-19-209-2015; Addor et al. 2017, 10.5194/hess-21-5293-2017), each in one NetCDF file as
`training.data.read_gauged` wants it. A gauge that is in both counts once.

Of MOPEX, training uses water years up to 1975, and 1976 to 1989 are for testing; of CAMELS, water
years 2000 to 2008 are for training and 1990 to 1999 for testing, as usual. For skill in space each
spatial group of MOPEX catchments (or each of some random folds) is left out of training once, and
tested on the same years: then without CAMELS, whose catchments are their neighbours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from rich.progress import Progress

from bmi_dhydro.catchments.attributes import NETWORK_INPUTS
from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.evaluation.metrics import bias_of_extremes, kge, nse
from bmi_dhydro.networks.flow_errors import FlowErrors
from bmi_dhydro.networks.learned_evapotranspiration import LearnedEvapotranspiration
from bmi_dhydro.networks.merged import merge
from bmi_dhydro.networks.parameter_network import NetworkLayout
from bmi_dhydro.networks.similarity import TrainingCatchments
from bmi_dhydro.networks.trained_model import TrainedModel, load
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.training.dependence_on_start import dependence_on_start, described
from bmi_dhydro.training.fine_tuning import Start
from bmi_dhydro.training.flow_errors import learn_flow_errors
from bmi_dhydro.training.loop import Trainer
from bmi_dhydro.training.loss import LOSSES
from bmi_dhydro.training.run import learned_evapotranspiration
from bmi_dhydro.training.simulated_flow import simulated_flow
from bmi_dhydro.weather.source import WeatherSource

TRAINING = "1948-10-01", "1975-09-30"
WARM_UP_START = "1970-10-01"
TESTING = "1975-10-01", "1989-09-30"
ALL_YEARS = "1948-10-01", "1989-09-30"


@dataclass(frozen=True)
class Split:
    """Which years of a data set are for what; first and last day.

    Attributes
    ----------
    training, testing : tuple of str
    warm_up : str
        First day of a simulation of the years of testing.
    whole : tuple of str
        All years.
    """

    training: tuple[str, str]
    testing: tuple[str, str]
    warm_up: str
    whole: tuple[str, str]


MOPEX = Split(TRAINING, TESTING, WARM_UP_START, ALL_YEARS)
CAMELS = Split(
    ("1998-10-01", "2008-09-30"),
    ("1989-10-01", "1999-09-30"),
    "1984-10-01",
    ("1980-01-01", "2008-12-31"),
)


def fit(
    data: TrainingData,
    settings: TrainingSettings,
    layout: NetworkLayout,
    seeds: range,
    title: str,
    begun: TrainedModel | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """Train on `data`, going on from `begun` where it is given; several seeds make one model."""
    members = []
    with Progress() as bar:
        task = bar.add_task(title, total=settings.batches * len(seeds))
        for seed in seeds:
            start = None if begun is None else Start(begun)
            trainer = Trainer(layout, data, settings, seed, start=start, device=device)
            while not trainer.finished():
                trainer.step()
                bar.advance(task)
            members.append(trainer.result())
    joined, weights = merge(layout, members)
    return TrainedModel(joined, weights, trainer.normalisation)


def learned_years(path: Path, split: Split, whole: bool) -> TrainingData:
    """Return the years to learn from, and their climate, of catchments without a flag."""
    data = read_gauged(path)
    period = split.whole if whole else split.training
    return data.catchments(~data.flagged).climate_of(*period).observed_in(*period).period(*period)


def test(model: TrainedModel, data: TrainingData, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated and observed flow of the testing years: shape (days, catchments)."""
    simulated = simulated_flow(model, data.period(split.warm_up, split.testing[1]))
    observed = data.streamflow[data.between(*split.testing)]
    return simulated[-observed.shape[0] :], observed


def scores(simulated: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return NSE, KGE and the bias of high and low flows of each catchment."""
    return (
        nse(simulated, observed),
        kge(simulated, observed),
        *bias_of_extremes(simulated, observed),
    )


def errors_of(
    tested: list[tuple[TrainingData, np.ndarray, np.ndarray]],
) -> FlowErrors | None:
    """Learn the errors of flow of testing years: of each data set its simulated and observed flow.

    Data sets of fewer days than others have none observed on those that they lack.
    """
    most = max(len(observed) for _, _, observed in tested)
    pair = [
        np.concatenate(
            [
                np.pad(table[k], ((0, most - len(table[k])), (0, 0)), constant_values=np.nan)
                for table in tested
            ],
            axis=1,
        )
        for k in (1, 2)
    ]
    attributes = {
        name: np.concatenate([data.attributes[name] for data, _, _ in tested])
        for name in NETWORK_INPUTS
    }
    return learn_flow_errors(*pair, attributes)


def joined(model: TrainedModel, files: tuple[Path, ...]) -> TrainedModel:
    """Join a model with others of the same data and shape, of other seeds, to one of them all."""
    others = [load(path) for path in files]
    for path, other in zip(files, others, strict=True):
        ours, theirs = model.normalisation, other.normalisation
        if other.layout != model.layout or not np.array_equal(ours.mean, theirs.mean):
            raise click.ClickException(f"{path}: is of another shape, or of other data")
    members = [*(other.weights for other in others), model.weights]
    layout, weights = merge(model.layout, members)
    return replace(model, layout=layout, weights=weights)


def summary(measures: tuple[np.ndarray, ...]) -> dict[str, float | int]:
    """Return medians over the catchments that have observations, of what `scores` returns."""
    known = np.isfinite(measures[0])
    names = "median_nse", "median_kge", "median_bias_high", "median_bias_low"
    medians = {
        name: round(float(np.nanmedian(values[known])), 3)
        for name, values in zip(names, measures, strict=True)
    }
    return {**medians, "catchments": int(known.sum())}


def learned(data_file: Path, data: TrainingData) -> LearnedEvapotranspiration:
    """Return the method of the file's potential evapotranspiration, and factors from others."""
    unknown = np.full(len(data.ids), np.nan)
    catchments = Catchments(
        data.ids, data.attributes["area"], data.latitude, data.longitude, unknown, unknown
    )
    source = WeatherSource(data_file, catchments, {}, "forcing", 86400)
    try:
        return learned_evapotranspiration(source, data.latitude)
    finally:
        source.close()


def drawn(data: TrainingData, count: int) -> np.ndarray:
    """Draw some catchments to learn from, the same ones for every model: shape (catchments,)."""
    chosen = np.zeros(len(data.ids), bool)
    chosen[np.random.default_rng(count).choice(len(chosen), count, replace=False)] = True
    return chosen


def _names(camels: Path | None) -> dict[str, str]:
    """Return the data sets that are learned from: where each comes from, by its name."""
    names = {"MOPEX": "MOPEX daily, US Government work (10.1016/j.jhydrol.2005.07.031)"}
    if camels is not None:
        names["CAMELS"] = (
            "CAMELS-US with Maurer weather, CC-BY-4.0 (Newman et al. 2015, "
            "10.5194/hess-19-209-2015; Addor et al. 2017, 10.5194/hess-21-5293-2017)"
        )
    return names


def _seeds(path: Path) -> list[int]:
    return load(path).about["training"]["seeds"]


@click.command()
@click.argument("data_file", type=click.Path(exists=True, path_type=Path))
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--batches", default=TrainingSettings().batches, show_default=True)
@click.option(
    "--camels", type=click.Path(exists=True, path_type=Path), help="Learn from these too."
)
@click.option("--components", "parameter_sets", default=16, show_default=True)
@click.option("--days", default=TrainingSettings().days, show_default=True, help="Of a batch.")
@click.option("--learning-rate", default=TrainingSettings().learning_rate, show_default=True)
@click.option("--dynamic", default="", help="Parameters that change daily: BETA,K0,BETAET.")
@click.option("--memory", default=TrainingSettings().memory, show_default=True)
@click.option("--dropout", default=TrainingSettings().dropout, show_default=True)
@click.option(
    "--loss", type=click.Choice(list(LOSSES)), default=TrainingSettings().loss, show_default=True
)
@click.option("--device", default="cpu", show_default=True, help="To train on: cpu, or cuda.")
@click.option("--seed", default=0, show_default=True)
@click.option("--members", default=1, show_default=True, help="Networks, of seeds that follow.")
@click.option(
    "--join",
    "others",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Trained model of other seeds and the same data and shape, to make one model with it.",
)
@click.option(
    "--from",
    "begun",
    type=click.Path(exists=True, path_type=Path),
    help="Trained model of the same shape to go on from, instead of drawn weights.",
)
@click.option("--folds/--no-folds", default=True, help="Whether to measure skill in space.")
@click.option(
    "--random-folds", type=int, help="In space, leave out so many random folds, not groups."
)
@click.option(
    "--held-out",
    multiple=True,
    help="Groups to leave out together, such as 0,2,5; may be given several times. Each group "
    "alone, unless given.",
)
@click.option("--fewer", default="", help="Also learn from so many catchments: 10,30,100.")
@click.option(
    "--all-years", is_flag=True, help="Write a model trained on all years, not the one measured."
)
@click.option(
    "--skill-of",
    type=click.Path(exists=True, path_type=Path),
    help="Model of the same settings, trained on the years for training alone: its skill and its "
    "errors of flow are said to be those of the model of all years.",
)
def main(
    data_file: Path,
    model_file: Path,
    camels: Path | None,
    batches: int,
    parameter_sets: int,
    days: int,
    learning_rate: float,
    dynamic: str,
    memory: int,
    dropout: float,
    loss: str,
    device: str,
    seed: int,
    members: int,
    others: tuple[Path, ...],
    begun: Path | None,
    folds: bool,
    random_folds: int | None,
    held_out: tuple[str, ...],
    fewer: str,
    all_years: bool,
    skill_of: Path | None,
) -> None:
    """Train on DATA_FILE and write MODEL_FILE."""
    begin = time.perf_counter()
    settings = TrainingSettings(
        batches=batches,
        days=days,
        learning_rate=learning_rate,
        loss=loss,
        memory=memory,
        dropout=dropout,
    )
    moving = tuple(dynamic.split(",")) if dynamic else ()
    layout = NetworkLayout(HBV, parameter_sets, NETWORK_INPUTS, moving)
    seeds = range(seed, seed + members)
    everything = read_gauged(data_file)
    data = everything.catchments(~everything.flagged).climate_of(*TRAINING)
    data = data.observed_in(*TRAINING)
    trained_on = learned_years(data_file, MOPEX, all_years)
    periods = [MOPEX.whole if all_years else MOPEX.training]
    if camels is not None:
        trained_on = trained_on.joined(learned_years(camels, CAMELS, all_years))
        periods.append(CAMELS.whole if all_years else CAMELS.training)
    first = None if begun is None else load(begun)
    trained = fit(trained_on, settings, layout, seeds, "all catchments", first, device)
    model = joined(trained, others)
    skill: dict[str, Any] = {}
    errors = None
    if skill_of is not None:
        errors, skill = load(skill_of).flow_errors, dict(load(skill_of).about["skill"])
        whose = "one of its networks" if others else "a model of the same settings"
        if begun is not None:
            whose = "its networks before they" if others else "the model before it"
            whose += " went on with all years"
        skill["of"] = f"{whose}, trained on the years for training alone"
    if not all_years:
        tested = [(data, *test(model, data, MOPEX))]
        skill["in_time"] = summary(scores(*tested[0][1:]))
        print("in time", skill["in_time"])
        if camels is not None:
            later = read_gauged(camels).climate_of(*CAMELS.training)
            tested.append((later, *test(model, later, CAMELS)))
            skill["in_time_camels"] = {
                **summary(scores(*tested[1][1:])),
                "period": list(CAMELS.testing),
            }
            print("in time, CAMELS", skill["in_time_camels"])
        errors = errors_of(tested)
        print("errors", None if errors is None else errors.about)
    if folds:
        parts = []
        group_of = data.fold
        if random_folds is not None:
            numbers = np.arange(len(data.ids)) % random_folds
            group_of = np.random.default_rng(0).permutation(numbers)
        for groups in held_out or map(str, np.unique(group_of)):
            apart = np.isin(group_of, [int(group) for group in groups.split(",")])
            title = f"without group {groups}"
            kept = data.catchments(~apart).period(*TRAINING)
            regional = fit(kept, settings, layout, seeds, title, None, device)
            parts.append(scores(*test(regional, data.catchments(apart), MOPEX)))
            print(f"group {groups}", summary(parts[-1]))
        skill["in_space"] = summary(tuple(map(np.concatenate, zip(*parts, strict=True))))
        print("in space", skill["in_space"])
    for count in map(int, filter(None, fewer.split(","))):
        chosen = drawn(data, count)
        few_catchments = data.catchments(chosen).period(*TRAINING)
        title = f"{count} catchments"
        few = fit(few_catchments, settings, layout, seeds, title, None, device)
        skill[f"of_{count}"] = summary(scores(*test(few, data.catchments(~chosen), MOPEX)))
        print(f"learned from {count}, tested on the others", skill[f"of_{count}"])
    about = {
        "name": f"HBV{', dynamic' if moving else ''}, trained on {' and '.join(_names(camels))}",
        "version": "3",
        "licence": "Apache-2.0",
        "training": {
            "data": "; ".join(_names(camels).values()),
            "period": [min(first for first, _ in periods), max(last for _, last in periods)],
            "catchments": len(trained_on.ids),
            "potential_evapotranspiration": "hargreaves",
            "seeds": [*(seed for file in others for seed in _seeds(file)), *seeds],
            "settings": msgspec.to_builtins(settings),
            **({} if first is None else {"begun": first.about["training"]}),
            "minutes": round((time.perf_counter() - begin) / 60, 1),
        },
        "skill": {"period": list(TESTING), **skill},
    }
    if moving:
        years = data.period(*ALL_YEARS)
        about["memory"] = described(dependence_on_start(model, years), len(years.dates))
    inputs = model.normalisation({name: trained_on.attributes[name] for name in NETWORK_INPUTS})
    replace(
        model,
        about=about,
        evapotranspiration=learned(data_file, data),
        flow_errors=errors,
        catchments=TrainingCatchments.of(inputs),
    ).save(model_file)
    print(f"wrote {model_file}")


if __name__ == "__main__":
    main()
