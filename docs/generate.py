"""Write the reference pages that are made of the code: variables.md, config.md, ...

    python docs/generate.py

A test fails where the pages in the repository differ from what this writes.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from bmi_dhydro import config
from bmi_dhydro.catchments.attributes import ATTRIBUTES
from bmi_dhydro.config import river
from bmi_dhydro.forecast import config as forecast
from bmi_dhydro.kernels.cpu.kernel import DISCHARGE, ROUTING_STORE
from bmi_dhydro.physics import HBV, LINEAR, MUSKINGUM_CUNGE, unit_hydrograph
from bmi_dhydro.training import config as training
from bmi_dhydro.variables import (
    INPUTS,
    OUTPUTS,
    RIVER_INPUTS,
    RIVER_OUTPUTS,
    ROUTING_PENDING,
)

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
import rooms  # noqa: E402

_MADE = "<!-- Made by docs/generate.py; do not edit. -->\n\n"


def _rows(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def variables_page() -> str:
    """Return the page on the names that hosts use."""
    inputs = [
        (
            f"`{item.name}`" + "".join(f"<br>`{alias}`" for alias in item.aliases),
            item.units,
            f"{item.lowest:g} to {item.highest:g}",
            item.long_name,
        )
        for item in INPUTS
    ]
    outputs = [(f"`{item.name}`", item.units, item.long_name) for item in OUTPUTS]
    parameters = [
        (
            f"`{p.name}`",
            p.units,
            f"{p.lower:g} to {p.upper:g}",
            f"{p.possible[0]:g} to {p.possible[1]:g}",
            p.long_name,
        )
        for p in (*HBV.parameters, *unit_hydrograph.PARAMETERS)
    ]
    states = [(f"`{q.name}`", q.units, q.long_name) for q in HBV.states]
    states.append(
        (f"`{ROUTING_PENDING}`", "mm", "flows of the next steps that already are on their way")
    )
    fluxes = [(f"`{q.name}`", q.long_name) for q in HBV.fluxes]
    fluxes += [
        (f"`{DISCHARGE}`", "runoff at the outlet, after routing"),
        (f"`{ROUTING_STORE}`", "water on its way to the outlet"),
    ]
    attributes = [(f"`{a.name}`", a.units, a.long_name) for a in ATTRIBUTES.values()]
    return _MADE + "\n".join(
        [
            "# Variables\n",
            "All values are `float64` unless said otherwise; a value belongs to a catchment, "
            "in the order of the catchment table. The location of every variable is `node`.\n",
            "## Inputs\n",
            "Which of them a host sets depends on the configuration: precipitation and temperature "
            "always, potential evapotranspiration unless it is computed, the extremes for "
            "Hargreaves. There are none where the component reads its own weather. A value beyond "
            "the range is an error.\n",
            _rows(("name, aliases", "units", "range", "meaning"), inputs),
            "## Outputs\n",
            "Those that the process model has: EXP-HYDRO has neither groundwater nor recharge.\n",
            _rows(("name", "units", "meaning"), outputs),
            "## By name, but unpublished\n",
            "These can be read by `get_value` and, except for fluxes, set by `set_value`.\n",
            "### Parameters\n",
            "Daily values, one for each catchment: the mean over the parallel parameter sets of "
            "the model, all of which get what is set. With `_components` after the name of a "
            "parameter that is not one of routing, one for each catchment and parameter set, of "
            "the model's precision. A value that is not possible is an error. `get_value_ptr` "
            "gives a read-only view.\n",
            _rows(("name", "units", "bounds of the network", "possible", "meaning"), parameters),
            "### States\n",
            "Of the model's precision, one for each catchment and parameter set "
            "(`routing_pending`: each catchment and lag).\n",
            _rows(("name", "units", "meaning"), states),
            "### Fluxes and stores\n",
            "Read-only, in mm (per step), means over the components.\n",
            _rows(("name", "meaning"), fluxes),
            "### Attributes\n",
            "Setting one re-runs the network for the catchments that it changes. Parameters that "
            "the configuration, a parameter file or a host has given stay as they are. `area` acts "
            "on the routing delay and on discharge alone, and changes no parameter.\n",
            _rows(("name", "units", "meaning"), attributes),
        ]
    )


def _spelled(alias: object, name: str) -> str:
    """Return what a type with a name of its own is: the words, or the numbers, that it takes."""
    if get_origin(alias) is Literal:
        return f"one of {list(get_args(alias))}"
    if get_origin(alias) is not Annotated:
        return name
    kind, bounds = get_args(alias)
    texts = {"ge": "from {:g}", "gt": "above {:g}", "le": "to {:g}", "lt": "below {:g}"}
    limits = [
        text.format(getattr(bounds, key))
        for key, text in texts.items()
        if getattr(bounds, key) is not None
    ]
    return f"{kind.__name__} {' '.join(limits)}"


def _fields(section: type) -> list[tuple[str, str, str, str]]:
    """Return key, type, default and documentation of each field of a section."""
    tree = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(tree, ast.ClassDef)
    rows = []
    for field, text in zip(tree.body[1:], tree.body[2:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            kind = ast.unparse(field.annotation).replace("|", "or").replace("Literal", "one of ")
            module = sys.modules[section.__module__]
            for word in set(re.findall(r"\w+", kind)):
                kind = re.sub(rf"\b{word}\b", _spelled(getattr(module, word, None), word), kind)
            default = "required" if field.value is None else ast.unparse(field.value)
            default = default.replace("msgspec.field(default_factory=dict)", "{}")
            key = ast.unparse(field.target)
            if isinstance(field.value, ast.Call):
                given = {item.arg: ast.unparse(item.value) for item in field.value.keywords}
                key = given.get("name", key).strip("'")
                default = given.get("default", default)
            if default.isidentifier() and hasattr(module, default):
                default = repr(getattr(module, default))
            assert isinstance(text.value, ast.Constant)
            meaning = " ".join(str(text.value.value).split())
            rows.append((key, kind, default, meaning))
    return rows


def _reference(main: type, sections: dict[str, type]) -> list[str]:
    """Return tables of the keys of a configuration and of its sections."""
    heading = ("key", "type", "default", "meaning")
    rows = []
    for key, kind, default, meaning in _fields(main):
        if key in sections:
            kind = "str or section" if kind.startswith("str or") else "section"
            meaning = f"{meaning} See [below](#{key})."
            default = default if default in ("required", "None") else "see below"
        rows.append((f"`{key}`", f"`{kind}`", f"`{default}`", meaning))
    parts = [_rows(heading, rows)]
    for name, section in sections.items():
        parts.append(f"## {name}\n\n{inspect.getdoc(section)}\n")
        rows = [(f"`{k}`", f"`{t}`", f"`{d}`", m) for k, t, d, m in _fields(section)]
        parts.append(_rows(heading, rows))
    return parts


def config_page() -> str:
    """Return the page on configuration files."""
    sections = {
        "catchments": config.CatchmentsConfig,
        "forcing": config.ForcingConfig,
        "time": config.TimeConfig,
        "output": config.OutputConfig,
        "spin_up": config.SpinUpConfig,
        "save_state": config.SaveStateConfig,
        "ensemble": config.EnsembleConfig,
        "noise": config.NoiseConfig,
        "network": config.NetworkConfig,
    }
    introduction = (
        "# Configuration\n\nA YAML file. An unknown key is an error; relative paths are relative "
        "to the file. `cfg/` has commented examples, and `bmi-dhydro example FOLDER` writes one "
        "that runs.\n"
    )
    return _MADE + "\n".join([introduction, *_reference(config.Config, sections)])


def training_page() -> str:
    """Return the page on training, with the reference of its configuration."""
    sections = {
        "catchments": config.CatchmentsConfig,
        "forcing": config.ForcingConfig,
        "observed": config.ObservedConfig,
        "split": training.SplitConfig,
        "network": training.GaugesConfig,
        "settings": training.TrainingSettings,
    }
    introduction = (FOLDER / "training_introduction.md").read_text()
    return _MADE + "\n".join([introduction, *_reference(training.TrainConfig, sections)])


def forecast_page() -> str:
    """Return the page on forecasts, with the reference of a chain's configuration."""
    sections = {
        "catchments": config.CatchmentsConfig,
        "analysis": config.ForcingConfig,
        "forecast": forecast.AheadConfig,
        "network": forecast.RiverAheadConfig,
        "ensemble": config.EnsembleConfig,
        "noise": config.NoiseConfig,
        "observed": config.ObservedConfig,
        "assimilation": forecast.AssimilationConfig,
    }
    introduction = (FOLDER / "forecast_introduction.md").read_text()
    return _MADE + "\n".join([introduction, *_reference(forecast.ForecastConfig, sections)])


def river_page() -> str:
    """Return the page on rivers, with parameters of reaches and the reference of its component."""
    tables = []
    for process in (MUSKINGUM_CUNGE, LINEAR):
        rows = [
            (
                f"`{p.name}`",
                p.units,
                f"{p.lower:g} to {p.upper:g}",
                f"{p.possible[0]:g} to {p.possible[1]:g}",
                p.long_name,
            )
            for p in process.parameters
        ]
        heading = ("name", "units", "usual", "possible", "meaning")
        tables.append(f"### Parameters of `{process.name}`\n\n{_rows(heading, rows)}")
    introduction = (FOLDER / "river_introduction.md").read_text().rstrip()
    variables = [(f"`{item.name}`", item.units) for item in (*RIVER_INPUTS, *RIVER_OUTPUTS)]
    names = f"### Variables of the interface\n\n{_rows(('name', 'units'), variables)}"
    sections = _reference(river.RiverConfig, {"time": config.TimeConfig})
    return _MADE + "\n".join([introduction, "", *tables, names, "## Configuration\n", *sections])


def architecture_page() -> str:
    """Return the page on the architecture, with the table of its rooms."""
    introduction = (FOLDER / "architecture_introduction.md").read_text()
    return _MADE + introduction.replace("<!-- rooms -->", rooms.page())


PAGES = {
    "architecture.md": architecture_page,
    "variables.md": variables_page,
    "config.md": config_page,
    "training.md": training_page,
    "forecast.md": forecast_page,
    "river.md": river_page,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
