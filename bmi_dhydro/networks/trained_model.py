"""One file is one trained model: weights, what it expects, where it came from, how good it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import units_of
from ..errors import CatchmentError, CheckpointError, listed
from ..files.arrays import ArrayFormat
from ..physics import PROCESSES, with_learned_curves
from .dynamics import Dynamics, PackedNetwork
from .flow_errors import FlowErrors
from .learned_evapotranspiration import LearnedEvapotranspiration
from .merged import single_network
from .normalisation import Normalisation
from .parameter_network import NetworkLayout, parameters
from .shipped import shipped
from .similarity import TrainingCatchments

FORMAT = ArrayFormat(
    "bmi_dhydro trained model", "a trained model", 2, 2, CheckpointError, CheckpointError
)

# Name of the attributes of the catchments of training, among the weights in a file.
_TRAINING = "training.attributes"

# What the weights of flow errors are called there.
_FLOW_ERRORS = "flow_errors."

# An attribute further than this beyond the range of training, in units of that range, is reported:
# where it is near, all attributes together say more; see `TrainingCatchments`.
OUTSIDE = 0.15

# What is said of a parameter beside what training depends on.
_NOT_TRAINED = ("long_name", "possible")

# Catchments whose parameters are computed at a time. Always the same number: the order in which a
# matrix product adds depends on its size, and a catchment has the same alone and among others.
_CHUNK = 16

# So many times that many at once, so that arrays fit the processor's cache.
_CHUNKS = 16


@dataclass(frozen=True)
class TrainedModel:
    """A parameter network with everything needed to use it.

    Attributes
    ----------
    layout : NetworkLayout
    weights : dict of array
    normalisation : Normalisation
    about : dict
        For people: `name`, `version`, `licence`, `training` (data, period, catchments,
        potential evapotranspiration), `skill`.
    evapotranspiration : LearnedEvapotranspiration
        With which potential evapotranspiration it learned.
    catchments : TrainingCatchments or None
        Catchments of training; None where they are not known, as in older files.
    flow_errors : FlowErrors or None
        How far observed flow may lie from what it simulates; None where that was not learned.
    """

    layout: NetworkLayout
    weights: Mapping[str, NDArray]
    normalisation: Normalisation
    about: Mapping[str, Any] = field(default_factory=dict)
    evapotranspiration: LearnedEvapotranspiration = field(default_factory=LearnedEvapotranspiration)
    catchments: TrainingCatchments | None = None
    flow_errors: FlowErrors | None = None

    @cached_property
    def _weights(self) -> dict[str, NDArray]:
        return {name: value.astype(float) for name, value in self.weights.items()}

    @cached_property
    def _packed(self) -> PackedNetwork:
        return PackedNetwork.of(self.layout, self._weights)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that decides the parameters of a catchment."""
        digest = hashlib.sha256(json.dumps(self._structure(), sort_keys=True).encode())
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.weights[name]).tobytes())
        return digest.hexdigest()[:16]

    def parameters(
        self, attributes: Mapping[str, NDArray], remembered: NDArray | None = None
    ) -> tuple[NDArray, NDArray]:
        """Give catchments their parameters.

        Parameters
        ----------
        attributes : mapping
            An array of shape (catchments,) for each name in `layout.needed`.
        remembered : array, shape (catchments, units), optional
            Hidden state of the LSTM at the end of a period, where static parameters depend on the
            weather: that of `memory` after it has seen it.

        Returns
        -------
        process : array, shape (parameters, catchments, parameter sets)
            Daily values.
        routing : array, shape (3, catchments)
            Values of `unit_hydrograph.PARAMETERS`.

        Raises
        ------
        CheckpointError
            If static parameters depend on the weather, and nothing of it is given.
        """
        if self.layout.static_by == "weather" and remembered is None:
            raise CheckpointError(
                f"{self.about.get('name', 'the trained model')}: its static parameters depend on "
                "weather: write them to a file by `bmi-dhydro freeze`, and name it as "
                "parameter_file"
            )
        inputs = self.normalisation(attributes)
        count = inputs.shape[0]
        process = np.empty((len(self.layout.process.parameters), count, self.layout.parameter_sets))
        routing = np.empty((3, count))
        for first in range(0, count, _CHUNK * _CHUNKS):
            rows = np.arange(first, min(first + _CHUNK * _CHUNKS, count))
            # Each product is of as many rows, whatever the number of catchments.
            filled = np.resize(rows, (-(-rows.size // _CHUNK), _CHUNK))
            seen = None if remembered is None else remembered[filled]
            given, delays = parameters(self.layout, self._weights, inputs[filled], seen)
            for values, result in ((given, process), (delays, routing)):
                for row, target in zip(values, result, strict=True):
                    target[rows] = row.reshape(filled.size, *row.shape[2:])[: rows.size]
        return process, routing

    def network(self, number: int) -> TrainedModel:
        """Return one of the networks that make up the model, 0 to `layout.networks` - 1."""
        layout, weights = single_network(self.layout, self.weights, number)
        return replace(self, layout=layout, weights=weights)

    def dynamics(
        self, attributes: Mapping[str, NDArray], steps_per_day: int = 1
    ) -> Dynamics | None:
        """Return what moves the parameters of catchments from day to day, if anything does."""
        return self.memory(attributes, steps_per_day) if self.layout.dynamic else None

    def memory(
        self,
        attributes: Mapping[str, NDArray],
        steps_per_day: int = 1,
        threads: int | None = None,
    ) -> Dynamics:
        """Return the LSTM of catchments, whether or not parameters move from day to day."""
        inputs = self.normalisation(attributes)
        return Dynamics(self.layout, self._packed, inputs, steps_per_day, threads)

    def check(self, ids: NDArray, attributes: Mapping[str, NDArray]) -> list[str]:
        """Check the attributes of catchments against what the network was trained on.

        Parameters
        ----------
        ids : array of str, shape (catchments,)
        attributes : mapping of array, shape (catchments,)

        Returns
        -------
        list of str
            Sentences on catchments that are unlike those of training, and on attributes outside
            their range.

        Raises
        ------
        CatchmentError
            If an attribute is missing, for all catchments or for some.
        """
        self.require(ids, attributes)
        distance = self.distance(attributes)
        unlike = distance > 1.0
        warnings = []
        if unlike.any():
            warnings.append(
                f"{int(unlike.sum())} of {len(ids)} catchments are unlike any that the model was "
                f"trained on, by their attributes together: {listed(ids[unlike])} (up to "
                f"{distance[unlike].max():.1f} times as far from the nearest one as is usual "
                "there); their parameters are extrapolated"
            )
        table = zip(
            self.normalisation.names,
            self.normalisation.lowest,
            self.normalisation.highest,
            strict=True,
        )
        for name, lowest, highest in table:
            values = np.asarray(attributes[name], dtype=float)
            margin = OUTSIDE * (highest - lowest)
            outside = (values < lowest - margin) | (values > highest + margin)
            if outside.any():
                beyond = np.maximum(lowest - values, values - highest)
                worst = values[int(np.argmax(beyond))]
                warnings.append(
                    f"attribute {name!r} is outside the range of training, {lowest:.4g} to "
                    f"{highest:.4g} {units_of(name)}, for {listed(ids[outside])} (as far "
                    f"as {worst:.4g}); the parameters there are extrapolated"
                )
        return warnings

    def require(self, ids: NDArray, attributes: Mapping[str, NDArray]) -> None:
        """Refuse attributes that are missing; arguments and errors as `check`."""
        absent = [name for name in self.layout.needed if name not in attributes]
        if absent:
            raise CatchmentError(
                f"the trained model needs attributes that the catchments lack: "
                f"{', '.join(absent)}; add them as columns of the catchment table "
                "(climate indices can also come from at least a year of forcing); "
                f"the catchments have {', '.join(attributes) or 'none'}"
            )
        for name in self.layout.needed:
            unknown = ids[~np.isfinite(np.asarray(attributes[name], dtype=float))]
            if unknown.size:
                hint = ""
                if "published" in self.about and name in self.layout.attributes:
                    mean = self.normalisation.mean[self.layout.attributes.index(name)]
                    hint = f" (its makers take the mean of training, {mean:.6g})"
                raise CatchmentError(f"attribute {name!r} has no value for {listed(unknown)}{hint}")

    def distance(self, attributes: Mapping[str, NDArray]) -> NDArray:
        """Return how unlike the catchments of training others are.

        Parameters
        ----------
        attributes : mapping of array, shape (catchments,)
            With all that the network needs.

        Returns
        -------
        array, shape (catchments,)
            See `TrainingCatchments.distance`; NaN where those are not known.
        """
        inputs = self.normalisation(attributes)
        if self.catchments is None:
            return np.full(len(inputs), np.nan)
        return self.catchments.distance(inputs[:, : len(self.layout.attributes)])

    @property
    def _logarithms(self) -> list[str]:
        """Forcings and attributes of which the network sees logarithms."""
        return [*self.layout.logarithms, *self.normalisation.logarithms]

    def _structure(self) -> dict[str, Any]:
        process = self.layout.process
        normalisation = self.normalisation
        return {
            "process": process.name,
            "components": self.layout.parameter_sets,
            "dynamic": list(self.layout.dynamic),
            **({"learned": list(process.learned)} if process.learned else {}),
            **({"members": self.layout.networks} if self.layout.networks > 1 else {}),
            **({"site": list(self.layout.site)} if self.layout.site else {}),
            **({"logarithms": self._logarithms} if self._logarithms else {}),
            **({"static_by": "weather"} if self.layout.static_by == "weather" else {}),
            "time_step": "1 d",
            "parameters": [
                {key: value for key, value in asdict(item).items() if key not in _NOT_TRAINED}
                for item in process.parameters
            ],
            "attributes": [
                {
                    "name": name,
                    "units": units_of(name),
                    "mean": mean,
                    "deviation": deviation,
                    "lowest": lowest,
                    "highest": highest,
                }
                for name, mean, deviation, lowest, highest in zip(
                    normalisation.names,
                    normalisation.mean.tolist(),
                    normalisation.deviation.tolist(),
                    normalisation.lowest.tolist(),
                    normalisation.highest.tolist(),
                    strict=True,
                )
            ],
        }

    def save(self, path: Path) -> None:
        """Write the model to a `.safetensors` file, whole or not at all."""
        description = {
            **self._structure(),
            "potential_evapotranspiration": self.evapotranspiration.description(),
            "about": dict(self.about),
        }
        arrays = dict(self.weights)
        if self.catchments is not None:
            arrays[_TRAINING] = self.catchments.table
            description["usual_distance"] = self.catchments.limit
        if self.flow_errors is not None:
            own = self.flow_errors.weights
            arrays |= {_FLOW_ERRORS + name: values for name, values in own.items()}
            description["flow_errors"] = self.flow_errors.description()
        FORMAT.save(Path(path), arrays, {"description": json.dumps(description)})


def load(model: str | Path = "default") -> TrainedModel:
    """Read a trained model.

    Parameters
    ----------
    model : str or Path
        A name in `shipped.SHIPPED`, or a file.

    Returns
    -------
    TrainedModel
        The same object for the same file, so that many users share its weights.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another format or version, or of a process model
        that this version does not have.
    """
    file = shipped(model) or Path(model)
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{file}: no such trained model ({reason})") from None
    return _load(file.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, modified: int, size: int) -> TrainedModel:
    weights, metadata = FORMAT.read(path)
    FORMAT.check_finite(weights, str(path))
    try:
        return _described(path, json.loads(metadata["description"]), weights)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: damaged description ({error!r})") from None


def _described(
    path: Path, description: dict[str, Any], weights: dict[str, NDArray]
) -> TrainedModel:
    name = description["process"]
    if name not in PROCESSES:
        raise CheckpointError(
            f"{path}: process model {name!r} is unknown; this version has {', '.join(PROCESSES)}"
        )
    try:
        process = with_learned_curves(PROCESSES[name], tuple(description.get("learned", ())))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    found = [item["name"] for item in description["parameters"]]
    if found != list(process.parameter_names):
        raise CheckpointError(
            f"{path}: was trained for parameters {', '.join(found)}, but {name} has "
            f"{', '.join(process.parameter_names)}"
        )
    bounded = tuple(
        replace(ours, **{key: item[key] for key in ("lower", "upper", "scale")})
        for ours, item in zip(process.parameters, description["parameters"], strict=True)
    )
    rows = description["attributes"]
    mean, deviation, lowest, highest = (
        np.array([item[key] for item in rows]) for key in ("mean", "deviation", "lowest", "highest")
    )
    names = tuple(item["name"] for item in rows)
    site = tuple(description.get("site", ()))
    logarithms = description.get("logarithms", ())
    layout = NetworkLayout(
        replace(process, parameters=bounded),
        int(description["components"]),
        names[: len(names) - len(site)],
        tuple(description.get("dynamic", ())),
        int(description.get("members", 1)),
        site,
        tuple(name for name in logarithms if name in process.forcing_names),
        description.get("static_by", "attributes"),
    )
    table = weights.pop(_TRAINING, None)
    of_errors = {
        name.removeprefix(_FLOW_ERRORS): weights.pop(name)
        for name in list(weights)
        if name.startswith(_FLOW_ERRORS)
    }
    return TrainedModel(
        layout,
        weights,
        Normalisation(
            names,
            mean,
            deviation,
            lowest,
            highest,
            tuple(name for name in logarithms if name in names),
        ),
        description["about"],
        LearnedEvapotranspiration.described(description, description["about"]),
        None if table is None else TrainingCatchments(table, float(description["usual_distance"])),
        FlowErrors.described(description["flow_errors"], of_errors) if of_errors else None,
    )
