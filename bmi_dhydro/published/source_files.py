"""The files of a delta-HBV model: weights, configuration and statistics of normalisation.

Formats are facts about files of several generations of the software that writes them; nothing in a
file is executed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ..errors import CheckpointError, MissingPackageError, listed
from ..machine import install_command, installed

# Names under which the software writes the files beside the weights.
CONFIGURATIONS = ("config.yaml", "config.yml", "config.json")
STATISTICS = ("normalization_statistics.json", "statistics_basinnorm.json")

# What is said of a floor that the process models do not have.
_FLOOR = 1e-5

# Names of forcings, without the units that some files add to them.
_FORCINGS = {
    "precipitation": ("prcp", "precip", "precipitation", "p"),
    "temperature": ("tmean", "tavg", "temp", "t", "tmean_c"),
    "potential_evapotranspiration": ("pet", "ep", "pet_hargreaves"),
}


@dataclass(frozen=True)
class PublishedConfig:
    """What a configuration says of a model.

    Attributes
    ----------
    process : str
        Name of the process model, in small letters and digits: `hbv`, `hbv11p`, `hbv2`.
    network : str
        Name of the network, as it stands there.
    parameter_sets : int
    dynamic : tuple of str
        Parameters that change daily.
    warm_up : int
        Days before the first that counts, in training.
    warm_up_states : bool
        Whether parameters were held at the last of these days meanwhile.
    logarithms : tuple of str
        Inputs of which the network sees logarithms.
    forcings, attributes : tuple of str
        Inputs of the network in order, by the names of the source.
    upstream_area, elevation : str
        What the source calls these attributes.
    """

    process: str
    network: str
    parameter_sets: int
    dynamic: tuple[str, ...]
    warm_up: int
    warm_up_states: bool
    logarithms: tuple[str, ...]
    forcings: tuple[str, ...]
    attributes: tuple[str, ...]
    upstream_area: str
    elevation: str


def beside(file: Path, given: Path | None, names: Sequence[str], what: str, option: str) -> Path:
    """Return a file that goes with the weights: the one that is given, or found beside them.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    if given is not None:
        return given
    for name in names:
        if (file.parent / name).is_file():
            return file.parent / name
    raise CheckpointError(
        f"{file}: there is no {what} beside it ({', '.join(names)}); give it with {option}"
    )


def _document(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file that holds a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: is no mapping of keys")
    return document


def read_configuration(path: Path) -> PublishedConfig:
    """Read a configuration of one of three generations.

    Raises
    ------
    CheckpointError
        If it is none, or says something that cannot be represented; names the key.
    """
    document = _document(path)
    key = next((k for k in ("dpl_model", "delta_model", "model") if k in document), None)
    if key is None or not isinstance(document[key], dict):
        raise CheckpointError(
            f"{path}: has none of the sections model, delta_model, dpl_model; is it the "
            "configuration of a delta-HBV model?"
        )
    model = document[key]
    process = _section(path, model, "phy_model", "phy")
    network = _section(path, model, "nn_model", "nn")
    name = _one(path, f"{key}: name of the process model", _first(process, "model", "name"))
    floor = process.get("nearzero", model.get("nearzero", _FLOOR))
    if float(floor) != _FLOOR:
        raise CheckpointError(
            f"{path}: nearzero: {floor} cannot be represented; models with {_FLOOR:g} can"
        )
    if process.get("routing", True) is not True:
        raise CheckpointError(
            f"{path}: routing: {process['routing']} cannot be represented; models that learned "
            "with a unit hydrograph can (a run leaves it out by routing: none)"
        )
    places = (process, model)
    observations = document.get("observations") or {}
    return PublishedConfig(
        process=re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("d"),
        network=str(_first(network, "model", "name") or ""),
        parameter_sets=_whole(path, "nmul", _first_of(places, "nmul") or 1),
        dynamic=_dynamic(path, process.get("dynamic_params") or []),
        warm_up=_whole(path, "warm_up", _first_of(places, "warm_up", "warmup") or 0),
        warm_up_states=bool(_first_of(places, "warm_up_states", "warmup_states")),
        logarithms=tuple(_first_of(places, "use_log_norm") or ()),
        forcings=_names(path, "forcings", network.get("forcings") or process.get("forcings")),
        attributes=_names(path, "attributes", network.get("attributes")),
        upstream_area=str(observations.get("upstream_area_name") or "upstream_area"),
        elevation=str(observations.get("elevation_name") or "mean_elevation"),
    )


def _section(path: Path, model: Mapping[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if isinstance(model.get(name), dict):
            return model[name]
    raise CheckpointError(f"{path}: the section {' or '.join(names)} is missing")


def _first(table: Mapping[str, Any], *keys: str) -> Any:
    return next((table[key] for key in keys if table.get(key) is not None), None)


def _first_of(tables: Sequence[Mapping[str, Any]], *keys: str) -> Any:
    found = (_first(table, *keys) for table in tables)
    return next((value for value in found if value is not None), None)


def _one(path: Path, what: str, value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    if len(values) != 1 or not isinstance(values[0], str):
        raise CheckpointError(f"{path}: {what}: {value!r} is not one name")
    return values[0]


def _whole(path: Path, key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CheckpointError(f"{path}: {key}: {value!r} is no number of at least 0")
    return value


def _names(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CheckpointError(f"{path}: nn: {key}: {value!r} is no list of names")
    return tuple(value)


def _dynamic(path: Path, value: Any) -> tuple[str, ...]:
    """Return parameters that change daily, which stand below the name of the process model."""
    if isinstance(value, dict):
        if len(value) > 1:
            raise CheckpointError(
                f"{path}: dynamic_params: is about {', '.join(map(str, value))}; one process model "
                "can be represented"
            )
        value = next(iter(value.values()), None) or []
    return tuple(name.removeprefix("par") for name in _names(path, "dynamic_params", value))


def read_statistics(path: Path, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Read the 10 and 90 % quantiles, mean and standard deviation of some inputs.

    Raises
    ------
    CheckpointError
        If the file lacks one of the names, or has other values.
    """
    table = _document(path)
    absent = [name for name in names if name not in table]
    if absent:
        raise CheckpointError(
            f"{path}: has no statistics of {listed(absent)}, which the configuration names; it has "
            f"{listed(list(table), 40)}"
        )
    found: dict[str, tuple[float, ...]] = {}
    for name in names:
        try:
            low, high, mean, deviation = map(float, table[name])
        except (TypeError, ValueError):
            raise CheckpointError(
                f"{path}: {name}: {table[name]!r} are not two quantiles, mean and deviation"
            ) from None
        if not np.isfinite([low, high, mean, deviation]).all() or deviation <= 0.0:
            raise CheckpointError(
                f"{path}: {name}: mean {mean:g} and standard deviation {deviation:g} cannot "
                "normalise anything"
            )
        found[name] = (low, high, mean, deviation)
    return found


def quantity_of(forcing: str) -> str | None:
    """Return the forcing that a source means by a name such as `prcp(mm/day)`; None if unknown."""
    short = re.split(r"[(\[ ]", forcing.lower())[0].strip("_")
    return next((name for name, others in _FORCINGS.items() if short in others), None)


def read_weights(path: Path) -> dict[str, NDArray]:
    """Read the weights of a `.pt` file, without executing anything in it.

    Returns
    -------
    dict of array
        float32, by name without `nn_model.`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or holds anything but a mapping of tensors.
    """
    if not installed("torch"):
        raise MissingPackageError(
            f"reading weights of torch needs torch: {install_command('torch')}"
        )
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{path}: is not a plain mapping of tensors, and what else it holds would have to be "
            f"executed, which is refused ({first})"
        ) from None
    except Exception as error:  # readers of damaged files raise many kinds
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path}: cannot be read as weights ({first[:200]})") from None
    if isinstance(found, dict):
        inner = _first(found, "state_dict", "model_state_dict")
        found = inner if isinstance(inner, dict) else found
    tensors = isinstance(found, dict) and found
    if not tensors or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointError(f"{path}: holds no mapping of tensors by name")
    weights = {
        str(name).removeprefix("nn_model."): value.to(torch.float32).numpy()
        for name, value in found.items()
    }
    wrong = [name for name, values in weights.items() if not np.isfinite(values).all()]
    if wrong:
        raise CheckpointError(f"{path}: {listed(wrong)} holds values that are not finite")
    return weights
