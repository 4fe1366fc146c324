"""Static parameters that depend on weather, as those of published LSTM models do.

Such a model gives each catchment its static parameters by what its LSTM remembers on the last day
of a period. To step through time, they are computed once and stay.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..config import Config
from ..config.settings import parse_date, parse_duration
from ..errors import ConfigError
from ..networks.trained_model import TrainedModel
from ..units import SECONDS_PER_DAY
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.source import WeatherSource, longest_block
from .building import open_weather
from .configured_model import NO_STATIC_PARAMETERS

_log = logging.getLogger(__name__)


def remembered_weather(
    config: Config,
    trained: TrainedModel,
    catchments: Catchments,
    choice: EvapotranspirationChoice,
    source: WeatherSource | None,
) -> NDArray | None:
    """Return what static parameters depend on where that is the weather of the run.

    Parameters
    ----------
    config : Config
    trained : TrainedModel
    catchments : Catchments
        With all attributes that the network needs.
    choice : EvapotranspirationChoice
    source : WeatherSource or None
        Weather of the run; None where a host sets it.

    Returns
    -------
    array, shape (catchments, units), or None
        None where attributes alone decide static parameters, or a parameter file has them.

    Raises
    ------
    ConfigError
        If they depend on weather, and the run has none of its own or goes on from a state.
    CatchmentError
        If an attribute is missing.
    """
    if trained.layout.static_by == "attributes" or config.parameter_file is not None:
        return None
    if source is None or config.initial_state is not None:
        raise ConfigError(NO_STATIC_PARAMETERS)
    trained.require(catchments.ids, catchments.attributes)
    end = source.start + np.timedelta64(source.steps * config.step_seconds, "s")
    before = config.spin_up is not None and config.spin_up.before is not None
    whole = weather_from_warm_up(config, catchments, choice, end) if before else source
    _log.info(
        "static parameters are those of the last day of %s to %s, by what the LSTM remembers "
        "(`bmi-dhydro freeze` writes them to a file)",
        whole.start,
        end,
    )
    try:
        return remembered_at_end(trained, catchments, whole, config.step_seconds, config.threads)
    finally:
        if before:
            whole.close()


def weather_from_warm_up(
    config: Config,
    catchments: Catchments,
    choice: EvapotranspirationChoice,
    end: np.datetime64,
) -> WeatherSource:
    """Open the weather from the first day that fills the stores.

    Parameters
    ----------
    config : Config
        With `spin_up.before`, `time.start` and `forcing.file`.
    catchments : Catchments
    choice : EvapotranspirationChoice
    end : datetime64[s]
        Where to end.

    Raises
    ------
    ForcingError
        If the file does not have it.
    """
    assert config.time.start is not None
    assert config.spin_up is not None
    assert config.spin_up.before is not None
    start = parse_date(config.time.start, "time.start")
    seconds = parse_duration(config.spin_up.before, "spin_up.before")
    between = start - np.timedelta64(seconds, "s"), end
    source = open_weather(config, catchments, choice, between)
    assert source is not None
    return source


def remembered_at_end(
    trained: TrainedModel,
    catchments: Catchments,
    source: WeatherSource,
    step_seconds: int,
    threads: int | None = None,
) -> NDArray:
    """Return the hidden state of the LSTM after the last whole day of weather.

    Parameters
    ----------
    trained : TrainedModel
    catchments : Catchments
    source : WeatherSource
        Weather of the same catchments.
    step_seconds : int
    threads : int, optional
        All processors of this process, unless given.

    Returns
    -------
    array, shape (catchments, units)

    Raises
    ------
    ConfigError
        If the weather is shorter than a day.
    """
    per_day = SECONDS_PER_DAY // step_seconds
    steps = source.steps // per_day * per_day
    if not steps:
        raise ConfigError("static parameters of this model need the weather of a day at least")
    memory = trained.memory(catchments.attributes, per_day, threads)
    length = longest_block(len(catchments), memory.centres.shape[0] * memory.centres.shape[2] + 4)
    for first in range(0, steps, length):
        memory.advance(source.read(first, min(length, steps - first)))
    return memory.hidden
