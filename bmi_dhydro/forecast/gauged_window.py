"""Variational assimilation of flow at gauges: stores and precipitation of all that drains to them.

Catchments that drain to the same gauge first have their controls in common. Each river is a problem
of its own: what is made small is the misfit of all its gauges, each by the share of its area that
no gauge upstream has, plus that of the prior, by a quasi-Newton method (L-BFGS; Nocedal and Wright
2006, chapter 7) with the exact gradient through the river and the catchments.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.model import Model
from ..river.differentiable import route
from ..river.river import River
from ..run.perturbation import number_of
from ..units import SECONDS_PER_DAY
from .config import AssimilationConfig
from .river import GaugedRivers, RoutedRunoff
from .variational import Correction, Window

# Evaluations of the gradient for each iteration that the configuration allows.
_EVALUATIONS = 5

# Draws of the prior by which the spread of flow that it stands for is found.
_DRAWS = 16


class GaugedWindow:
    """A stretch of time over which catchments and rivers are fitted to flow at gauges.

    Parameters
    ----------
    rivers : GaugedRivers
    routed : RoutedRunoff
        Of the model, at the start of the window; its river is not changed.
    model : Model
        Model of one member, at the start of the window; it is not changed.
    forcing : array, shape (steps, forcings, catchments)
    observed : array, shape (observed steps, gauges)
        In mm per observed step over the gauge's area, NaN where there is none.
    first, per_observation : int
        As for `variational.Window`.
    deviation : array, shape (observed steps, gauges)
        Standard deviation of the errors of observations.
    settings : AssimilationConfig
    """

    def __init__(
        self,
        rivers: GaugedRivers,
        routed: RoutedRunoff,
        model: Model,
        forcing: NDArray,
        observed: NDArray,
        first: int,
        per_observation: int,
        deviation: NDArray,
        settings: AssimilationConfig,
    ) -> None:
        self._model, self._forcing = model, forcing
        self._observed, self._deviation = observed, deviation
        self._first, self._per_observation = first, per_observation
        self._settings, self._rivers, self._routed = settings, rivers, routed

    def correct(self) -> Correction:
        """Find the correction; its factors are those of catchments, flow that of gauges."""
        model, count = self._model, self._model.catchments
        days = -(-len(self._forcing) * model.step_seconds // SECONDS_PER_DAY)
        stores = np.ones((len(model.process.state_names) + 1, count))
        precipitation = np.ones((days, count))
        background = np.full(self._observed.shape, np.nan)
        before, after = np.zeros((2, self._observed.shape[1]))
        used = left_out = 0
        for reaches, catchments, gauges in self._basins():
            basin = _Basin(
                model.subset(catchments),
                self._forcing[:, :, catchments],
                self._observed[:, gauges],
                self._first,
                self._per_observation,
                self._deviation[:, gauges],
                self._settings,
                self._rivers,
                self._routed.river,
                (reaches, catchments, gauges),
            )
            found = basin.correct()
            stores[:, catchments] = found.stores
            precipitation[:, catchments] = found.precipitation
            background[:, gauges] = found.background
            before[gauges], after[gauges] = found.misfit_before, found.misfit_after
            used, left_out = used + found.used, left_out + found.left_out
        return Correction(stores, precipitation, background, before, after, used, left_out)

    def _basins(self) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
        """Yield reaches, catchments and gauges of each river that has observations."""
        network, drainage = self._rivers.network, self._rivers.drainage
        outlets = network.outlet_of()
        of_gauges, of_catchments = outlets[drainage.gauges], outlets[drainage.reaches]
        seen = np.isfinite(self._observed).any(axis=0)
        for outlet in np.unique(of_gauges[seen]):
            yield (
                np.flatnonzero(outlets == outlet),
                np.flatnonzero(of_catchments == outlet),
                np.flatnonzero(of_gauges == outlet),
            )


class _Basin(Window):
    """The problem of one river; parameters as for `GaugedWindow`, of its own parts of all."""

    def __init__(
        self,
        model: Model,
        forcing: NDArray,
        observed: NDArray,
        first: int,
        per_observation: int,
        deviation: NDArray,
        settings: AssimilationConfig,
        rivers: GaugedRivers,
        river: River,
        parts: tuple[NDArray, NDArray, NDArray],
    ) -> None:
        super().__init__(model, forcing, observed, first, per_observation, deviation, settings)
        reaches, catchments, gauges = parts
        whole = rivers.drainage
        self._river = River(
            rivers.network.subset(reaches),
            river.process,
            river.step_seconds,
            int(river.seconds),
            np.float64,
            river.threads,
        )
        for name, values in river.states.items():
            self._river.states[name][:] = values[reaches]
        self._parameters_of_reaches = torch.as_tensor(river.parameters[:, reaches].astype(float))
        self._entered = torch.as_tensor(np.searchsorted(reaches, whole.reaches[catchments]))
        self._places = torch.as_tensor(np.searchsorted(reaches, whole.gauges[gauges]))
        self._share = whole.own_share[gauges]
        nearest = np.full(len(whole.gauges) + 1, -1)
        nearest[gauges] = np.arange(gauges.size)
        self._nearest = nearest[whole.nearest[catchments]]
        self._volume = torch.as_tensor(whole.area[catchments] * (1e3 / model.step_seconds))
        self._depth = torch.as_tensor(model.step_seconds / 1e3 / whole.whole[gauges])
        self._names = rivers.stations.ids[gauges].tolist()

    def factors(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        """Return factors of the catchments, of controls of gauges; 1 where none is downstream."""
        stores, days = super().factors(controls)
        own = torch.as_tensor(self._nearest)
        ungauged = own < 0
        return tuple(  # type: ignore[return-value]
            torch.where(ungauged, torch.ones(()).to(values), values[:, own.clamp(min=0)])
            for values in (stores, days)
        )

    def flow(self, controls: Tensor, copies: int = 1) -> Tensor:
        """Return the flow of observed steps at gauges: shape (observed steps, gauges)."""
        runoff = self.discharge(*self.factors(controls)) * self._volume
        lateral = runoff.new_zeros((len(runoff), len(self._river.network)))
        lateral = lateral.index_add(1, self._entered, runoff)
        found = route(self._river, lateral, self._parameters_of_reaches).mean_flow
        return self.seen(found[:, self._places] * self._depth)

    def _drawn(self) -> NDArray:
        """Return controls drawn from the prior (draws, gauges, controls), by the gauges' ids."""
        every = []
        for name in self._names:
            random = np.random.default_rng(int(number_of(name)))
            every.append(random.normal(size=(_DRAWS, self.controls)))
        return np.stack(every, axis=1)

    def correct(self) -> Correction:
        """Find the correction; factors are those of catchments."""
        settings, observed = self._settings, self._observed
        controls = torch.zeros((observed.shape[1], self.controls), dtype=torch.float64)
        with torch.no_grad():
            background = self.flow(controls).numpy()
            drawn = [self.flow(torch.as_tensor(values)).numpy() for values in self._drawn()]
        known = np.isfinite(observed)
        spread = np.hypot(self._deviation, np.std(drawn, axis=0))
        outlier = known & (np.abs(observed - background) > settings.outlier * spread)
        counted = torch.as_tensor(known & ~outlier)
        weights = torch.where(
            counted, torch.as_tensor(self._share / np.maximum(self._deviation, 1e-9) ** 2), 0.0
        )
        target = torch.where(counted, torch.as_tensor(np.nan_to_num(observed)), 0.0)

        def misfit(values: Tensor) -> Tensor:
            apart = torch.where(counted, self.flow(values) - target, 0.0)
            return (weights * apart**2).sum(dim=0) + (values**2).sum(dim=1)

        with torch.no_grad():
            before = misfit(controls).numpy()
        controls.requires_grad_()
        optimiser = torch.optim.LBFGS(
            [controls],
            max_iter=settings.iterations * _EVALUATIONS,
            max_eval=2 * settings.iterations * _EVALUATIONS,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            total = misfit(controls).sum()
            total.backward()
            return total

        if bool(counted.any()):
            optimiser.step(closure)
        with torch.no_grad():
            after = misfit(controls).numpy()
            if not after.sum() <= before.sum():
                controls.zero_()
                after = before
            stores, days = self.factors(controls.detach())
        return Correction(
            stores.numpy(),
            days.numpy(),
            background,
            before,
            after,
            int(counted.sum()),
            int(outlier.sum()),
        )
