"""Variational assimilation: stores and precipitation that explain the flow of a window best.

Controls of a catchment are the logarithms of factors, one for each store at the start of the window
(all parameter sets alike) and for the water on its way to the outlet, and one for the precipitation
of each day. Their prior is normal around 0. What is made small is the misfit to the observations
plus that of the prior (4D-Var; Lorenc 1986, 10.1002/qj.49711247414), by Gauss-Newton steps: the
adjoint of the model, pulled back from each observation, gives the derivatives of all flows with
respect to all controls, exactly, and each catchment solves a small linear system of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.differentiable import Block, run
from ..model.model import Model
from ..physics import unit_hydrograph
from ..physics.unit_hydrograph import DISCHARGE
from ..units import SECONDS_PER_DAY
from .config import AssimilationConfig

# Gauss-Newton steps are cut in half at most so often, where they do not lower the misfit.
_SHORTEST = 2.0**-4

# A catchment whose misfit falls by less than this share is done.
_SMALL = 1e-3


@dataclass(frozen=True)
class Correction:
    """What assimilation has found for a window.

    Attributes
    ----------
    stores : array, shape (stores, catchments)
        Factors of the process' states, and last of the water on its way.
    precipitation : array, shape (days, catchments)
        Factors.
    background : array, shape (observed steps, catchments)
        Flow before the correction.
    misfit_before, misfit_after : array, shape (catchments,)
        Squared, in standard deviations; the prior's part included.
    used, left_out : int
        Observations.
    """

    stores: NDArray
    precipitation: NDArray
    background: NDArray
    misfit_before: NDArray
    misfit_after: NDArray
    used: int
    left_out: int


class Window:
    """A stretch of time over which a model is fitted to observed flow.

    Parameters
    ----------
    model : Model
        Model of one member, at the start of the window; it is not changed.
    forcing : array, shape (steps, forcings, catchments)
    observed : array, shape (observed steps, catchments)
        In mm per observed step, NaN where there is none.
    first : int
        Step at which the first observed step starts.
    per_observation : int
        Steps of an observed step.
    deviation : array, shape (observed steps, catchments)
        Standard deviation of the errors of observations.
    settings : AssimilationConfig
    """

    def __init__(
        self,
        model: Model,
        forcing: NDArray,
        observed: NDArray,
        first: int,
        per_observation: int,
        deviation: NDArray,
        settings: AssimilationConfig,
    ) -> None:
        self._model = model
        self._settings = settings
        self._observed, self._deviation = observed, deviation
        self._first, self._per_observation = first, per_observation
        self._per_day = SECONDS_PER_DAY // model.step_seconds
        self._days = -(-len(forcing) // self._per_day)
        # The observations of a catchment are differentiated together, each in a copy of its own.
        self._copies = len(observed)
        self._forcing = torch.as_tensor(np.array(forcing, dtype=float))
        self._state = torch.as_tensor(model.state.astype(float))
        self._pending = torch.as_tensor(model.pending.astype(float))
        self._parameters = [torch.as_tensor(v.astype(float)) for v in model.parameters.values()]
        self._area = torch.as_tensor(model.area)
        self._hydrograph = torch.as_tensor(model.ring.weights.astype(float))
        self._dynamic: dict[str, Tensor] = {}
        if model.dynamics is not None:
            # How precipitation moves parameters is left out of the derivatives: they move as in a
            # run that is not corrected, compiled, so that a catchment has the same alone and among
            # others.
            moved = torch.as_tensor(model.dynamics.copy().advance(forcing))
            names = model.dynamics.layout.dynamic
            self._dynamic = dict(zip(names, moved.unbind(2), strict=True))

    @property
    def _stores(self) -> int:
        """Number of stores: those of the process, and the water on its way."""
        return len(self._state) + 1

    @property
    def controls(self) -> int:
        """Number of controls of a catchment."""
        return self._stores + self._days

    def factors(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        """Return factors of stores and of the precipitation of days.

        Parameters
        ----------
        controls : Tensor, shape (columns, controls)
            In standard deviations of the prior; bounded smoothly.
        """
        settings = self._settings
        bounded = settings.bound * torch.tanh(controls / settings.bound)
        stores = torch.exp(settings.stores * bounded[:, : self._stores]).T
        return stores, torch.exp(settings.precipitation * bounded[:, self._stores :]).T

    def flow(self, controls: Tensor, copies: int) -> Tensor:
        """Return the flow of observed steps: shape (observed steps, copies x catchments)."""
        return self.seen(self.discharge(*self.factors(controls), copies))

    def seen(self, flow: Tensor) -> Tensor:
        """Return what is observed of the flow of all steps: sums over observed steps."""
        last = self._first + self._copies * self._per_observation
        seen = flow[self._first : last].reshape(self._copies, self._per_observation, -1)
        return seen.sum(dim=1)

    def discharge(self, stores: Tensor, days: Tensor, copies: int = 1) -> Tensor:
        """Return the flow of all steps: shape (steps, copies x catchments), mm per step.

        Parameters
        ----------
        stores, days : Tensor
            Factors, as `factors` returns them.
        copies : int
        """
        model, process = self._model, self._model.process
        steps = len(self._forcing)
        rain = process.forcing_names.index(process.inflow)
        rows = list(self._forcing.repeat(1, 1, copies).unbind(1))
        rows[rain] = rows[rain] * days.repeat_interleave(self._per_day, dim=0)[:steps]
        block = Block(
            torch.stack(self._parameters[: len(process.parameters)]).repeat(1, copies, 1),
            [v.repeat(copies) for v in self._parameters[-len(unit_hydrograph.PARAMETERS) :]],
            self._area.repeat(copies),
            torch.stack(rows, dim=1),
            self._state.repeat(1, copies, 1) * stores[:-1, :, None],
            self._pending.repeat(copies, 1) * stores[-1][:, None] if model.routed else None,
            {name: values.repeat(1, copies, 1) for name, values in self._dynamic.items()},
            self._hydrograph.repeat(copies, 1),
        )
        days_per_step = model.step_seconds / SECONDS_PER_DAY
        result = run(process, (DISCHARGE,), block, days_per_step, model.routed)
        return result.outputs[DISCHARGE]

    def linearised(self, controls: NDArray) -> tuple[NDArray, NDArray]:
        """Return the flow for some controls, and its derivative by them.

        Parameters
        ----------
        controls : array, shape (catchments, controls)

        Returns
        -------
        flow : array, shape (observed steps, catchments)
        slopes : array, shape (catchments, observed steps, controls)
        """
        count, copies = len(controls), self._copies
        own = torch.as_tensor(np.tile(controls, (copies, 1))).requires_grad_()
        flow = self.flow(own, copies).reshape(copies, copies, count)
        mine = torch.diagonal(flow, dim1=0, dim2=1)  # (catchments, observed steps)
        (slopes,) = torch.autograd.grad(mine.sum(), [own])
        return (
            mine.detach().numpy().T,
            slopes.numpy().reshape(copies, count, -1).transpose(1, 0, 2),
        )

    def misfit(self, controls: NDArray, weights: NDArray) -> NDArray:
        """Return what is made small: shape (catchments,)."""
        with torch.no_grad():
            flow = self.flow(torch.as_tensor(controls), 1).numpy()
        return self._cost(controls, flow, weights)

    def _cost(self, controls: NDArray, flow: NDArray, weights: NDArray) -> NDArray:
        apart = np.where(weights > 0.0, self._observed - flow, 0.0)
        return (weights * apart**2).sum(axis=0) + (controls**2).sum(axis=1)

    def correct(self) -> Correction:
        """Find the correction."""
        settings = self._settings
        count = self._observed.shape[1]
        controls = np.zeros((count, self.controls))
        known = np.isfinite(self._observed)
        weights = np.where(known, 1.0 / self._deviation**2, 0.0)
        flow, slopes = self.linearised(controls)
        # What is expected of the difference: the error of observations and that of the prior.
        spread = np.sqrt(self._deviation**2 + (slopes**2).sum(axis=2).T)
        outlier = known & (np.abs(self._observed - flow) > settings.outlier * spread)
        weights[outlier] = 0.0
        before = cost = self._cost(controls, flow, weights)
        background = flow
        active = (weights > 0.0).any(axis=0)
        for iteration in range(settings.iterations):
            if iteration:
                flow, slopes = self.linearised(controls)
            step = self._newton_step(controls, flow, slopes, weights)
            length = np.where(active, 1.0, 0.0)
            while True:
                tried = controls + length[:, None] * step
                new = self.misfit(tried, weights)
                worse = (length > 0.0) & ~(new <= cost)
                if not worse.any():
                    break
                length[worse] = np.where(length[worse] > _SHORTEST, length[worse] / 2.0, 0.0)
            controls = tried
            active = length > 0.0
            active &= cost - new > _SMALL * cost
            cost = new
            if not active.any():
                break
        stores, days = self.factors(torch.as_tensor(controls))
        return Correction(
            stores.numpy(),
            days.numpy(),
            background,
            before,
            cost,
            int((known & ~outlier).sum()),
            int(outlier.sum()),
        )

    def _newton_step(
        self, controls: NDArray, flow: NDArray, slopes: NDArray, weights: NDArray
    ) -> NDArray:
        """Return the step to the minimum of the linearised problem, of each catchment."""
        apart = np.where(weights > 0.0, self._observed - flow, 0.0)
        weighted = slopes * weights.T[:, :, None]
        matrix = np.einsum("nok,nol->nkl", weighted, slopes) + np.eye(self.controls)
        slope = np.einsum("nok,on->nk", weighted, apart) - controls
        return np.linalg.solve(matrix, slope[:, :, None])[:, :, 0]
