"""A complete NextGen run: realization, a configuration for each divide, one shared table.

The layout is that of NextGen in a Box: `config/`, `forcings/`, `outputs/`.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from ..catchments.attributes import CLIMATE
from ..catchments.catchments import Catchments
from ..errors import CatchmentError, ConfigError, counted, listed, nearest
from ..files.whole import link_or_copy, replaced
from ..io import parameter_file
from ..io.catchment_table import read_table
from ..io.export import write_catchments
from ..networks.shipped import shipped
from ..networks.trained_model import TrainedModel, load
from ..physics.unit_hydrograph import DISCHARGE
from ..progress_bar import Bar, no_progress
from ..run.configured_model import ExtrapolationWarning
from ..run.frozen import freeze
from ..units import SECONDS_PER_DAY
from ..variables import inputs_for, outputs_of
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.quantities import FROM_FORCING, PET, quantities_for
from ..weather.source import WeatherSource
from ..weather.tables import gather_tables
from .calibration_bounds import write_bounds
from .hydrofabric import Hydrofabric, read_hydrofabric
from .package_options import PackageOptions
from .package_state import place_state, run_of_weather
from .package_weather import add_evapotranspiration, engine_name
from .realization import STEP_SECONDS, realization
from .troute import ROUTING, troute_configuration

_TABLE = "dhydro_catchments.csv"
_STATE = "dhydro_state.nc"
_STATES = "outputs/states"
_BOUNDS = "dhydro_calibration.yml"
_PARAMETERS = "dhydro_parameters.safetensors"


@dataclass(frozen=True)
class PackageReport:
    """What was written, and what people should know of it.

    Attributes
    ----------
    realization : Path
    divides : int
    notes : list of str
        Sentences: what was filled, computed, chosen.
    """

    realization: Path
    divides: int
    notes: list[str]


def write_run_package(
    geopackage: Path,
    forcing: Path,
    folder: Path,
    options: PackageOptions,
    bar: Bar = no_progress,
) -> PackageReport:
    """Write a run package.

    Parameters
    ----------
    geopackage : Path
        Hydrofabric; see `hydrofabric.read_hydrofabric`.
    forcing : Path
        Hourly weather of all divides, in NextGen's layout, or a folder with a table (CSV) of each.
    folder : Path
        Made if it is not there; files of an earlier package are replaced.
    options : PackageOptions
    bar : callable
        Makes a progress bar, while stores are filled.

    Raises
    ------
    DhydroError
        If anything is missing or does not fit.
    """
    fabric = read_hydrofabric(geopackage, options.vegetation)
    published = published_names(load(options.model))
    for name in options.outputs:
        if name not in published:
            raise ConfigError(
                f"--output: {name!r} is not published, so that the engine cannot ask for it; "
                f"{nearest(name, published)}"
            )
    if options.multi is not None and options.fleet:
        raise ConfigError("a fleet reads its own weather: leave out either --fleet or --multi")
    if not forcing.is_dir():
        return _write(geopackage, fabric, forcing, folder, options, bar)
    with tempfile.TemporaryDirectory() as name:
        gathered = Path(name) / "forcings.nc"
        gather_tables(forcing, fabric.catchments.ids, gathered)
        return _write(geopackage, fabric, gathered, folder, options, bar)


def _write(
    geopackage: Path,
    fabric: Hydrofabric,
    forcing: Path,
    folder: Path,
    options: PackageOptions,
    bar: Bar,
) -> PackageReport:
    """Write a package, of a weather file; see `write_run_package`."""
    trained = load(options.model)
    if options.attributes is not None:
        more = read_table(options.attributes, fabric.catchments.ids.tolist())
        fabric.catchments.attributes.update(more.attributes)
    choice = EvapotranspirationChoice(trained.evapotranspiration, "accept")
    # An instance that is handed all by the engine has no day, of which some methods need extremes.
    by_instances = options.evapotranspiration == "computed" and not options.fleet
    source = WeatherSource(
        forcing,
        fabric.catchments,
        {},
        "auto",
        STEP_SECONDS,
        options.start,
        options.end,
        None if by_instances else choice,
    )
    notes = [
        f"{name}: filled with the median of the other divides for {listed(ids)}"
        for name, ids in fabric.filled.items()
    ]
    try:
        catchments = _with_climate(fabric.catchments, forcing, options, trained, notes)
        method = source.pet_method
        written = method != FROM_FORCING and options.multi is None and not options.fleet
        written = written and not by_instances
        given = FROM_FORCING if written or options.multi is not None else method
        notes.append(_evapotranspiration_note(method, written, options))
        if options.multi is None and not choice.fits(source.evapotranspiration):
            notes.append(
                f"the model learned with {' or '.join(choice.learned.methods)}: flow is biased as "
                f"far as {source.evapotranspiration} differs from it"
            )
        notes += trained.check(catchments.ids, catchments.attributes)
        start = options.start if options.start is not None else source.start
        end = start + np.timedelta64(source.steps * STEP_SECONDS, "s")
        names = _engine_names(source, given)
    finally:
        source.close()
    for name in ("config/cat_config/DHYDRO", "forcings", "outputs/ngen"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    config = folder / "config"
    link_or_copy(geopackage, config / geopackage.name)
    write_catchments(config / _TABLE, catchments)
    # Coordinates as the table has them, so that a fleet, which reads it, computes the same.
    catchments = read_table(config / _TABLE, catchments.ids.tolist())
    weather = folder / "forcings" / "forcings.nc"
    if written:
        added = add_evapotranspiration(forcing, weather, catchments, method, STEP_SECONDS)
        names[inputs_for((PET,))[0].name] = added
    else:
        link_or_copy(forcing, weather)
    if options.routing is not None:
        _place_routing(folder, options.routing, config / geopackage.name, start, end)
    placed = config / _PARAMETERS
    if trained.layout.static_by == "weather" and options.parameters is None:
        run = run_of_weather(config / _TABLE, forcing, method, options)
        with warnings.catch_warnings():
            # They are among the notes.
            warnings.simplefilter("ignore", ExtrapolationWarning)
            freeze(run, placed)
        notes.append(
            f"parameters: those at the end of {forcing.name}, by what the model remembers of it; "
            "--parameters gives those of another period (`bmi-dhydro freeze`)"
        )
        options = replace(options, parameters=placed)
    else:
        _place_parameters(placed, options, trained, catchments, notes)
    write_bounds(config / _BOUNDS, trained, catchments, options.parameters)
    model = options.model
    if not shipped(model):
        link_or_copy(Path(model), config / Path(model).name)
        model = f"../../{Path(model).name}"
    warm = place_state(
        config / _STATE, config / _TABLE, forcing, method, start, options, notes, bar
    )
    _write_configurations(folder, catchments, model, given, start, options, warm)
    path = config / "realization.json"
    document = realization(names, start, end, options)
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n")
    return PackageReport(path, len(catchments), notes)


def _place_parameters(
    target: Path,
    options: PackageOptions,
    trained: TrainedModel,
    catchments: Catchments,
    notes: list[str],
) -> None:
    """Put a parameter file into a package, or remove that of an earlier one.

    Raises
    ------
    CheckpointError
        If it is damaged or of another model.
    ConfigError
        If it has none of the divides.
    """
    if options.parameters is None:
        target.unlink(missing_ok=True)
        return
    layout = trained.layout
    table = parameter_file.read_for(options.parameters, layout.process, layout.parameter_sets)
    lacking = [name for name in catchments.ids.tolist() if name not in table.places]
    if len(lacking) == len(catchments):
        raise ConfigError(
            f"--parameters: {options.parameters} has none of the divides; it has "
            f"{listed(list(table.places))}"
        )
    link_or_copy(options.parameters, target)
    rest = f"; the network's for {listed(lacking)}" if lacking else ""
    count = counted(len(catchments) - len(lacking), "divide")
    notes.append(f"parameters: those of {options.parameters.name} for {count}{rest}")


def _place_routing(
    folder: Path,
    routing: Path | Literal["template"],
    geopackage: Path,
    start: np.datetime64,
    end: np.datetime64,
) -> None:
    """Put the configuration of t-route into a package, and make the folders that it writes to."""
    target = folder / "config" / ROUTING
    if isinstance(routing, Path):
        link_or_copy(routing, target)
        return
    document = troute_configuration(geopackage, start, end, STEP_SECONDS)
    for name in ("parquet", "troute"):
        (folder / "outputs" / name).mkdir(exist_ok=True)
    with replaced(target) as temporary:
        temporary.write_text(yaml.safe_dump(document, sort_keys=False))


def published_names(trained: TrainedModel) -> list[str]:
    """Return the outputs that an instance publishes."""
    process = trained.layout.process
    made_of = (*process.output_names, DISCHARGE, *process.forcing_names)
    return [item.name for item in outputs_of(made_of)]


def _evapotranspiration_note(method: str, written: bool, options: PackageOptions) -> str:
    """Return where potential evapotranspiration comes from."""
    if options.multi is not None:
        return "potential evapotranspiration: of the other module"
    if method == FROM_FORCING:
        return "potential evapotranspiration: that of the weather"
    where = "written into the weather" if written else "computed by the instances"
    return f"potential evapotranspiration: {method}, {where}"


def climate_of_weather(
    weather: Path, catchments: Catchments, trained: TrainedModel
) -> dict[str, NDArray]:
    """Return the climate indices of a whole weather file, whatever the period of a run.

    Parameters
    ----------
    weather : Path
        Weather of a year at least.
    catchments : Catchments
    trained : TrainedModel
        Indices of potential evapotranspiration are of the method that it learned with, where the
        weather suffices for that.

    Returns
    -------
    dict of array, shape (catchments,)

    Raises
    ------
    ForcingError
        If it does not have the catchments, or what is needed.
    CatchmentError
        If it is shorter than a year.
    """
    choice = EvapotranspirationChoice(trained.evapotranspiration, "accept")
    source = WeatherSource(
        weather, catchments, {}, "auto", SECONDS_PER_DAY, evapotranspiration=choice
    )
    try:
        return source.climate()
    finally:
        source.close()


def _with_climate(
    catchments: Catchments,
    forcing: Path,
    options: PackageOptions,
    trained: TrainedModel,
    notes: list[str],
) -> Catchments:
    """Add climate indices, of a table or of weather."""
    chosen = options.climate or forcing
    if chosen.suffix.lower() != ".csv":
        try:
            indices = climate_of_weather(chosen, catchments, trained)
        except CatchmentError as error:
            raise CatchmentError(f"{error} (--climate TABLE, or longer weather)") from None
        notes.append(f"climate indices: of all weather in {chosen.name}")
        return replace(catchments, attributes={**catchments.attributes, **indices})
    import pandas

    try:
        table = pandas.read_csv(chosen, dtype={"id": str}, comment="#").set_index("id")
    except Exception as error:  # pandas raises many kinds
        raise CatchmentError(f"{chosen}: cannot be read as a table: {error}") from None
    lacking = [name for name in CLIMATE if name not in table]
    if lacking:
        raise CatchmentError(f"{chosen}: has no column {', '.join(lacking)}")
    rows = table.reindex(catchments.ids)[list(CLIMATE)]
    unknown = rows.index[~np.isfinite(rows).all(axis=1)]
    if len(unknown):
        raise CatchmentError(f"{chosen}: has no climate for divide {listed(unknown)}")
    notes.append(f"climate indices: of {chosen.name}")
    values = {name: rows[name].to_numpy(dtype=float) for name in CLIMATE}
    return replace(catchments, attributes={**catchments.attributes, **values})


def _engine_names(source: WeatherSource, method: str) -> dict[str, str]:
    """Return how the engine calls our inputs, where it calls them otherwise."""
    names = {}
    for item in inputs_for(quantities_for(method)):
        variable = source.variable(item.source)
        if variable is not None and engine_name(variable, item) != item.name:
            names[item.name] = engine_name(variable, item)
    return names


def _write_configurations(
    folder: Path,
    catchments: Catchments,
    model: str,
    method: str,
    start: np.datetime64,
    options: PackageOptions,
    warm: bool,
) -> None:
    """Write a configuration for each divide; the engine tells an instance its catchment by it."""
    document: dict[str, Any] = {
        "model": model,
        "catchments": {"table": f"../../{_TABLE}", "select": ["ID"], "climate": "table"},
        "forcing": {"potential_evapotranspiration": method},
        "time": {"start": str(start), "step": "1h"},
    }
    if method != FROM_FORCING or options.fleet:
        # Said in the notes of the package.
        document["forcing"]["evapotranspiration_mismatch"] = "accept"
    if options.fleet:
        document["fleet"] = True
        document["forcing"]["file"] = "../../../forcings/forcings.nc"
        if options.end is not None:
            document["time"]["end"] = str(options.end)
    if options.parameters is not None:
        document["parameter_file"] = f"../../{_PARAMETERS}"
    if warm:
        document["initial_state"] = f"../../{_STATE}"
    if options.save_states:
        document["save_state"] = f"../../../{_STATES}/ID.nc"
    text = yaml.safe_dump(document, sort_keys=False)
    head, tail = text.split("- ID\n")
    if options.save_states:
        (folder / _STATES).mkdir(parents=True, exist_ok=True)
    for name in catchments.ids.tolist():
        path = folder / "config" / "cat_config" / "DHYDRO" / f"{name}.yml"
        path.write_text(f"{head}- {json.dumps(name)}\n{tail.replace('ID.nc', f'{name}.nc')}")
