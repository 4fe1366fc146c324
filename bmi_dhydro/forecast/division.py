"""A forecast of a chain divided among the workers of `run.workers`."""

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
class Share:
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


def compute(share: Share) -> Forecast:
    """Compute the forecast of some catchments."""
    return compute_here(share.config, share.catchments, share.time, share.state)


def joined(shares: list[Forecast]) -> Forecast:
    """Return one forecast of those of different catchments."""
    first = shares[0]
    analysis = replace(
        first.analysis,
        state=SavedState.joined([share.analysis.state for share in shares]),
        added=np.concatenate([share.analysis.added for share in shares]),
        unexplained=np.concatenate([share.analysis.unexplained for share in shares]),
        drift=np.concatenate([share.analysis.drift for share in shares]),
        used=sum(share.analysis.used for share in shares),
        left_out=sum(share.analysis.left_out for share in shares),
    )
    notes = list(dict.fromkeys(note for share in shares for note in share.notes))
    flow = np.concatenate([share.flow for share in shares], axis=2)
    return Forecast(first.time, analysis, flow, notes)


def divided_among(
    mapper: Mapper, workers: int, advance: Callable[[], object] = lambda: None
) -> Compute:
    """Return a way to compute forecasts by several workers.

    Parameters
    ----------
    mapper : callable
        Mapper, as `workers.workers` returns it.
    workers : int
    advance : callable
        Called for each share that is done.
    """

    def divided_forecast(
        config: ForecastConfig,
        catchments: Catchments,
        time: np.datetime64,
        state: SavedState | None,
    ) -> Forecast:
        shares = []
        for rows in divided(len(catchments), workers):
            own = catchments.subset(rows)
            own_state = None if state is None else state.of(own.ids)
            shares.append(Share(config, own, time, own_state))
        return joined(mapper(compute, shares, advance))

    return divided_forecast
