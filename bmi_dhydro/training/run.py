"""A training run in a folder: resumable, logged, with curves and a trained model at its end."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import CLIMATE, NETWORK_INPUTS
from ..config.settings import parse_duration
from ..errors import CatchmentError, TrainingError, listed
from ..evaluation.plots import training_curves
from ..evaluation.series import read_daily_flow
from ..evaluation.targets import read_target
from ..files.whole import replaced
from ..io.catchment_table import read_table
from ..machine import installed
from ..networks.learned_evapotranspiration import LearnedEvapotranspiration, monthly_factors
from ..networks.merged import merge
from ..networks.parameter_network import NetworkLayout
from ..networks.similarity import TrainingCatchments
from ..networks.trained_model import TrainedModel, load
from ..physics import PROCESSES, with_learned_curves
from ..progress_bar import Bar
from ..river.tables import read_network
from ..units import SECONDS_PER_DAY
from ..weather.file import ForcingFile
from ..weather.quantities import PET_METHODS
from ..weather.source import WeatherSource
from .config import NO_LICENCE, GaugesConfig, TrainConfig, read_train_config
from .data import TrainingData
from .dependence_on_start import dependence_on_start, described
from .fine_tuning import Start, completed, warn_of_evapotranspiration
from .flow_errors import learn_flow_errors
from .gauges import REACHES, GaugedRiver
from .loop import Trainer, Validation
from .progress import Progress
from .simulated_flow import simulated_flow

_log = logging.getLogger(__name__)

# Batches between two savings of progress.
_SAVE_EVERY = 50

# Days before a validation period that fill the stores.
_VALIDATION_WARM_UP = 365


def read_training_data(config: TrainConfig) -> TrainingData:
    """Read what a configuration names: all days that training and validation need.

    Returns
    -------
    TrainingData
        Catchments without a day of observed flow in the days to learn from are left out, by name
        in the log. Climate indices that the table lacks are those of the days to learn from.

    Raises
    ------
    DhydroError
        If anything is missing or does not fit.
    """
    assert config.catchments.table is not None
    assert config.forcing.file is not None
    table = read_table(Path(config.catchments.table), config.catchments.select)
    begin, end = (np.datetime64(text, "D") for text in config.split.train)
    first, last = begin, end
    if config.split.validate is not None:
        start, stop = (np.datetime64(text, "D") for text in config.split.validate)
        first, last = min(first, start - _VALIDATION_WARM_UP), max(last, stop)
    with ForcingFile(
        Path(config.forcing.file), table.ids, config.forcing.variables, SECONDS_PER_DAY
    ) as file:
        first = max(first, file.start.astype("datetime64[D]"))
    source = WeatherSource(
        Path(config.forcing.file),
        table,
        config.forcing.variables,
        config.forcing.potential_evapotranspiration,
        SECONDS_PER_DAY,
        first.astype("datetime64[s]"),
        (last + np.timedelta64(1, "D")).astype("datetime64[s]"),
    )
    try:
        forcing, dates = source.whole_days()
        learned = learned_evapotranspiration(source, table.latitude)
    finally:
        source.close()
    river = None if config.network is None else _gauged_river(config.network)
    stations = table.ids if river is None else np.array(list(river.network.gauges))
    observed = config.observed
    flow = read_daily_flow(Path(observed.file), observed.variable, stations, dates)
    data = TrainingData(
        table.ids,
        dates,
        forcing.astype(np.float32),
        flow.astype(np.float32),
        {**table.attributes, "area": table.area},
        np.zeros(len(table), bool),
        np.where(np.isfinite(table.fold), table.fold, -1).astype(int),
        table.latitude,
        table.longitude,
        learned,
        targets={
            name: read_target(name, Path(target.file), target.variable, table.ids, dates).astype(
                np.float32
            )
            for name, target in config.targets.items()
        },
    )
    if river is None:
        data = _observed(data, str(begin), str(end))
    else:
        data = _at_gauges(data, river, stations, str(begin), str(end))
    return _with_climate(data, config)


def _gauged_river(config: GaugesConfig) -> GaugedRiver:
    network = read_network(config.file)
    if not network.gauges:
        raise TrainingError(f"{config.file}: has no gauges; give the table a column 'gauge'")
    seconds = parse_duration(config.routing_step, "network.routing_step")
    return GaugedRiver(network, config.process, seconds, config.learn)


def _at_gauges(
    data: TrainingData, river: GaugedRiver, gauges: NDArray, begin: str, end: str
) -> TrainingData:
    """Return the gauges that have flow and catchments, and the catchments that drain to them."""
    network = river.network
    reaches = network.reaches_of(data.ids)
    known = np.isfinite(data.streamflow[data.between(begin, end)]).any(axis=0)
    upstream = [network.upstream(network.gauges[name]) for name in gauges.tolist()]
    known &= [bool(np.isin(reaches, places).any()) for places in upstream]
    if not known.any():
        raise TrainingError(
            f"no gauge ({listed(gauges)}) has observed flow between {begin} and {end} and a "
            "catchment upstream"
        )
    if not known.all():
        _log.warning("left out, no observed flow or catchment: gauges %s", listed(gauges[~known]))
    inside = np.unique(np.concatenate([p for p, has in zip(upstream, known, strict=True) if has]))
    nothing = np.zeros((len(data.dates), len(data.ids)), np.float32)
    drained = replace(data, streamflow=nothing).catchments(np.isin(reaches, inside))
    return replace(
        drained,
        streamflow=data.streamflow[:, known],
        gauged=replace(river, network=network.subset(inside)),
        gauges=gauges[known],
    )


def learned_evapotranspiration(
    source: WeatherSource, latitude: NDArray
) -> LearnedEvapotranspiration:
    """Return of which method the potential evapotranspiration of training is, and what others are.

    Parameters
    ----------
    source : WeatherSource
    latitude : array, shape (catchments,)
    """
    method = source.evapotranspiration
    if method is None:
        _log.warning(
            "%s: does not say of which method its potential evapotranspiration is, so that runs "
            "cannot be known whether theirs is of another; name it in an attribute of the variable",
            source.path,
        )
        return LearnedEvapotranspiration()
    own = source.monthly_means(source.pet_method)
    monthly = {}
    for name in PET_METHODS:
        other = source.monthly_means(name) if name != method and own is not None else None
        if own is not None and other is not None:
            monthly[name] = monthly_factors(own, other, latitude)
    return LearnedEvapotranspiration((method,), monthly)


def _observed(data: TrainingData, begin: str, end: str) -> TrainingData:
    known = np.isfinite(data.streamflow[data.between(begin, end)]).any(axis=0)
    if not known.any():
        raise TrainingError(f"no catchment has observed flow between {begin} and {end}")
    if not known.all():
        _log.warning("left out, no observed flow: %s", listed(data.ids[~known], 20))
    return data.catchments(known)


def _with_climate(data: TrainingData, config: TrainConfig) -> TrainingData:
    names = config.attributes or list(NETWORK_INPUTS)
    source = config.catchments.climate
    missing = [
        n for n in names if n in CLIMATE and (n not in data.attributes or source == "forcing")
    ]
    if missing and source != "table":
        climate = data.climate_of(*config.split.train).attributes
        data.attributes.update({name: climate[name] for name in missing})
    absent = [name for name in names if name not in data.attributes]
    if absent:
        raise CatchmentError(
            f"{config.catchments.table}: lacks attributes of the network: {', '.join(absent)}"
        )
    return data


def split(config: TrainConfig, data: TrainingData) -> tuple[TrainingData, Validation | None]:
    """Divide data into what is learned from and what is judged by."""
    held = np.isin(data.fold, config.split.hold_out)
    if config.split.hold_out and not held.any():
        raise TrainingError(
            f"split.hold_out: no catchment has a fold among {list(config.split.hold_out)}; the "
            f"table has {sorted(set(data.fold.tolist()))}"
        )
    if held.all():
        raise TrainingError("split.hold_out: nothing is left to learn from")
    learned = data.catchments(~held).period(*config.split.train)
    if config.split.validate is None and not held.any():
        return learned, None
    judged = data.catchments(held) if held.any() else data
    start, stop = config.split.validate or config.split.train
    begin = max(np.datetime64(start, "D") - _VALIDATION_WARM_UP, data.dates[0])
    warm_up = int((np.datetime64(start, "D") - begin).astype(int))
    if config.split.validate is None:
        warm_up = max(warm_up, _VALIDATION_WARM_UP)
    return learned, Validation(judged.period(str(begin), stop), warm_up)


def _standing(progress: Progress) -> str:
    """Return where training stands: the loss of late, and the last validation."""
    text = f"loss {np.mean(progress.losses[-20:]):.3f}"
    return text + (f", NSE {progress.scores[-1][1]:.3f}" if progress.scores else "")


def _completed(before: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration that an earlier version wrote, with the keys that are new since."""
    try:
        found = msgspec.to_builtins(msgspec.convert({**before, "from": None}, TrainConfig))
    except msgspec.ValidationError:
        return before
    complete = json.loads(json.dumps(found))
    return {**complete, "from": before.get("from")}


class TrainingRun:
    """A training run in its folder.

    Parameters
    ----------
    path : Path
        Path of the configuration. If its folder holds progress of the same configuration, training
        goes on from there, with the result that it would have had without a break.

    Raises
    ------
    TrainingError
        If the folder holds progress of another configuration.
    """

    def __init__(self, path: Path) -> None:
        self.config = read_train_config(path)
        self.folder = Path(self.config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.begun: TrainedModel | None = None
        if self.config.from_ is not None:
            self.begun = load(self.config.from_)
            self.config = completed(self.config, self.begun)
        self._claim()
        self.data = read_training_data(self.config)
        self.learned, self.validation = split(self.config, self.data)
        names = tuple(self.config.attributes or NETWORK_INPUTS)
        if self.begun is None:
            process = with_learned_curves(PROCESSES[self.config.process], self.config.learned)
            site = tuple(rule.attribute for rule in process.site)
            dynamic = self.config.dynamic
            self.layout = NetworkLayout(process, self.config.components, names, dynamic, site=site)
        else:
            self.layout = self.begun.network(0).layout
        absent = [name for name in self.layout.needed if name not in self.data.attributes]
        if absent:
            raise CatchmentError(
                f"{self.config.catchments.table}: lacks attributes of the model: "
                f"{', '.join(absent)}"
            )
        if self.begun is not None:
            warn_of_evapotranspiration(self.begun, self.data.evapotranspiration.methods)

    def _claim(self) -> None:
        """Make sure that what is in the folder was made by this configuration."""
        described = msgspec.to_builtins(msgspec.structs.replace(self.config, output=""))
        if self.begun is not None:
            described["from"] = f"{self.config.from_} ({self.begun.fingerprint})"
        text = json.dumps(described, indent=2, sort_keys=True) + "\n"
        record = self.folder / "config.json"
        if record.exists() and record.read_bytes() != text.encode():
            ours, before = json.loads(text), _completed(self._described(record))
            differing = [key for key in ours if ours[key] != before.get(key)]
            if differing:
                raise TrainingError(
                    f"{self.folder}: holds a run of another configuration (different: "
                    f"{', '.join(differing)}); choose another output, or remove the folder"
                )
        with replaced(record) as temporary:
            temporary.write_text(text)

    @staticmethod
    def _described(record: Path) -> dict[str, Any]:
        try:
            before = json.loads(record.read_bytes())
            if isinstance(before, dict):
                return before
            reason: object = "not a mapping"
        except ValueError as error:
            reason = error
        raise TrainingError(
            f"{record}: is damaged ({reason}), so nobody can tell what was trained here; choose "
            "another output, or remove the folder"
        )

    def run(self, bar: Bar, stop_after: int | None = None) -> Path | None:
        """Train all members, and write the model.

        Parameters
        ----------
        bar : callable
            Makes a progress bar of a title and a number of batches.
        stop_after : int, optional
            Batches of this call after which it ends, leaving its progress.

        Returns
        -------
        Path or None
            The path of the trained model; None if `stop_after` came first.

        Raises
        ------
        TrainingError
            If a loss is not a number; the last good progress is kept.
        """
        remaining = [stop_after if stop_after is not None else -1]
        members = []
        for seed in self.config.seeds:
            trainer = self._trainer(seed)
            title = f"seed {seed}" if len(self.config.seeds) > 1 else "training"
            with bar(title, trainer.settings.batches) as advance:
                for _ in range(trainer.progress.batch):
                    advance()
                self._train(trainer, seed, advance, remaining)
            if not trainer.finished():
                return None
            members.append(trainer)
        return self._finish(members)

    def _train(
        self, trainer: Trainer, seed: int, advance: Callable[..., Any], remaining: list[int]
    ) -> None:
        while not trainer.finished() and remaining[0] != 0:
            try:
                trainer.step()
            except FloatingPointError as error:
                self._save(trainer.snapshot(), seed)
                raise TrainingError(
                    f"{error}; progress up to there is kept in {self.folder}. Is there weather or "
                    "flow that cannot be, or is the learning rate too high?"
                ) from None
            advance(_standing(trainer.progress))
            remaining[0] -= 1
            ends = trainer.finished() or remaining[0] == 0
            if trainer.progress.batch % _SAVE_EVERY == 0 or ends:
                self._save(trainer.snapshot(), seed)

    def _progress_file(self, seed: int) -> Path:
        return self.folder / f"progress_{seed}.safetensors"

    def _trainer(self, seed: int) -> Trainer:
        path = self._progress_file(seed)
        older = path.with_suffix(".pt")
        try:
            progress = None
            if path.exists():
                progress = Progress.read(path)
            elif older.exists():
                progress = Progress.read_older(older)
            return Trainer(
                self.layout,
                self.learned,
                self.config.settings,
                seed,
                self.validation,
                progress,
                self.config.device,
                self._start(seed),
                {name: target.weight for name, target in self.config.targets.items()},
            )
        except TrainingError as error:
            if not path.exists() and not older.exists():
                raise
            raise TrainingError(
                f"{error}; remove {path} (or {older.name}) to begin again"
                if str(path.parent) in str(error)
                else f"{path}: has {error}; remove it to begin again"
            ) from None

    def _start(self, seed: int) -> Start | None:
        """Return the network that a seed starts from."""
        if self.begun is None:
            return None
        return Start(self.begun.network(self.config.seeds.index(seed)))

    def _save(self, progress: Progress, seed: int) -> None:
        progress.save(self._progress_file(seed))
        with replaced(self.folder / f"log_{seed}.csv") as temporary:
            scores = dict(progress.scores)
            with temporary.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("batch", "loss", "validation_median_nse"))
                if 0 in scores:
                    writer.writerow((0, "", scores[0]))
                for batch, loss in enumerate(progress.losses, 1):
                    writer.writerow((batch, f"{loss:.6g}", scores.get(batch, "")))

    def _finish(self, members: list[Trainer]) -> Path:
        results = [member.result() for member in members]
        river = self.data.gauged
        learned_reaches = None if river is None else river.learned(results[0])
        of_catchments = [
            {name: values for name, values in result.items() if not name.startswith(REACHES)}
            for result in results
        ]
        layout, weights = merge(self.layout, of_catchments)
        config = self.config
        skill = {}
        if self.validation is not None:
            best = [max(score for _, score in member.progress.scores) for member in members]
            skill = {
                "period": list(config.split.validate or config.split.train),
                "validation": {
                    "median_nse": round(float(np.mean(best)), 3),
                    "catchments": len(self.validation.data.stations),
                },
            }
        learned, normalisation = self.data.evapotranspiration, members[0].normalisation
        start = None if self.begun is None else Start(self.begun)
        licence = config.licence
        if start is not None and licence == NO_LICENCE:
            licence = start.described()["licence"]
        about = {
            "name": config.name,
            "version": "1",
            "licence": licence,
            "training": {
                **({} if start is None else {"from": start.described()}),
                "data": Path(config.observed.file).name,
                "period": list(config.split.train),
                "catchments": len(self.learned.ids),
                **({} if self.learned.gauges is None else {"gauges": len(self.learned.gauges)}),
                "forcing": Path(str(config.forcing.file)).name,
                **({"targets": list(config.targets)} if config.targets else {}),
                "potential_evapotranspiration": " or ".join(learned.methods) or "of the file",
                "seeds": list(config.seeds),
                "settings": msgspec.to_builtins(config.settings),
            },
            "skill": skill,
        }
        path = self.folder / "model.safetensors"
        inputs = normalisation(self.learned.attributes)[:, : len(layout.attributes)]
        catchments = TrainingCatchments.of(inputs) if start is None else start.catchments(inputs)
        model = TrainedModel(layout, weights, normalisation, about, learned, catchments)
        if layout.dynamic and layout.static_by == "attributes":
            apart = dependence_on_start(model, self.learned)
            model = replace(
                model, about={**about, "memory": described(apart, len(self.learned.dates))}
            )
        judged = self.validation
        # Of gauges of a river it is not the catchments' own flow that is known.
        if judged is not None and river is None and layout.static_by == "attributes":
            errors = learn_flow_errors(
                simulated_flow(model, judged.data)[judged.warm_up :],
                judged.data.streamflow[judged.warm_up :],
                {name: judged.data.attributes[name] for name in layout.attributes},
            )
            model = replace(model, flow_errors=errors)
        if learned_reaches is not None:
            learned_reaches.save(self.folder / "reaches.safetensors")
        model.save(path)
        if installed("matplotlib"):
            training_curves(
                self.folder / "curves.png",
                {
                    f"seed {seed}": (member.progress.losses, member.progress.scores)
                    for seed, member in zip(config.seeds, members, strict=True)
                },
            )
        return path
