"""What training makes small."""

from __future__ import annotations

import torch
from torch import Tensor

# Keeps catchments whose flow hardly varies from dominating, in mm d-1 (Kratzert et al. 2019).
LEAST_SPREAD = 0.1


def scaled_squared_error(simulated: Tensor, observed: Tensor, spread: Tensor) -> Tensor:
    """Return the squared error, scaled by the variability of each catchment's flow.

    Close to 1 - NSE, averaged over catchments (Kratzert et al. 2019, 10.5194/hess-23-5089-2019).

    Parameters
    ----------
    simulated, observed : Tensor, shape (days, catchments)
        In mm d-1; NaN in `observed` does not count.
    spread : Tensor, shape (catchments,)
        Standard deviation of each catchment's flow.
    """
    known = torch.isfinite(observed)
    error = torch.where(known, simulated - torch.nan_to_num(observed), 0.0)
    return ((error / (spread + LEAST_SPREAD)) ** 2).sum() / known.sum()
