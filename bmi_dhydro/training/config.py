"""The configuration of a training run, read from YAML; the fields below are its reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..catchments.attributes import ATTRIBUTES
from ..config import CatchmentsConfig, ForcingConfig, ObservedConfig
from ..config.run import ReachProcessName
from ..config.settings import (
    Count,
    CountOrZero,
    Few,
    NotNegative,
    Positive,
    Section,
    ShareBelowOne,
    parse_date,
    parse_duration,
    read_checked,
    resolved,
    resolved_model,
)
from ..errors import ConfigError, nearest
from ..evaluation.targets import TARGETS, TargetName
from ..physics import PROCESSES, with_learned_curves

# Made into the random numbers of each batch.
TrainingSeed = Annotated[int, Meta(ge=0, le=2**40)]

# What is said where nobody says under which licence a model may be used.
NO_LICENCE = "not stated"

# What can be made small; the functions are in `loss.LOSSES`.
LossName = Literal["nse", "root", "log", "kge", "combined"]


class SplitConfig(Section, frozen=True):
    """Which days and catchments train, and which judge."""

    train: tuple[str, str]
    """First and last day to learn from."""
    validate: tuple[str, str] | None = None
    """First and last day to judge by, for choosing weights and stopping early; without it, and
    without `hold_out`, all batches are done and the last weights are kept."""
    hold_out: tuple[int, ...] = ()
    """Values of the column `fold` of the catchment table: those catchments are judged by, and not
    learned from."""


class TrainingSettings(Section, frozen=True):
    """How each network is trained."""

    hidden: tuple[Few, ...] = (128,)
    """Units of each hidden layer."""
    memory: Few = 64
    """Units of the LSTM that moves dynamic parameters."""
    dropout: ShareBelowOne = 0.4
    """Share of the LSTM's outputs that is left out in each batch."""
    batches: Count = 1500
    """Optimisation steps."""
    catchments: Count = 96
    """Catchments of a batch."""
    days: Count = 1095
    """Days of a batch."""
    warm_up: CountOrZero = 365
    """Days at the start of a batch that do not count."""
    loss: LossName = "nse"
    """What is made small: squared errors scaled by each catchment's variability, errors of square
    roots or of logarithms, 1 - KGE, or squared errors and a quarter of those of logarithms."""
    learning_rate: Positive = 3e-3
    """Highest rate of AdamW: it rises for a tenth of the batches, then falls along a cosine."""
    average: ShareBelowOne = 0.0
    """Keeps a moving average of the weights: how much of it remains after a batch (such as 0.99);
    0 keeps the last weights."""
    weight_decay: NotNegative = 0.0
    """Weight decay of AdamW."""
    clip: Positive = 1.0
    """Largest norm of a gradient."""
    noise: NotNegative = 0.0
    """Standard deviation of noise on the normalised attributes."""
    layers: Literal["all", "last"] = "all"
    """Which weights are learned: all, or those of the last layer and of the head of the LSTM alone,
    which few catchments suffice for (with `from`)."""
    keep_near: NotNegative = 0.0
    """With `from`: weight of the squared distance from the weights at the start, which is added to
    the loss (such as 0.01): the larger, the more is kept of what was learned before."""
    validate_every: Count = 100
    """Batches between two validations."""
    patience: Count = 10
    """Validations without improvement that end training."""


class TargetConfig(Section, frozen=True):
    """Something observed beside flow that is learned from too."""

    file: str
    """NetCDF file with a catchment and a time dimension; gaps do not count."""
    variable: str | None = None
    """Its name in the file, where it is not recognised."""
    weight: Positive = 0.25
    """How much its error counts beside that of flow; both are scaled by their variability."""


class GaugesConfig(Section, frozen=True):
    """The river between catchments and the gauges whose flow is learned from."""

    file: str
    """Reaches, with gauges: a table (.csv, .parquet, .nc), a RouteLink.nc, or a hydrofabric
    (.gpkg)."""
    process: ReachProcessName = "muskingum_cunge"
    """Model of a reach."""
    routing_step: str = "1h"
    """Longest step of routing; days are routed in several. Longer ones than those of runs save
    time, and hardly change days."""
    learn: bool = False
    """Whether a small network is learned too, that changes roughness and width (by muskingum_cunge)
    or celerity (linear) of reaches: `reaches.safetensors`, for `network.learned` of a run. Where
    waves travel shorter than a day, daily flow says little of them."""


class TrainConfig(Section, frozen=True):
    """A training run."""

    output: str
    """Folder for the trained model, the log, curves, and what a later start goes on from."""
    catchments: CatchmentsConfig
    """Which catchments; climate indices that the table lacks are those of the days of `train`."""
    forcing: ForcingConfig
    """Weather, daily or finer."""
    observed: ObservedConfig
    """Observed flow."""
    split: SplitConfig
    """Which days and catchments train, and which judge."""
    targets: dict[TargetName, TargetConfig] = msgspec.field(default_factory=dict)
    """What else is learned from: `snow` (water equivalent), `evapotranspiration` (actual)."""
    from_: str | None = msgspec.field(name="from", default=None)
    """Trained model to start from, instead of drawn weights: `default`, `fast`, `ensemble`, or
    a `.safetensors` file. It decides process, components, attributes, dynamic and learned, and the
    number of seeds."""
    network: GaugesConfig | None = None
    """The river that the catchments drain to, where flow is observed at its gauges."""
    process: str = "hbv"
    """Process model."""
    components: Few = 16
    """Parallel parameter sets of each network."""
    seeds: tuple[TrainingSeed, ...] = (0,)
    """A network is trained from each; their parameter sets together make the model."""
    attributes: list[str] | None = None
    """What the network sees; all of the vocabulary but area, unless given."""
    learned: tuple[str, ...] = ()
    """Curves of the process model that are replaced by small networks: for hbv `soil_wetness` and
    `evapotranspiration_share`."""
    dynamic: tuple[str, ...] = ()
    """Parameters that change from day to day, moved around their static value by a long short-term
    memory of the weather."""
    settings: TrainingSettings = TrainingSettings()
    """How each network is trained."""
    device: str = "cpu"
    """Where it is done: `cpu`, `cuda` or `cuda:n`. A GPU needs triton."""
    name: str = "trained model"
    """What people will call the model."""
    licence: str = NO_LICENCE
    """Under which it may be used; with `from` that of the model at the start, unless given."""


def read_train_config(path: str | Path) -> TrainConfig:
    """Read the configuration of a training run; relative paths are relative to its folder.

    Raises
    ------
    ConfigError
        If the file is missing, no YAML, or has unknown, missing or impossible keys.
    """
    return read_checked(Path(path), TrainConfig, _resolved, _check)


def _resolved(config: TrainConfig, folder: Path) -> TrainConfig:
    """Make the paths of a configuration absolute."""
    replace = msgspec.structs.replace
    return replace(
        config,
        output=resolved(config.output, folder),
        catchments=replace(config.catchments, table=resolved(config.catchments.table, folder)),
        from_=resolved_model(config.from_, folder),
        forcing=replace(config.forcing, file=resolved(config.forcing.file, folder)),
        observed=replace(config.observed, file=resolved(config.observed.file, folder)),
        targets={
            name: replace(target, file=resolved(target.file, folder))
            for name, target in config.targets.items()
        },
        network=None
        if config.network is None
        else replace(config.network, file=resolved(config.network.file, folder)),
    )


def _check(config: TrainConfig) -> None:
    if config.catchments.table is None:
        raise ConfigError("catchments.table: training needs a table of catchments")
    if config.forcing.file is None:
        raise ConfigError("forcing.file: training needs a weather file")
    if config.process not in PROCESSES:
        raise ConfigError(f"process: {config.process!r} is unknown; known: {', '.join(PROCESSES)}")
    try:
        known = with_learned_curves(PROCESSES[config.process], config.learned).parameter_names
    except ValueError as error:
        raise ConfigError(f"learned: {error}") from None
    outputs = PROCESSES[config.process].output_names
    for target in config.targets:
        if TARGETS[target].output not in outputs:
            raise ConfigError(f"targets.{target}: {config.process} has no such output")
    for name in config.dynamic:
        if name not in known:
            raise ConfigError(f"dynamic: parameter {name!r} is unknown; {nearest(name, known)}")
    for key in ("attributes", "dynamic", "learned"):
        names = getattr(config, key)
        if names is not None and len(set(names)) < len(names):
            raise ConfigError(f"{key}: a name stands twice in {list(names)}")
    if config.attributes is not None:
        if not config.attributes:
            raise ConfigError("attributes: the network must see some; leave the key out for all")
        for name in config.attributes:
            if name not in ATTRIBUTES:
                raise ConfigError(f"attributes: {name!r} is unknown; {nearest(name, ATTRIBUTES)}")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", config.device):
        raise ConfigError(f"device: {config.device!r} is unknown; write cpu, cuda or cuda:0")
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds: {config.seeds} should be one or more different numbers")
    for key in ("train", "validate"):
        period = getattr(config.split, key)
        if period is not None:
            first, last = (parse_date(text, f"split.{key}") for text in period)
            if last <= first:
                raise ConfigError(f"split.{key}: {last} is not after {first}")
    if config.network is not None:
        parse_duration(config.network.routing_step, "network.routing_step")
        if config.network.learn and len(config.seeds) > 1:
            raise ConfigError("network.learn: goes with one seed; give one of the seeds")
    if config.from_ is None:
        for key, idle in (("layers", "all"), ("keep_near", 0.0)):
            if getattr(config.settings, key) != idle:
                raise ConfigError(
                    f"settings.{key}: goes with 'from', a trained model to start from"
                )
    if config.settings.warm_up >= config.settings.days:
        raise ConfigError(
            f"settings.warm_up: {config.settings.warm_up} days leave nothing of a batch of "
            f"{config.settings.days} days"
        )
