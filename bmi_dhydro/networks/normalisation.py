"""Bring attributes to the scale that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Normalisation:
    """Mean, standard deviation and range of each attribute in training.

    Attributes
    ----------
    names : tuple of str
    mean, deviation, lowest, highest : array, shape (attributes,)
    """

    names: tuple[str, ...]
    mean: NDArray
    deviation: NDArray
    lowest: NDArray
    highest: NDArray

    @classmethod
    def of(cls, attributes: Mapping[str, NDArray]) -> Normalisation:
        """Take the statistics of the catchments that a network is trained on."""
        table = np.stack([np.asarray(values, dtype=float) for values in attributes.values()], 1)
        return cls(
            tuple(attributes),
            table.mean(axis=0),
            np.maximum(table.std(axis=0), 1e-9),
            table.min(axis=0),
            table.max(axis=0),
        )

    def __call__(self, attributes: Mapping[str, NDArray]) -> NDArray:
        """Return the inputs of a network.

        Parameters
        ----------
        attributes : mapping
            An array of shape (catchments,) for each name.

        Returns
        -------
        array, shape (catchments, attributes)
        """
        table = np.stack([np.asarray(attributes[name], dtype=float) for name in self.names], 1)
        return (table - self.mean) / self.deviation
