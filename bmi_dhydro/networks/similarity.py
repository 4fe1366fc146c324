"""How unlike the catchments of training others are, all attributes taken together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Added to the variances of all directions, as shares of the variance of an attribute: directions in
# which catchments hardly differ are noise of the data more than a difference of catchments.
_FLOOR = 0.02

# Share of the catchments of training that are nearer to another one of them than the limit.
_LIKE = 0.95

# Distances that are computed at a time, so that they fit the processor's cache.
_TOGETHER = 2**18


@dataclass(frozen=True)
class TrainingCatchments:
    """The catchments that a network was trained on, for comparison with others.

    Attributes
    ----------
    table : array, shape (catchments, attributes)
        Their attributes, as the network sees them (normalised).
    limit : float
        Mahalanobis distance within which 95 % of them have their nearest neighbour.
    """

    table: NDArray
    limit: float

    @classmethod
    def of(cls, table: NDArray) -> TrainingCatchments | None:
        """Take normalised attributes; None where there are too few catchments to compare with."""
        count, attributes = table.shape
        if count <= attributes + 1:
            return None
        unscaled = cls(np.asarray(table, dtype=float), 1.0)
        own = unscaled.distance(unscaled.table, leave_out_first=True)
        return cls(unscaled.table, float(np.quantile(own, _LIKE)))

    @cached_property
    def _whitening(self) -> NDArray:
        """What turns Mahalanobis distances into those of a plain space."""
        variances, directions = np.linalg.eigh(np.cov(self.table.T))
        return directions / np.sqrt(np.maximum(variances, 0.0) + _FLOOR)

    @cached_property
    def _whitened(self) -> NDArray:
        return self.table @ self._whitening

    def distance(self, inputs: NDArray, leave_out_first: bool = False) -> NDArray:
        """Return the Mahalanobis distance to the nearest catchment of training, over `limit`.

        Parameters
        ----------
        inputs : array, shape (catchments, attributes)
            Normalised.
        leave_out_first : bool
            Whether the nearest one is left out: the catchment itself, where it was trained on.

        Returns
        -------
        array, shape (catchments,)
            Above 1 for catchments that are unlike those of training.
        """
        known = self._whitened
        lengths = (known**2).sum(axis=1)
        result = np.empty(len(inputs))
        size = max(1, _TOGETHER // len(known))
        for first in range(0, len(inputs), size):
            # One catchment after the other: what it sees does not depend on the others.
            own = np.stack([row @ self._whitening for row in inputs[first : first + size]])
            # Which are the nearest is seen by a product; how far they are, by differences.
            apart = lengths - 2.0 * (own @ known.T)
            if leave_out_first:
                nearest = np.argpartition(apart, 1, axis=1)[:, :2]
            else:
                nearest = apart.argmin(axis=1)[:, None]
            squares = ((own[:, None] - known[nearest]) ** 2).sum(axis=2)
            result[first : first + size] = np.sqrt(squares.max(axis=1))
        return result / self.limit
