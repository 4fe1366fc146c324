"""The configuration of a run, read from YAML; the fields below are its reference."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import ConfigError, nearest
from ..machine import rank_of_processes
from ..weather.quantities import PET, PRECIPITATION, TEMPERATURE
from .settings import (
    Count,
    CountOrZero,
    NotNegative,
    Positive,
    Section,
    Seed,
    parse_date,
    parse_duration,
    parse_step,
    read_checked,
    resolved,
    resolved_model,
)
from .time_units import TimeUnits

ReachProcessName = Literal["muskingum_cunge", "muskingum_cunge_nwm", "linear"]


# Stands for the number of a sample of a posterior in the names of parameter files.
SAMPLE = "{sample}"


class CatchmentsConfig(Section, frozen=True):
    """Which catchments: a table, or one catchment in place."""

    table: str | None = None
    """CSV, Parquet or NetCDF file with a row for each catchment: `id`, `area` (km2), `latitude`,
    `longitude`, `elevation` (m), attributes."""
    select: list[str] | None = None
    """Ids of the catchments to take from the table, in this order; all, unless given."""
    inline: dict[str, str | float] | None = None
    """One catchment: the columns of a table, with one value each."""
    climate: Literal["auto", "table", "forcing"] = "auto"
    """Where climate indices come from: columns of the table, the weather of the run (a year at
    least), or (auto) the weather for those that the table lacks."""


class ForcingConfig(Section, frozen=True):
    """Weather: a file that the component reads ahead, or nothing where the host supplies it."""

    file: str | None = None
    """NetCDF file with a catchment and a time dimension, or a folder with a table for each
    catchment (`ID.csv` or `ID.parquet`: `time`, and columns such as `prcp [mm d-1]`); leave out
    where the host supplies weather."""
    variables: dict[str, str] = msgspec.field(default_factory=dict)
    """Names in the file by quantity (precipitation, temperature, temperature_minimum,
    temperature_maximum, potential_evapotranspiration, shortwave_radiation, longwave_radiation,
    specific_humidity, air_pressure, wind_x, wind_y), where they are not recognised."""
    potential_evapotranspiration: Literal[
        "auto", "forcing", "hargreaves", "penman_monteith", "priestley_taylor", "oudin", "hamon"
    ] = "auto"
    """From the file or host, or computed. `auto` takes it from the file if it is there, else
    Hargreaves if there are temperature extremes, else Penman-Monteith (FAO 56) or Priestley-Taylor
    if there are radiation and what else they need, else Oudin; but the method that the model
    learned with, where the file is said to be of another one or has none; with a host, from the
    host. Extremes of a day may come from steps of up to three hours."""
    evapotranspiration_mismatch: Literal["refuse", "rescale", "accept"] = "refuse"
    """What to do where potential evapotranspiration is of another method than the model learned
    with, which biases flow: end with an error, multiply it by a factor for each month that brings
    it to the method of training (found in the weather file where that suffices for both, else as
    in the catchments of training), or take it as it is, with a warning."""


class ObservedConfig(Section, frozen=True):
    """Observed flow."""

    file: str
    """NetCDF file with a catchment and a time dimension: mm per step, a rate, or a volume with a
    variable `area`. Gaps do not count."""
    variable: str | None = None
    """Name of the flow in it, where it is not recognised."""


class TimeConfig(Section, frozen=True):
    """The period and the step."""

    start: str | None = None
    """Start of the first step, ISO 8601; the start of the weather file, unless given."""
    end: str | None = None
    """End of the last step (not included); the end of the weather file, unless given; open with
    a host."""
    step: str = "1d"
    """Length of a step: 1d, 6h, 1h, 15min, ...; must divide a day."""
    units: str = "s"
    """Time unit of the interface: `s`, `min`, `h` or `d`; where a host wants a calendar, since the
    start (`seconds since <start>`) or since a time (`hours since 1990-01-01`): then the start of
    the run is not 0."""


class OutputConfig(Section, frozen=True):
    """What to write."""

    file: str | None = None
    """NetCDF file of results (CF time series); nothing is written, unless given. `{rank}` in it is
    replaced by the number of the process, where MPI has started several."""
    variables: list[str] | None = None
    """Interface names, model outputs or forcings to write; all interface outputs, precipitation and
    potential evapotranspiration, unless given."""


class SpinUpConfig(Section, frozen=True):
    """Filling the stores before the run."""

    weather: str | None = None
    """File of weather before the run, where a host sets that of the run: its first years are
    repeated, and the model is run from there to `time.start`."""
    before: str | None = None
    """Instead of repeating years: how much of `forcing.file` before `time.start` fills the stores,
    such as 365d."""
    held: bool = False
    """With `before`: hold parameters that change daily at what they are on the last of these days,
    and begin with nothing on its way, as published models with `warm_up_states` do."""
    years: Count = 1
    """How many of the first years of the run, or of `weather`, to repeat."""
    tolerance: Positive = 1.0
    """Repeat until the water in all stores changes by less than this in a repetition, in mm."""
    most: Count = 50
    """Repetitions after which to go on all the same, with a warning. Only catchments that have not
    settled are repeated; snow that grows by the same amount each time, a glacier to be, is put
    where all repetitions would bring it."""


class SaveStateConfig(Section, frozen=True):
    """States to save during a run, and at its end."""

    path: str
    """NetCDF file; `{time}` in it is replaced by the time of the state."""
    every: str | None = None
    """Time between two saves, counted from the start: 1d, 6h, ...; only the end, unless given."""
    keep: CountOrZero = 0
    """How many of the last states of this run to keep; 0 keeps all."""

    @property
    def every_seconds(self) -> int:
        """Seconds between two saves; 0 where only the end is saved."""
        return 0 if self.every is None else parse_duration(self.every, "save_state.every")


class NetworkConfig(Section, frozen=True):
    """The river that the catchments drain to."""

    file: str
    """Reaches: a table (.csv, .parquet, .nc), a RouteLink.nc, or a hydrofabric (.gpkg). Rivers that
    no catchment of the run drains to are left out."""
    process: ReachProcessName = "muskingum_cunge"
    """Model of a reach."""
    routing_step: str = "5min"
    """Longest step of routing; a step of the run is done in several."""
    start: Literal["steady", "dry"] = "steady"
    """Whether the river starts with the flow that runoff of the first step would keep up, or dry;
    an `initial_state` that has one of its own goes before."""
    learned: str | None = None
    """Trained network that changes roughness and width, or celerity, of the reaches (written by
    `bmi-dhydro train`)."""
    at: str | list[str] = "auto"
    """Where results are written: `gauges`, `outlets`, `all`, or ids of gauges or reaches; auto
    takes gauges, and outlets where the network has none."""
    output: str | None = None
    """NetCDF file of the results there (CF time series); nothing is written, unless given."""


# Standard deviations beyond which noise is none any more: of the logarithm of an amount of water,
# and of a temperature, in degC.
LARGEST_LOGARITHM, LARGEST_SPREAD = 10.0, 30.0


class NoiseConfig(Section, frozen=True):
    """Noise on a quantity."""

    spread: NotNegative
    """Standard deviation: of the logarithm of a factor whose mean is 1, for amounts of water; of
    what is added, in degC, for temperature."""
    hours: NotNegative = 24.0
    """Correlation time: after it, the correlation of the noise with itself is 0.32, after twice as
    long 0."""


class EnsembleConfig(Section, frozen=True):
    """Members of an ensemble, computed together."""

    members: Count
    """How many."""
    seed: Seed = 0
    """Seed of the noise; the same seed gives the same noise, however a run is cut."""
    weather: dict[str, NoiseConfig] = msgspec.field(default_factory=dict)
    """Noise on `precipitation`, `temperature` (added) and `potential_evapotranspiration`."""
    states: dict[str, NoiseConfig] = msgspec.field(default_factory=dict)
    """Noise on stores (`soil_moisture`, `lower_zone`, ...) at the beginning of each day; what it
    adds or takes is booked."""
    inputs: Literal["shared", "own"] = "shared"
    """Whether a host sets weather for each catchment, or for each member of each."""
    view: Literal["all", "one"] = "all"
    """Whether the interface shows all members, on a grid of members and catchments, or one at a
    time, as if there were no others; then `ensemble__member` says which."""


class Config(Section, frozen=True):
    """A run of the component."""

    catchments: CatchmentsConfig
    """Which catchments."""
    model: str = "default"
    """Trained model: one that comes with the package (`default`, whose parameters move from day to
    day; `ensemble`, two such networks together: a little more skill, and twice the time; `fast`,
    whose parameters stay: a little less skill, and a step in a fraction of the time), or a
    `.safetensors` file."""
    forcing: ForcingConfig = ForcingConfig()
    """Weather."""
    time: TimeConfig = TimeConfig()
    """Period and step."""
    kernel: Literal["cpu", "reference"] = "cpu"
    """What executes the equations."""
    device: str = "cpu"
    """Where states and parameters are: `cpu`; `cuda` (of several GPUs that of the process' rank on
    its machine), `cuda:n`, `cuda:n,m` or `cuda:all` (several that share the catchments); or `auto`,
    what was measured to be faster here. A GPU takes the gpu kernel, and needs triton."""
    threads: Count | None = None
    """Threads of the cpu kernel; all processors of the process, unless given."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of state and parameters; float32 is about twice as fast."""
    routing: Literal["unit_hydrograph", "none"] = "unit_hydrograph"
    """Whether runoff passes a unit hydrograph; `none` where the host routes."""
    grid: Literal["auto", "scalar", "points", "unstructured"] = "auto"
    """Grid that the interface reports: scalar for one catchment, else points (pymt, grpc4bmi) or
    unstructured (bmi-tester, grpc4bmi); auto is scalar or unstructured."""
    fleet: bool = False
    """Whether instances in one process that differ in `catchments.select` and `save_state` only
    (one catchment each) are computed together; needs `forcing.file`. They write one `output.file`
    of all; where there are several processes its name must hold `{rank}`."""
    ensemble: EnsembleConfig | None = None
    """Members of an ensemble, with their own weather and states and the same parameters."""
    initial_state: str | None = None
    """State file to start from; nearly empty stores, unless given."""
    spin_up: SpinUpConfig | None = None
    """Repeat the first years of the run until the stores no longer change, then begin; the result
    is kept in the cache folder for the next run of the same. Instead of `initial_state`. Where a
    host sets the weather, `spin_up.weather` is that before the run."""
    carry_over: bool = False
    """Whether `initial_state` may be of another trained model of the same process: its stores are
    taken over, and nothing else."""
    save_state: str | SaveStateConfig | None = None
    """State file to write when the run ends, or what to save more often."""
    output: OutputConfig = OutputConfig()
    """What to write."""
    network: NetworkConfig | None = None
    """The river that the catchments drain to, computed with them."""
    history: CountOrZero = 0
    """Steps that are remembered, for derivatives with respect to the past (`BmiDhydro.vjp`)."""
    parameter_file: str | None = None
    """Parameters that replace those of the network, for the catchments that the file has; written
    by `bmi-dhydro calibrate`. `{sample}` in the name stands for all samples of a posterior, which
    `bmi-dhydro run --band` runs."""
    parameters: dict[str, float | list[float]] = msgspec.field(default_factory=dict)
    """Values that replace those of the network, by parameter name: one for all, or one for each
    component."""

    @property
    def save_state_section(self) -> SaveStateConfig | None:
        """What to save, written either way."""
        if isinstance(self.save_state, str):
            return SaveStateConfig(path=self.save_state)
        return self.save_state

    @property
    def members(self) -> int:
        """Members of the ensemble; one where there is none."""
        return 1 if self.ensemble is None else self.ensemble.members

    @property
    def step_seconds(self) -> int:
        """Length of a step in seconds."""
        return parse_step(self.time.step)

    def without_files(self) -> Config:
        """Return the same run, which writes neither results nor a state."""
        return msgspec.structs.replace(self, output=OutputConfig(), save_state=None)


def read_config(path: str | Path) -> Config:
    """Read a configuration; relative paths in it are relative to its folder.

    Parameters
    ----------
    path : path of a YAML file

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        If the file is missing, no YAML, or has unknown, missing or impossible keys.
    """
    return read_checked(Path(path), Config, _resolved, _check)


def _resolved(config: Config, folder: Path) -> Config:
    """Make the paths of a configuration absolute."""
    replace = msgspec.structs.replace
    return replace(
        config,
        model=resolved_model(config.model, folder),
        catchments=replace(config.catchments, table=resolved(config.catchments.table, folder)),
        forcing=replace(config.forcing, file=resolved(config.forcing.file, folder)),
        output=replace(config.output, file=resolved(_file_of_rank(config), folder)),
        parameter_file=resolved(config.parameter_file, folder),
        initial_state=resolved(config.initial_state, folder),
        spin_up=_resolved_spin_up(config.spin_up, folder),
        save_state=_resolved_save(config.save_state, folder),
        network=_resolved_network(config.network, folder),
    )


def _resolved_spin_up(wanted: SpinUpConfig | None, folder: Path) -> SpinUpConfig | None:
    if wanted is None:
        return None
    return msgspec.structs.replace(wanted, weather=resolved(wanted.weather, folder))


def _resolved_network(wanted: NetworkConfig | None, folder: Path) -> NetworkConfig | None:
    if wanted is None:
        return None
    return msgspec.structs.replace(
        wanted,
        file=resolved(wanted.file, folder),
        output=resolved(wanted.output, folder),
        learned=resolved(wanted.learned, folder),
    )


def _file_of_rank(config: Config) -> str | None:
    """Return the file of results, with the rank of this process in its name.

    Raises
    ------
    ConfigError
        If each of several processes has a fleet, and all would write the same file.
    """
    path = config.output.file
    rank, processes = rank_of_processes()
    if path is not None and config.fleet and processes > 1 and "{rank}" not in path:
        raise ConfigError(
            f"output.file: {path!r} is that of {processes} processes; put {{rank}} into the name"
        )
    return None if path is None else path.replace("{rank}", str(rank))


def _resolved_save(
    wanted: str | SaveStateConfig | None, folder: Path
) -> str | SaveStateConfig | None:
    if isinstance(wanted, SaveStateConfig):
        return msgspec.structs.replace(wanted, path=resolved(wanted.path, folder))
    return resolved(wanted, folder)


def _check_warm_up(config: Config, wanted: SpinUpConfig) -> None:
    if wanted.before is None:
        if wanted.held:
            raise ConfigError("spin_up.held: goes with spin_up.before")
        return
    seconds = parse_duration(wanted.before, "spin_up.before")
    if seconds % config.step_seconds:
        raise ConfigError(f"spin_up.before: {wanted.before!r} is no multiple of time.step")
    if config.forcing.file is None or config.time.start is None:
        raise ConfigError("spin_up.before: needs forcing.file and time.start, before which it is")
    if wanted.weather is not None:
        raise ConfigError("spin_up: give either before or weather")
    if config.fleet:
        raise ConfigError("spin_up.before: does not go with fleet; leave one of them out")


def _check_spin_up(config: Config, wanted: SpinUpConfig) -> None:
    _check_warm_up(config, wanted)
    if config.forcing.file is None and wanted.weather is None:
        raise ConfigError(
            "spin_up: needs weather before the run, since a host sets that of the run: give "
            "spin_up.weather, a file, or initial_state"
        )
    if config.forcing.file is not None and wanted.weather is not None:
        raise ConfigError(
            "spin_up.weather: goes with weather that a host sets; forcing.file is there already"
        )
    if wanted.weather is not None and config.time.start is None:
        raise ConfigError("spin_up.weather: needs time.start, up to which the model is run")
    if config.initial_state is not None:
        raise ConfigError("spin_up: give either it or initial_state")


def _check_save(wanted: SaveStateConfig, step_seconds: int) -> None:
    if wanted.every is None:
        return
    if wanted.every_seconds % step_seconds:
        raise ConfigError(f"save_state.every: {wanted.every!r} is no multiple of time.step")
    if "{time}" not in wanted.path and wanted.keep != 1:
        raise ConfigError(
            f"save_state.path: {wanted.path!r} would be written again and again; put {{time}} into "
            "it, or set keep: 1"
        )


def check_device(name: str) -> None:
    """Check the name of a device.

    Raises
    ------
    ConfigError
        If it is unknown.
    """
    if not re.fullmatch(r"cpu|auto|cuda(:(all|\d+(,\d+)*))?", name):
        raise ConfigError(
            f"device: {name!r} is unknown; write cpu, auto, cuda, cuda:0, cuda:0,1 or cuda:all"
        )


def check_ensemble(wanted: EnsembleConfig) -> None:
    """Refuse what the keys of an ensemble allow but make no sense.

    Raises
    ------
    ConfigError
    """
    known = (PRECIPITATION, TEMPERATURE, PET)
    for name in wanted.weather:
        if name not in known:
            raise ConfigError(f"ensemble.weather: {name!r} is unknown; {nearest(name, known)}")
    for key in ("weather", "states"):
        for name, noise in getattr(wanted, key).items():
            if name == TEMPERATURE and noise.spread > LARGEST_SPREAD:
                raise ConfigError(
                    f"ensemble.weather.{name}.spread: {noise.spread:g} degC is no noise any more; "
                    f"{LARGEST_SPREAD:g} is the most that is taken"
                )
            if name != TEMPERATURE and noise.spread > LARGEST_LOGARITHM:
                raise ConfigError(
                    f"ensemble.{key}.{name}.spread: {noise.spread:g} is the standard deviation of "
                    f"a logarithm; {LARGEST_LOGARITHM:g} is the most that is taken"
                )


def _check_fleet(config: Config) -> None:
    if config.forcing.file is None:
        raise ConfigError("fleet: needs forcing.file, since a host's weather comes one by one")
    if config.catchments.select is None or len(config.catchments.select) != 1:
        raise ConfigError("fleet: each instance has one catchment; write catchments.select: [ID]")
    for key, given in (
        ("history", config.history or None),
        ("ensemble", config.ensemble),
        ("network", config.network),
    ):
        if given is not None:
            raise ConfigError(f"{key}: does not go with fleet; leave one of them out")
    saved = config.save_state_section
    own = config.catchments.select[0]
    if saved is not None and own not in Path(saved.path).name:
        raise ConfigError(
            f"save_state.path: {saved.path!r} is that of other instances of the fleet too; put the "
            f"id, {own}, into the name"
        )


def _check(config: Config) -> None:
    """Refuse what each key allows but the whole does not."""
    parse_step(config.time.step)
    catchments = config.catchments
    if (catchments.table is None) == (catchments.inline is None):
        raise ConfigError(
            "catchments: give either 'table' (a file) or 'inline' (one catchment's columns)"
        )
    if catchments.select is not None and catchments.table is None:
        raise ConfigError("catchments.select: goes with catchments.table")
    if catchments.climate == "forcing" and config.forcing.file is None:
        raise ConfigError(
            "catchments.climate: 'forcing' needs forcing.file; give the indices in the table"
        )
    if config.forcing.variables and config.forcing.file is None:
        raise ConfigError("forcing.variables: goes with forcing.file")
    if config.fleet:
        _check_fleet(config)
    if config.ensemble is not None:
        check_ensemble(config.ensemble)
        if config.history:
            raise ConfigError("history: does not go with ensemble; leave one of them out")
        if config.ensemble.inputs == "own" and config.forcing.file is not None:
            raise ConfigError("ensemble.inputs: own: goes with a host's weather, not forcing.file")
    check_device(config.device)
    if config.kernel == "reference" and config.device not in ("cpu", "auto"):
        raise ConfigError(
            f"kernel: reference runs on the CPU, and the device is {config.device!r}; leave one of "
            "them out"
        )
    if config.save_state_section is not None:
        _check_save(config.save_state_section, config.step_seconds)
    if config.spin_up is not None:
        _check_spin_up(config, config.spin_up)
    if config.carry_over and config.initial_state is None:
        raise ConfigError("carry_over: goes with initial_state")
    time = config.time
    start = None if time.start is None else parse_date(time.start, "time.start")
    end = None if time.end is None else parse_date(time.end, "time.end")
    TimeUnits.parse(time.units, "time.units")
    for name, value in config.parameters.items():
        if not all(map(math.isfinite, value if isinstance(value, list) else [value])):
            raise ConfigError(f"parameters.{name}: {value} is not finite")
    if start is not None and end is not None and end <= start:
        raise ConfigError(f"time.end: {end} is not after time.start, {start}")
    if config.output.file is not None and config.time.start is None and not config.forcing.file:
        raise ConfigError("time.start: is needed to date the results of a host's weather")
    if config.network is not None:
        parse_duration(config.network.routing_step, "network.routing_step")
        if config.network.output is not None and start is None and not config.forcing.file:
            raise ConfigError("time.start: is needed to date the results of a host's weather")
    if config.output.variables is not None and config.output.file is None:
        raise ConfigError("output.variables: goes with output.file")
