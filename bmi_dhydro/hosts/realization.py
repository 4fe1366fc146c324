"""The realization configuration of the NextGen engine: JSON that says what runs, and when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..variables import OUTPUTS, inputs_for
from ..weather.quantities import PET
from .troute import ROUTING

if TYPE_CHECKING:
    from .package_options import PackageOptions

STEP_SECONDS = 3600
MAIN_OUTPUT = OUTPUTS[0].name

_ROUTING_BLOCK = {"t_route_config_file_with_path": f"./config/{ROUTING}"}
_NAME = "bmi_dhydro"


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


def realization(
    names: dict[str, str],
    start: np.datetime64,
    end: np.datetime64,
    options: PackageOptions,
) -> dict[str, Any]:
    """Return the realization of a run.

    Parameters
    ----------
    names : dict of str
        How the engine calls our inputs, where it calls them otherwise.
    start, end : datetime64[s]
        Start and end of the run; the end is not included.
    options : PackageOptions

    Raises
    ------
    ConfigError
        If the other module's formulation cannot be used.
    """
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
        "output_root": "./outputs/ngen",
        **({} if options.routing is None else {"routing": _ROUTING_BLOCK}),
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
