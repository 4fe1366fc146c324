"""The river between catchments and gauges that are learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import NDArray

from ..networks.reach_network import ReachNetwork, initial
from ..physics import REACH_PROCESSES
from ..physics.reach import ReachProcess
from ..river.network import Network

# Before the names of weights of a network of reaches, among those of a training.
REACHES = "reaches."
# Those that are not learned.
FIXED = (REACHES + "mean", REACHES + "deviation")


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
    learn : bool
        Whether roughness and width, or celerity, are learned.
    """

    network: Network
    process: str = "muskingum_cunge"
    routing_seconds: int = 3600
    learn: bool = False

    @property
    def reach_process(self) -> ReachProcess:
        """The model of a reach."""
        return REACH_PROCESSES[self.process]

    def initial_weights(self, seed: int) -> dict[str, NDArray]:
        """Return the first weights of the network of reaches; none where nothing is learned."""
        if not self.learn:
            return {}
        process, network = self.reach_process, self.network
        rows = network.parameters_of(process)
        found = initial(process.parameter_names, rows, network.upstream_length, seed)
        return {REACHES + name: values for name, values in found.items()}

    def learned(self, weights: Mapping[str, NDArray]) -> ReachNetwork | None:
        """Return the network of reaches that is among the weights of a training."""
        if not self.learn:
            return None
        own = {n.removeprefix(REACHES): v for n, v in weights.items() if n.startswith(REACHES)}
        return ReachNetwork(self.process, own)
