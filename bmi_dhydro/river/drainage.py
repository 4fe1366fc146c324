"""Which catchments drain to which gauges of a river."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .network import Network


@dataclass(frozen=True)
class Drainage:
    """Which catchments drain to which gauges.

    Attributes
    ----------
    network : Network
    gauges : array of int, shape (gauges,)
        Place of the reach of each gauge.
    reaches : array of int, shape (catchments,)
        Place of the reach that each catchment drains to.
    area : array, shape (catchments,)
        In km2.
    """

    network: Network
    gauges: NDArray
    reaches: NDArray
    area: NDArray

    @cached_property
    def nearest(self) -> NDArray:
        """The gauge that each catchment drains to first, -1 for none: shape (catchments,)."""
        network = self.network
        found = np.full(len(network), -1)
        found[self.gauges] = np.arange(len(self.gauges))
        for k in network.order[::-1]:
            if found[k] < 0 and network.to[k] >= 0:
                found[k] = found[network.to[k]]
        return found[self.reaches]

    @cached_property
    def whole(self) -> NDArray:
        """The area of all catchments upstream of each gauge, in km2: shape (gauges,)."""
        entered = np.bincount(self.reaches, self.area, len(self.network))
        return self.network.accumulated(entered)[self.gauges]

    @cached_property
    def own_share(self) -> NDArray:
        """The share of a gauge's area that no gauge upstream has: shape (gauges,).

        Where each gauge counts by this, no catchment counts twice.
        """
        near = self.nearest >= 0
        own = np.bincount(self.nearest[near], self.area[near], len(self.gauges))
        return own / np.maximum(self.whole, 1e-9)
