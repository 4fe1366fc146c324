"""A stand-in for the NextGen engine that makes its calls, in its order, on Python BMI modules.

What the engine does was observed in NOAA-OWP/ngen; here it is replayed without it: construction of
all catchments, `model_params`, each step with or without the cache of metadata, `update` or
`update_until`, reading of outputs, `bmi_multi`, both protocols, and an end with or without
`finalize`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from bmi_dhydro.units import conversion

_STANDARD_NAMES = {
    "precip_rate": "atmosphere_water__liquid_equivalent_precipitation_rate",
    "APCP_surface": "atmosphere_water__rainfall_volume_flux",
    "TMP_2maboveground": "land_surface_air__temperature",
    "SPFH_2maboveground": "atmosphere_air_water~vapor__relative_saturation",
    "DSWRF_surface": "land_surface_radiation~incoming~shortwave__energy_flux",
    "DLWRF_surface": "land_surface_radiation~incoming~longwave__energy_flux",
    "PRES_surface": "land_surface_air__pressure",
    "UGRD_10maboveground": "land_surface_wind__x_component_of_velocity",
    "VGRD_10maboveground": "land_surface_wind__y_component_of_velocity",
}
_SCALAR_OUTPUT_TYPES = {"float64": 8, "float32": 4}
_INPUT_TYPES = ("float64", "float32", "int32", "int64")
INTERVAL = 3600.0


class Forcing:
    """The engine's provider of NetCDF forcing."""

    def __init__(self, path: Path) -> None:
        # The engine has a library of its own; in this process a copy in memory stands for it.
        with netCDF4.Dataset(path.name, memory=path.read_bytes()) as data:
            self._rows = {name: k for k, name in enumerate(data["ids"][:])}
            self._values = {}
            for name, variable in data.variables.items():
                if name not in ("ids", "Time"):
                    values = np.asarray(variable[:], dtype=float)
                    for known in (name, _STANDARD_NAMES.get(name, name)):
                        self._values[known] = (values, variable.units)

    def value(self, name: str, catchment: str, step: int, units: str) -> float:
        if name not in self._values:
            raise RuntimeError(f"nobody provides {name}: the engine aborts")
        values, given = self._values[name]
        scale, offset = conversion(given, units)
        return float(values[self._rows[catchment], step]) * scale + offset


@dataclass
class Module:
    """A module of a catchment, and what the engine has asked it once."""

    bmi: Any
    params: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, tuple[str, int, int]] = field(default_factory=dict)


class Engine:
    """A run of a package, as `run_package` writes them."""

    def __init__(
        self, folder: Path, ids: list[str], restored: dict[str, Any] | None = None
    ) -> None:
        document = json.loads((folder / "config" / "realization.json").read_text())
        self.folder = folder
        self.ids = ids
        self.formulation = document["global"]["formulations"][0]
        forcing = document["global"]["forcing"]
        self.forcing = None
        if forcing["provider"] != "NullForcingProvider":
            self.forcing = Forcing(folder / forcing["path"])
        self.step = 0
        self.modules = {name: self._construct(name) for name in ids}
        for name, payload in (restored or {}).items():
            bmi = self.modules[name][-1].bmi
            bmi.set_value("ngen::serialization_size", np.array([payload.size], np.int64))
            # The engine hands over as many bytes as it is then told that there are.
            size = bmi.get_var_nbytes("ngen::serialization_state")
            assert bmi.get_var_itemsize("ngen::serialization_state") == 1
            bmi.set_value("ngen::serialization_state", payload[:size])

    # ---- construction ---------------------------------------------------------------------

    def _construct(self, catchment: str) -> list[Module]:
        if self.formulation["name"] == "bmi_multi":
            described = self.formulation["params"]["modules"]
        else:
            described = [self.formulation]
        return [self._make(item["params"], catchment) for item in described]

    def _make(self, params: dict[str, Any], catchment: str) -> Module:
        package, _, name = params["python_type"].rpartition(".")
        bmi = getattr(importlib.import_module(package), name)()
        path = params["init_config"].replace("{{id}}", catchment)
        bmi.initialize(str(self.folder / path))
        assert bmi.get_time_units() in ("s", "h")
        for key, value in params.get("model_params", {}).items():
            # The engine wraps `nbytes / itemsize` values of a buffer that holds what it was given:
            # beyond lies whatever is in its memory. It goes on whatever `set_value` raises.
            itemsize = bmi.get_var_itemsize(key)
            count = bmi.get_var_nbytes(key) // itemsize
            kind = bmi.get_var_type(key)
            assert kind in _INPUT_TYPES
            given = np.atleast_1d(np.asarray(value, dtype=kind))
            buffer = np.full(count, 1.7e-310, dtype=kind)
            buffer[: given.size] = given[:count]
            with contextlib.suppress(Exception):
                bmi.set_value(key, buffer)
        assert bmi.get_start_time() == 0.0
        assert bmi.get_output_item_count() == len(bmi.get_output_var_names())
        outputs = params.get("output_variables", [])
        for output in outputs:
            if output in bmi.get_output_var_names():
                assert bmi.get_var_units(output)
        if params.get("mass_balance", {}).get("check"):
            for term in ("in", "out", "stored", "leaked"):
                assert bmi.get_var_type(f"ngen::mass_{term}") == "float64"
                assert bmi.get_var_itemsize(f"ngen::mass_{term}") == 8
        return Module(bmi, params, params.get("variables_names_map", {}))

    # ---- steps ----------------------------------------------------------------------------

    def advance(self, steps: int) -> np.ndarray:
        """Do steps; return the main output in m: shape (steps, catchments)."""
        flows = np.empty((steps, len(self.ids)))
        for row in flows:
            for k, name in enumerate(self.ids):
                row[k] = self._step(name)
            self.step += 1
        return flows

    def _step(self, catchment: str) -> float:
        given: dict[str, tuple[float, str]] = {}
        modules = self.modules[catchment]
        for module in modules:
            self._update(module, catchment, given)
            for name in module.bmi.get_output_var_names():
                outer = module.names.get(name, name)
                if module is not modules[-1]:
                    given[outer] = (self._output(module, name), module.bmi.get_var_units(name))
        last = modules[-1]
        main = self._output(last, last.params["main_output_variable"])
        units = last.bmi.get_var_units(last.params["main_output_variable"])
        for name in self.formulation["params"].get("output_variables", []):
            self._output(last, name)
        return main * conversion(units, "m")[0]

    def _update(self, module: Module, catchment: str, given: dict[str, tuple[float, str]]) -> None:
        bmi, params = module.bmi, module.params
        bmi.get_current_time()
        now = bmi.get_current_time()
        if not params.get("allow_exceed_end_time"):
            assert now < bmi.get_end_time()
        for name in bmi.get_input_var_names():
            outer = module.names.get(name, name)
            units = bmi.get_var_units(name)
            if outer in given:
                value, other = given[outer]
                scale, offset = conversion(other, units)
                value = value * scale + offset
            else:
                if self.forcing is None:
                    raise RuntimeError(f"nobody provides {outer}: the engine aborts")
                value = self.forcing.value(outer, catchment, self.step, units)
            kind, _, _ = self._metadata(module, name)
            bmi.set_value(name, np.array([value], dtype=kind))
        if bmi.get_time_step() == INTERVAL:
            bmi.update()
        else:
            bmi.update_until(now + INTERVAL)
        self._check_balance(module, catchment)

    def _metadata(self, module: Module, name: str) -> tuple[str, int, int]:
        """Return type, itemsize and nbytes of an input, asked once if the realization says so."""
        bmi = module.bmi
        if module.params.get("cache_input_variable_metadata") and name in module.metadata:
            return module.metadata[name]
        itemsize = bmi.get_var_itemsize(name)
        assert bmi.get_var_itemsize(name) == itemsize
        found = (bmi.get_var_type(name), itemsize, bmi.get_var_nbytes(name))
        assert found[0] in _INPUT_TYPES
        module.metadata[name] = found
        return found

    def _output(self, module: Module, name: str) -> float:
        """Make the eleven calls by which the engine reads a scalar."""
        bmi = module.bmi
        bmi.get_output_item_count()
        assert name in bmi.get_output_var_names()
        kind = bmi.get_var_type(name)
        bmi.get_var_type(name)
        bmi.get_var_type(name)
        assert (
            bmi.get_var_itemsize(name) == bmi.get_var_itemsize(name) == _SCALAR_OUTPUT_TYPES[kind]
        )
        bmi.get_input_item_count()
        bmi.get_input_var_names()
        dest = np.zeros(1, kind)
        bmi.get_value_at_indices(name, dest, np.array([0], np.int32))
        bmi.get_var_units(name)
        return float(dest[0])

    def _check_balance(self, module: Module, catchment: str) -> None:
        wanted = module.params.get("mass_balance", {})
        if not wanted.get("check"):
            return
        came, left, stored, leaked = (
            float(module.bmi.get_value_ptr(f"ngen::mass_{term}")[0])
            for term in ("in", "out", "stored", "leaked")
        )
        error = came - left - stored - leaked
        if not abs(error) <= wanted["tolerance"]:
            raise RuntimeError(f"{catchment}: mass balance is off by {error}")

    # ---- saving and ending ----------------------------------------------------------------

    def saved(self) -> dict[str, np.ndarray]:
        """Save every catchment by the serialization protocol."""
        payloads = {}
        for name, modules in self.modules.items():
            bmi = modules[-1].bmi
            kinds = {"create": "int32", "free": "int32", "size": "int64", "state": "uint8"}
            for key, kind in kinds.items():
                assert bmi.get_var_type(f"ngen::serialization_{key}") == kind
                assert bmi.get_var_units(f"ngen::serialization_{key}")
            bmi.set_value("ngen::serialization_create", np.array([1], np.int32))
            size = int(bmi.get_value_ptr("ngen::serialization_size")[0])
            payloads[name] = np.array(bmi.get_value_ptr("ngen::serialization_state"))
            assert payloads[name].size == size
            bmi.set_value("ngen::serialization_free", np.array([1], np.int32))
        return payloads

    def end(self) -> None:
        """Destroy the modules, as the engine's destructors do."""
        for modules in self.modules.values():
            for module in modules:
                module.bmi.finalize()


class MadeUpPet:
    """Another module of a `bmi_multi`: potential evapotranspiration in m s-1, warmer is more."""

    OUTPUT = "water_potential_evaporation_flux"

    def initialize(self, path: str) -> None:
        self._time, self._celsius, self._flux = 0.0, 0.0, 0.0

    def get_time_units(self) -> str:
        return "s"

    def get_start_time(self) -> float:
        return 0.0

    def get_current_time(self) -> float:
        return self._time

    def get_time_step(self) -> float:
        return INTERVAL

    def get_input_var_names(self) -> tuple[str, ...]:
        return ("land_surface_air__temperature",)

    def get_output_var_names(self) -> tuple[str, ...]:
        return (self.OUTPUT,)

    def get_input_item_count(self) -> int:
        return 1

    def get_output_item_count(self) -> int:
        return 1

    def get_var_units(self, name: str) -> str:
        return "m s-1" if name == self.OUTPUT else "degC"

    def get_var_type(self, name: str) -> str:
        return "float64"

    def get_var_itemsize(self, name: str) -> int:
        return 8

    def get_var_nbytes(self, name: str) -> int:
        return 8

    def set_value(self, name: str, src: np.ndarray) -> None:
        self._celsius = float(src[0])

    def update(self) -> None:
        self._time += INTERVAL
        self._flux = max(self._celsius, 0.0) * 1e-9

    def get_value_at_indices(self, name: str, dest: np.ndarray, inds: np.ndarray) -> np.ndarray:
        dest[:] = self._flux
        return dest

    def finalize(self) -> None:
        pass
