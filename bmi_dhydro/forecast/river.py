"""The river of a chain of forecasts: from runoff of catchments to flow at gauges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..config.settings import parse_duration
from ..model.model import Model
from ..river.drainage import Drainage
from ..river.learned import with_learned
from ..river.river import River
from ..river.state_file import packed, packed_ids, take, unpacked_ids
from ..run.joined_river import drained_network
from ..run.river_results import places_of, stations_of
from .config import RiverAheadConfig

# What a state of the river remembers beside that of its reaches.
_DRIFT, _PLACES = "drift", "places"


class GaugedRivers:
    """The rivers that catchments drain to, and the places on them that forecasts are for.

    Parameters
    ----------
    config : RiverAheadConfig
    catchments : Catchments

    Attributes
    ----------
    network : Network
    places : array of int, shape (stations,)
        The reach of each place.
    stations : Catchments
        The places, with the area that drains to them.
    drainage : Drainage

    Raises
    ------
    NetworkError
        If the network is missing, has no such place, or does not fit the catchments.
    """

    def __init__(self, config: RiverAheadConfig, catchments: Catchments) -> None:
        self.config = config
        drained = drained_network(Path(config.file), catchments.ids)
        self.network = with_learned(drained, config.process, config.learned)
        self.places, names = places_of(self.network, config.at)
        reaches = self.network.reaches_of(catchments.ids)
        area = catchments.area
        self.stations = stations_of(self.network, self.places, names, reaches, area)
        self.drainage = Drainage(self.network, self.places, reaches, area)

    def mean(self, values: NDArray) -> NDArray:
        """Return the mean by area, over all that drains to each place, of values of catchments."""
        drainage = self.drainage
        total = np.bincount(drainage.reaches, values * drainage.area, len(self.network))
        return self.network.accumulated(total)[self.places] / np.maximum(drainage.whole, 1e-9)


def stations(config: RiverAheadConfig | None, catchments: Catchments) -> Catchments:
    """Return where forecasts are made: the catchments, or places on the rivers they drain to."""
    return catchments if config is None else GaugedRivers(config, catchments).stations


class RoutedRunoff:
    """Rivers of all members of a model, with a state.

    Parameters
    ----------
    rivers : GaugedRivers
    model : Model
        Whose runoff enters them.
    threads : int or None

    Attributes
    ----------
    river : River
        Of all members, one after the other.
    """

    def __init__(self, rivers: GaugedRivers, model: Model, threads: int | None) -> None:
        self._rivers = rivers
        network, drainage = rivers.network, rivers.drainage
        self._reaches = network.of_members(drainage.reaches, model.members)
        self._places = network.of_members(rivers.places, model.members)
        self.river = River(
            network.repeated(model.members),
            rivers.config.process,
            model.step_seconds,
            parse_duration(rivers.config.routing_step, "network.routing_step"),
            model.dtype,
            threads,
        )
        self._volume = np.tile(drainage.area, model.members) * (1e3 / model.step_seconds)
        self._depth = model.step_seconds / 1e3 / np.tile(drainage.whole, model.members)
        self._steady = True

    def lateral(self, runoff: NDArray) -> NDArray:
        """Return lateral inflow (steps, reaches) in m3 s-1, of runoff (steps, columns) in mm."""
        inflow = np.zeros((len(runoff), len(self.river.network)))
        np.add.at(inflow.T, self._reaches, (runoff * self._volume).T)
        return inflow

    def route(self, runoff: NDArray) -> NDArray:
        """Route runoff of some steps; the river goes on from there.

        Parameters
        ----------
        runoff : array, shape (steps, columns)
            In mm per step.

        Returns
        -------
        array, shape (steps, members x stations)
            In mm per step, over the area that drains there.
        """
        rows = [np.empty((0, self._places.size))]
        lateral = self.lateral(runoff).astype(self.river.dtype)
        if len(lateral):
            self.start(lateral[0])
        together = self.river.steps_together
        for first in range(0, len(lateral), together):
            mean = self.river.block(lateral[first : first + together])[1]
            rows.append(mean[:, self._places] * self._depth)
        return np.concatenate(rows)

    def start(self, lateral: NDArray) -> None:
        """Let a river without a state start with the flow that lateral inflow would keep up."""
        if self._steady:
            self.river.start_steady(lateral)
            self._steady = False

    def packed(self, drift: NDArray | None) -> dict[str, NDArray]:
        """Return copies of what the next steps depend on, and the drift of each place."""
        state = packed(self.river)
        if drift is not None:
            state |= {_DRIFT: drift, _PLACES: packed_ids(self._rivers.stations.ids)}
        return state

    def take(self, state: Mapping[str, NDArray], source: str) -> NDArray:
        """Go on from what `packed` returned, or start anew from nothing; return the drift.

        Raises
        ------
        StateError
            If values are not finite.
        NetworkError
            If reaches are missing; names them.
        """
        names = self._rivers.stations.ids.tolist()
        self._steady = not state
        if state:
            take(self.river, state, source)
        if _PLACES not in state or not state[_PLACES].size:
            return np.zeros(len(names))
        found = dict(zip(unpacked_ids(state[_PLACES]), state[_DRIFT].tolist(), strict=True))
        return np.array([found.get(name, 0.0) for name in names])
