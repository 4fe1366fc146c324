"""What training makes small: each close to zero for perfect flow, and differentiable.

Arguments are simulated and observed flow of shape (days, catchments) in mm d-1, NaN where there is
no observation, and the standard deviation of each catchment's flow over the whole of training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Keeps catchments whose flow hardly varies from dominating, in mm d-1 (Kratzert et al. 2019).
LEAST_SPREAD = 0.1

# Added before square roots are taken, in mm d-1, so that their derivative is finite.
ROOT_OFFSET = 0.01

# Added before logarithms are taken, in mm d-1.
LOG_OFFSET = 0.1

# Observed days in a window below which statistics of a catchment mean nothing.
_FEW_DAYS = 30


def spread_of(observed: NDArray) -> NDArray:
    """Return the standard deviation of each catchment's observations; 0 where there are none.

    Parameters
    ----------
    observed : array, shape (days, catchments)
        NaN where there is no observation.
    """
    known = np.isfinite(observed)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, observed, 0.0).sum(axis=0) / count
    squares = np.where(known, observed - mean, 0.0) ** 2
    return np.sqrt(squares.sum(axis=0) / count)


def nse(simulated: Tensor, observed: Tensor, spread: Tensor) -> Tensor:
    """Return the squared error, scaled by the variability of each catchment's flow.

    Close to 1 - NSE, averaged over catchments (Kratzert et al. 2019, 10.5194/hess-23-5089-2019).
    """
    known = torch.isfinite(observed)
    error = torch.where(known, simulated - torch.nan_to_num(observed), 0.0)
    return ((error / (spread + LEAST_SPREAD)) ** 2).sum() / known.sum()


def root(simulated: Tensor, observed: Tensor, spread: Tensor) -> Tensor:
    """Return the squared error of square roots, which counts low flows more than `nse` does.

    Scaled by the variability of each catchment's flow, as `nse` is.
    """
    known = torch.isfinite(observed)
    error = torch.sqrt(simulated + ROOT_OFFSET) - torch.sqrt(
        torch.nan_to_num(observed) + ROOT_OFFSET
    )
    scaled = torch.where(known, error, 0.0) ** 2 / (spread + LEAST_SPREAD)
    return scaled.sum() / known.sum()


def log(simulated: Tensor, observed: Tensor, spread: Tensor) -> Tensor:
    """Return the squared error of logarithms, which counts low flows as much as high ones."""
    known = torch.isfinite(observed)
    error = torch.log(simulated + LOG_OFFSET) - torch.log(torch.nan_to_num(observed) + LOG_OFFSET)
    return (torch.where(known, error, 0.0) ** 2).sum() / known.sum()


def kge(simulated: Tensor, observed: Tensor, spread: Tensor) -> Tensor:
    """Return 1 - KGE (Gupta et al. 2009), averaged over the catchments with enough days."""
    known = torch.isfinite(observed)
    count = known.sum(dim=0)
    enough = count >= _FEW_DAYS
    if not bool(enough.any()):
        return 0.0 * simulated.sum()
    share = (known / count.clamp(min=1))[:, enough]
    simulated, observed = simulated[:, enough], torch.nan_to_num(observed)[:, enough]
    mean_s, mean_o = (share * simulated).sum(dim=0), (share * observed).sum(dim=0)
    around_s, around_o = simulated - mean_s, observed - mean_o
    # The small addition keeps the root differentiable where flow does not vary.
    spread_s = torch.sqrt((share * around_s**2).sum(dim=0) + 1e-6)
    spread_o = torch.sqrt((share * around_o**2).sum(dim=0) + 1e-6)
    correlation = (share * around_s * around_o).sum(dim=0) / (spread_s * spread_o)
    distance = (
        (correlation - 1.0) ** 2
        + (spread_s / spread_o - 1.0) ** 2
        + (mean_s / mean_o.clamp(min=1e-3) - 1.0) ** 2
    )
    return torch.sqrt(distance + 1e-9).mean()


def combined(simulated: Tensor, observed: Tensor, spread: Tensor) -> Tensor:
    """Return `nse` and a quarter of `log`: peaks first, recessions not forgotten."""
    return nse(simulated, observed, spread) + 0.25 * log(simulated, observed, spread)


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "nse": nse,
    "root": root,
    "log": log,
    "kge": kge,
    "combined": combined,
}
