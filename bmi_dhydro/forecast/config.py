"""The configuration of a forecast chain, read from YAML; the fields below are its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from ..config import (
    CatchmentsConfig,
    Config,
    EnsembleConfig,
    ForcingConfig,
    NetworkConfig,
    ObservedConfig,
    TimeConfig,
    check_device,
    check_ensemble,
)
from ..config.run import ReachProcessName
from ..config.settings import (
    Count,
    Positive,
    Section,
    Share,
    ShareBelowOne,
    parse_date,
    parse_duration,
    parse_step,
    read_checked,
    resolved,
    resolved_model,
)
from ..errors import ConfigError
from ..units import SECONDS_PER_DAY


class RiverAheadConfig(Section, frozen=True):
    """The river between catchments and the places of forecasts."""

    file: str
    """Reaches: a table (.csv, .parquet, .nc), a RouteLink.nc, or a hydrofabric (.gpkg). Rivers that
    no catchment drains to are left out."""
    process: ReachProcessName = "muskingum_cunge"
    """Model of a reach."""
    routing_step: str = "1h"
    """Longest step of routing; a step of the forecast is done in several."""
    learned: str | None = None
    """Trained network that changes roughness and width, or celerity, of the reaches (written by
    `bmi-dhydro train`)."""
    at: str | list[str] = "auto"
    """Places of forecasts, and of observed flow: `gauges`, `outlets`, `all`, or ids of gauges or
    reaches; auto takes gauges, and outlets where the network has none."""

    def of_run(self) -> NetworkConfig:
        """Return the same for a run."""
        return NetworkConfig(
            self.file, self.process, self.routing_step, learned=self.learned, at=self.at
        )


class AheadConfig(Section, frozen=True):
    """Weather of the future."""

    file: str | None = None
    """NetCDF file as for `analysis`. `{time}` in it is replaced by the time of the forecast
    (2001-02-03T04), `{member}` by the number of the member, from 0. Where it is left out, the
    weather of `analysis` is also that of the future, which only the past can have."""
    horizon: str = "10d"
    """How far to forecast: 10d, 36h, ..."""
    variables: dict[str, str] = msgspec.field(default_factory=dict)
    """As those of `analysis`."""


class AssimilationConfig(Section, frozen=True):
    """How observed flow corrects the state that forecasts start from."""

    method: Literal["variational", "ensemble_filter"] = "variational"
    """`variational`: the stores at the start of a window and the precipitation in it are corrected,
    by gradients, so that the flow in the window fits. `ensemble_filter`: the stores of all members
    are corrected at the end of each observed step, by their covariance with the flow; needs an
    ensemble with noise."""
    window: str = "5d"
    """Window of the variational method: how far back it goes."""
    stores: Positive = 0.03
    """How uncertain the stores at the start of the window are: standard deviation of the logarithm
    of a factor, for each store."""
    precipitation: Positive = 0.03
    """The same for the precipitation of each day."""
    bound: Positive = 3.0
    """Most that a correction may be, in standard deviations."""
    error: Positive = 0.4
    """Standard deviation of the errors of observed flow, and of what the model cannot say however
    its stores are: as a share of it, and ..."""
    floor: Positive = 0.2
    """... as a share of the mean observed flow; both add up, as variances."""
    decay: ShareBelowOne = 0.7
    """What assimilation leaves unexplained of the last observation is added to the forecast, and
    shrinks to this share with each day; 0 leaves it out."""
    drift: Share = 0.5
    """What it shrinks to: this share of the mean difference of the last month or so between
    observations and what was simulated before assimilation; 0 leaves it out."""
    drift_days: Positive = 30.0
    """How fast that mean forgets."""
    outlier: Positive = 5.0
    """Observations that differ from the simulation by more than this number of standard deviations
    of what is expected are left out, and counted."""
    iterations: Count = 5
    """Iterations of the variational method, at most."""

    @property
    def window_seconds(self) -> int:
        """Length of the window in seconds."""
        return parse_duration(self.window, "assimilation.window")


class ForecastConfig(Section, frozen=True):
    """A forecast chain."""

    folder: str
    """Where the chain lives: its states, forecasts and log. Made if it is not there."""
    catchments: CatchmentsConfig
    """Which catchments; climate indices that the table lacks are computed once, of the weather of
    the analysis up to the first forecast, and kept."""
    start: str
    """Where the first analysis begins, with nearly empty stores: a few years before the first
    forecast. ISO 8601."""
    analysis: ForcingConfig
    """Weather of the past."""
    forecast: AheadConfig = AheadConfig()
    """Weather of the future."""
    network: RiverAheadConfig | None = None
    """The river that the catchments drain to: forecasts, and observed flow, are those of its
    gauges."""
    late: Literal["stop", "fill"] = "stop"
    """Where the weather of the past ends before the forecast begins: make no forecast, or fill the
    gap from the weather of the future, if that begins early enough; then no state is saved, and the
    next forecast starts from the one before."""
    step: str = "1d"
    """Length of a step: 1d, 6h, 1h, ..."""
    model: str = "default"
    """Trained model: one that comes with the package, or a `.safetensors` file."""
    ensemble: EnsembleConfig | None = None
    """Members. Noise is on the weather of the past and of the future, but for members that have a
    file of their own (`{member}`). `inputs` and `view` mean nothing here."""
    observed: ObservedConfig | None = None
    """Observed flow: for assimilation, and to score hindcasts."""
    assimilation: AssimilationConfig | None = None
    """Correct the state by observed flow."""
    quantiles: tuple[Share, ...] = (0.1, 0.5, 0.9)
    """Quantiles of the members, written beside them."""
    plots: tuple[str, ...] = ()
    """Catchments, or places on rivers, to draw: one picture for each forecast, with what was
    observed and forecast in the month before it and, where observed flow has ten years at least,
    the flow that is reached once in 2, 10 and 50 years."""
    carry_over: bool = False
    """Whether states of another trained model of the same process may be gone on from: their stores
    are taken over, and nothing else. For the first forecast after a model was replaced."""
    keep: str | None = None
    """How long to keep states: those older than the newest by more than this are removed (30d); all
    are kept, unless given."""
    parameter_file: str | None = None
    """Parameters that replace those of the network, as for a run."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of state and parameters."""
    device: str = "cpu"
    """Where states and parameters are, as for a run."""
    threads: Count | None = None
    """Threads of the cpu kernel; all processors of the process, unless given."""

    @property
    def step_seconds(self) -> int:
        """Length of a step in seconds."""
        return parse_step(self.step)

    @property
    def horizon_steps(self) -> int:
        """Steps of a forecast."""
        return parse_duration(self.forecast.horizon, "forecast.horizon") // self.step_seconds

    @property
    def keep_seconds(self) -> float:
        """Age from which states are removed."""
        return np.inf if self.keep is None else parse_duration(self.keep, "keep")

    @property
    def start_time(self) -> np.datetime64:
        """Where the first analysis begins."""
        return parse_date(self.start, "start")

    @property
    def members(self) -> int:
        """Members of a forecast."""
        return 1 if self.ensemble is None else self.ensemble.members

    @property
    def has_weather_of_members(self) -> bool:
        """Whether each member has its own weather of the future."""
        return self.forecast.file is not None and "{member}" in self.forecast.file

    def latest_state(self, time: np.datetime64) -> np.datetime64:
        """Return the latest time of a state that the analysis of a forecast may begin with.

        Always before the time of the forecast, so that one that is made again is the same. With the
        variational method the start of its window, so that no observation counts twice.
        """
        wanted, seconds = self.assimilation, self.step_seconds
        if wanted is not None and wanted.method == "variational":
            seconds = wanted.window_seconds
        return time - np.timedelta64(seconds, "s")

    def of_run(self, ensemble: EnsembleConfig | None) -> Config:
        """Return the configuration of a run with the same model, over the weather of the past."""
        return Config(
            catchments=self.catchments,
            model=self.model,
            forcing=self.analysis,
            time=TimeConfig(step=self.step),
            device=self.device,
            threads=self.threads,
            dtype=self.dtype,
            ensemble=ensemble,
            parameter_file=self.parameter_file,
        )


def read_forecast_config(path: str | Path) -> ForecastConfig:
    """Read the configuration of a chain; relative paths are relative to its folder.

    Raises
    ------
    ConfigError
        If the file is missing, no YAML, or has unknown, missing or impossible keys.
    """
    return read_checked(Path(path), ForecastConfig, _resolved, _check)


def _resolved(config: ForecastConfig, folder: Path) -> ForecastConfig:
    """Make the paths of a configuration absolute."""
    replace = msgspec.structs.replace
    observed = config.observed
    if observed is not None:
        observed = replace(observed, file=resolved(observed.file, folder))
    return replace(
        config,
        folder=resolved(config.folder, folder),
        catchments=replace(config.catchments, table=resolved(config.catchments.table, folder)),
        analysis=replace(config.analysis, file=resolved(config.analysis.file, folder)),
        forecast=replace(config.forecast, file=resolved(config.forecast.file, folder)),
        observed=observed,
        network=None
        if config.network is None
        else replace(
            config.network,
            file=resolved(config.network.file, folder),
            learned=resolved(config.network.learned, folder),
        ),
        model=resolved_model(config.model, folder),
        parameter_file=resolved(config.parameter_file, folder),
    )


def _check(config: ForecastConfig) -> None:
    step = config.step_seconds
    _ = config.start_time
    if config.catchments.table is None:
        raise ConfigError("catchments.table: a chain needs a table")
    if config.analysis.file is None:
        raise ConfigError("analysis.file: a chain reads its weather from files")
    if config.horizon_steps < 1 or parse_duration(config.forecast.horizon, "") % step:
        raise ConfigError(
            f"forecast.horizon: {config.forecast.horizon!r} is no multiple of the step"
        )
    if config.network is not None:
        parse_duration(config.network.routing_step, "network.routing_step")
    check_device(config.device)
    _ = config.keep_seconds
    if config.has_weather_of_members and config.ensemble is None:
        raise ConfigError("forecast.file: '{member}' needs ensemble.members")
    if config.ensemble is not None:
        check_ensemble(config.ensemble)
    if config.assimilation is not None:
        _check_assimilation(config, config.assimilation)


def _check_assimilation(config: ForecastConfig, wanted: AssimilationConfig) -> None:
    if config.observed is None:
        raise ConfigError("assimilation: needs observed flow; give observed.file")
    seconds = wanted.window_seconds
    if seconds % max(config.step_seconds, SECONDS_PER_DAY):
        raise ConfigError(f"assimilation.window: {wanted.window!r} is no whole number of days")
    if wanted.method == "ensemble_filter":
        noise = config.ensemble is not None and (config.ensemble.weather or config.ensemble.states)
        if not noise or config.members < 3:
            raise ConfigError(
                "assimilation.method: ensemble_filter needs an ensemble of three members at least, "
                "with noise on weather or states"
            )
    if wanted.method == "variational" and config.keep_seconds <= seconds:
        raise ConfigError(f"keep: {config.keep!r} must be longer than assimilation.window")
