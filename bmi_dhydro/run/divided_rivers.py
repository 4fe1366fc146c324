"""Catchments divided among workers by the rivers that they drain to."""

from __future__ import annotations

import heapq
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import NetworkConfig
from .joined_river import drained_network
from .river_results import places_of
from .workers import divided


class DividedRivers:
    """Shares of catchments, such that all that drain to an outlet are in the same.

    Parameters
    ----------
    config : NetworkConfig
    ids : array of str, shape (catchments,)
    workers : int

    Attributes
    ----------
    config : NetworkConfig
    rows : list of array of int
        Catchments of each share, in increasing order; as many shares as workers keep busy, or as
        there are rivers.
    stations : list of array of int
        Where the places of each share, at which results are wanted, are among all.
    names : list of list of str
        What these places are called.

    Raises
    ------
    NetworkError
        If the network does not fit the catchments, or has no such place as is named.
    """

    def __init__(self, config: NetworkConfig, ids: NDArray, workers: int) -> None:
        self.config = config
        network = drained_network(Path(config.file), ids)
        outlets = network.outlet_of()
        own = outlets[network.reaches_of(ids)]
        basins, home, sizes = np.unique(own, return_inverse=True, return_counts=True)
        # The largest first, each to the share that has the least to do.
        loads = [(0, share) for share in range(min(len(divided(len(ids), workers)), basins.size))]
        share_of = np.zeros(len(network), dtype=int)
        for basin in np.argsort(-sizes, kind="stable"):
            load, share = heapq.heappop(loads)
            share_of[basins[basin]] = share
            heapq.heappush(loads, (load + int(sizes[basin]), share))
        count = len(loads)
        of_catchments = share_of[basins[home]]
        self.rows = [np.flatnonzero(of_catchments == share) for share in range(count)]
        places, names = places_of(network, config.at)
        of_places = share_of[outlets[places]]
        self.stations = [np.flatnonzero(of_places == share) for share in range(count)]
        self.names = [names[own].tolist() for own in self.stations]

    def share(self, number: int, output: str) -> NetworkConfig:
        """Return the configuration of the rivers of a share, whose results go to `output`."""
        names = self.names[number]
        wanted = output if names and self.config.output is not None else None
        return msgspec.structs.replace(self.config, at=names, output=wanted)
