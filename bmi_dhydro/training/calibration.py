"""Local calibration: down the gradient of each catchment's error, from the network's parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import Config
from ..config.settings import parse_date
from ..errors import ConfigError, TrainingError, nearest
from ..evaluation import metrics
from ..evaluation.series import read_daily_flow
from ..evaluation.targets import TARGETS, read_target
from ..io import parameter_file
from ..kernels.autograd import run_process
from ..kernels.ir.binding import bind
from ..kernels.reference import TORCH_PRIMITIVES
from ..machine import threads_of
from ..model.differentiable import Block, moved_dynamics, run
from ..model.model import Model
from ..networks.dynamics import Dynamics
from ..physics import Parameter, between_bounds, share_between_bounds
from ..physics.unit_hydrograph import DISCHARGE, stored_outputs
from ..run.component import Component
from ..units import SECONDS_PER_DAY
from .config import TargetConfig
from .loss import LOSSES, spread_of

_between = bind(between_bounds, TORCH_PRIMITIVES)

# Parameters start at least this far from their bounds, so that they can move.
_MARGIN = 1e-4


@dataclass(frozen=True)
class CalibrationSettings:
    """How parameters are calibrated.

    Attributes
    ----------
    iterations : int
    loss : str
        Name in `loss.LOSSES`.
    learning_rate : float
        Learning rate of Adam, on the logit of a parameter's share of its range.
    warm_up : int
        Days at the start that do not count.
    until : str, optional
        Day after which observations do not count, so that they can judge.
    parameters : tuple of str
        What is calibrated; all, unless given.
    targets : mapping of TargetConfig
        What is observed beside flow, by the names of `evaluation.targets.TARGETS`.
    """

    iterations: int = 100
    loss: str = "nse"
    learning_rate: float = 0.05
    warm_up: int = 365
    until: str | None = None
    parameters: tuple[str, ...] = ()
    targets: Mapping[str, TargetConfig] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """Observations of something beside flow.

    Attributes
    ----------
    output : str
        Name of the process model's output.
    weight : float
        How much its error counts beside that of flow.
    observed : array, shape (days, catchments)
        NaN where there is none.
    """

    output: str
    weight: float
    observed: NDArray


def calibrate(
    config: Config,
    observed: Path,
    settings: CalibrationSettings,
    out: Path,
    variable: str | None = None,
    advance: Callable[[], object] = lambda: None,
) -> pandas.DataFrame:
    """Calibrate the catchments of a configuration that have observed flow.

    Parameters
    ----------
    config : Config
        With weather in a file.
    observed : Path
        NetCDF file of flow; see `evaluation.series.read_flow`.
    settings : CalibrationSettings
    out : Path
        Parameter file to write: `parameter_file` in the configuration of a run.
    variable : str, optional
        Name of the flow, where it is not recognised.
    advance : callable
        Called after each iteration.

    Returns
    -------
    DataFrame
        A row for each calibrated catchment: NSE and KGE before and after, on the days that counted,
        and on the days after `until` where there are any; and of what is observed beside flow.

    Raises
    ------
    ConfigError
        If there is no weather file, or a parameter is unknown.
    TrainingError
        If there is no observed flow, or a loss is not a number.
    """
    component, forcing, dates = with_weather(config)
    model = component.model
    flow = read_daily_flow(observed, variable, component.catchments.ids, dates)
    counted, later = days_that_count(dates, settings)
    chosen = np.flatnonzero(np.isfinite(flow[counted]).sum(axis=0) > 0)
    if not chosen.size:
        raise TrainingError(
            f"{observed}: no catchment has flow between {dates[counted][0]} and "
            f"{dates[counted][-1]}"
        )
    flow = flow[:, chosen]
    ids = component.catchments.ids[chosen]
    targets = read_targets(settings, model, ids, dates)
    with torch_threads(threads_of(config.threads)):
        problem = Problem(model, forcing[:, :, chosen], chosen, settings.parameters)
        before = problem.daily(targets)
        descend(problem, flow, counted, settings, advance, targets)
        after = problem.daily(targets)
    problem.write(out, ids, described(component, observed, settings))
    scores = scores_of(ids, before[DISCHARGE], after[DISCHARGE], flow, counted, later)
    for name, target in targets.items():
        of_target = scores_of(
            ids, before[target.output], after[target.output], target.observed, counted, later
        )
        scores = scores.join(of_target.add_prefix(f"{name}_"))
    return scores


def read_targets(
    settings: CalibrationSettings, model: Model, ids: NDArray, dates: NDArray
) -> dict[str, Beside]:
    """Read what is observed beside flow.

    Raises
    ------
    ConfigError
        If the process model has no such output.
    ResultsError
        If a file has none of it.
    """
    found = {}
    for name, wanted in settings.targets.items():
        target = TARGETS[name]  # type: ignore[index]
        if target.output not in model.process.output_names:
            raise ConfigError(f"{model.process.name} has no {target.long_name}")
        values = read_target(name, Path(wanted.file), wanted.variable, ids, dates)  # type: ignore[arg-type]
        found[name] = Beside(target.output, wanted.weight, values)
    return found


def with_weather(config: Config) -> tuple[Component, NDArray, NDArray]:
    """Return the component of a configuration, closed, and its forcing.

    Returns
    -------
    component : Component
    forcing : array, shape (steps, 3, catchments)
    dates : array of datetime64[D], shape (days,)

    Raises
    ------
    ConfigError
        If there is no weather file, or an ensemble.
    """
    if config.forcing.file is None:
        raise ConfigError("forcing.file: calibration needs weather in a file")
    if config.members > 1:
        raise ConfigError("ensemble: members share parameters; calibrate without it")
    component = Component(config.without_files())
    try:
        return component, *component.source.whole_days()
    finally:
        component.abandon()


def days_that_count(dates: NDArray, settings: CalibrationSettings) -> tuple[NDArray, NDArray]:
    """Return which days are calibrated on, and which come after `until`: arrays of bool.

    Raises
    ------
    TrainingError
        If no day counts.
    """
    counted = np.arange(len(dates)) >= settings.warm_up
    later = np.zeros(len(dates), bool)
    if settings.until is not None:
        later = dates > parse_date(settings.until, "until").astype("datetime64[D]")
    counted &= ~later
    if not counted.any():
        raise TrainingError(
            f"no day from {dates[0]} to {dates[-1]} counts: the first {settings.warm_up} fill the "
            f"stores, and none is wanted after {settings.until or dates[-1]}"
        )
    return counted, later


def described(
    component: Component, observed: Path, settings: CalibrationSettings
) -> dict[str, str]:
    """Return what a parameter file says of how it was made."""
    about = {"observed": observed.name, "loss": settings.loss}
    if settings.targets:
        about["targets"] = ", ".join(settings.targets)
    if component.source.evapotranspiration is not None:
        about["potential_evapotranspiration"] = component.source.evapotranspiration
    return about


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch have a number of threads, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def descend(
    problem: Problem,
    flow: NDArray,
    counted: NDArray,
    settings: CalibrationSettings,
    advance: Callable[[], object],
    targets: Mapping[str, Beside] | None = None,
) -> None:
    """Change the parameters of a problem so that its flow is like that observed.

    Parameters
    ----------
    problem : Problem
    flow : array, shape (days, catchments)
        Observed.
    counted : array of bool, shape (days,)
    settings : CalibrationSettings
    advance : callable
        Called after each iteration.
    targets : mapping of Beside, optional
        What is observed beside flow.

    Raises
    ------
    TrainingError
        If a loss is not a number.
    """
    beside = [
        (
            one.output,
            one.weight,
            torch.as_tensor(one.observed[counted]),
            torch.as_tensor(spread_of(one.observed[counted])),
        )
        for one in (targets or {}).values()
        if np.isfinite(one.observed[counted]).any()
    ]
    names = [name for name, *_ in beside]
    loss_function = LOSSES[settings.loss]
    target = torch.as_tensor(flow[counted])
    spread = torch.as_tensor(np.nanstd(flow[counted], axis=0))
    optimiser = torch.optim.Adam(problem.leaves, lr=settings.learning_rate)
    days = torch.as_tensor(np.flatnonzero(counted))
    for iteration in range(settings.iterations):
        optimiser.zero_grad()
        outputs = problem.outputs(names)
        simulated = problem.flow_of(outputs)[days]
        if problem.weights is None:
            # A sum over catchments: each has parameters of its own, and its own descent.
            loss = loss_function(simulated, target, spread) * flow.shape[1]
        else:
            places = zip(simulated.T, target.T, spread, problem.weights, strict=True)
            loss = torch.stack(
                [w * loss_function(s[:, None], o[:, None], u[None]) for s, o, u, w in places]
            ).sum()
        for name, weight, seen, own_spread in beside:
            daily = problem.day_of(name, outputs[name])[days]
            share = torch.isfinite(seen).any(dim=0).sum()
            # A sum over the catchments that have some, as for flow.
            loss = loss + weight * share * LOSSES["nse"](daily, seen, own_spread)
        if not torch.isfinite(loss):
            raise TrainingError(f"loss of iteration {iteration} is {loss.item()}")
        loss.backward()
        optimiser.step()
        advance()


class Problem:
    """Flow as a function of what is calibrated: logits of shares of the range of a parameter.

    Parameters
    ----------
    model : Model
    forcing : array, shape (steps, forcings, catchments)
        Of the catchments that are calibrated.
    chosen : array of int
        Their places in the model.
    wanted : tuple of str
        Parameters that are calibrated; all, if it is empty.

    Attributes
    ----------
    leaves : list of Tensor
        What is changed.
    weights : sequence of float or None
        How much each place with observations counts; all alike, each with parameters of its own,
        where it is None.
    """

    weights: list[float] | None = None

    def __init__(
        self, model: Model, forcing: NDArray, chosen: NDArray, wanted: tuple[str, ...]
    ) -> None:
        self.model, self.chosen = model, chosen
        self.items: dict[str, Parameter] = {item.name: item for item in model.parameter_items}
        unknown = [name for name in wanted if name not in self.items]
        if unknown:
            raise ConfigError(
                f"parameter {unknown[0]!r} is unknown; {nearest(unknown[0], self.items)}"
            )
        self.logits: dict[str, Tensor] = {}
        self.fixed: dict[str, Tensor] = {}
        for name, values in model.parameters.items():
            array = np.array(values[chosen], dtype=float)
            if wanted and name not in wanted:
                self.fixed[name] = torch.as_tensor(array)
                continue
            share = np.clip(share_between_bounds(array, self.items[name]), _MARGIN, 1.0 - _MARGIN)
            self.logits[name] = torch.tensor(np.log(share / (1.0 - share)), requires_grad=True)
        self.leaves = list(self.logits.values())
        self.forcing = torch.as_tensor(forcing)
        self.area = torch.as_tensor(model.area[chosen])
        # What a run starts from: an initial state, stores that were filled, or nearly empty ones.
        snapshot = model.snapshot()
        self.start = {
            name: values[:, chosen] if name == "state" else values[chosen]
            for name, values in snapshot.items()
        }
        self.moving = None if model.dynamics is None else self._moving(model.dynamics)

    def _moving(self, dynamics: Dynamics) -> Tensor:
        """Return the LSTM's hidden states: calibration changes around what parameters move.

        Shape (steps, catchments, units).
        """
        own = dynamics.subset(self.chosen)
        own.restore(self.start)
        seen = [own.hidden_after(weather) for weather in self.forcing.numpy()]
        return torch.as_tensor(np.stack(seen))

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters of the catchments, by name."""
        values = dict(self.fixed)
        for name, logit in self.logits.items():
            values[name] = _between(torch.sigmoid(logit), self.items[name])
        return values

    def simulate(self) -> Tensor:
        """Return daily flow: shape (days, catchments)."""
        return self.flow_of(self.outputs())

    def flow_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Return daily flow (days, catchments) of what `outputs` returns."""
        return self.by_day(outputs[DISCHARGE])

    def day_of(self, name: str, values: Tensor) -> Tensor:
        """Return another output of each day: a store at its end, or what passed during it."""
        if name in stored_outputs(self.model.process):
            per_day = round(SECONDS_PER_DAY / self.model.step_seconds)
            return values[per_day - 1 :: per_day]
        return self.by_day(values)

    def by_day(self, flow: Tensor) -> Tensor:
        """Add up the steps of each day."""
        per_day = round(SECONDS_PER_DAY / self.model.step_seconds)
        return flow.reshape(-1, per_day, flow.shape[1]).sum(dim=1)

    def outputs(self, names: Sequence[str] = ()) -> dict[str, Tensor]:
        """Return discharge and other outputs of each step, in mm: shape (steps, catchments)."""
        values = self.parameters()
        process = self.model.process
        block = Block(
            torch.stack([values[name] for name in process.parameter_names]),
            [values[name] for name in self.items if name not in process.parameter_names],
            self.area,
            self.forcing,
            torch.tensor(self.start["state"], dtype=torch.float64),
            torch.tensor(self.start["pending"], dtype=torch.float64) if self.model.routed else None,
        )
        if self.moving is not None:
            assert self.model.dynamics is not None
            block.dynamic = moved_dynamics(self.model.dynamics, values, self.moving)
        days = self.model.step_seconds / SECONDS_PER_DAY
        kernel = partial(run_process, threads=self.model.threads)
        return run(process, (DISCHARGE, *names), block, days, self.model.routed, kernel).outputs

    def daily(self, targets: Mapping[str, Beside]) -> dict[str, NDArray]:
        """Return daily flow, as `discharge`, and outputs of targets, by name."""
        with torch.no_grad():
            outputs = self.outputs([one.output for one in targets.values()])
            daily = {
                one.output: self.day_of(one.output, outputs[one.output]).numpy()
                for one in targets.values()
            }
            return {DISCHARGE: self.flow_of(outputs).numpy(), **daily}

    def flow(self) -> NDArray:
        """Return what `simulate` does, as an array."""
        with torch.no_grad():
            return self.simulate().numpy()

    def write(self, out: Path, ids: NDArray, about: dict[str, str]) -> None:
        """Write the parameters of the calibrated catchments."""
        values = {name: value.detach().numpy() for name, value in self.parameters().items()}
        write_parameters(out, self.model, self.chosen, values, ids, about)


def write_parameters(
    out: Path,
    model: Model,
    chosen: NDArray,
    values: Mapping[str, NDArray],
    ids: NDArray,
    about: dict[str, str],
) -> None:
    """Write parameters of some catchments of a model.

    Parameters
    ----------
    out : Path
        Parameter file.
    model : Model
    chosen : array of int
        Places of the catchments in the model.
    values : mapping of array, shape (catchments, parameter sets), or (catchments,) for routing
        Daily values, by name.
    ids : array of str, shape (catchments,)
    about : dict
        For people: where they come from.
    """
    process = model.process
    routing = [item.name for item in model.parameter_items]
    routing = [name for name in routing if name not in process.parameter_names]
    calibrated = Model(
        process,
        np.stack([values[name] for name in process.parameter_names]),
        np.stack([values[name] for name in routing]),
        model.area[chosen],
        outputs=(DISCHARGE,),
    )
    parameter_file.save(out, calibrated, ids, about)


def scores_of(
    ids: NDArray, before: NDArray, after: NDArray, flow: NDArray, counted: NDArray, later: NDArray
) -> pandas.DataFrame:
    """Return NSE and KGE before and after, a row for each place; see `calibrate`."""
    frame = pandas.DataFrame(index=pandas.Index(ids, name="catchment"))
    for when, days in (("", counted), ("later_", later)):
        if not np.isfinite(flow[days]).any():
            continue
        for score in (metrics.nse, metrics.kge):
            for label, simulated in (("before", before), ("after", after)):
                name = f"{when}{score.__name__}_{label}"
                frame[name] = score(simulated[days], flow[days])
    return frame
