"""How uncertain calibrated parameters are: samples of their posterior distribution.

Each catchment's parameters are moved together, all parallel parameter sets of one by the same step
on the logit of its range. Errors of square roots of daily flow are taken as normal and correlated
from day to day (a first-order autoregression), with a variance that is integrated out; the prior is
normal around the calibrated values. Affine-invariant ensemble sampling (Goodman and Weare 2010,
10.2140/camcos.2010.5.65) by emcee (Foreman-Mackey et al. 2013, 10.1086/670067).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import torch
from numpy.typing import NDArray

from ..config import Config
from ..errors import ConfigError, TrainingError
from ..evaluation.metrics import share_within
from ..evaluation.series import read_daily_flow
from ..machine import threads_of
from ..networks.flow_errors import SHARES
from .calibration import (
    CalibrationSettings,
    Problem,
    days_that_count,
    described,
    torch_threads,
    with_weather,
    write_parameters,
)

# Added to flow before its square root is taken, in mm d-1, so that dry days do not count too much.
_OFFSET = 0.01

# Walkers for each parameter, and the share of each chain that is thrown away at its beginning.
_WALKERS, _BURN_IN = 3, 0.5


@dataclass(frozen=True)
class PosteriorSettings:
    """How the posterior is sampled.

    Attributes
    ----------
    samples : int
        Parameters that are kept, for each catchment.
    steps : int
        Steps of each walker.
    spread : float
        Standard deviation of the prior, on the logit of a parameter's share of its range.
    seed : int
    """

    samples: int = 50
    steps: int = 400
    spread: float = 1.0
    seed: int = 0


def sample_posterior(
    config: Config,
    observed: Path,
    settings: CalibrationSettings,
    wanted: PosteriorSettings,
    folder: Path,
    variable: str | None = None,
    advance: Callable[[], object] = lambda: None,
) -> pandas.DataFrame:
    """Sample the parameters of the catchments of a configuration that have observed flow.

    Parameters
    ----------
    config : Config
        With weather in a file, and the calibrated parameters as `parameter_file`.
    observed : Path
        NetCDF file of flow; see `evaluation.series.read_flow`.
    settings : CalibrationSettings
        `warm_up`, `until` and `parameters` count.
    wanted : PosteriorSettings
    folder : Path
        Parameter files are written to it, `000.safetensors`, `001.safetensors`, ...: name them as
        `parameter_file: FOLDER/{sample}.safetensors` for `bmi-dhydro run --band`.
    variable : str, optional
        Name of the flow, where it is not recognised.
    advance : callable
        Called after each catchment.

    Returns
    -------
    DataFrame
        A row for each catchment: `acceptance` of steps, `autocorrelation` of chains in steps,
        `coverage` (share of observed days, those after `until` where there are any, that lie
        between the 5 and 95 % quantiles of the samples' flow, the noise of observations added),
        and `coverage_of_parameters` (without that noise).

    Raises
    ------
    ConfigError
        If there is no weather file, or fewer steps than give the samples.
    TrainingError
        If no catchment has observed flow.
    """
    component, forcing, dates = with_weather(config)
    model = component.model
    flow = read_daily_flow(observed, variable, component.catchments.ids, dates)
    counted, later = days_that_count(dates, settings)
    chosen = np.flatnonzero(np.isfinite(flow[counted]).sum(axis=0) > 30)
    if not chosen.size:
        raise TrainingError(f"{observed}: no catchment has a month of flow on the days that count")
    scores: list[dict[str, float]] = []
    samples: dict[str, list[NDArray]] = {}
    with torch_threads(threads_of(config.threads)):
        for number, row in enumerate(chosen.tolist()):
            one = _Catchment(
                Problem(model, forcing[:, :, [row]], np.array([row]), settings.parameters),
                forcing[:, :, row],
                row,
                flow[:, row],
                counted,
                wanted,
            )
            random = np.random.default_rng([wanted.seed, number])
            shifts, about = one.sampled(random)
            judged = later if np.isfinite(flow[later, row]).any() else counted
            scores.append({**about, **one.coverage(shifts, judged, random)})
            for name, own in one.parameters(shifts).items():
                samples.setdefault(name, []).append(own)
            advance()
    ids = component.catchments.ids[chosen]
    folder.mkdir(parents=True, exist_ok=True)
    about_files = described(component, observed, settings)
    for k in range(wanted.samples):
        values = {name: np.stack([rows[k] for rows in every]) for name, every in samples.items()}
        path = folder / f"{k:03d}.safetensors"
        write_parameters(path, model, chosen, values, ids, {**about_files, "sample": str(k)})
    return pandas.DataFrame(scores, index=pandas.Index(ids, name="catchment"))


class _Catchment:
    """The posterior of one catchment: many trials of it are columns of one block."""

    def __init__(
        self,
        problem: Problem,
        forcing: NDArray,
        row: int,
        observed: NDArray,
        counted: NDArray,
        wanted: PosteriorSettings,
    ) -> None:
        self.names = list(problem.logits)
        self._centre = {name: logit.detach()[0] for name, logit in problem.logits.items()}
        self._model, self._row, self._wanted = problem.model, row, wanted
        self._forcing = forcing[:, :, None]
        self._observed, self._counted = observed, counted
        self._problems: dict[int, Problem] = {}
        error = self._errors(np.zeros((1, len(self.names))))[0]
        known = np.isfinite(error[1:]) & np.isfinite(error[:-1])
        pair = error[1:][known], error[:-1][known]
        product = float((pair[0] * pair[1]).sum())
        self._correlation = float(np.clip(product / max((pair[1] ** 2).sum(), 1e-12), 0.0, 0.98))

    @property
    def walkers(self) -> int:
        """Walkers of the sampler: an even number."""
        return 2 * -(-_WALKERS * max(2, len(self.names)) // 2)

    def _trials(self, shifts: NDArray) -> Problem:
        """Return a problem whose catchments are trials of this one."""
        count = len(shifts)
        if count not in self._problems:
            self._problems[count] = Problem(
                self._model,
                np.repeat(self._forcing, count, axis=2),
                np.full(count, self._row),
                tuple(self.names),
            )
        problem = self._problems[count]
        for k, name in enumerate(self.names):
            centre = self._centre[name]
            step = torch.as_tensor(shifts[:, k]).reshape(-1, *[1] * centre.ndim)
            problem.logits[name] = centre[None] + step
        return problem

    def _flow(self, shifts: NDArray) -> NDArray:
        return self._trials(shifts).flow()

    def _errors(self, shifts: NDArray) -> NDArray:
        """Return errors of square roots of flow: shape (trials, days); NaN where none counts."""
        observed = np.where(self._counted, self._observed, np.nan)
        return (np.sqrt(self._flow(shifts) + _OFFSET) - np.sqrt(observed + _OFFSET)[:, None]).T

    def log_probability(self, shifts: NDArray) -> NDArray:
        """Return the logarithm of the posterior density, up to a constant: shape (trials,).

        Parameters
        ----------
        shifts : array, shape (trials, parameters)
            On the logits of shares of the ranges.
        """
        errors = self._errors(shifts)
        fresh = errors[:, 1:] - self._correlation * errors[:, :-1]
        known = np.isfinite(fresh)
        squares = np.where(known, fresh, 0.0) ** 2
        likelihood = -0.5 * known.sum(axis=1) * np.log(squares.sum(axis=1))
        return likelihood - 0.5 * ((shifts / self._wanted.spread) ** 2).sum(axis=1)

    def sampled(self, random: np.random.Generator) -> tuple[NDArray, dict[str, float]]:
        """Return samples (samples, parameters), and how well the chains have moved."""
        import emcee

        wanted, walkers, count = self._wanted, self.walkers, len(self.names)
        kept = int(wanted.steps * (1.0 - _BURN_IN)) * walkers
        if kept < wanted.samples:
            raise ConfigError(
                f"{wanted.steps} steps of {walkers} walkers give {kept} values after the burn-in, "
                f"fewer than {wanted.samples} samples"
            )
        sampler = emcee.EnsembleSampler(walkers, count, self.log_probability, vectorize=True)
        # The sampler's own random state: else two calls would differ.
        sampler.random_state = np.random.RandomState(int(random.integers(2**31))).get_state()
        begin = 0.1 * wanted.spread * random.normal(size=(walkers, count))
        sampler.run_mcmc(begin, wanted.steps)
        chain = sampler.get_chain(discard=int(wanted.steps * _BURN_IN))
        flat = chain.reshape(-1, count)
        chosen = random.choice(len(flat), wanted.samples, replace=False)
        times = emcee.autocorr.integrated_time(chain, tol=0)
        return flat[chosen], {
            "acceptance": float(np.mean(sampler.acceptance_fraction)),
            "autocorrelation": float(np.max(times)),
        }

    def coverage(
        self, shifts: NDArray, days: NDArray, random: np.random.Generator
    ) -> dict[str, float]:
        """Return which shares of some observed days lie in the band of samples."""
        flow = self._flow(shifts)
        errors = self._errors(shifts[:1])[0]
        noise = float(np.nanstd(errors))
        root = np.sqrt(flow + _OFFSET) + noise * random.normal(size=flow.shape)
        noisy = np.maximum(root, 0.0) ** 2 - _OFFSET
        shares = {}
        for name, values in (("coverage", noisy), ("coverage_of_parameters", flow)):
            low, high = np.quantile(values[days], (SHARES[0], SHARES[-1]), axis=1)
            shares[name] = float(share_within(self._observed[days], low, high))
        return shares

    def parameters(self, shifts: NDArray) -> dict[str, NDArray]:
        """Return all parameters of samples, by name: a row for each sample."""
        with torch.no_grad():
            return {
                name: values.numpy() for name, values in self._trials(shifts).parameters().items()
            }
