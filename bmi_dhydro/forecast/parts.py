"""A forecast of a chain computed in parts, by the workers of `run.workers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..catchments.catchments import Catchments
from ..model.state import SavedState
from ..run.workers import Mapper, divided
from .chain import Compute, compute_here
from .config import ForecastConfig
from .cycle import Forecast


@dataclass(frozen=True)
class Part:
    """What one worker does.

    Attributes
    ----------
    config : ForecastConfig
    catchments : Catchments
    time : datetime64[s]
    state : SavedState or None
    """

    config: ForecastConfig
    catchments: Catchments
    time: np.datetime64
    state: SavedState | None


def compute(part: Part) -> Forecast:
    """Compute the forecast of some catchments."""
    return compute_here(part.config, part.catchments, part.time, part.state)


def joined(parts: list[Forecast]) -> Forecast:
    """Return one forecast of those of different catchments."""
    first = parts[0]
    analysis = replace(
        first.analysis,
        state=SavedState.joined([part.analysis.state for part in parts]),
        added=np.concatenate([part.analysis.added for part in parts]),
        unexplained=np.concatenate([part.analysis.unexplained for part in parts]),
        drift=np.concatenate([part.analysis.drift for part in parts]),
        used=sum(part.analysis.used for part in parts),
        left_out=sum(part.analysis.left_out for part in parts),
    )
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    flow = np.concatenate([part.flow for part in parts], axis=2)
    return Forecast(first.time, analysis, flow, notes)


def in_parts(mapper: Mapper, workers: int, advance: Callable[[], object] = lambda: None) -> Compute:
    """Return a way to compute forecasts by several workers.

    Parameters
    ----------
    mapper : callable
        Mapper, as `workers.workers` returns it.
    workers : int
    advance : callable
        Called for each part that is done.
    """

    def divided_forecast(
        config: ForecastConfig,
        catchments: Catchments,
        time: np.datetime64,
        state: SavedState | None,
    ) -> Forecast:
        parts = []
        for rows in divided(len(catchments), workers):
            own = catchments.subset(rows)
            own_state = None if state is None else state.of(own.ids)
            parts.append(Part(config, own, time, own_state))
        return joined(mapper(compute, parts, advance))

    return divided_forecast
