"""A forecast of a chain divided among the workers of `run.workers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..model.state import SavedState
from ..river.state_file import joined as joined_states
from ..run.divided_rivers import DividedRivers
from ..run.workers import Mapper, divided
from .chain import Compute, compute_here
from .config import ForecastConfig
from .cycle import Forecast


@dataclass(frozen=True)
class Division:
    """Catchments of a chain divided among workers, and the stations that forecasts are made for.

    Attributes
    ----------
    ids : array of str, shape (catchments,)
    rows : list of array of int
        Catchments of each share.
    stations : list of array of int
        Where the stations of each share are among all; empty for a share without.
    configs : list of ForecastConfig
        Of each share.
    """

    ids: NDArray
    rows: list[NDArray]
    stations: list[NDArray]
    configs: list[ForecastConfig]

    @classmethod
    def of(cls, config: ForecastConfig, catchments: Catchments, workers: int) -> Division:
        """Divide catchments; where there are rivers, all that drain to an outlet go together."""
        ids = catchments.ids
        if config.network is None:
            rows = divided(len(ids), workers)
            return cls(ids, rows, rows, [config] * len(rows))
        rivers = DividedRivers(config.network.of_run(), ids, workers)
        configs = []
        for names in rivers.names:
            network = msgspec.structs.replace(config.network, at=names)
            configs.append(msgspec.structs.replace(config, network=network))
        return cls(ids, rivers.rows, rivers.stations, configs)

    def placed(self, arrays: list[NDArray]) -> NDArray:
        """Return the arrays of shares as one, stations (the last axis) in the order of all."""
        joined = np.concatenate(arrays, axis=-1)
        return joined[..., np.argsort(np.concatenate(self.stations))]


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


def joined(shares: list[Forecast], divided_up: Division) -> Forecast:
    """Return one forecast of those of different catchments."""
    first = shares[0]
    states = [share.analysis.state for share in shares]
    state = SavedState.joined(states).of(divided_up.ids)
    if first.analysis.state.river:
        state = replace(state, river=joined_states([one.river for one in states]))
    placed = divided_up.placed
    analysis = replace(
        first.analysis,
        state=state,
        added=placed([share.analysis.added for share in shares]),
        unexplained=placed([share.analysis.unexplained for share in shares]),
        drift=placed([share.analysis.drift for share in shares]),
        used=sum(share.analysis.used for share in shares),
        left_out=sum(share.analysis.left_out for share in shares),
    )
    notes = list(dict.fromkeys(note for share in shares for note in share.notes))
    flow = placed([share.flow for share in shares])
    rain = placed([share.precipitation for share in shares])
    return Forecast(first.time, analysis, flow, rain, notes)


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
        parts = Division.of(config, catchments, workers)
        shares = []
        for rows, own_config in zip(parts.rows, parts.configs, strict=True):
            own = catchments.subset(rows)
            own_state = None if state is None else state.of(own.ids)
            shares.append(Share(own_config, own, time, own_state))
        return joined(mapper(compute, shares, advance), parts)

    return divided_forecast
