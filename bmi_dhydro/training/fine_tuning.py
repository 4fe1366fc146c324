"""Training that starts from a trained model, instead of drawn weights: fine-tuning."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..networks.mlp import depth
from ..networks.normalisation import Normalisation
from ..networks.parameter_network import (
    AREA_EXPONENT,
    DYNAMIC_HEAD,
    STATIC_BIAS,
    STATIC_HEAD,
)
from ..networks.similarity import TrainingCatchments
from ..networks.trained_model import TrainedModel
from .config import NO_LICENCE, TrainConfig, TrainingSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """Where training starts from.

    Attributes
    ----------
    model : TrainedModel
        One network.
    """

    model: TrainedModel

    @property
    def weights(self) -> dict[str, NDArray]:
        """The weights of the network."""
        return dict(self.model.weights)

    def normalisation(self, attributes: Mapping[str, NDArray]) -> Normalisation:
        """Return the model's own normalisation, with a range that holds more catchments.

        Parameters
        ----------
        attributes : mapping of array, shape (catchments,)
            Of the catchments to learn from.
        """
        own = self.model.normalisation
        table = np.stack([np.asarray(attributes[name], float) for name in own.names], axis=1)
        lowest, highest = table.min(axis=0), table.max(axis=0)
        return replace(
            own,
            lowest=np.minimum(own.lowest, lowest),
            highest=np.maximum(own.highest, highest),
        )

    def catchments(self, inputs: NDArray) -> TrainingCatchments | None:
        """Return the catchments of both trainings, by which others are judged.

        Parameters
        ----------
        inputs : array, shape (catchments, attributes)
            Normalised attributes of the catchments to learn from.
        """
        before = self.model.catchments
        if before is None:
            return TrainingCatchments.of(inputs)
        return TrainingCatchments.of(np.concatenate([before.table, inputs]))

    def described(self) -> dict[str, Any]:
        """Return what is kept of the model for people: its name, fingerprint and licence."""
        about = self.model.about
        return {
            "name": about.get("name", "trained model"),
            "fingerprint": self.model.fingerprint,
            "licence": about.get("licence", NO_LICENCE),
            "data": about.get("training", {}).get("data", "not stated"),
        }


def completed(config: TrainConfig, model: TrainedModel) -> TrainConfig:
    """Return a configuration with all that the model that it starts from decides.

    Parameters
    ----------
    config : TrainConfig
    model : TrainedModel

    Raises
    ------
    ConfigError
        If a key says something else than the model.
    """
    layout, settings = model.layout, config.settings
    weights = model.network(0).weights if layout.networks > 1 else model.weights
    hidden = tuple(len(weights[f"layer_{k}.bias"]) for k in range(depth(weights) - 1))
    lstm = weights["lstm.hidden"].shape[0] if layout.dynamic else settings.memory
    own: dict[str, Any] = {
        "process": layout.process.name,
        "components": layout.parameter_sets // layout.networks,
        "attributes": list(layout.attributes),
        "learned": layout.process.learned,
        "dynamic": layout.dynamic,
        "seeds": tuple(range(layout.networks)),
    }
    given = {**own, "hidden": hidden, "memory": lstm}
    defaults = {
        **{key: _default(TrainConfig, key) for key in own},
        **{key: _default(TrainingSettings, key) for key in ("hidden", "memory")},
    }
    for key, value in given.items():
        place = config if key in own else settings
        written = getattr(place, key)
        differs = written != value
        if key == "seeds":
            differs = len(written) != len(value)
            own["seeds"] = written if not differs else value
        if differs and written != defaults[key]:
            name = key if key in own else f"settings.{key}"
            shown = len(value) if key == "seeds" else value
            raise ConfigError(
                f"{name}: {config.from_} has {shown}, which cannot be changed by going on from it; "
                "leave the key out"
            )
    complete = msgspec.structs.replace(settings, hidden=hidden, memory=lstm)
    return msgspec.structs.replace(config, settings=complete, **own)


def _default(section: type[msgspec.Struct], key: str) -> Any:
    return next(f.default for f in msgspec.structs.fields(section) if f.name == key)


def learned_names(weights: Mapping[str, Any], settings: TrainingSettings) -> set[str]:
    """Return the names of the weights that `settings.layers` lets training change.

    Parameters
    ----------
    weights : mapping
    settings : TrainingSettings
    """
    if settings.layers == "all":
        return set(weights)
    last = depth(weights) - 1
    heads = {f"layer_{last}.weight", f"layer_{last}.bias", STATIC_HEAD, STATIC_BIAS}
    return (heads | {AREA_EXPONENT, DYNAMIC_HEAD}) & set(weights)


def distance(weights: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> Tensor:
    """Return the squared distance of weights from those that training began with.

    Added to the loss it keeps what was learned before (Li et al. 2018, "L2-SP",
    https://proceedings.mlr.press/v80/li18a.html).

    Parameters
    ----------
    weights, start : mapping of Tensor
        `start` has those that are compared.
    """
    return torch.stack([((weights[name] - start[name]) ** 2).sum() for name in start]).sum()


def warn_of_evapotranspiration(model: TrainedModel, methods: tuple[str, ...]) -> None:
    """Say if the weather has potential evapotranspiration that the model has not learned with."""
    before = model.evapotranspiration.methods
    if before and methods and not set(methods) <= set(before):
        _log.warning(
            "the model learned with potential evapotranspiration of %s, and goes on with %s: what "
            "comes out is for the latter",
            " or ".join(before),
            " or ".join(methods),
        )
