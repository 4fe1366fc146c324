"""What a run is made of: its catchments, its weather, and what turns weather into forcing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments, climate_to_compute
from ..config import Config
from ..config.settings import parse_date
from ..errors import ConfigError
from ..io.catchment_table import read_table
from ..kernels.cpu.arena import Arena
from ..model.model import Model
from ..networks.trained_model import TrainedModel, load
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.preparation import Preparation
from ..weather.quantities import FROM_FORCING
from ..weather.source import WeatherSource

_log = logging.getLogger(__name__)


def read_catchments(config: Config) -> Catchments:
    """Return the catchments that a configuration names.

    Raises
    ------
    CatchmentError
        If the table is missing or malformed, or lacks one of them.
    """
    chosen = config.catchments
    if chosen.inline is not None:
        columns = {name: [value] for name, value in chosen.inline.items()}
        known = load(config.model).layout.needed
        return Catchments.from_columns(columns, "catchments.inline", more=known)
    assert chosen.table is not None
    return read_table(Path(chosen.table), chosen.select)


def period(config: Config) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """Return the start and the end that a configuration gives."""
    start, end = config.time.start, config.time.end
    return (
        parse_date(start, "time.start") if start else None,
        parse_date(end, "time.end") if end else None,
    )


def open_weather(
    config: Config,
    catchments: Catchments,
    choice: EvapotranspirationChoice,
    between: tuple[np.datetime64, np.datetime64] | None = None,
) -> WeatherSource | None:
    """Open the weather of a configuration; None where a host sets it.

    Parameters
    ----------
    config : Config
    catchments : Catchments
    choice : EvapotranspirationChoice
    between : tuple of datetime64[s], optional
        Start and end; those of the configuration, unless given.

    Raises
    ------
    ForcingError
        If the file is missing, or does not have what is needed.
    """
    if config.forcing.file is None:
        return None
    return WeatherSource(
        Path(config.forcing.file),
        catchments,
        config.forcing.variables,
        config.forcing.potential_evapotranspiration,
        config.step_seconds,
        *(between or period(config)),
        choice,
    )


def steps_of_host(config: Config) -> int | None:
    """Return how many steps a run with a host's weather has; None where it has no end."""
    start, end = period(config)
    if start is None or end is None:
        return None
    return int((end - start).astype(int)) // config.step_seconds


def catchments_of_host(config: Config, catchments: Catchments) -> NDArray:
    """Return which catchment each value is of that a host sets of an input."""
    own = config.ensemble is not None and config.ensemble.inputs == "own"
    return np.tile(np.arange(len(catchments)), config.members if own else 1)


def prepared_for_host(
    config: Config, catchments: Catchments, columns: NDArray, choice: EvapotranspirationChoice
) -> Preparation:
    """Return what turns the weather that a host sets into forcing.

    Parameters
    ----------
    config : Config
    catchments : Catchments
    columns : array of int
        See `catchments_of_host`.
    choice : EvapotranspirationChoice

    Raises
    ------
    ConfigError
        If potential evapotranspiration is to be rescaled, and nobody knows its method.
    ForcingError
        If it is of another method than the model learned with, and that is not accepted.
    """
    wanted = config.forcing.potential_evapotranspiration
    method = FROM_FORCING if wanted == "auto" else wanted
    latitude = catchments.latitude[columns]
    factors = None
    if method == FROM_FORCING:
        if choice.mismatch == "rescale":
            raise ConfigError(
                "forcing.evapotranspiration_mismatch: rescale: the method of a host's "
                "potential evapotranspiration is not known; let it be computed here, or accept"
            )
        if choice.learned.methods:
            _log.info(
                "the model learned with potential evapotranspiration of %s; the host's is "
                "taken as it is",
                " or ".join(choice.learned.methods),
            )
    elif not choice.fits(method):
        key = "forcing.potential_evapotranspiration"
        factors = choice.factors(method, latitude, None, key)
    return Preparation(
        method,
        catchments.ids[columns],
        latitude,
        catchments.longitude[columns],
        period(config)[0],
        config.step_seconds,
        factors,
    )


def complete_climate(
    config: Config, catchments: Catchments, trained: TrainedModel, source: WeatherSource | None
) -> None:
    """Compute climate attributes of the weather, where the table does not give them."""
    attributes = trained.layout.needed
    needed = climate_to_compute(catchments, attributes, config.catchments.climate)
    if not needed or source is None:
        return
    indices = source.climate()
    for name in needed:
        catchments.attributes[name] = indices[name]
    _log.info("computed from the weather: %s", ", ".join(needed))


def described_catchments(config: Config) -> Catchments:
    """Return the catchments of a run with all their attributes, those of its weather too."""
    trained = load(config.model)
    catchments = read_catchments(config)
    if climate_to_compute(catchments, trained.layout.needed, config.catchments.climate):
        choice = EvapotranspirationChoice(
            trained.evapotranspiration, config.forcing.evapotranspiration_mismatch
        )
        source = open_weather(config, catchments, choice)
        assert source is not None
        try:
            complete_climate(config, catchments, trained, source)
        finally:
            source.close()
    return catchments


def host_arrays(model: Model) -> Callable[..., NDArray]:
    """Return what makes the arrays that a host reads and writes, as `numpy.zeros` does.

    On a CPU they are beside what a step touches of the model, which is moved there.
    """
    if not model.resident:
        arena = Arena()
        model.move_to(arena)
        return arena.zeros
    from .exchange.gpu_coupled import host_zeros

    return host_zeros
