"""How far flow still depends, after all years, on the LSTM state that it started from.

A long short-term memory has no bound on how long it remembers. For most catchments two states
that start apart soon agree; for some they never do, and a run that begins elsewhere gives another
flow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..networks.trained_model import TrainedModel
from .data import TrainingData
from .simulated_flow import simulated_flow

# Relative differences of flow that are worth reporting.
NOTICEABLE = 0.01


def dependence_on_start(trained: TrainedModel, data: TrainingData) -> NDArray:
    """Return how far the flow of the last year differs between two LSTM states at the beginning.

    Parameters
    ----------
    trained : TrainedModel
        With dynamic parameters.
    data : TrainingData
        Weather and attributes, of more than a year.

    Returns
    -------
    array, shape (catchments,)
        Mean flow of the last 365 days with an LSTM that started full, over that with one that
        started empty, less one.
    """
    flows = [
        simulated_flow(trained, data, full)[-365:].mean(axis=0, dtype=float)
        for full in (False, True)
    ]
    return flows[1] / np.maximum(flows[0], 1e-9) - 1.0


def described(apart: NDArray, days: int) -> str:
    """Return a sentence on `dependence_on_start` after some days, for `TrainedModel.about`."""
    apart = np.abs(apart)
    return (
        f"memory of the weather (LSTM): started full instead of empty, the flow of "
        f"{int((apart > NOTICEABLE).sum())} of {apart.size} catchments differs by more than "
        f"{100 * NOTICEABLE:g} % (by up to {100 * apart.max():.1f} %) in the last of "
        f"{days / 365.25:.1f} years"
    )
