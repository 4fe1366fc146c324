"""What is copied between a host and a model on GPUs in a step.

All that happens on a device in a step is one captured CUDA graph: inputs are checked and scaled,
the model is advanced, its outputs are scaled and the water account is kept.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from ...kernels.gpu.resident import Resident
from ...model.model import Model
from ...weather.preparation import Preparation
from ..perturbation import Perturbation
from .gpu_forcing import DeviceForcing
from .host import HostExchange

if TYPE_CHECKING:
    from ..output_table import OutputTable


def host_zeros(shape: tuple[int, ...], dtype: DTypeLike = float) -> NDArray:
    """Return an array of zeros that a GPU reads and writes without a copy in between."""
    kind = getattr(torch, np.dtype(dtype).name)
    return torch.zeros(shape, dtype=kind, pin_memory=torch.cuda.is_available()).numpy()


@dataclass(frozen=True)
class Scaling:
    """How inputs become forcing: what they may be, and from what a host sets to depths in a step.

    Attributes
    ----------
    lowest, highest, scale, floor : array, shape (inputs,)
    """

    lowest: NDArray
    highest: NDArray
    scale: NDArray
    floor: NDArray


class _Recorded:
    """A function of arrays that stay where they are: on a GPU captured and replayed as a graph.

    What it does may depend on something else, its phase: then each has a graph.
    """

    def __init__(self, function: Callable[[], None], device: torch.device) -> None:
        self._function, self._device = function, device
        self._graphs: dict[Hashable, Any] = {}
        # Graphs are replayed one after the other, and nothing in between is kept.
        self._pool: Any = None
        self._warm = False

    def __call__(self, phase: Hashable | None = 0) -> None:
        if self._device.type != "cuda" or phase is None or not self._warm:
            # The first call compiles kernels, which cannot be captured.
            self._function()
            self._warm = True
            return
        with torch.cuda.device(self._device):
            if phase not in self._graphs:
                self._graphs[phase] = self._captured()
            self._graphs[phase].replay()

    def _captured(self) -> Any:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Another model's graphs must not be collected meanwhile: that would break this one.
        collects = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
                self._function()
        finally:
            if collects:
                gc.enable()
        return graph


class _DeviceExchange:
    """The exchange with one device."""

    def __init__(
        self,
        resident: Resident,
        model: Model,
        inputs: int,
        scaling: Scaling,
        table: OutputTable,
        preparation: Preparation,
    ) -> None:
        share, device = resident.share, resident.device
        self._resident, self._inflow = resident, table.inflow
        own = inputs == model.columns and model.members > 1
        self._of_inputs = _runs(share.of(np.arange(inputs), 0))
        self._of_columns = _runs(share.of(np.arange(model.columns), 0))
        columns = share.columns()
        repeats = 1 if own else model.members
        numbers = np.concatenate(self._of_inputs)
        self.forcing = DeviceForcing(preparation, numbers, repeats, device)
        kind = torch.float32 if model.dtype == np.float32 else torch.float64

        def on_device(values: Any) -> Tensor:
            return torch.tensor(np.asarray(values), device=device)

        def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self._lowest, self._highest = (
            on_device(scaling.lowest)[:, None],
            on_device(scaling.highest)[:, None],
        )
        self._scale, self._floor = (
            on_device(scaling.scale)[:, None],
            on_device(scaling.floor)[:, None],
        )
        count = len(model.outputs)
        # Outputs that are made of forcing have a row of the model's first, then what they are.
        self._sources = on_device(np.where(table.sources < count, table.sources, 0))
        self._of_forcing = [
            (place, row - count) for place, row in enumerate(table.sources) if row >= count
        ]
        self._gains, self._losses = on_device(table.gains), on_device(table.losses)
        self._factors = on_device(table.factors[:, columns])
        self._columns = columns
        self.inputs = zeros(len(scaling.lowest), sum(run.size for run in self._of_inputs))
        self.weather = zeros(1, len(model.process.forcings), columns.size, dtype=kind)
        self.rows = zeros(1, len(model.outputs), columns.size, dtype=kind)
        self.outputs = zeros(len(table.sources), columns.size)
        self.flows = zeros(2, columns.size)
        self.rejected = zeros(1, dtype=torch.int32)
        self.rejected_on_host = torch.zeros(
            1, dtype=torch.int32, pin_memory=torch.cuda.is_available()
        )
        self.receive = _Recorded(self._receive, device)
        self._recorded_advance = _Recorded(self._advance, device)
        self._recorded_step = _Recorded(self._step, device)

    def _receive(self) -> None:
        """Check inputs, and scale them to forcing."""
        inputs = self.inputs
        right = (inputs >= self._lowest) & (inputs <= self._highest)
        self.rejected.copy_(torch.logical_not(right.all()))
        self.forcing.make(torch.maximum(inputs * self._scale, self._floor), self.weather[0])

    def _advance(self) -> None:
        """Advance the model, scale its outputs and book what went in and out."""
        self._resident.advance(self.weather, self.rows, self.rejected)
        rows, done = self.rows[0], 1 - self.rejected
        torch.mul(rows.index_select(0, self._sources), self._factors, out=self.outputs)
        for place, row in self._of_forcing:
            torch.mul(self.weather[0, row], self._factors[place], out=self.outputs[place])
        self.flows[0].add_(self.weather[0, self._inflow] * done)
        if len(self._gains):
            self.flows[0].add_(rows.index_select(0, self._gains).sum(0) * done)
        self.flows[1].add_(rows.index_select(0, self._losses).sum(0) * done)

    def _step(self) -> None:
        self._receive()
        self._advance()

    def advance(self) -> None:
        """Advance the model by a step of its weather."""
        self._recorded_advance(self._resident.phase)

    def step(self) -> None:
        """Receive inputs and advance the model, unless they are rejected."""
        self._recorded_step(self._resident.phase)

    def take(self, inputs: NDArray, chosen: Iterable[int]) -> None:
        """Bring inputs down, without waiting."""
        for row in chosen:
            _copy(self.inputs[row], inputs[row], self._of_inputs, up=False)

    def make_different(self, perturbation: Perturbation) -> None:
        """Make the members of an ensemble different from now on."""
        self.forcing.make_different(perturbation, self._columns)

    def move_states(self) -> Tensor:
        """Perturb the stores of members; return what that adds to each column, in mm."""
        return self.forcing.move_states(self._resident.state)

    def bring(self, values: Tensor, host: NDArray) -> None:
        """Bring values of columns up, without waiting."""
        _copy(values, host, self._of_columns, up=True)

    def put(self, values: Tensor, host: NDArray) -> None:
        """Bring values of columns down, without waiting."""
        _copy(values, host, self._of_columns, up=False)

    def bring_inputs(self, row: int, inputs: NDArray) -> None:
        """Bring inputs up, without waiting."""
        _copy(self.inputs[row], inputs[row], self._of_inputs, up=True)

    def set_factors(self, factors: NDArray) -> None:
        """Take other factors of outputs (outputs, all columns)."""
        self._factors.copy_(torch.from_numpy(factors[:, self._columns]))

    def wait(self) -> None:
        """Wait until all that was asked of the device is done."""
        if self._resident.device.type == "cuda":
            torch.cuda.current_stream(self._resident.device).synchronize()


def _runs(numbers: NDArray) -> list[NDArray]:
    """Return numbers (members, catchments) as rows of neighbours; one, where all are."""
    flat = numbers.reshape(-1)
    return [flat] if flat.size == flat[-1] - flat[0] + 1 else list(numbers)


def _copy(device: Tensor, host: NDArray, runs: Sequence[NDArray], up: bool) -> None:
    """Copy between a device's values and those of a host that neighbour each other in runs."""
    first = 0
    for run in runs:
        there = torch.from_numpy(host[run[0] : run[-1] + 1])
        here = device[first : first + run.size]
        if up:
            there.copy_(here, non_blocking=True)
        else:
            here.copy_(there, non_blocking=True)
        first += run.size


class ResidentExchange(HostExchange):
    """Steps a model on GPUs with inputs that a host sets.

    Parameters
    ----------
    model : Model
        Resident.
    inputs : array, shape (inputs, catchments or columns)
        What the host sets; made by `host_zeros`.
    forcing : array, shape (forcings, columns)
        Where forcing is copied to, on the host.
    table : OutputTable
        What the host reads.
    scaling : Scaling
    preparation : Preparation
        Turns what the host sets into forcing.
    """

    selective = True

    def __init__(
        self,
        model: Model,
        inputs: NDArray,
        forcing: NDArray,
        table: OutputTable,
        scaling: Scaling,
        preparation: Preparation,
    ) -> None:
        self._model, self._inputs = model, inputs
        # All that a host can ask for, in one order: outputs, rows, forcing.
        self._host = [*table.outputs, *table.rows, *forcing]
        residents = model.device_side.residents()
        self._devices = [
            _DeviceExchange(r, model, inputs.shape[1], scaling, table, preparation)
            for r in residents
        ]
        self._kept: set[int] = set()
        self._from_host = set(range(len(inputs)))
        # A step in which one device rejects must not be done by another.
        self._careful = len(residents) > 1

    def make_different(self, perturbation: Perturbation) -> None:
        """Make the members of an ensemble different from now on."""
        for device in self._devices:
            device.make_different(perturbation)

    def move_states(self, seconds: int) -> NDArray:
        """Perturb the stores of members.

        Parameters
        ----------
        seconds : int
            The time that `step` was given.

        Returns
        -------
        array, shape (columns,)
            What that adds to each column, in mm.
        """
        added = np.empty(self._model.columns)
        for device in self._devices:
            device.bring(device.move_states(), added)
        for device in self._devices:
            device.wait()
        return added

    def step(self, step: int, seconds: int, before: Callable[[], None] | None = None) -> bool:
        """Do a step; what is kept current is.

        Parameters
        ----------
        step, seconds : int
            Number of the step since the start, and the time at which it begins.
        before : callable, optional
            What is done before the step, where its inputs are right.

        Returns
        -------
        bool
            Whether it was done; otherwise an input is out of bounds.
        """
        self._model.device_side.residents()
        careful = self._careful or before is not None
        for device in self._devices:
            device.forcing.set_time(step, seconds)
            device.take(self._inputs, self._from_host)
            (device.receive if careful else device.step)()
        if careful:
            if self._rejected():
                return False
            if before is not None:
                before()
            for device in self._devices:
                device.advance()
        for place in self._kept:
            for device in self._devices:
                device.bring(self._values(device, place), self._host[place])
        if self._rejected():
            return False
        self._model.device_side.moved(1)
        return True

    def _rejected(self) -> bool:
        """Wait for the devices; return whether one of them rejects its inputs."""
        for device in self._devices:
            device.rejected_on_host.copy_(device.rejected, non_blocking=True)
        for device in self._devices:
            device.wait()
        return any(bool(device.rejected_on_host.item()) for device in self._devices)

    def _values(self, device: _DeviceExchange, place: int) -> Tensor:
        for table in (device.outputs, device.rows[0], device.weather[0]):
            if place < len(table):
                return table[place]
            place -= len(table)
        raise IndexError(place)

    def keep(self, places: Iterable[int]) -> None:
        """Keep values current after each step from now on; see `HostExchange.keep`."""
        for place in set(places) - self._kept:
            self.bring(place)
            self._kept.add(place)

    def bring(self, place: int) -> None:
        """Make values current that are not kept; see `HostExchange.bring`."""
        if place in self._kept:
            return
        for device in self._devices:
            device.bring(self._values(device, place), self._host[place])
        for device in self._devices:
            device.wait()

    def put(self) -> None:
        """Take outputs from the host, where they were restored."""
        for device in self._devices:
            for place, host in enumerate(self._host):
                device.put(self._values(device, place), host)
            device.wait()

    def bring_inputs(self) -> None:
        """Bring up the inputs that a device has set."""
        for row in set(range(len(self._inputs))) - self._from_host:
            for device in self._devices:
                device.bring_inputs(row, self._inputs)
        for device in self._devices:
            device.wait()

    def take_from_host(self, row: int) -> None:
        """Take an input from the host again; see `HostExchange.take_from_host`."""
        self.bring_inputs()
        self._from_host.add(row)

    def on_device(self, place: int) -> Tensor | None:
        """Return values where they are, on one GPU; see `HostExchange.on_device`."""
        return self._values(self._devices[0], place) if len(self._devices) == 1 else None

    def set_on_device(self, row: int, values: Tensor) -> bool:
        """Set an input from an array on a GPU; see `HostExchange.set_on_device`."""
        if len(self._devices) > 1:
            return False
        self._devices[0].inputs[row].copy_(values.reshape(-1), non_blocking=True)
        self._from_host.discard(row)
        return True

    def set_factors(self, factors: NDArray) -> None:
        """Take other factors of outputs: shape (outputs, columns)."""
        for device in self._devices:
            device.set_factors(factors)

    def book(self, flows: NDArray) -> None:
        """Add what went in and out since the last time: shape (2, columns)."""
        since = np.empty_like(flows)
        for device in self._devices:
            for values, host in zip(device.flows, since, strict=True):
                device.bring(values, host)
        for device in self._devices:
            device.wait()
            device.flows.zero_()
        flows += since
