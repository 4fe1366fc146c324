"""The configuration of a run, read from YAML; the fields below are its reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints, overload

import msgspec
import numpy as np
import yaml

from .checkpoint import SHIPPED
from .errors import ConfigError, nearest
from .weather import PET, PRECIPITATION, TEMPERATURE


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A part of a configuration; unknown keys are refused."""


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
    """NetCDF file with a catchment and a time dimension; leave out where the host supplies
    weather."""
    variables: dict[str, str] = {}
    """Names in the file by quantity (precipitation, temperature, temperature_minimum,
    temperature_maximum, potential_evapotranspiration, shortwave_radiation, longwave_radiation,
    specific_humidity, air_pressure, wind_x, wind_y), where they are not recognised."""
    potential_evapotranspiration: Literal[
        "auto", "forcing", "hargreaves", "penman_monteith", "priestley_taylor", "oudin", "hamon"
    ] = "auto"
    """From the file or host, or computed. `auto` takes it from the file if it is there, else
    Hargreaves if there are temperature extremes, else Penman-Monteith (FAO 56) or Priestley-Taylor
    if there are radiation and what else they need, else Oudin; with a host, from the host."""


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
    """Time unit that the interface reports; `s`, or `seconds since <start>` where a host wants
    a calendar."""


class OutputConfig(Section, frozen=True):
    """What to write."""

    file: str | None = None
    """NetCDF file of results (CF time series); nothing is written, unless given."""
    variables: list[str] | None = None
    """Interface names, model outputs or forcings to write; all interface outputs, precipitation and
    potential evapotranspiration, unless given."""


class SpinUpConfig(Section, frozen=True):
    """Filling the stores before the run."""

    years: int = 1
    """How many of the first years of the run to repeat."""
    tolerance: float = 1.0
    """Repeat until the water in all stores changes by less than this in a repetition, in mm."""
    most: int = 50
    """Repetitions after which to go on all the same, with a warning."""


class SaveStateConfig(Section, frozen=True):
    """States to save during a run, and at its end."""

    path: str
    """NetCDF file; `{time}` in it is replaced by the time of the state."""
    every: str | None = None
    """Time between two saves, counted from the start: 1d, 6h, ...; only the end, unless given."""
    keep: int = 0
    """How many of the last states of this run to keep; 0 keeps all."""

    @property
    def every_seconds(self) -> int:
        """Seconds between two saves; 0 where only the end is saved."""
        return 0 if self.every is None else parse_duration(self.every, "save_state.every")


class NoiseConfig(Section, frozen=True):
    """Noise on a quantity."""

    spread: float
    """Standard deviation: of the logarithm of a factor whose mean is 1, for amounts of water; of
    what is added, in degC, for temperature."""
    hours: float = 24.0
    """Correlation time: after it, the correlation of the noise with itself is 0.32, after twice as
    long 0."""


class EnsembleConfig(Section, frozen=True):
    """Members of an ensemble, computed together."""

    members: int
    """How many."""
    seed: int = 0
    """Of the noise; the same seed gives the same noise, however a run is cut."""
    weather: dict[str, NoiseConfig] = {}
    """Noise on `precipitation`, `temperature` (added) and `potential_evapotranspiration`."""
    states: dict[str, NoiseConfig] = {}
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
    """Trained model: one that comes with the package (`default`; `dynamic`, whose parameters move
    from day to day: better, and slower), or a `.safetensors` file."""
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
    threads: int | None = None
    """Threads of the cpu kernel; all processors of the process, unless given."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of state and parameters; float32 is about twice as fast."""
    routing: Literal["unit_hydrograph", "none"] = "unit_hydrograph"
    """Whether runoff passes a unit hydrograph; `none` where the host routes."""
    grid: Literal["auto", "scalar", "points", "unstructured"] = "auto"
    """Grid that the interface reports: scalar for one catchment, else points (pymt, grpc4bmi) or
    unstructured (bmi-tester, grpc4bmi); auto is scalar or unstructured."""
    fleet: bool = False
    """Whether instances in one process that differ in `catchments.select` only (one catchment each)
    are computed together; needs `forcing.file`."""
    ensemble: EnsembleConfig | None = None
    """Members of an ensemble, with their own weather and states and the same parameters."""
    initial_state: str | None = None
    """State file to start from; nearly empty stores, unless given."""
    spin_up: SpinUpConfig | None = None
    """Repeat the first years of the run until the stores no longer change, then begin; the result
    is kept in the cache folder for the next run of the same. Instead of `initial_state`."""
    carry_over: bool = False
    """Whether `initial_state` may be of another trained model of the same process: its stores are
    taken over, and nothing else."""
    save_state: str | SaveStateConfig | None = None
    """State file to write when the run ends, or what to save more often."""
    output: OutputConfig = OutputConfig()
    """What to write."""
    history: int = 0
    """Steps that are remembered, for derivatives with respect to the past (`BmiDhydro.vjp`)."""
    parameter_file: str | None = None
    """Parameters that replace those of the network, for the catchments that the file has; written
    by `bmi-dhydro calibrate`."""
    parameters: dict[str, float | list[float]] = {}
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


_STEP = re.compile(r"(\d*)\s*(d|day|days|h|hour|hours|min|minute|minutes|s|second|seconds)")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_step(text: str) -> int:
    """Return the seconds of a step such as `1d`, `6h`, `15min`.

    Raises
    ------
    ConfigError
        If it is no length of time or does not divide a day.
    """
    seconds = parse_duration(text, "time.step")
    if 86400 % seconds:
        raise ConfigError(f"time.step: {text!r} does not divide a day")
    return seconds


def parse_duration(text: str, key: str) -> int:
    """Return the seconds of a length of time such as `1d`, `6h`, `15min`.

    Raises
    ------
    ConfigError
        If it is none; names `key`.
    """
    match = _STEP.fullmatch(text.strip())
    seconds = int(match[1] or 1) * _SECONDS[match[2][0]] if match else 0
    if not seconds:
        raise ConfigError(f"{key}: {text!r} is no length of time; write 1d, 6h, 1h, 15min, ...")
    return seconds


def parse_date(text: str, key: str) -> np.datetime64:
    """Return an ISO 8601 date or time in UTC.

    Raises
    ------
    ConfigError
        If it is none; names `key`.
    """
    try:
        date = np.datetime64(text.strip().removesuffix("Z"), "s")
    except ValueError:
        raise ConfigError(
            f"{key}: {text!r} is no date; write 1990-10-01 or 1990-10-01T06:00"
        ) from None
    if np.isnat(date):
        raise ConfigError(f"{key}: {text!r} is no date")
    return date


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Leaves dates as text, so that they are read in one place."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_Kind = TypeVar("_Kind", bound=Section)


def read_section(file: Path, kind: type[_Kind]) -> _Kind:
    """Read a YAML file as a section; paths in it stay as they are.

    Raises
    ------
    ConfigError
        If the file is missing, no YAML, or has unknown, missing or impossible keys.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{file}: cannot read the configuration ({reason})") from None
    try:
        document = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: a configuration is a mapping of keys, such as 'catchments:'")
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {_explained(str(error), kind)}") from None


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
    file = Path(path)
    config = _resolved(read_section(file, Config), file.parent)
    try:
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    return config


def _explained(message: str, kind: type) -> str:
    """Add the nearest known key to msgspec's message about an unknown one."""
    match = re.match(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*?)`)?$", message)
    if not match:
        return message.replace("`$.", "`").replace("`$`", "the top level")
    key, where = match[1], match[2] or ""
    section: Any = kind
    for part in filter(None, where.split(".")):
        section = get_type_hints(section)[part]
        section = next((a for a in get_args(section) if hasattr(a, "__struct_fields__")), section)
    known = section.__struct_fields__
    return f"unknown key {'.'.join(filter(None, (where, key)))!r}; {nearest(key, known)}"


@overload
def resolved(path: str, folder: Path) -> str: ...
@overload
def resolved(path: None, folder: Path) -> None: ...
def resolved(path: str | None, folder: Path) -> str | None:
    """Return a path of a configuration in `folder` as an absolute one."""
    return None if path is None else str((folder / path).resolve())


def _resolved(config: Config, folder: Path) -> Config:
    """Make the paths of a configuration absolute."""
    replace = msgspec.structs.replace
    return replace(
        config,
        model=config.model if config.model in SHIPPED else resolved(config.model, folder),
        catchments=replace(config.catchments, table=resolved(config.catchments.table, folder)),
        forcing=replace(config.forcing, file=resolved(config.forcing.file, folder)),
        output=replace(config.output, file=resolved(config.output.file, folder)),
        parameter_file=resolved(config.parameter_file, folder),
        initial_state=resolved(config.initial_state, folder),
        save_state=_resolved_save(config.save_state, folder),
    )


def _resolved_save(
    wanted: str | SaveStateConfig | None, folder: Path
) -> str | SaveStateConfig | None:
    if isinstance(wanted, SaveStateConfig):
        return msgspec.structs.replace(wanted, path=resolved(wanted.path, folder))
    return resolved(wanted, folder)


def _check_spin_up(config: Config, wanted: SpinUpConfig) -> None:
    if config.forcing.file is None:
        raise ConfigError("spin_up: needs forcing.file; a host can restore a state instead")
    if config.initial_state is not None:
        raise ConfigError("spin_up: give either it or initial_state")
    for key in ("years", "tolerance", "most"):
        if getattr(wanted, key) <= 0:
            raise ConfigError(f"spin_up.{key}: {getattr(wanted, key)} is not more than zero")


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
    if wanted.members < 1:
        raise ConfigError(f"ensemble.members: {wanted.members} is less than one")
    if not 0 <= wanted.seed < 2**63:
        raise ConfigError(f"ensemble.seed: {wanted.seed} is not between 0 and 2**63")
    known = (PRECIPITATION, TEMPERATURE, PET)
    for name in wanted.weather:
        if name not in known:
            raise ConfigError(f"ensemble.weather: {name!r} is unknown; {nearest(name, known)}")
    for key in ("weather", "states"):
        for name, noise in getattr(wanted, key).items():
            if not (noise.spread >= 0 and noise.hours >= 0):
                raise ConfigError(f"ensemble.{key}.{name}: spread and hours are not negative")


def _check_fleet(config: Config) -> None:
    if config.forcing.file is None:
        raise ConfigError("fleet: needs forcing.file, since a host's weather comes one by one")
    if config.catchments.select is None or len(config.catchments.select) != 1:
        raise ConfigError("fleet: each instance has one catchment; write catchments.select: [ID]")
    for key, given in (
        ("output.file", config.output.file),
        ("save_state", config.save_state),
        ("history", config.history or None),
        ("ensemble", config.ensemble),
    ):
        if given is not None:
            raise ConfigError(f"{key}: does not go with fleet; leave one of them out")


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
    if config.save_state_section is not None:
        _check_save(config.save_state_section, config.step_seconds)
    if config.spin_up is not None:
        _check_spin_up(config, config.spin_up)
    if config.carry_over and config.initial_state is None:
        raise ConfigError("carry_over: goes with initial_state")
    if config.history < 0:
        raise ConfigError(f"history: {config.history} is less than zero")
    if config.threads is not None and config.threads < 1:
        raise ConfigError(f"threads: {config.threads} is less than one")
    start = config.time.start and parse_date(config.time.start, "time.start")
    end = config.time.end and parse_date(config.time.end, "time.end")
    if start is not None and end is not None and end <= start:
        raise ConfigError(f"time.end: {end} is not after time.start, {start}")
    if config.output.file is not None and config.time.start is None and not config.forcing.file:
        raise ConfigError("time.start: is needed to date the results of a host's weather")
    if config.output.variables is not None and config.output.file is None:
        raise ConfigError("output.variables: goes with output.file")
