"""Parameters that change from day to day, while a model runs.

The network was trained on whole days. In shorter steps it sees the last 24 hours as the day, with
the memory of the days before today: at the end of a day exactly what a daily run sees, and within
the day the hours that have arrived, completed by the same hours of yesterday. Days begin where the
run began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics import Quantity
from . import lstm
from .parameter_network import (
    DYNAMIC_HEAD,
    FORCING_DEVIATION,
    FORCING_MEAN,
    NetworkLayout,
    centre,
    dynamic_items,
    dynamic_parameters,
)


def day_of(window: Any, forcings: Sequence[Quantity]) -> list[Any]:
    """Return the daily sum (of depths) or mean of each forcing.

    Parameters
    ----------
    window : array, shape (forcings, steps of a day, ...)
    forcings : sequence of Quantity

    Returns
    -------
    list of array, shape (...)
    """
    return [
        values.sum(0) if item.units == "mm" else values.mean(0)
        for values, item in zip(window, forcings, strict=True)
    ]


# Catchments of a matrix product. Always so many: the order in which a product adds depends on its
# size, and a catchment has the same parameters alone and among others.
_TOGETHER = 8


class Dynamics:
    """The memory of the weather that moves dynamic parameters, for some catchments.

    Parameters
    ----------
    layout : NetworkLayout
    weights : mapping of array
        Of the network.
    inputs : array, shape (catchments, attributes)
        Normalised attributes.
    steps_per_day : int

    Attributes
    ----------
    inputs : array, shape (catchments, attributes)
        May be changed in place.
    hidden, cell : array, shape (catchments, units)
        Memory of all whole days; may be changed in place.
    window : array, shape (catchments, forcings, steps_per_day)
        Weather of the last 24 hours, in the order of the day; NaN before the first step.
    position : int
        Steps of today that are done.
    """

    def __init__(
        self,
        layout: NetworkLayout,
        weights: Mapping[str, NDArray],
        inputs: NDArray,
        steps_per_day: int = 1,
    ) -> None:
        self.layout = layout
        catchments = len(inputs)
        groups = -(-catchments // _TOGETHER)

        def grouped(columns: int) -> tuple[NDArray, NDArray]:
            """Return an array of groups of catchments, and the catchments in it."""
            values = np.zeros((groups, _TOGETHER, columns))
            return values, values.reshape(-1, columns)[:catchments]

        self._inputs, self.inputs = grouped(np.shape(inputs)[1])
        self.inputs[...] = inputs
        self.weights = {
            name: np.asarray(value, dtype=float)
            for name, value in weights.items()
            if name in (DYNAMIC_HEAD, FORCING_MEAN, FORCING_DEVIATION) or name.startswith("lstm.")
        }
        units = self.weights["lstm.hidden"].shape[0]
        self._hidden, self.hidden = grouped(units)
        self._cell, self.cell = grouped(units)
        forcings = len(layout.process.forcings)
        self.window = np.full((catchments, forcings, steps_per_day), np.nan)
        self.position = 0
        self._weather, self._seen_weather = grouped(forcings)
        self._centres = np.zeros((len(layout.dynamic), groups * _TOGETHER, layout.components))

    def set_centres(self, name: str, values: NDArray, catchments: slice | NDArray) -> None:
        """Set the static values around which a parameter moves, for some catchments.

        Parameters
        ----------
        name : str
            Among `layout.dynamic`.
        values : array, shape (catchments, components)
            Daily values.
        catchments : slice or array of int
        """
        k = self.layout.dynamic.index(name)
        self._centres[k, : len(self.inputs)][catchments] = centre(
            values, dynamic_items(self.layout)[k]
        )

    def advance(self, forcing: NDArray) -> NDArray:
        """See the weather of a step, and return the parameters of that step.

        Parameters
        ----------
        forcing : array, shape (forcings, catchments)
            Of the step: mm, degC.

        Returns
        -------
        array, shape (catchments, dynamic parameters, components)
            Daily values.
        """
        hidden = self._step(forcing)
        shape = (len(self._centres), *hidden.shape[:2], -1)
        centres = self._centres.reshape(shape)
        values = dynamic_parameters(self.layout, self.weights, centres, hidden)
        rows = [v.reshape(-1, self.layout.components)[: len(self.inputs)] for v in values]
        return np.stack(rows, axis=1)

    def remember_step(self, forcing: NDArray) -> NDArray:
        """See the weather of a step, and return the memory that moves parameters in that step."""
        hidden = self._step(forcing)
        return hidden.reshape(-1, hidden.shape[2])[: len(self.inputs)]

    def _step(self, forcing: NDArray) -> NDArray:
        steps_per_day = self.window.shape[2]
        if np.isnan(self.window[0, 0, 0]) and self.position == 0:
            # Nothing is known of yesterday: the first step stands for it.
            self.window[...] = forcing.T[:, :, None]
        self.window[:, :, self.position] = forcing.T
        day = day_of(self.window.transpose(1, 2, 0), self.layout.process.forcings)
        self._seen_weather[...] = (np.stack(day, axis=1) - self.weights[FORCING_MEAN]) / (
            self.weights[FORCING_DEVIATION]
        )
        seen = np.concatenate([self._weather, self._inputs], axis=2)
        hidden, cell = lstm.step(self.weights, seen, self._hidden, self._cell)
        self.position += 1
        if self.position == steps_per_day:
            self._hidden[...], self._cell[...] = hidden, cell
            self.position = 0
        return hidden

    def memory(self) -> dict[str, NDArray]:
        """Return copies of what the next steps depend on, each with a row for each catchment."""
        arrays = {"hidden": self.hidden.copy(), "cell": self.cell.copy()}
        if self.window.shape[2] > 1:
            arrays["day_window"] = self.window.copy()
            arrays["day_position"] = np.full(len(self.hidden), self.position)
        return arrays

    def remember(self, memory: Mapping[str, NDArray]) -> None:
        """Take on what `memory` returned."""
        self.hidden[...], self.cell[...] = memory["hidden"], memory["cell"]
        if self.window.shape[2] > 1:
            self.window[...] = memory["day_window"]
            self.position = int(memory["day_position"][0])
