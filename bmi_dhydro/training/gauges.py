"""The river between catchments and gauges that are learned from."""

from __future__ import annotations

from dataclasses import dataclass

from ..river.network import Network


@dataclass(frozen=True)
class GaugedRiver:
    """The river between catchments and gauges.

    Attributes
    ----------
    network : Network
        With gauges.
    process : str
        Model of a reach, in `physics.REACH_PROCESSES`.
    routing_seconds : int
        Longest routing step; longer ones than those of runs save time, and hardly change days.
    """

    network: Network
    process: str = "muskingum_cunge"
    routing_seconds: int = 3600
