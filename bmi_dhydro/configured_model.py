"""The model of a configuration: a trained model's parameters for some catchments, on a device."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import checkpoint, parameter_file
from .catchments import Catchments
from .config import Config
from .errors import ConfigError, nearest
from .model import SECONDS_PER_DAY, Model

_log = logging.getLogger(__name__)


class ExtrapolationWarning(UserWarning):
    """A catchment is unlike those that the network was trained on."""


def build_model(
    config: Config,
    trained: checkpoint.TrainedModel,
    catchments: Catchments,
    outputs: Sequence[str] | None = None,
) -> Model:
    """Return the model of a configuration, with nearly empty stores.

    Parameters
    ----------
    config : Config
    trained : TrainedModel
    catchments : Catchments
        With all attributes that the network needs.
    outputs : sequence of str, optional
        What steps return; everything, unless given.

    Raises
    ------
    CatchmentError
        If an attribute is missing.
    ConfigError
        If a parameter of the configuration is unknown or impossible.
    """
    attributes = catchments.attributes
    for warning in trained.check(catchments.ids, attributes):
        warnings.warn(warning, ExtrapolationWarning, stacklevel=6)
    process, routing = trained.parameters(attributes)
    device = _device(config, trained, len(catchments) * config.members)
    model = Model(
        trained.layout.process,
        process,
        routing,
        catchments.area,
        step_seconds=config.step_seconds,
        kernel=config.kernel if device == "cpu" else "gpu",
        device=device,
        dtype=config.dtype,
        threads=config.threads,
        outputs=outputs,
        routed=config.routing != "none",
        dynamics=trained.dynamics(
            {name: np.tile(values, config.members) for name, values in attributes.items()},
            SECONDS_PER_DAY // config.step_seconds,
        ),
        members=config.members,
    )
    if config.parameter_file is not None:
        path = Path(config.parameter_file)
        count = parameter_file.apply(path, model, catchments.ids)
        _log.info("%d of %d catchments have parameters of %s", count, len(catchments), path)
    for name, value in config.parameters.items():
        if name not in model.parameters:
            raise ConfigError(f"parameters: {name!r} is unknown; {nearest(name, model.parameters)}")
        try:
            model.set_parameter(name, value)
        except ValueError as error:
            raise ConfigError(f"parameters.{name}: {error}") from None
    return model


def _device(config: Config, trained: checkpoint.TrainedModel, traces: int) -> str:
    """Return the device of a configuration, chosen where it is `auto`."""
    if config.device != "auto":
        return config.device
    if config.kernel == "reference":
        return "cpu"
    from .device_choice import choose_device

    return choose_device(
        trained.layout.process,
        trained.layout.components,
        config.step_seconds,
        config.dtype,
        config.threads,
        traces,
    )
