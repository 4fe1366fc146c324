"""A model's arrays on GPUs: what a host does not ask for stays there.

State, parameters and unit hydrographs are copied to the device when the host has changed them, and
back when it looks at them; a block of steps copies its weather to the device and the outputs that
are wanted to the host.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...physics import Process
from ..interface import Ring, StepBlock
from .launch import LAGS, Launch, Routing, simulate


class Moving(Protocol):
    """What moves parameters from day to day, on a device; see `networks.resident_dynamics`."""

    def load_parameters(self) -> None:
        """Take from the host what the weather does not change."""

    def load_state(self) -> None:
        """Copy the state of the LSTM from the host."""

    def fetch_state(self) -> None:
        """Copy the state of the LSTM to the host."""

    def snapshot(self) -> Any:
        """Return a copy of the state of the LSTM."""

    def restore(self, snapshot: Any) -> None:
        """Take on what `snapshot` returned."""

    @property
    def phase(self) -> Hashable | None:
        """See `Resident.phase`."""

    def passed(self, steps: int) -> None:
        """Say that steps were done."""

    def __call__(self, weather: Tensor, rejected: Tensor) -> Tensor:
        """Return parameters of steps: (steps, parameters, columns, parameter sets)."""


# Makes it, for a device and some columns.
MovingFactory = Callable[[torch.device, NDArray], Moving]


@dataclass(frozen=True)
class Share:
    """The catchments that a device has, with all their members.

    Attributes
    ----------
    catchments : slice
    total : int
        Catchments on all devices.
    members : int
    """

    catchments: slice
    total: int
    members: int

    def of(self, array: NDArray, axis: int) -> NDArray:
        """Return a view of the columns of these catchments.

        Parameters
        ----------
        array : array
            Columns along `axis`, or catchments.
        axis : int

        Returns
        -------
        array
            That axis divided in two: members (one, for catchments) and catchments.
        """
        shape = array.shape
        members = shape[axis] // self.total
        whole = array.reshape(*shape[:axis], members, self.total, *shape[axis + 1 :])
        return whole[(slice(None),) * (axis + 1) + (self.catchments,)]

    def columns(self) -> NDArray:
        """Return the numbers of their columns."""
        return self.of(np.arange(self.members * self.total), 0).reshape(-1)


class Resident:
    """Some catchments of a model, on one device.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
    dynamic : sequence of str
        Parameters that change with time.
    substeps : int
        In which a step is done.
    device : torch.device
    share : Share
    moving : Moving, optional
        Gives dynamic parameters.

    Attributes
    ----------
    rows : Tensor, shape (steps, outputs, columns)
        Rows of the last block.
    accepted : Tensor of int32, shape (1,)
        Zero: what `advance` does unless inputs are rejected.
    launch : Launch or None
    lags_together : int
        How the work of a step is divided; see `launch.simulate`.
    """

    rows: Tensor
    launch: Launch | None = None
    lags_together = LAGS

    def __init__(
        self,
        process: Process,
        outputs: Sequence[str],
        dynamic: Sequence[str],
        substeps: int,
        device: torch.device,
        share: Share,
        moving: Moving | None,
    ) -> None:
        self._process, self._outputs, self._dynamic = process, tuple(outputs), tuple(dynamic)
        self._substeps = substeps
        self.device, self.share = device, share
        self._moving = moving
        self._buffers: dict[str, Tensor] = {}
        self._staging: Tensor | None = None
        self.accepted = torch.zeros(1, dtype=torch.int32, device=device)

    def _down(self, name: str, values: NDArray) -> Tensor:
        """Copy an array to its place on the device, which is always the same."""
        given = torch.from_numpy(np.ascontiguousarray(values))
        if name not in self._buffers:
            self._buffers[name] = torch.empty_like(given, device=self.device)
        return self._buffers[name].copy_(given)

    def load_parameters(self, parameters: NDArray, ring: Ring) -> None:
        """Take parameters (catchments, parameters, parameter sets) and unit hydrographs."""
        self._down("parameters", self.share.of(parameters, 0)[0].transpose(1, 0, 2))
        self._down("weights", self.share.of(ring.weights, 0)[0].T)
        self._down("reach", self.share.of(ring.reach, 0).reshape(-1))
        if self._moving is not None:
            self._moving.load_parameters()

    def load_state(self, state: NDArray, ring: Ring) -> None:
        """Take states (states, columns, parameter sets) and flows on their way."""
        share, lags = self.share, ring.pending.shape[1]
        self._down("state", share.of(state, 1).reshape(len(state), -1, state.shape[2]))
        self._down("pending", share.of(ring.pending, 0).reshape(-1, lags).T)
        self._down("reach", share.of(ring.reach, 0).reshape(-1))
        self._down("position", np.array([ring.position]))
        if self._moving is not None:
            self._moving.load_state()

    @property
    def state(self) -> Tensor:
        """States: shape (states, columns, parameter sets)."""
        return self._buffers["state"]

    @property
    def reach(self) -> Tensor:
        """Lags that weights or flows reach: shape (columns,)."""
        return self._buffers["reach"]

    def fetch(self, state: NDArray, pending: NDArray) -> None:
        """Bring states and the ring up."""
        for values, name, axis in ((state, "state", 1), (pending.T, "pending", 1)):
            view = self.share.of(values, axis)
            view[...] = self._buffers[name].cpu().numpy().reshape(view.shape)
        if self._moving is not None:
            self._moving.fetch_state()

    def weather(self, forcing: NDArray) -> Tensor:
        """Copy weather to the device, through memory from which it is copied without waiting.

        Parameters
        ----------
        forcing : array, shape (steps, forcings, columns)
            Forcing of all devices.

        Returns
        -------
        Tensor, shape (steps, forcings, own columns)
        """
        own = self.share.of(forcing, 2)
        own = own.reshape(*own.shape[:2], -1)
        if self.device.type != "cuda":
            return torch.from_numpy(np.ascontiguousarray(own))
        if self._staging is None or self._staging.shape != own.shape:
            self._staging = torch.empty_like(torch.from_numpy(own), pin_memory=True)
        else:
            # The copy before may still be under way.
            torch.cuda.current_stream(self.device).synchronize()
        self._staging.copy_(torch.from_numpy(own))
        return self._staging.to(self.device, non_blocking=True)

    def advance(self, weather: Tensor, rows: Tensor, rejected: Tensor | None = None) -> None:
        """Advance by a block of steps, on the device alone.

        Parameters
        ----------
        weather : Tensor, shape (steps, forcings, columns)
        rows : Tensor, shape (steps, outputs, columns)
            Written.
        rejected : Tensor of int32, shape (1,), optional
            Nothing is done unless it is zero.
        """
        rejected = self.accepted if rejected is None else rejected
        simulate(
            self._process,
            self._outputs,
            self._substeps,
            weather,
            self._buffers["parameters"],
            self._buffers["state"],
            Routing(*(self._buffers[n] for n in ("weights", "pending", "reach", "position"))),
            rows,
            rejected,
            self._dynamic,
            None if self._moving is None else self._moving(weather, rejected),
            self.launch,
            self.lags_together,
        )
        passed = len(weather) * self._substeps
        lags = len(self._buffers["pending"])
        self._buffers["position"].add_(passed * (1 - rejected)).remainder_(lags)
        self.rows = rows

    @property
    def phase(self) -> Hashable | None:
        """What a step does depends on, beside arrays: a captured step is right for the same alone.

        None where it is right for no other.
        """
        return 0 if self._moving is None else self._moving.phase

    def passed(self, steps: int) -> None:
        """Say that the steps of the last call were done: none was rejected."""
        if self._moving is not None:
            self._moving.passed(steps)

    def snapshot(self) -> tuple[Any, ...]:
        """Return copies of all that changes with time; for `restore`."""
        arrays = tuple(self._buffers[name].clone() for name in ("state", "pending", "position"))
        return arrays, None if self._moving is None else self._moving.snapshot()

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Take on what `snapshot` returned."""
        arrays, lstm = snapshot
        for name, values in zip(("state", "pending", "position"), arrays, strict=True):
            self._buffers[name].copy_(values)
        if self._moving is not None:
            self._moving.restore(lstm)


class GpuKernel:
    """Runs a process model on one GPU, or on several that share its catchments.

    Parameters
    ----------
    process : Process
    outputs : sequence of str
        See `CpuKernel`.
    dynamic : sequence of str
        Parameters that `moving` gives.
    substeps : int
        In which each step is done.
    devices : sequence of torch.device
        GPUs, or the CPU where Triton's interpreter is on.
    moving : callable, optional
        Makes what moves parameters, for a device and some columns.

    Attributes
    ----------
    residents : list of Resident
        One for each device that has catchments; none before the first block.
    """

    name = "gpu"
    resident = True

    def __init__(
        self,
        process: Process,
        outputs: Sequence[str],
        dynamic: Sequence[str],
        substeps: int,
        devices: Sequence[torch.device],
        moving: MovingFactory | None = None,
    ) -> None:
        self._make_resident = partial(Resident, process, outputs, dynamic, substeps)
        self._devices = tuple(devices)
        self._make_moving = moving
        self.residents: list[Resident] = []
        self._count = len(outputs)
        self._wanted = list(range(self._count))
        self._has_parameters = self._has_state = False
        self._ahead = False

    def want(self, rows: Iterable[int]) -> None:
        """Say which rows of outputs are copied to the host after each block."""
        self._wanted = sorted(set(rows))

    def forget_state(self) -> None:
        """Take state and routing store from the host before the next step."""
        self._has_state = False

    def forget_parameters(self) -> None:
        """Take parameters and unit hydrographs from the host before the next step."""
        self._has_parameters = False

    def fetch(self, state: NDArray, pending: NDArray) -> None:
        """Copy state and routing store to the host, where it does not have them; see `run`."""
        if not self._ahead:
            return
        for resident in self.residents:
            resident.fetch(state, pending)
        self._ahead = False

    def load(self, parameters: NDArray, state: NDArray, ring: Ring) -> list[Resident]:
        """Take from the host what is to be taken; arguments as in `StepBlock`."""
        if not self.residents:
            self._divide(len(parameters), state.shape[1])
        for resident in self.residents:
            if not self._has_parameters:
                resident.load_parameters(parameters, ring)
            if not self._has_state:
                resident.load_state(state, ring)
        self._has_parameters = self._has_state = True
        return self.residents

    def _divide(self, catchments: int, columns: int) -> None:
        bounds = np.linspace(0, catchments, len(self._devices) + 1).round().astype(int)
        for device, first, last in zip(self._devices, bounds, bounds[1:], strict=False):
            if first == last:
                continue
            share = Share(slice(first, last), catchments, columns // catchments)
            make = self._make_moving
            moving = None if make is None else make(device, share.columns())
            self.residents.append(self._make_resident(device, share, moving))

    def moved(self, steps: int) -> None:
        """Say that the residents have done some steps."""
        for resident in self.residents:
            resident.passed(steps)
        self._ahead = True

    def serial(self, cells: int) -> None:
        """Return None: no loop on the host does a step; see `cpu.CpuKernel.serial`."""

    def run(self, block: StepBlock) -> None:
        """Advance all cells through a block of steps.

        Only those rows of its outputs are written that `want` names; see `bring`. Its state and
        `ring` are current after `fetch`. Dynamic parameters are computed on the device instead.
        """
        steps = len(block.forcing)
        for resident in self.load(block.parameters, block.state, block.ring):
            weather = resident.weather(block.forcing)
            shape = (steps, self._count, weather.shape[2])
            resident.advance(weather, weather.new_empty(shape))
        self.moved(steps)
        self.bring(self._wanted, block.outputs)

    def bring(self, rows: Sequence[int], outputs: NDArray) -> None:
        """Copy rows of outputs of the last block to the beginning of `outputs`; see `run`."""
        for resident in self.residents:
            view = resident.share.of(outputs[: len(resident.rows)], 2)
            for row in rows:
                values = resident.rows[:, row].cpu().numpy()
                view[:, row] = values.reshape(view[:, row].shape)

    def snapshot(self) -> list[Any]:
        """Return copies of all that changes with time, on their devices; for `restore`."""
        return [resident.snapshot() for resident in self.residents]

    def restore(self, snapshot: Sequence[Any]) -> None:
        """Take on what `snapshot` returned."""
        for resident, own in zip(self.residents, snapshot, strict=True):
            resident.restore(own)
        self._has_state = self._ahead = True
