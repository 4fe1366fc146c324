"""Train the model that comes with the package, and measure it on years and regions it never saw.

    python examples/train_default_model.py mopex_daily.nc hbv_mopex.safetensors

The data are the MOPEX catchments of the NOAA National Weather Service (Duan et al. 2006,
10.1016/j.jhydrol.2005.07.031), in one NetCDF file as `training.data.read_gauged` wants it.

Training uses water years up to 1975; the water years 1976 to 1989 are for testing. For skill in
space each spatial group of catchments is left out of training once, and tested on the same years.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np
import torch
from rich.progress import Progress

from bmi_dhydro.catchments.attributes import NETWORK_INPUTS
from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.evaluation.metrics import kge, nse
from bmi_dhydro.networks.learned_evapotranspiration import LearnedEvapotranspiration
from bmi_dhydro.networks.merged import merge
from bmi_dhydro.networks.parameter_network import NetworkLayout
from bmi_dhydro.networks.similarity import TrainingCatchments
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData, read_gauged
from bmi_dhydro.training.dependence_on_start import dependence_on_start, described
from bmi_dhydro.training.loop import simulate, train
from bmi_dhydro.training.run import learned_evapotranspiration
from bmi_dhydro.weather.source import WeatherSource

TRAINING = "1948-10-01", "1975-09-30"
WARM_UP_START = "1970-10-01"
TESTING = "1975-10-01", "1989-09-30"
ALL_YEARS = "1948-10-01", "1989-09-30"


def fit(
    data: TrainingData,
    settings: TrainingSettings,
    layout: NetworkLayout,
    seeds: range,
    title: str,
    period: tuple[str, str] = TRAINING,
) -> TrainedModel:
    """Train on some years of `data`; the networks of several seeds make one model."""
    members = []
    with Progress() as bar:
        task = bar.add_task(title, total=settings.batches * len(seeds))
        for seed in seeds:
            weights, normalisation = train(
                layout, data.period(*period), settings, seed, lambda *_: bar.advance(task)
            )
            members.append(weights)
    joined, weights = merge(layout, members)
    return TrainedModel(joined, weights, normalisation)


def test(model: TrainedModel, data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return NSE and KGE of each catchment on the testing years."""
    with torch.no_grad():
        simulated = simulate(
            model.layout,
            {name: torch.as_tensor(value) for name, value in model.weights.items()},
            torch.as_tensor(model.normalisation(data.attributes), dtype=torch.float32),
            torch.as_tensor(data.attributes["area"], dtype=torch.float32),
            torch.as_tensor(data.forcing[data.between(WARM_UP_START, TESTING[1])]),
        ).numpy()
    observed = data.streamflow[data.between(*TESTING)]
    simulated = simulated[-observed.shape[0] :]
    return nse(simulated, observed), kge(simulated, observed)


def summary(scores: tuple[np.ndarray, np.ndarray]) -> dict[str, float | int]:
    """Return medians over the catchments that have observations."""
    known = np.isfinite(scores[0])
    return {
        "median_nse": round(float(np.median(scores[0][known])), 3),
        "median_kge": round(float(np.median(scores[1][known])), 3),
        "catchments": int(known.sum()),
    }


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


@click.command()
@click.argument("data_file", type=click.Path(exists=True, path_type=Path))
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--batches", default=TrainingSettings().batches, show_default=True)
@click.option("--components", "parameter_sets", default=16, show_default=True)
@click.option("--days", default=TrainingSettings().days, show_default=True, help="Of a batch.")
@click.option("--learning-rate", default=TrainingSettings().learning_rate, show_default=True)
@click.option("--dynamic", default="", help="Parameters that change daily: BETA,K0,BETAET.")
@click.option("--memory", default=TrainingSettings().memory, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--members", default=1, show_default=True, help="Networks, of seeds that follow.")
@click.option("--folds/--no-folds", default=True, help="Whether to measure skill in space.")
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
def main(
    data_file: Path,
    model_file: Path,
    batches: int,
    parameter_sets: int,
    days: int,
    learning_rate: float,
    dynamic: str,
    memory: int,
    seed: int,
    members: int,
    folds: bool,
    held_out: tuple[str, ...],
    fewer: str,
    all_years: bool,
) -> None:
    """Train on DATA_FILE and write MODEL_FILE."""
    begin = time.perf_counter()
    everything = read_gauged(data_file)
    data = everything.catchments(~everything.flagged).climate_of(*TRAINING)
    data = data.observed_in(*TRAINING)
    settings = TrainingSettings(
        batches=batches, days=days, learning_rate=learning_rate, memory=memory
    )
    moving = tuple(dynamic.split(",")) if dynamic else ()
    layout = NetworkLayout(HBV, parameter_sets, NETWORK_INPUTS, moving)
    seeds = range(seed, seed + members)
    model = fit(data, settings, layout, seeds, "all catchments")
    skill = {"in_time": summary(test(model, data))}
    print("in time", skill["in_time"])
    if folds:
        parts = []
        for groups in held_out or map(str, np.unique(data.fold)):
            apart = np.isin(data.fold, [int(group) for group in groups.split(",")])
            title = f"without group {groups}"
            regional = fit(data.catchments(~apart), settings, layout, seeds, title)
            parts.append(test(regional, data.catchments(apart)))
            print(f"group {groups}", summary(parts[-1]))
        nse_all, kge_all = (np.concatenate(values) for values in zip(*parts, strict=True))
        skill["in_space"] = summary((nse_all, kge_all))
        print("in space", skill["in_space"])
    for count in map(int, filter(None, fewer.split(","))):
        chosen = drawn(data, count)
        few = fit(data.catchments(chosen), settings, layout, seeds, f"{count} catchments")
        skill[f"of_{count}"] = summary(test(few, data.catchments(~chosen)))
        print(f"learned from {count}, tested on the others", skill[f"of_{count}"])
    period = TRAINING
    if all_years:
        period = ALL_YEARS
        whole = everything.catchments(~everything.flagged).climate_of(*period).observed_in(*period)
        model = fit(whole, settings, layout, seeds, "all years", period)
        skill["of"] = "a model of the same settings, trained on " + " to ".join(TRAINING)
    about = {
        "name": f"HBV{', dynamic' if moving else ''}, trained on MOPEX catchments",
        "version": "2",
        "licence": "Apache-2.0",
        "training": {
            "data": "MOPEX daily, US Government work (10.1016/j.jhydrol.2005.07.031)",
            "period": list(period),
            "catchments": len(whole.ids if all_years else data.ids),
            "potential_evapotranspiration": "hargreaves",
            "seeds": list(seeds),
            "settings": msgspec.to_builtins(settings),
            "minutes": round((time.perf_counter() - begin) / 60, 1),
        },
        "skill": {"period": list(TESTING), **skill},
    }
    trained_on = whole if all_years else data
    if moving:
        years = trained_on.period(*ALL_YEARS)
        about["memory"] = described(dependence_on_start(model, years), len(years.dates))
    inputs = model.normalisation({name: trained_on.attributes[name] for name in NETWORK_INPUTS})
    replace(
        model,
        about=about,
        evapotranspiration=learned(data_file, trained_on),
        catchments=TrainingCatchments.of(inputs),
    ).save(model_file)
    print(f"wrote {model_file}")


if __name__ == "__main__":
    main()
