"""Filling the stores by the weather before a run, which its file holds too.

Published models were trained with such days. Some hold their parameters meanwhile at what they are
on the last of them, and begin with nothing on its way; so can a run.
"""

from __future__ import annotations

import logging

import numpy as np

from ..catchments.catchments import Catchments
from ..config import Config
from ..config.settings import parse_date
from ..errors import ConfigError
from ..model.model import Model
from ..networks.trained_model import TrainedModel
from ..progress_bar import Bar, no_progress
from ..units import SECONDS_PER_DAY
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.source import WeatherSource, longest_block
from .spin_up import run_to
from .static_parameters import remembered_at_end, weather_from_warm_up

_log = logging.getLogger(__name__)


def warm_up(
    config: Config,
    model: Model,
    catchments: Catchments,
    trained: TrainedModel,
    bar: Bar = no_progress,
) -> None:
    """Fill the stores by the days before the run.

    Parameters
    ----------
    config : Config
        With `spin_up.before`.
    model : Model
        Before its first step; has the state of the start afterwards.
    catchments : Catchments
    trained : TrainedModel
    bar : callable
        Makes a progress bar.

    Raises
    ------
    ForcingError
        If the weather file does not have these days.
    """
    assert config.spin_up is not None
    assert config.time.start is not None
    start = parse_date(config.time.start, "time.start")
    choice = EvapotranspirationChoice(
        trained.evapotranspiration, config.forcing.evapotranspiration_mismatch
    )
    source = weather_from_warm_up(config, catchments, choice, start)
    try:
        if config.spin_up.held:
            # Parameters of a file do not depend on the weather any more.
            fixed = config.parameter_file is not None
            _run_held(model, source, catchments, trained, fixed)
        else:
            run_to(model, source, bar)
    finally:
        source.close()
    _log.info("warm-up: %d steps before the start", source.steps)


def _run_held(
    model: Model,
    source: WeatherSource,
    catchments: Catchments,
    trained: TrainedModel,
    fixed: bool,
) -> None:
    """Run with all parameters as they are on the last day; nothing is on its way afterwards.

    Raises
    ------
    ConfigError
        If the warm-up is no whole number of days.
    """
    per_day = SECONDS_PER_DAY // model.step_seconds
    if source.steps % per_day:
        raise ConfigError("spin_up.before: with held, give a whole number of days")
    parameters = np.stack([model.parameters[name] for name in model.process.parameter_names])
    routing = np.stack([model.parameters[item.name] for item in model.parameter_items[-3:]])
    if trained.layout.static_by == "weather" and not fixed:
        remembered = remembered_at_end(
            trained, catchments, source, model.step_seconds, model.threads
        )
        parameters, routing = trained.parameters(catchments.attributes, remembered)
    memory = {}
    every = np.arange(model.catchments)
    if model.dynamics is not None:
        dynamics = model.dynamics.subset(every)
        names = model.process.parameter_names
        for name in dynamics.layout.dynamic:
            dynamics.set_centres(name, parameters[names.index(name)], every)
        length = longest_block(
            every.size, dynamics.centres.shape[0] * dynamics.centres.shape[2] + 4
        )
        for first in range(0, source.steps, length):
            count = min(length, source.steps - first)
            values = dynamics.advance(source.read(first, count))
        for k, name in enumerate(dynamics.layout.dynamic):
            parameters[names.index(name)] = values[-1, :, k]
        memory = dynamics.snapshot()
    held = Model(
        model.process,
        parameters,
        routing,
        model.area,
        model.step_seconds,
        (model.process.runoff,),
        routed=False,
        execution=model.execution,
    )
    length = longest_block(every.size, 4)
    for first in range(0, source.steps, length):
        held.run(source.read(first, min(length, source.steps - first)))
    snapshot = model.snapshot()
    snapshot["state"] = np.tile(held.snapshot()["state"], (1, model.members, 1))
    for name, values in memory.items():
        snapshot[name] = np.concatenate([values] * model.members)
    model.restore(snapshot)
