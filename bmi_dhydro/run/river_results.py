"""Results of a river at its gauges, or at other places, as time series of stations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..errors import NetworkError
from ..river.network import Network
from ..variables import FLOW

# Name, what `river.Flows` calls it, units and description of what is written; flow by the name by
# which catchments have it, so that it is evaluated alike.
VARIABLES = (
    (FLOW, "mean_flow", "m3 s-1", "flow at the end of the reach, mean of the step"),
    ("channel_water__mean_depth", "depth", "m", "depth of water at the end of the step"),
    ("channel_water_flow__speed", "velocity", "m s-1", "velocity at the end of the step"),
    ("channel_water__volume", "storage", "m3", "water in the reach at the end of the step"),
)


def columns() -> list[tuple[str, str, str]]:
    """Return name, units and description of what is written, as a writer of results takes them."""
    return [(name, units, text) for name, _, units, text in VARIABLES]


def places_of(network: Network, at: str | Sequence[str]) -> tuple[NDArray, NDArray]:
    """Return the places where results are wanted, and what they are called.

    Parameters
    ----------
    network : Network
    at : "auto", "gauges", "outlets", "all" or sequence of str
        Ids of gauges or reaches.

    Raises
    ------
    NetworkError
        If the network has no gauges, or no such place.
    """
    if at == "auto":
        at = "gauges" if network.gauges else "outlets"
    if at == "all":
        return np.arange(len(network)), network.ids
    if at == "outlets":
        outlets = np.flatnonzero(network.to < 0)
        return outlets, network.ids[outlets]
    if at == "gauges":
        if not network.gauges:
            raise NetworkError(
                "the network has no gauges; give it a column 'gauge', or ask for reaches by their "
                "ids, for 'outlets' or for 'all'"
            )
        return np.array(list(network.gauges.values())), np.array(list(network.gauges))
    wanted = [at] if isinstance(at, str) else list(at)
    return np.array([network.place(name) for name in wanted], dtype=int), np.array(wanted)


def stations_of(
    network: Network, places: NDArray, names: NDArray, reaches: NDArray, area: NDArray
) -> Catchments:
    """Return places of a river as stations of results, with the area that drains to them.

    Parameters
    ----------
    network : Network
    places : array of int, shape (stations,)
    names : array of str, shape (stations,)
    reaches : array of int, shape (catchments,)
        That each catchment drains to.
    area : array, shape (catchments,)
        In km2.
    """
    drained = np.zeros(len(network))
    np.add.at(drained, reaches, area)
    drained = network.accumulated(drained)
    # Where nothing drains to, a depth of flow means nothing.
    drained[drained <= 0.0] = np.nan
    unknown = np.full(len(network), np.nan)
    latitude, longitude = (
        (unknown if values is None else values)[places]
        for values in (network.latitude, network.longitude)
    )
    nowhere = np.full(places.size, np.nan)
    return Catchments(names, drained[places], latitude, longitude, nowhere, nowhere, {})
