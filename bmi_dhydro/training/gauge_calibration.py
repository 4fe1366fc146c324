"""Calibration of many catchments to gauges of the river that they drain to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import Config
from ..errors import TrainingError, listed
from ..evaluation.series import read_daily_flow
from ..machine import threads_of
from ..model.model import Model
from ..physics.unit_hydrograph import DISCHARGE
from ..river.differentiable import route
from ..river.drainage import Drainage
from ..river.river import River
from .calibration import (
    CalibrationSettings,
    Problem,
    days_that_count,
    descend,
    described,
    read_targets,
    scores_of,
    torch_threads,
    with_weather,
)
from .gauges import GaugedRiver


def calibrate_to_gauges(
    config: Config,
    observed: Path,
    settings: CalibrationSettings,
    out: Path,
    gauged: GaugedRiver,
    variable: str | None = None,
    advance: Callable[[], object] = lambda: None,
) -> pandas.DataFrame:
    """Calibrate all catchments upstream of gauges on the flow there.

    Catchments that drain to the same gauge first change their parameters by the same steps (on the
    logit of a parameter's share of its range), so that they keep what the network knows of their
    differences. Where gauges share a river, each counts by the share of its area that no gauge
    upstream has: no catchment counts twice.

    Parameters
    ----------
    config : Config
        With weather in a file.
    observed : Path
        NetCDF file of flow at the gauges, named as in the network; see
        `evaluation.series.read_flow`.
    settings : CalibrationSettings
    out : Path
        Parameter file to write, for all catchments upstream of a gauge.
    gauged : GaugedRiver
    variable : str, optional
        Name of the flow, where it is not recognised.
    advance : callable
        Called after each iteration.

    Returns
    -------
    DataFrame
        A row for each gauge, as for `calibration.calibrate`.

    Raises
    ------
    ConfigError, NetworkError
        If there is no weather file, a parameter is unknown, or a catchment drains to no reach.
    TrainingError
        If no gauge has observed flow and a catchment, or a loss is not a number.
    """
    network = gauged.network
    if not network.gauges:
        raise TrainingError("the network has no gauges; give its table a column 'gauge'")
    component, forcing, dates = with_weather(config)
    model, ids = component.model, component.catchments.ids
    reaches = network.reaches_of(ids)
    names = np.array(list(network.gauges))
    flow = read_daily_flow(observed, variable, names, dates)
    counted, later = days_that_count(dates, settings)
    known = np.isfinite(flow[counted]).sum(axis=0) > 0
    places = np.array([network.gauges[name] for name in names[known]], dtype=int)
    nearest = Drainage(network, places, reaches, component.catchments.area).nearest
    chosen = np.flatnonzero(nearest >= 0)
    if not known.any() or not chosen.size:
        raise TrainingError(
            f"{observed}: no gauge of the network ({listed(names)}) has flow between "
            f"{dates[counted][0]} and {dates[counted][-1]} and a catchment upstream"
        )
    names, flow = names[known], flow[:, known]
    inside = np.unique(np.concatenate([network.upstream(network.gauges[name]) for name in names]))
    part = network.subset(inside)
    river = River(
        part, gauged.process, model.step_seconds, gauged.routing_seconds, np.float64, config.threads
    )
    with torch_threads(threads_of(config.threads)):
        problem = GaugedProblem(
            model,
            forcing[:, :, chosen],
            chosen,
            settings.parameters,
            river,
            np.searchsorted(inside, reaches[chosen]),
            np.array([part.gauges[name] for name in names]),
        )
        targets = read_targets(settings, model, ids[chosen], dates)
        before = problem.flow()
        descend(problem, flow, counted, settings, advance, targets)
        after = problem.flow()
    problem.write(out, ids[chosen], described(component, observed, settings))
    scores = scores_of(names, before, after, flow, counted, later)
    return scores.rename_axis("gauge")


class GaugedProblem(Problem):
    """Flow at gauges as a function of steps that catchments of a gauge have in common.

    Parameters
    ----------
    model, forcing, chosen, wanted
        As for `Problem`.
    river : River
        It starts with the flow that the first step of the catchments would keep up.
    reaches : array of int, shape (catchments,)
        Place of the reach that each catchment drains to.
    gauges : array of int, shape (gauges,)
        Place of the reach of each gauge.
    """

    def __init__(
        self,
        model: Model,
        forcing: NDArray,
        chosen: NDArray,
        wanted: tuple[str, ...],
        river: River,
        reaches: NDArray,
        gauges: NDArray,
    ) -> None:
        super().__init__(model, forcing, chosen, wanted)
        self._river = river
        self._reaches, self._gauges = torch.as_tensor(reaches), torch.as_tensor(gauges)
        drainage = Drainage(river.network, gauges, reaches, model.area[chosen])
        self._groups = torch.as_tensor(drainage.nearest)
        self._centres = {name: logit.detach() for name, logit in self.logits.items()}
        self._moved = {
            name: torch.zeros((len(gauges), *logit.shape[1:]), dtype=logit.dtype)
            for name, logit in self.logits.items()
        }
        for values in self._moved.values():
            values.requires_grad_()
        self.leaves = list(self._moved.values())
        self.weights = drainage.own_share.tolist()
        self._whole = torch.as_tensor(drainage.whole)
        with torch.no_grad():
            first = self._lateral(self.outputs()[DISCHARGE])[0].numpy()
        river.start_steady(first)

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters of the catchments, by name."""
        self.logits = {
            name: centre + self._moved[name][self._groups] for name, centre in self._centres.items()
        }
        return super().parameters()

    def _lateral(self, discharge: Tensor) -> Tensor:
        """Return lateral inflow of the reaches, in m3 s-1: shape (steps, reaches)."""
        runoff = discharge * (self.area * (1e3 / self.model.step_seconds))
        lateral = runoff.new_zeros((len(runoff), len(self._river.network)))
        return lateral.index_add(1, self._reaches, runoff)

    def flow_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Return daily flow at the gauges, in mm over their catchments: shape (days, gauges)."""
        flow = route(self._river, self._lateral(outputs[DISCHARGE])).mean_flow[:, self._gauges]
        return self.by_day(flow * (self.model.step_seconds / 1e3) / self._whole)
