"""Bring attributes to the scale that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics.primitives import log, maximum, sqrt

_PER_DECADE = 1.0 / np.log(10.0)


def logarithm(values: Any) -> Any:
    """Return the logarithm by which published models see precipitation and flow.

    Parameters
    ----------
    values : array
        What is below zero counts as zero.

    Returns
    -------
    array
        log10(sqrt(x) + 0.1).
    """
    return log(sqrt(maximum(values, 0.0)) + 0.1) * _PER_DECADE


@dataclass(frozen=True)
class Normalisation:
    """Mean, standard deviation and range of each attribute in training.

    Attributes
    ----------
    names : tuple of str
    mean, deviation, lowest, highest : array, shape (attributes,)
    logarithms : tuple of str
        Attributes of which a network sees `logarithm`; statistics are of that.
    """

    names: tuple[str, ...]
    mean: NDArray
    deviation: NDArray
    lowest: NDArray
    highest: NDArray
    logarithms: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, attributes: Mapping[str, NDArray], site: Mapping[str, NDArray] | None = None
    ) -> Normalisation:
        """Take the statistics of the catchments that a network is trained on.

        Parameters
        ----------
        attributes, site : mapping of array, shape (catchments,)
            What the network sees, and what stays as it is.
        """
        columns = [*attributes.items(), *(site or {}).items()]
        table = np.stack([np.asarray(values, dtype=float) for _, values in columns], 1)
        count = len(attributes)
        mean, deviation = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
        mean[count:], deviation[count:] = 0.0, 1.0
        names = tuple(name for name, _ in columns)
        return cls(names, mean, deviation, table.min(axis=0), table.max(axis=0))

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
        columns = [np.asarray(attributes[name], dtype=float) for name in self.names]
        for k, name in enumerate(self.names):
            if name in self.logarithms:
                columns[k] = logarithm(columns[k])
        return (np.stack(columns, 1) - self.mean) / self.deviation
