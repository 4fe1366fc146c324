"""Parameters that change from day to day, while a model runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from . import lstm
from .parameter_network import (
    FORCING_DEVIATION,
    FORCING_MEAN,
    NetworkLayout,
    dynamic_parameters,
)


class Dynamics:
    """The memory of the weather that moves dynamic parameters, for some catchments.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping of array
        Of the network.
    inputs : array, shape (catchments, attributes)
        Normalised attributes; may be changed in place.

    Attributes
    ----------
    hidden, cell : array, shape (catchments, units)
        State; may be changed in place.
    """

    def __init__(
        self, layout: NetworkLayout, weights: Mapping[str, NDArray], inputs: NDArray
    ) -> None:
        self.layout = layout
        self.inputs = np.array(inputs, dtype=float)
        self._weights = {name: np.asarray(value, dtype=float) for name, value in weights.items()}
        units = self._weights["lstm.hidden"].shape[0]
        self.hidden = np.zeros((len(inputs), units))
        self.cell = np.zeros((len(inputs), units))

    def advance(self, forcing: NDArray) -> NDArray:
        """See the weather of a day, and return the parameters of that day.

        Parameters
        ----------
        forcing : array, shape (forcings, catchments)
            Of the day: mm d-1, degC.

        Returns
        -------
        array, shape (catchments, dynamic parameters, components)
            Daily values.
        """
        weights = self._weights
        weather = (forcing.T - weights[FORCING_MEAN]) / weights[FORCING_DEVIATION]
        seen = np.concatenate([weather, self.inputs], axis=1)
        self.hidden[...], self.cell[...] = lstm.step(weights, seen, self.hidden, self.cell)
        values = dynamic_parameters(self.layout, weights, self.inputs, self.hidden)
        return np.stack(values, axis=1)
