"""Whether a NextGen run fits together, before the engine starts: its files, weather, parameters.

The engine tells an instance neither when the run starts nor when it ends, and takes silently what
does not fit. So what was written from one place, and changed since, is compared here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..config import Config, read_config
from ..config.settings import parse_date
from ..errors import ConfigError, DhydroError, listed, nearest
from ..io import parameter_file
from ..io.catchment_table import read_table
from ..networks.parameter_network import NetworkLayout
from ..networks.trained_model import load
from ..physics.unit_hydrograph import PARAMETERS
from ..run.configured_model import impossible_parameter
from ..variables import OF_PARAMETER_SETS, inputs_for
from ..weather.file import ForcingFile
from ..weather.quantities import FROM_FORCING, quantities_for
from .package_weather import engine_name
from .realization import MAIN_OUTPUT, STEP_SECONDS
from .run_package import published_names

_PYTHON_TYPE = "bmi_dhydro.BmiDhydro"
_MARK = "{{id}}"


def check_run(folder: Path) -> list[str]:
    """Compare the files of a run package.

    Parameters
    ----------
    folder : Path
        With `config/realization.json`.

    Returns
    -------
    list of str
        Sentences on what was found to be right.

    Raises
    ------
    ConfigError
        If anything is missing or does not fit; lists all of it.
    """
    path = folder / "config" / "realization.json"
    try:
        document = json.loads(path.read_text())
        formulation = document["global"]["formulations"][0]
        params = _ours(formulation)
        time = document["time"]
        start, last = (
            parse_date(str(time[key]), f"time.{key}") for key in ("start_time", "end_time")
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"{path}: is no realization of this component ({error!r})") from None
    end = last + np.timedelta64(STEP_SECONDS, "s")
    wrong: list[str] = []
    configs = _configurations(folder, params, wrong)
    if configs:
        wrong += _times(configs, start, end)
        wrong += _weather(folder, document, configs, params, start, end)
        trained = load(next(iter(configs.values())).model)
        wrong += _parameters(params, trained.layout)
        wrong += _parameter_files(configs, trained.layout)
        wrong += _outputs(params, formulation["params"], published_names(trained))
    wrong += _routing(folder, document, start, end)
    if int(time.get("output_interval", STEP_SECONDS)) != STEP_SECONDS:
        wrong.append(f"time.output_interval: is {time['output_interval']}, expected {STEP_SECONDS}")
    if wrong:
        raise ConfigError(f"{folder}: " + "; ".join(wrong))
    return [
        f"{len(configs)} divides from {start} to {end}, as in their configurations",
        f"weather covers the run; outputs and parameters are known to {_PYTHON_TYPE}",
    ]


def _ours(formulation: dict[str, Any]) -> dict[str, Any]:
    """Return the params of this component's module."""
    modules = formulation["params"].get("modules", [formulation])
    return next(m["params"] for m in modules if m["params"].get("python_type") == _PYTHON_TYPE)


def _configurations(folder: Path, params: dict[str, Any], wrong: list[str]) -> dict[str, Config]:
    """Read the configuration of each divide of the table that the first one names."""
    pattern = str(params.get("init_config", ""))
    if _MARK not in pattern:
        wrong.append(f"init_config: {pattern!r} has no {_MARK}, by which an instance is recognised")
        return {}
    found = sorted(folder.glob(pattern.replace(_MARK, "*")))
    configs = {}
    for path in found:
        try:
            configs[path.stem] = read_config(path)
        except DhydroError as error:
            wrong.append(str(error))
    if not found:
        wrong.append(f"init_config: there is no {pattern}")
    for name, config in configs.items():
        if config.catchments.table is None or config.catchments.select != [name]:
            wrong.append(f"{name}: catchments.select is {config.catchments.select}, not [{name}]")
    tables = {c.catchments.table for c in configs.values() if c.catchments.table is not None}
    for table in sorted(tables):
        try:
            absent = [n for n in read_table(Path(table)).ids.tolist() if n not in configs]
        except DhydroError as error:
            wrong.append(str(error))
            continue
        if absent:
            wrong.append(f"there is no configuration of {listed(absent)}")
    return configs


def _times(configs: dict[str, Config], start: np.datetime64, end: np.datetime64) -> list[str]:
    """Compare the period of the realization with those of the configurations."""
    wrong = []
    for name, config in configs.items():
        own = config.time
        if own.start is not None and parse_date(own.start, "time.start") != start:
            wrong.append(
                f"{name}: time.start is {own.start}, but the realization starts at {start}: the "
                "engine does not tell, so that other weather would be taken; write both anew"
            )
        if own.end is not None and parse_date(own.end, "time.end") < end:
            wrong.append(f"{name}: time.end is {own.end}, before that of the realization, {end}")
        if STEP_SECONDS % config.step_seconds:
            wrong.append(f"{name}: time.step {own.step!r} does not divide the engine's hour")
    return wrong[:5]


def _weather(
    folder: Path,
    document: dict[str, Any],
    configs: dict[str, Config],
    params: dict[str, Any],
    start: np.datetime64,
    end: np.datetime64,
) -> list[str]:
    """Make sure that the weather has all divides and inputs, and covers the run."""
    forcing = document["global"].get("forcing", {})
    files = {c.forcing.file for c in configs.values() if c.forcing.file is not None}
    null = forcing.get("provider") == "NullForcingProvider"
    if null and not files:
        return ["forcing: neither the engine nor the configurations have weather"]
    if not null and forcing.get("provider") != "NetCDF":
        return []
    wrong = []
    for file in sorted(files) if null else [str(folder / forcing.get("path", ""))]:
        try:
            with ForcingFile(Path(file), sorted(configs), {}, STEP_SECONDS) as weather:
                weather.begin_at(start, end)
                alone = document["global"]["formulations"][0]["params"] is params
                if not null and alone:
                    wrong += _inputs(weather, next(iter(configs.values())), params)
        except DhydroError as error:
            wrong.append(str(error))
    return wrong


def _inputs(weather: ForcingFile, config: Config, params: dict[str, Any]) -> list[str]:
    """Make sure that the engine finds each input in its weather, under the name it asks for."""
    names = params.get("variables_names_map", {})
    method = config.forcing.potential_evapotranspiration
    wrong = []
    for item in inputs_for(quantities_for(FROM_FORCING if method == "auto" else method)):
        variable = weather.variable(item.source)
        asked = names.get(item.name, item.name)
        found = variable is not None and engine_name(variable, item) == asked
        if not found and not weather.has(asked):
            has = "nothing like it" if variable is None else repr(engine_name(variable, item))
            wrong.append(f"{weather.path}: does not have {asked} ({item.long_name}), but {has}")
    return wrong


def _parameters(params: dict[str, Any], layout: NetworkLayout) -> list[str]:
    """Check names and values of `model_params`."""
    items = {item.name: item for item in (*layout.process.parameters, *PARAMETERS)}
    wrong = []
    for name, value in params.get("model_params", {}).items():
        base = name.removesuffix(OF_PARAMETER_SETS)
        if base not in items:
            wrong.append(f"model_params: {name!r} is no parameter; {nearest(name, items)}")
        elif not isinstance(value, dict):
            try:
                numbers = np.atleast_1d(np.asarray(value, dtype=float))
            except (TypeError, ValueError):
                wrong.append(f"model_params: {name} is {value!r}, no number")
                continue
            expected = layout.parameter_sets if name != base else 1
            if numbers.size != expected:
                wrong.append(f"model_params: {name} has {expected} values, not {numbers.size}")
            reason = impossible_parameter(items[base], numbers, base in layout.dynamic)
            if reason:
                wrong.append(f"model_params: {reason}")
    return wrong


def _parameter_files(configs: dict[str, Config], layout: NetworkLayout) -> list[str]:
    """Make sure that parameter files are there, whole and of this model."""
    wrong = []
    for path in sorted({c.parameter_file for c in configs.values() if c.parameter_file}):
        try:
            parameter_file.read_for(Path(path), layout.process, layout.parameter_sets)
        except DhydroError as error:
            wrong.append(str(error))
    return wrong


def _routing(
    folder: Path, document: dict[str, Any], start: np.datetime64, end: np.datetime64
) -> list[str]:
    """Make sure that t-route, where it is turned on, routes the same period."""
    named = document.get("routing", {}).get("t_route_config_file_with_path")
    if named is None:
        return []
    path = folder / named
    try:
        compute = yaml.safe_load(path.read_text())["compute_parameters"]
        begins = parse_date(
            str(compute["restart_parameters"]["start_datetime"]).replace(" ", "T"), "start_datetime"
        )
        forcing = compute["forcing_parameters"]
        seconds = int(forcing["dt"]) * int(forcing["nts"])
    except OSError:
        return [f"routing: there is no {named}"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        # It has a form of its own: the engine and t-route know better.
        return []
    wrong = []
    if begins != start:
        wrong.append(f"{named}: start_datetime is {begins}, but the realization starts at {start}")
    length = int((end - start).astype("timedelta64[s]").astype(int))
    if seconds != length:
        wrong.append(f"{named}: nts times dt is {seconds} s, but the run is {length} s long")
    return wrong


def _outputs(params: dict[str, Any], outer: dict[str, Any], published: list[str]) -> list[str]:
    """Check the outputs that the engine asks for."""
    wrong = []
    if params.get("main_output_variable") != MAIN_OUTPUT:
        wrong.append(
            f"main_output_variable: the engine takes it for a depth in m, which is {MAIN_OUTPUT}"
        )
    for name in outer.get("output_variables", []) if outer is params else []:
        if name not in published:
            wrong.append(f"output_variables: {name!r} is not published; {nearest(name, published)}")
    return wrong
