"""The model of a configuration: a trained model's parameters for some catchments, on a device."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catchments.catchments import Catchments
from ..config import SAMPLE, Config
from ..errors import CheckpointError, ConfigError, listed, nearest
from ..io import parameter_file
from ..io.catchment_table import read_table
from ..kernels.factory import Execution
from ..machine import check_memory
from ..model.model import Model
from ..networks import trained_model
from ..physics import Parameter, unit_hydrograph
from ..units import SECONDS_PER_DAY
from ..weather.source import longest_block

_log = logging.getLogger(__name__)


NO_STATIC_PARAMETERS = (
    "parameter_file: the static parameters of this model depend on the weather of a period, and a "
    "run that goes on from a state, a forecast, or one with weather of a host needs the same each "
    "time: write them once by `bmi-dhydro freeze CONFIG OUT`, and name that file"
)


class ExtrapolationWarning(UserWarning):
    """A catchment is unlike those that the network was trained on."""


def build_model(
    config: Config,
    trained: trained_model.TrainedModel,
    catchments: Catchments,
    outputs: Sequence[str] | None = None,
    remembered: NDArray | None = None,
) -> tuple[Model, dict[str, NDArray]]:
    """Return the model of a configuration, with nearly empty stores.

    Parameters
    ----------
    config : Config
    trained : TrainedModel
    catchments : Catchments
        With all attributes that the network needs.
    outputs : sequence of str, optional
        What steps return; everything, unless given.
    remembered : array, shape (catchments, units), optional
        What static parameters depend on, where that is the weather; see `static_parameters`.
        The parameter file must have all catchments, unless given.

    Returns
    -------
    model : Model
    given : dict of array of bool, shape (catchments,)
        Which catchments have a parameter, by its name, from elsewhere than the network.

    Raises
    ------
    CatchmentError
        If an attribute is missing.
    CheckpointError
        If the parameter file does not fit, or has none of the catchments of the table.
    ConfigError
        If a parameter of the configuration is unknown or impossible, or the run needs more memory
        than there is.
    """
    attributes = catchments.attributes
    for warning in trained.check(catchments.ids, attributes):
        warnings.warn(warning, ExtrapolationWarning, stacklevel=6)
    check_run_memory(config, trained, len(catchments), outputs)
    from_file = trained.layout.static_by == "weather" and remembered is None
    if from_file:
        if config.parameter_file is None:
            raise ConfigError(NO_STATIC_PARAMETERS)
        # Replaced by those of the file.
        remembered = np.zeros((len(catchments), trained.weights["lstm.hidden"].shape[0]))
    process, routing = trained.parameters(attributes, remembered)
    device = _device(config, trained, len(catchments) * config.members)
    model = Model(
        trained.layout.process,
        process,
        routing,
        catchments.area,
        step_seconds=config.step_seconds,
        execution=Execution(
            kernel=config.kernel if device == "cpu" else "gpu",
            device=device,
            dtype=config.dtype,
            threads=config.threads,
        ),
        outputs=outputs,
        routed=config.routing != "none",
        dynamics=trained.dynamics(
            {name: np.tile(values, config.members) for name, values in attributes.items()},
            SECONDS_PER_DAY // config.step_seconds,
        ),
        members=config.members,
    )
    given = {name: np.zeros(len(catchments), bool) for name in model.parameters}
    if config.parameter_file is not None:
        refuse_samples(config)
        rows = _apply_file(Path(config.parameter_file), config, model, catchments)
        for known in given.values():
            known[rows] = True
        without = np.setdiff1d(np.arange(len(catchments)), rows)
        if from_file and without.size:
            raise CheckpointError(
                f"{config.parameter_file}: has no parameters of {listed(catchments.ids[without])}; "
                "those of this model depend on weather: write them by `bmi-dhydro freeze`"
            )
    for name, value in config.parameters.items():
        if name not in model.parameters:
            raise ConfigError(f"parameters: {name!r} is unknown; {nearest(name, model.parameters)}")
        try:
            check_parameter(model, name, value, catchments.ids[:0])
            model.set_parameter(name, value)
        except ValueError as error:
            raise ConfigError(f"parameters.{name}: {error}") from None
        given[name][:] = True
    return model, given


def check_parameter(model: Model, name: str, values: ArrayLike, ids: NDArray) -> None:
    """Refuse daily values of a parameter for which the equations do not hold.

    Parameters
    ----------
    model : Model
    name : str
    values : array, shape (), (parameter sets,), (catchments,) or (catchments, parameter sets)
    ids : array of str, shape (catchments,)

    Raises
    ------
    ValueError
        Names the parameter, the value, what is possible and, where values are those of catchments,
        the first of these.
    """
    item = next(item for item in model.parameter_items if item.name == name)
    moves = model.dynamics is not None and name in model.dynamics.layout.dynamic
    reason = impossible_parameter(item, np.asarray(values, dtype=float), moves, ids)
    if reason:
        raise ValueError(reason)


def impossible_parameter(
    item: Parameter, values: NDArray, moves: bool, ids: Sequence[str] | NDArray = ()
) -> str:
    """Return why daily values of a parameter cannot be, or nothing if they can.

    Parameters
    ----------
    item : Parameter
    values : array
        As for `check_parameter`.
    moves : bool
        Whether it changes from day to day: around its static value, between the bounds of training.
    ids : sequence of str
        Ids of the catchments whose values these are, if they are.
    """
    wrong = item.impossible(values)
    (least, most), why = item.possible, "is possible"
    if moves:
        wrong = wrong | (values < item.lower) | (values > item.upper)
        least, most = item.lower, item.upper
        why = "it can move around, since it changes from day to day"
    if not wrong.any():
        return ""
    first = tuple(np.argwhere(wrong)[0])
    where = f" for catchment {ids[first[0]]}" if values.ndim and len(values) == len(ids) else ""
    return (
        f"{item.name} cannot be {values[first]:g} {item.units}{where}; {least:g} to {most:g} {why}"
    )


def check_run_memory(
    config: Config,
    trained: trained_model.TrainedModel,
    catchments: int,
    outputs: Sequence[str] | None = None,
) -> None:
    """Reject a run that does not fit into the memory of this machine, before it is built.

    Parameters
    ----------
    config : Config
    trained : TrainedModel
    catchments : int
    outputs : sequence of str, optional
        As for `build_model`.

    Raises
    ------
    ConfigError
        With what it needs, in GB.
    """
    process, parameter_sets = trained.layout.process, trained.layout.parameter_sets
    itemsize = 4 if config.dtype == "float32" else 8
    columns = catchments * config.members
    days = config.step_seconds / SECONDS_PER_DAY
    hydrograph = unit_hydrograph.hydrograph_of(process)
    lags = hydrograph.lags(days / process.substeps(days)) if config.routing != "none" else 1
    rows = 3 + (len(process.output_names) + 2 if outputs is None else len(outputs))
    # The state and a copy of it, flows on their way, and a block of weather and outputs.
    of_column = 2 * (len(process.states) * parameter_sets + lags) + rows * (
        longest_block(columns, rows) + 2
    )
    of_catchment = 3 * len(process.parameters) * parameter_sets + lags
    bytes_needed = itemsize * (columns * of_column + catchments * of_catchment)
    if trained.layout.dynamic:
        units = trained.weights["lstm.hidden"].shape[0]
        bytes_needed += 8 * columns * (8 * units + 2 * len(trained.layout.dynamic) * parameter_sets)
    if config.history:
        snapshots = config.history // 16 + 2
        bytes_needed += (
            itemsize
            * columns
            * (snapshots * (len(process.states) * parameter_sets + lags) + 6 * config.history)
        )
    what = f"{catchments} catchments"
    if config.members > 1:
        what += f" x {config.members} members (ensemble.members)"
    if config.history:
        what += f" with a history of {config.history} steps (history)"
    check_memory(bytes_needed, what)


def refuse_samples(config: Config) -> None:
    """Refuse a parameter file that stands for samples of a posterior.

    Raises
    ------
    ConfigError
    """
    if config.parameter_file is not None and SAMPLE in config.parameter_file:
        raise ConfigError(
            f"parameter_file: {config.parameter_file!r} stands for samples of a posterior; run "
            "them with --band, or name one of them"
        )


def _apply_file(path: Path, config: Config, model: Model, catchments: Catchments) -> NDArray:
    """Take parameters of a file; return the rows of the catchments that it has.

    A part of a run, or one divide of many, may have none of them, as long as its table has some.
    """
    table = parameter_file.read(path)
    known = [name for name in catchments.ids.tolist() if name in table.places]
    places = np.array([table.places[name] for name in known], dtype=int)
    for name in model.parameters:
        if name in table.arrays:
            try:
                check_parameter(model, name, table.arrays[name][places], np.array(known))
            except ValueError as error:
                raise CheckpointError(f"{path}: {error}") from None
    rows = parameter_file.apply(path, model, catchments.ids)
    _log.info("%d of %d catchments have parameters of %s", rows.size, len(catchments), path)
    if not rows.size:
        every = catchments.ids
        if config.catchments.table is not None:
            every = read_table(Path(config.catchments.table)).ids
        if not any(name in table.places for name in every.tolist()):
            raise CheckpointError(
                f"{path}: has parameters of {listed(table.places)}, but of none of the catchments "
                f"{listed(every)}"
            )
    return rows


def _device(config: Config, trained: trained_model.TrainedModel, columns: int) -> str:
    """Return the device of a configuration, chosen where it is `auto`."""
    if config.device != "auto":
        return config.device
    if config.kernel == "reference":
        return "cpu"
    from .device_choice import choose_device

    return choose_device(
        trained.layout.process,
        trained.layout.parameter_sets,
        config.step_seconds,
        config.dtype,
        config.threads,
        columns,
    )
