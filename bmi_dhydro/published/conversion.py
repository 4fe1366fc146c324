"""From the files of a delta-HBV model to a trained model of this package."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import CAMELS_NAMES
from ..errors import CheckpointError, listed
from ..networks.learned_evapotranspiration import LearnedEvapotranspiration
from ..networks.normalisation import Normalisation
from ..networks.parameter_network import (
    AREA_EXPONENT,
    DYNAMIC_HEAD,
    ENTRANCE,
    ENTRANCE_BIAS,
    FORCING_DEVIATION,
    FORCING_MEAN,
    STATIC_BIAS,
    STATIC_HEAD,
    NetworkLayout,
)
from ..networks.trained_model import TrainedModel
from ..physics import Process
from ..physics.published_hbv import HBV_1_0, HBV_1_0_STATIC, HBV_1_1P, HBV_2_0
from .source_files import (
    CONFIGURATIONS,
    STATISTICS,
    PublishedConfig,
    beside,
    quantity_of,
    read_configuration,
    read_statistics,
    read_weights,
)

# Process models by their names in configurations, in small letters and digits.
_PROCESSES = {
    "hbv": HBV_1_0,
    "hbv10": HBV_1_0,
    "hbv11p": HBV_1_1P,
    "hbvcapillary": HBV_1_1P,
    "hbv2": HBV_2_0,
    "hbv20": HBV_2_0,
}

# Names of the layers of an LSTM in different generations of files: ours, theirs.
_LSTM_NAMES = {
    "linear_in.weight": ("linear_in.weight", "linearIn.weight"),
    "linear_in.bias": ("linear_in.bias", "linearIn.bias"),
    "w_ih": ("lstm.w_ih", "lstm.weight_ih_l0"),
    "w_hh": ("lstm.w_hh", "lstm.weight_hh_l0"),
    "b_ih": ("lstm.b_ih", "lstm.bias_ih_l0"),
    "b_hh": ("lstm.b_hh", "lstm.bias_hh_l0"),
    "linear_out.weight": ("linear_out.weight", "linearOut.weight"),
    "linear_out.bias": ("linear_out.bias", "linearOut.bias"),
}

# Statistics say nothing of the range of training; this many standard deviations stand for it.
_USUAL = 3.0


@dataclass(frozen=True)
class _Parts:
    """The networks in a file of weights.

    Attributes
    ----------
    lstm : dict of array
        By the names in `_LSTM_NAMES`; empty where there is none.
    layers : list of (array, array)
        Weight (outputs, inputs) and bias of each layer of a perceptron; empty where there is none.
    """

    lstm: dict[str, NDArray]
    layers: list[tuple[NDArray, NDArray]]


def import_published(
    weights: Path,
    configuration: Path | None = None,
    statistics: Path | None = None,
    about: Mapping[str, str] | None = None,
    evapotranspiration: str | None = None,
) -> TrainedModel:
    """Make a trained model of the files of a delta-HBV model.

    Parameters
    ----------
    weights : Path
        Weights, `.pt`.
    configuration, statistics : Path, optional
        Found beside the weights, unless given.
    about : mapping, optional
        `licence` and `source` of the original.
    evapotranspiration : str, optional
        Method of potential evapotranspiration that it learned with, among
        `weather.quantities.PET_METHODS`; not known, unless given.

    Returns
    -------
    TrainedModel

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, they do not go together, or something in them cannot be
        represented; names it.
    MissingPackageError
        If torch, which reads the weights, is not installed.
    """
    configuration = beside(weights, configuration, CONFIGURATIONS, "configuration", "--config")
    statistics = beside(weights, statistics, STATISTICS, "file of statistics", "--statistics")
    config = read_configuration(configuration)
    source = str(configuration)
    if config.process not in _PROCESSES:
        raise CheckpointError(
            f"{source}: the process model {config.process!r} cannot be represented; delta-HBV 1.0 "
            "(hbv), 1.1p (hbv_1_1p) and 2.0 (hbv_2) in daily steps can"
        )
    order = _forcing_order(config, source)
    parts = _parts(read_weights(weights), weights)
    process, kept = _process(config, parts, source)
    unknown = [name for name in config.dynamic if name not in process.parameter_names]
    if unknown:
        raise CheckpointError(
            f"{source}: dynamic_params: {listed(unknown)}: {process.name} has "
            f"{', '.join(process.parameter_names)}"
        )
    site: tuple[str, ...] = ()
    if process.site:
        names = {"upstream_area": config.upstream_area, "mean_elevation": config.elevation}
        site = tuple(_our_name(names[rule.attribute]) for rule in process.site)
    layout = NetworkLayout(
        process,
        config.parameter_sets,
        tuple(_our_name(name) for name in config.attributes),
        config.dynamic,
        site=site,
        logarithms=tuple(
            str(quantity_of(name)) for name in config.forcings if name in config.logarithms
        ),
        static_by="attributes" if parts.layers else "weather",
    )
    inputs = (*config.forcings, *config.attributes)
    table = read_statistics(statistics, inputs)
    arrays = _arrays(config, layout, parts, kept, order, str(weights))
    rows = np.array([table[config.forcings[k]] for k in order])
    if parts.lstm:
        arrays[FORCING_MEAN], arrays[FORCING_DEVIATION] = rows[:, 2], rows[:, 3]
    description: dict[str, Any] = {
        "name": f"{weights.stem}, {process.long_name}",
        "version": "as published",
        "published": {
            "source": (about or {}).get("source", "not stated"),
            "file": weights.name,
            "digest": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "network": config.network,
            "warm_up": config.warm_up,
            "warm_up_states": config.warm_up_states,
        },
        "licence": (about or {}).get("licence", "not stated"),
    }
    methods = () if evapotranspiration is None else (evapotranspiration,)
    return TrainedModel(
        layout,
        arrays,
        _normalisation(config, layout, table),
        description,
        LearnedEvapotranspiration(methods),
    )


def _our_name(name: str) -> str:
    """Return what the vocabulary calls an attribute; its own name where it has none."""
    return CAMELS_NAMES.get(name, name)


def _forcing_order(config: PublishedConfig, source: str) -> list[int]:
    """Return the places of our forcings among those of the source."""
    found = [quantity_of(name) for name in config.forcings]
    unknown = [name for name, ours in zip(config.forcings, found, strict=True) if ours is None]
    wanted = HBV_1_0.forcing_names
    if unknown or sorted(map(str, found)) != sorted(wanted):
        raise CheckpointError(
            f"{source}: nn: forcings: {', '.join(config.forcings)} cannot be represented; networks "
            "that see precipitation, mean temperature and potential evapotranspiration can"
        )
    return [found.index(name) for name in wanted]


def _parts(weights: dict[str, NDArray], path: Path) -> _Parts:
    """Find the networks in a mapping of tensors, and refuse what is left over."""
    left = dict(weights)
    lstm: dict[str, NDArray] = {}
    prefix = "lstminv." if any(name.startswith("lstminv.") for name in left) else ""
    if any(f"{prefix}lstm." in name for name in left):
        for ours, theirs in _LSTM_NAMES.items():
            names = [prefix + name for name in theirs]
            found = next((name for name in names if name in left), None)
            if found is None:
                raise CheckpointError(f"{path}: has no weights {' or '.join(names)}")
            lstm[ours] = left.pop(found)
        _check_lstm(lstm, path)
    layers = []
    prefix = "ann." if any(name.startswith("ann.") for name in left) else ""
    if f"{prefix}i2h.weight" in left:
        hidden = [re.fullmatch(rf"{re.escape(prefix)}h2h(\d+)\.weight", name) for name in left]
        count = max((int(match[1]) for match in hidden if match), default=0)
        for name in ("i2h", *(f"h2h{k}" for k in range(1, count + 1)), "h2o"):
            both = [f"{prefix}{name}.{kind}" for kind in ("weight", "bias")]
            absent = [key for key in both if key not in left]
            if absent:
                raise CheckpointError(f"{path}: has no weights {listed(absent)}")
            layers.append((left.pop(both[0]), left.pop(both[1])))
        for (before, _), (after, bias) in itertools.pairwise(layers):
            if after.ndim != 2 or before.shape[0] != after.shape[1] or len(bias) != len(after):
                raise CheckpointError(f"{path}: the layers of {prefix}i2h to h2o do not fit")
    if left:
        raise CheckpointError(
            f"{path}: holds weights that cannot be represented: {listed(left)}; networks of one "
            "LSTM (linear_in, lstm, linear_out), of one perceptron (i2h, h2h1, ..., h2o), or of "
            "both can"
        )
    if not lstm and not layers:
        raise CheckpointError(f"{path}: holds no weights")
    return _Parts(lstm, layers)


def _check_lstm(lstm: Mapping[str, NDArray], path: Path) -> None:
    """Refuse an LSTM whose layers do not fit to each other."""
    units = lstm["w_hh"].shape[-1]
    expected = {
        "linear_in.bias": (units,),
        "w_ih": (4 * units, units),
        "w_hh": (4 * units, units),
        "b_ih": (4 * units,),
        "b_hh": (4 * units,),
    }
    for name, shape in expected.items():
        if lstm[name].shape != shape:
            raise CheckpointError(
                f"{path}: {_LSTM_NAMES[name][0]} has shape {lstm[name].shape}, where {shape} fits "
                f"an LSTM of {units} units"
            )


def _process(
    config: PublishedConfig, parts: _Parts, source: str
) -> tuple[Process, tuple[str, ...]]:
    """Return the process model, and the names of the parameters that the static network gives."""
    process = _PROCESSES[config.process]
    ruled = [rule.parameter for rule in process.site if rule.value is None]
    given = tuple(name for name in process.parameter_names if name not in ruled)
    sets = config.parameter_sets
    if not parts.lstm:
        if config.dynamic:
            raise CheckpointError(
                f"{source}: dynamic_params: {listed(config.dynamic)}: the weights hold no LSTM, "
                "which would move them"
            )
        found, inputs = len(parts.layers[-1][1]), parts.layers[0][0].shape[1]
        _check_inputs(source, inputs, config.attributes)
    elif parts.layers:
        outputs = len(parts.lstm["linear_out.bias"])
        if outputs != len(config.dynamic) * sets:
            raise CheckpointError(
                f"{source}: the LSTM gives {outputs} values, but {len(config.dynamic)} dynamic "
                f"parameters x {sets} parameter sets are {len(config.dynamic) * sets}: is the "
                "configuration that of another variant?"
            )
        given = tuple(name for name in given if name not in config.dynamic)
        found, inputs = len(parts.layers[-1][1]), parts.layers[0][0].shape[1]
        _check_inputs(source, inputs, config.attributes)
    else:
        found = len(parts.lstm["linear_out.bias"])
    if parts.lstm:
        _check_inputs(
            source,
            parts.lstm["linear_in.weight"].shape[1],
            (*config.forcings, *config.attributes),
        )
    if process is HBV_1_0:
        # The exponent counts where it moves; else the published model leaves it out.
        if "BETAET" not in config.dynamic:
            process = HBV_1_0_STATIC
        if found == (len(given) - 1) * sets + 2 and "BETAET" not in config.dynamic:
            given = given[:-1]
    expected = len(given) * sets + 2
    if found != expected:
        raise CheckpointError(
            f"{source}: the network gives {found} values, but {len(given)} parameters x {sets} "
            f"parameter sets and 2 of routing are {expected}: is the configuration that of another "
            "variant?"
        )
    return process, given


def _check_inputs(source: str, found: int, names: tuple[str, ...]) -> None:
    if found != len(names):
        raise CheckpointError(
            f"{source}: names {len(names)} inputs, but the network takes {found}: is the "
            "configuration that of another variant?"
        )


def _arrays(
    config: PublishedConfig,
    layout: NetworkLayout,
    parts: _Parts,
    given: tuple[str, ...],
    order: list[int],
    source: str,
) -> dict[str, NDArray]:
    """Return the weights as networks of this package hold them."""
    sets = config.parameter_sets
    names = layout.process.parameter_names
    arrays: dict[str, NDArray] = {AREA_EXPONENT: np.zeros(1, np.float32)}

    def spread(weight: NDArray, bias: NDArray) -> tuple[NDArray, NDArray]:
        """Put outputs (weight: outputs, inputs) at the places of the layout's."""
        whole = np.zeros((weight.shape[1], layout.outputs), np.float32)
        offset = np.zeros(layout.outputs, np.float32)
        for k, name in enumerate(given):
            if name not in names:
                continue
            own = slice(k * sets, (k + 1) * sets)
            place = slice(names.index(name) * sets, (names.index(name) + 1) * sets)
            whole[:, place], offset[place] = weight[own].T, bias[own]
        whole[:, -2:], offset[-2:] = weight[-2:].T, bias[-2:]
        return whole, offset

    for k, (weight, bias) in enumerate(parts.layers):
        last = k == len(parts.layers) - 1
        matrix, offset = spread(weight, bias) if last else (weight.T, bias)
        arrays[f"layer_{k}.weight"], arrays[f"layer_{k}.bias"] = matrix, offset
    if not parts.lstm:
        return arrays
    lstm = parts.lstm
    entrance = lstm["linear_in.weight"].T
    rows = [*order, *range(len(order), len(entrance))]
    out, out_bias = lstm["linear_out.weight"], lstm["linear_out.bias"]
    arrays |= {
        ENTRANCE: entrance[rows],
        ENTRANCE_BIAS: lstm["linear_in.bias"],
        "lstm.input": lstm["w_ih"].T,
        "lstm.hidden": lstm["w_hh"].T,
        "lstm.bias": lstm["b_ih"] + lstm["b_hh"],
    }
    if layout.static_by == "weather":
        static, static_bias = spread(out, out_bias)
        places = {name: given.index(name) for name in layout.dynamic}
        # What moves does so around the bias of its outputs.
        for name in layout.dynamic:
            k = names.index(name)
            static[:, k * sets : (k + 1) * sets] = 0.0
        arrays[STATIC_HEAD], arrays[STATIC_BIAS] = static, static_bias
    else:
        places = {name: k for k, name in enumerate(layout.dynamic)}
        centres = arrays[f"layer_{len(parts.layers) - 1}.bias"]
        for name in layout.dynamic:
            own = slice(places[name] * sets, (places[name] + 1) * sets)
            k = names.index(name)
            centres[k * sets : (k + 1) * sets] = out_bias[own]
    columns = [np.arange(places[name] * sets, (places[name] + 1) * sets) for name in layout.dynamic]
    chosen = np.concatenate(columns) if columns else np.arange(0)
    arrays[DYNAMIC_HEAD] = out[chosen].T
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}


def _normalisation(
    config: PublishedConfig, layout: NetworkLayout, table: Mapping[str, tuple[float, ...]]
) -> Normalisation:
    """Return how attributes are brought to the scale of training, and their usual range."""
    rows = np.array([table[name] for name in config.attributes]).reshape(-1, 4)
    logarithmic = np.array([name in config.logarithms for name in config.attributes], bool)
    low = np.minimum(rows[:, 0], rows[:, 2] - _USUAL * rows[:, 3])
    high = np.maximum(rows[:, 1], rows[:, 2] + _USUAL * rows[:, 3])
    # Back from the logarithm of a root.
    low = np.where(logarithmic, 0.0, low)
    high = np.where(logarithmic, (10.0 ** np.minimum(high, 9.0) - 0.1) ** 2, high)
    count = len(layout.site)
    far = np.full(count, float(np.finfo(np.float32).max))
    return Normalisation(
        (*layout.attributes, *layout.site),
        np.concatenate([rows[:, 2], np.zeros(count)]),
        np.concatenate([rows[:, 3], np.ones(count)]),
        np.concatenate([low, -far]),
        np.concatenate([high, far]),
        tuple(
            ours
            for ours, name in zip(layout.attributes, config.attributes, strict=True)
            if name in config.logarithms
        ),
    )
