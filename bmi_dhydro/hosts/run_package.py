"""A complete NextGen run: realization, a configuration for each divide, one shared table.

The layout is that of NextGen in a Box: `config/`, `forcings/`, `outputs/`.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..attributes import CLIMATE
from ..catchments import Catchments
from ..checkpoint import SHIPPED, load
from ..errors import CatchmentError, ConfigError, listed
from ..files import replaced
from ..io.export import write_catchments
from ..io.weather_source import WeatherSource
from ..variables import OUTPUTS, inputs_for
from ..weather import FROM_FORCING, PET, quantities_for
from .hydrofabric import read_hydrofabric

STEP_SECONDS = 3600
MAIN_OUTPUT = OUTPUTS[0].name
_TABLE = "dhydro_catchments.csv"
_NAME = "bmi_dhydro"


@dataclass(frozen=True)
class PackageOptions:
    """What a run package should be like.

    Attributes
    ----------
    model : str
        A name in `checkpoint.SHIPPED`, or a file, which is copied.
    start, end : datetime64[s], optional
        Of the run; those of the weather, unless given.
    climate : Path, optional
        Table of climate indices, where the weather is shorter than a year.
    fleet : bool
        Whether instances read the weather themselves and share an engine.
    multi : Path, optional
        JSON of another module's formulation that gives potential evapotranspiration.
    multi_output : str, optional
        What that module calls it; its main output, unless given.
    outputs : tuple of str
        Beside the main output, what the engine writes for each divide.
    vegetation : {"usgs", "modis"}
    """

    model: str = "default"
    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    climate: Path | None = None
    fleet: bool = False
    multi: Path | None = None
    multi_output: str | None = None
    outputs: tuple[str, ...] = ()
    vegetation: str = "usgs"


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
    geopackage: Path, forcing: Path, folder: Path, options: PackageOptions
) -> PackageReport:
    """Write a run package.

    Parameters
    ----------
    geopackage : Path
        Hydrofabric; see `hydrofabric.read_hydrofabric`.
    forcing : Path
        Hourly weather of all divides, in NextGen's layout.
    folder : Path
        Made if it is not there; files of an earlier package are replaced.
    options : PackageOptions

    Raises
    ------
    DhydroError
        If anything is missing or does not fit.
    """
    fabric = read_hydrofabric(geopackage, options.vegetation)
    trained = load(options.model)
    if options.multi is not None and options.fleet:
        raise ConfigError("a fleet reads its own weather: leave out either --fleet or --multi")
    source = WeatherSource(
        forcing,
        fabric.catchments,
        {},
        "auto",
        STEP_SECONDS,
        options.start,
        options.end,
    )
    notes = [
        f"{name}: filled with the median of the other divides for {listed(ids)}"
        for name, ids in fabric.filled.items()
    ]
    try:
        catchments = _with_climate(fabric.catchments, source, forcing, options, notes)
        method = source.pet_method if options.multi is None else FROM_FORCING
        notes.append(f"potential evapotranspiration: {method}")
        learned = trained.evapotranspiration.methods
        if method != FROM_FORCING and learned and method not in learned:
            notes.append(
                f"the model learned with {' or '.join(learned)}, which the engine's weather does "
                f"not suffice for: flow is biased as far as {method} differs from it"
            )
        notes += trained.check(catchments.ids, catchments.attributes)
        start = options.start if options.start is not None else source.start
        end = start + np.timedelta64(source.steps * STEP_SECONDS, "s")
        names = _engine_names(source, method)
    finally:
        source.close()
    for name in ("config/cat_config/DHYDRO", "forcings", "outputs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    config = folder / "config"
    _place(geopackage, config / geopackage.name)
    _place(forcing, folder / "forcings" / "forcings.nc")
    write_catchments(config / _TABLE, catchments)
    model = options.model
    if model not in SHIPPED:
        _place(Path(model), config / Path(model).name)
        model = f"../../{Path(model).name}"
    _write_configurations(folder, catchments, model, method, start, options)
    realization = config / "realization.json"
    document = _realization(method, names, start, end, options)
    with replaced(realization) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n")
    return PackageReport(realization, len(catchments), notes)


def _with_climate(
    catchments: Catchments,
    source: WeatherSource,
    forcing: Path,
    options: PackageOptions,
    notes: list[str],
) -> Catchments:
    """Add climate indices, of a table or of the weather."""
    if options.climate is None:
        try:
            indices = source.climate()
        except CatchmentError as error:
            raise CatchmentError(f"{error} (--climate TABLE)") from None
        notes.append(f"climate indices: of {forcing.name}")
        return replace(catchments, attributes={**catchments.attributes, **indices})
    import pandas

    table = pandas.read_csv(options.climate, dtype={"id": str}).set_index("id")
    lacking = [name for name in CLIMATE if name not in table]
    if lacking:
        raise CatchmentError(f"{options.climate}: has no column {', '.join(lacking)}")
    rows = table.reindex(catchments.ids)[list(CLIMATE)]
    unknown = rows.index[~np.isfinite(rows).all(axis=1)]
    if len(unknown):
        raise CatchmentError(f"{options.climate}: has no climate for divide {listed(unknown)}")
    notes.append(f"climate indices: of {options.climate.name}")
    values = {name: rows[name].to_numpy(dtype=float) for name in CLIMATE}
    return replace(catchments, attributes={**catchments.attributes, **values})


def _place(source: Path, target: Path) -> None:
    """Put a file into the package: a hard link where possible, else a copy."""
    if target.exists() and target.samefile(source):
        return
    with replaced(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


# Names that the engine gives to variables of its forcing files, where they are not ours.
_ENGINE_NAMES = {"APCP_surface": "atmosphere_water__rainfall_volume_flux"}


def _engine_names(source: WeatherSource, method: str) -> dict[str, str]:
    """Return how the engine calls our inputs, where it calls them otherwise.

    The engine knows the variables of AORC under the standard names that are ours; others under the
    name in the file.
    """
    names = {}
    for item in inputs_for(quantities_for(method)):
        variable = source.variable(item.source)
        if variable is None or variable in _AORC:
            continue
        names[item.name] = _ENGINE_NAMES.get(variable, variable)
    return names


# Variables of NextGen's forcing that the engine gives the standard names that are ours.
_AORC = (
    "precip_rate",
    "TMP_2maboveground",
    "SPFH_2maboveground",
    "DSWRF_surface",
    "DLWRF_surface",
    "PRES_surface",
    "UGRD_10maboveground",
    "VGRD_10maboveground",
)


def _write_configurations(
    folder: Path,
    catchments: Catchments,
    model: str,
    method: str,
    start: np.datetime64,
    options: PackageOptions,
) -> None:
    """Write a configuration for each divide; the engine tells an instance its catchment by it."""
    document: dict[str, Any] = {
        "model": model,
        "catchments": {"table": f"../../{_TABLE}", "select": ["ID"], "climate": "table"},
        "forcing": {"potential_evapotranspiration": method},
        "time": {"start": str(start), "step": "1h"},
    }
    if method != FROM_FORCING:
        # Said in the notes of the package.
        document["forcing"]["evapotranspiration_mismatch"] = "accept"
    if options.fleet:
        document["fleet"] = True
        document["forcing"]["file"] = "../../../forcings/forcings.nc"
        if options.end is not None:
            document["time"]["end"] = str(options.end)
    text = yaml.safe_dump(document, sort_keys=False)
    head, tail = text.split("- ID\n")
    for name in catchments.ids.tolist():
        path = folder / "config" / "cat_config" / "DHYDRO" / f"{name}.yml"
        path.write_text(f"{head}- {json.dumps(name)}\n{tail}")


def _module(names: dict[str, str], options: PackageOptions) -> dict[str, Any]:
    outputs = [MAIN_OUTPUT, *options.outputs]
    return {
        "name": "bmi_python",
        "params": {
            "model_type_name": _NAME,
            "python_type": "bmi_dhydro.BmiDhydro",
            "init_config": "./config/cat_config/DHYDRO/{{id}}.yml",
            "main_output_variable": MAIN_OUTPUT,
            "allow_exceed_end_time": True,
            "cache_input_variable_metadata": True,
            "uses_forcing_file": False,
            **({"variables_names_map": names} if names else {}),
            "output_variables": outputs,
            "output_header_fields": outputs,
        },
    }


def _realization(
    method: str,
    names: dict[str, str],
    start: np.datetime64,
    end: np.datetime64,
    options: PackageOptions,
) -> dict[str, Any]:
    forcing = {"path": "./forcings/forcings.nc", "provider": "NetCDF"}
    if options.fleet:
        forcing = {"path": "", "provider": "NullForcingProvider"}
    formulation = _module(names, options) if options.multi is None else _multi(options, names)
    # The engine's last step begins at the end time that it is given.
    last = end - np.timedelta64(STEP_SECONDS, "s")
    return {
        "global": {"formulations": [formulation], "forcing": forcing},
        "time": {
            "start_time": str(start).replace("T", " "),
            "end_time": str(last).replace("T", " "),
            "output_interval": STEP_SECONDS,
        },
        "output_root": "./outputs",
    }


def _multi(options: PackageOptions, names: dict[str, str]) -> dict[str, Any]:
    """Return a formulation of the other module and ours, which it feeds."""
    assert options.multi is not None
    try:
        other = json.loads(options.multi.read_text())
        output = options.multi_output or other["params"]["main_output_variable"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{options.multi}: is no formulation of a module, {{name: ..., params: {{...}}}} with "
            f"a main_output_variable ({error!r})"
        ) from None
    pet = inputs_for((PET,))[0].name
    ours = _module({**names, pet: output}, options)
    outputs = [MAIN_OUTPUT, *options.outputs]
    for key in ("output_variables", "output_header_fields"):
        del ours["params"][key]
    return {
        "name": "bmi_multi",
        "params": {
            "model_type_name": "bmi_multi",
            "init_config": "",
            "allow_exceed_end_time": True,
            "main_output_variable": MAIN_OUTPUT,
            "modules": [other, ours],
            "output_variables": outputs,
            "output_header_fields": outputs,
        },
    }
