"""Parameters that change from day to day, while a model runs.

The network was trained on whole days. In shorter steps it sees the last 24 hours as the day, with
the LSTM's state after the days before today: at the end of a day exactly what a daily run sees, and
within the day the hours that have arrived, completed by the same hours of yesterday. Days begin
where the run began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.cpu.addresses import table_of
from ..kernels.cpu.loop import CompiledLoop, one_thread
from ..kernels.cpu.products import packed
from ..machine import threads_of
from ..physics import Quantity
from .compiled_lstm import compiled_lstm, kept_arrays
from .parameter_network import (
    DYNAMIC_HEAD,
    ENTRANCE,
    ENTRANCE_BIAS,
    FORCING_DEVIATION,
    FORCING_MEAN,
    NetworkLayout,
    centre,
    dynamic_items,
)

# Weights beside those of the LSTM itself.
_WEIGHTS = (DYNAMIC_HEAD, FORCING_MEAN, FORCING_DEVIATION, ENTRANCE, ENTRANCE_BIAS)

# Catchments whose attributes are taken in at once, so that sums stay in the processor's cache.
_TOGETHER = 64

# Outputs and contents of units that are all but full.
_FULL_HIDDEN, _FULL_CELL = 0.9, 3.0


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
        values.sum(0) if item.is_depth else values.mean(0)
        for values, item in zip(window, forcings, strict=True)
    ]


@dataclass(frozen=True)
class PackedNetwork:
    """Weights of a network as the loop over its LSTM reads them.

    Made once, and shared by all who step it: an engine may have thousands of instances of a model,
    whose matrices then stay in the processor's cache.

    Attributes
    ----------
    weights : dict of array
        In double precision.
    first : str
        Of which layer the attributes are an input: of the LSTM, or of a layer before it.
    of_attributes : array, shape (attributes, outputs of that layer)
    kind : str
        Kind of number of the packed matrices.
    matrices : tuple of array
        As `products.packed` returns them: see `compiled_lstm.kept_arrays`.
    entrance : int
        Units of the layer before the LSTM; 0 where there is none.
    """

    weights: Mapping[str, NDArray]
    first: str
    of_attributes: NDArray
    kind: str
    matrices: tuple[NDArray, ...]
    entrance: int

    @classmethod
    def of(cls, layout: NetworkLayout, weights: Mapping[str, NDArray]) -> PackedNetwork:
        """Pack the weights of a network."""
        used = {
            name: np.asarray(value, dtype=float)
            for name, value in weights.items()
            if name in _WEIGHTS or name.startswith("lstm.")
        }
        forcings = len(layout.process.forcings)
        first = ENTRANCE if ENTRANCE in used else "lstm.input"
        of_weather, of_attributes = np.split(used[first], [forcings])
        taken_in, door = of_weather, np.zeros((forcings, 0))
        if first == ENTRANCE:
            taken_in, door = used["lstm.input"], of_weather
        matrices = door, taken_in, used["lstm.hidden"], used[DYNAMIC_HEAD]
        single = all(np.array_equal(each, each.astype(np.float32)) for each in matrices)
        kind = "float32" if single else "float64"
        arrays = tuple(array for matrix in matrices for array in packed(matrix, kind))
        return cls(used, first, of_attributes, kind, arrays, door.shape[1])


class Dynamics:
    """The long short-term memory (LSTM) that moves dynamic parameters, for some catchments.

    Parameters
    ----------
    layout : NetworkLayout
    network : mapping of array, or PackedNetwork
        Weights of the network.
    inputs : array, shape (catchments, inputs)
        Normalised attributes; see `parameter_network.static_logits`.
    steps_per_day : int
    threads : int, optional
        All processors of this process, unless given.

    Attributes
    ----------
    threads : int or None
        A model gives its own to what moves its parameters.
    inputs : array, shape (catchments, inputs)
        Changed by `set_inputs`.
    static : array, shape (catchments, 4 units)
        What attributes and bias add to the gates.
    entering : array, shape (catchments, units of the layer before the LSTM)
        What they add to that layer, where there is one; the bias alone goes to the gates then.
    centres : array, shape (parameters, catchments, parameter sets)
        Static values around which parameters move, as `parameter_network.centre` gives them.
    hidden, cell : array, shape (catchments, units)
        State of the LSTM after all whole days; may be changed in place.
    window : array, shape (catchments, forcings, steps_per_day)
        Weather of the last 24 hours, in the order of the day; NaN before the first step.
    progress : array of int
        Steps of today that are done, steps of a day, and the address of the table of what is kept.
    """

    def __init__(
        self,
        layout: NetworkLayout,
        network: Mapping[str, NDArray] | PackedNetwork,
        inputs: NDArray,
        steps_per_day: int = 1,
        threads: int | None = None,
    ) -> None:
        self.layout, self.threads = layout, threads
        if not isinstance(network, PackedNetwork):
            network = PackedNetwork.of(layout, network)
        self._network = network
        self.weights = network.weights
        catchments, units = len(inputs), self.weights["lstm.hidden"].shape[0]
        forcings = len(layout.process.forcings)
        self.inputs = np.array(inputs, dtype=float)
        self.static = np.empty((catchments, self.weights["lstm.bias"].size))
        self.static[...] = self.weights["lstm.bias"]
        self.entering = np.empty((catchments, network.entrance))
        self.set_inputs(np.arange(catchments), self.inputs)
        self.hidden = np.zeros((catchments, units))
        self.cell = np.zeros((catchments, units))
        self._new_hidden, self._new_cell = np.empty_like(self.hidden), np.empty_like(self.cell)
        kept = catchments if steps_per_day > 1 else 0
        remembered, recalled = np.full((kept, units), np.nan), np.empty((kept, 4 * units))
        self.window = np.full((catchments, forcings, steps_per_day), np.nan)
        self.progress = np.array([0, steps_per_day, 0], np.int64)
        self._items = tuple(dynamic_items(layout))
        self._loops: dict[float, CompiledLoop] = {}
        self.centres = np.zeros((len(self._items), catchments, layout.parameter_sets))
        # They are kept, and must not be replaced: the loop finds them by their addresses.
        self._kept = [
            self.progress,
            self.static,
            self.hidden,
            self.cell,
            self.window,
            self.weights[FORCING_MEAN],
            self.weights[FORCING_DEVIATION],
            self.entering,
            *network.matrices,
            self.centres,
            remembered,
            recalled,
            self._new_hidden,
            self._new_cell,
        ]
        self._table = table_of(self._kept, kept_arrays(network.kind))
        self.progress[2] = self._table.ctypes.data

    @property
    def position(self) -> int:
        """Steps of today that are done."""
        return self.progress.item(0)

    @position.setter
    def position(self, done: int) -> None:
        self.progress[0] = done

    def subset(self, catchments: NDArray) -> Dynamics:
        """Return the LSTM of some catchments (array of int), with an empty state."""
        inputs, per_day = self.inputs[catchments], self.window.shape[2]
        return Dynamics(self.layout, self._network, inputs, per_day, self.threads)

    def copy(self) -> Dynamics:
        """Return the LSTM of the same catchments, with the state and the centres that it has."""
        same = self.subset(np.arange(len(self.inputs)))
        same.restore(self.snapshot())
        same.centres[...] = self.centres
        return same

    def __deepcopy__(self, memo: dict[int, Any]) -> Dynamics:
        # Arrays are found by their addresses: those of a copy are others.
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError("what moves parameters cannot be pickled; pickle its snapshot instead")

    def fill(self) -> None:
        """Let all units be all but full: as far from empty as they can be before the first day."""
        self.hidden[...], self.cell[...] = _FULL_HIDDEN, _FULL_CELL

    def set_inputs(self, catchments: NDArray, inputs: NDArray) -> None:
        """Give some catchments other attributes.

        Parameters
        ----------
        catchments : array of int
        inputs : array, shape (catchments, inputs)
            Normalised.
        """
        self.inputs[catchments] = inputs
        before = self._network.first == ENTRANCE
        target = self.entering if before else self.static
        # Adding one attribute after the other, the sum does not depend on how many catchments
        # there are.
        bias = self.weights[ENTRANCE_BIAS if before else "lstm.bias"]
        seen = np.asarray(inputs)[:, : len(self.layout.attributes)]
        total, added = np.empty((2, min(_TOGETHER, len(seen)), bias.size))
        for first in range(0, len(seen), _TOGETHER):
            part = seen[first : first + _TOGETHER]
            own, more = total[: len(part)], added[: len(part)]
            own[...] = bias
            for column, weights in zip(part.T, self._network.of_attributes, strict=True):
                own += np.multiply(column[:, None], weights, out=more)
            target[catchments[first : first + _TOGETHER]] = own

    def set_centres(self, name: str, values: NDArray, catchments: slice | NDArray) -> None:
        """Set the static values around which a parameter moves, for some catchments.

        Parameters
        ----------
        name : str
            Among `layout.dynamic`.
        values : array, shape (catchments, parameter sets)
            Daily values.
        catchments : slice or array of int
        """
        k = self.layout.dynamic.index(name)
        self.centres[k, catchments] = centre(values, self._items[k])

    def advance(self, forcing: NDArray, days: float = 1.0, dtype: DTypeLike = float) -> NDArray:
        """See the weather of some steps, and return the parameters of those steps.

        Parameters
        ----------
        forcing : array, shape (steps, forcings, columns)
            Forcing of steps: mm, degC.
        days : float
            Parameters are wanted for steps (or substeps) of this length, in days.
        dtype : float32 or float64
            Type of the result.

        Returns
        -------
        array, shape (steps, columns, dynamic parameters, parameter sets)
            Values per step of `days` days.
        """
        count, columns, parameter_sets = self.centres.shape
        steps, per_day = len(forcing), self.window.shape[2]
        values = np.empty((steps, columns, count, parameter_sets), dtype=dtype)
        run = self._loops.get(days) or self._loop(days)
        arguments = np.ascontiguousarray(forcing), self.progress.item(2), values
        if columns == 1:
            run.serial(0, 1, *arguments)
        else:
            run(columns, steps * self.static.size, threads_of(self.threads), *arguments)
        self.position = (self.position + steps) % per_day
        return values

    def serial(self, days: float) -> CompiledLoop | None:
        """Return the loop of steps of `days` days where one thread runs it; None elsewhere."""
        alone = len(self.static) == 1 or one_thread(self.static.size, self.threads)
        return (self._loops.get(days) or self._loop(days)) if alone else None

    def _loop(self, days: float) -> CompiledLoop:
        """Return the compiled loop of steps of `days` days, and keep it."""
        self._loops[days] = compiled_lstm(
            self._items,
            self.layout.parameter_sets,
            self.hidden.shape[1],
            self.layout.process.forcings,
            days,
            self.layout.logarithms,
            self.entering.shape[1],
            self.window.shape[2] > 1,
            self._network.kind,
        )
        return self._loops[days]

    def hidden_after(self, forcing: NDArray) -> NDArray:
        """See the weather (forcings, columns) of a step; return the LSTM's new hidden state."""
        self.advance(forcing[None])
        return self._new_hidden.copy()

    def snapshot(self) -> dict[str, NDArray]:
        """Return copies of what the next steps depend on, each with a row for each catchment."""
        arrays = {"hidden": self.hidden.copy(), "cell": self.cell.copy()}
        if self.window.shape[2] > 1:
            arrays["day_window"] = self.window.copy()
            arrays["day_position"] = np.full(len(self.hidden), self.position)
        return arrays

    def restore(self, snapshot: Mapping[str, NDArray]) -> None:
        """Take on what `snapshot` returned."""
        self.hidden[...], self.cell[...] = snapshot["hidden"], snapshot["cell"]
        if self.window.shape[2] > 1:
            self.window[...] = snapshot["day_window"]
            self.position = int(snapshot["day_position"][0])
