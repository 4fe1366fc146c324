"""Outputs over several steps that a host has asked for at once.

A host whose interval is longer than a step reads, after the last of them, what passed in all:
depths add up, rates are averaged, stores are those of the end.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..physics import Process
from ..physics.unit_hydrograph import stored_outputs

if TYPE_CHECKING:
    from .instance import Instance
    from .joined_river import JoinedRiver


@lru_cache(maxsize=16)
def _passed(process: Process, names: tuple[str, ...]) -> NDArray:
    """Return which outputs of a model are an amount that passes in a step, not one in a store."""
    stored = stored_outputs(process)
    return np.array([name not in stored for name in names])


class Aggregation:
    """Adds up the outputs of steps.

    Parameters
    ----------
    component : Instance
    """

    def __init__(self, component: Instance) -> None:
        component.want_rows()
        self._outputs = np.zeros(component.outputs.shape)
        self._rows = np.zeros(component.rows.shape)
        self._flow = None if component.joined is None else self._mean_flow(component.joined) * 0.0
        self._steps = 0

    @staticmethod
    def _mean_flow(joined: JoinedRiver) -> NDArray:
        return joined.outputs.values["mean_flow"]

    def add(self, component: Instance) -> None:
        """Add the step that a component has just done."""
        self._outputs += component.outputs
        self._rows += component.rows
        self._steps += 1
        if component.joined is not None and self._flow is not None:
            self._flow += self._mean_flow(component.joined)

    def show(self, component: Instance) -> None:
        """Let the outputs of a component be those of all steps, until it does the next one."""
        outputs, rows = component.outputs, component.rows
        # An output of the interface is a sum, a mean, or the last value.
        for row, item in enumerate(component.output_items):
            if item.conversion != "none":
                outputs[row] = self._outputs[row]
                if item.conversion != "depth_to_m":
                    outputs[row] /= self._steps
        passed = _passed(component.model.process, component.model.outputs)
        rows[passed] = self._rows[passed]
        if component.joined is not None and self._flow is not None:
            self._mean_flow(component.joined)[:] = self._flow / self._steps
            component.joined.show()
        component.show()
