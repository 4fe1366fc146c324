"""A model's arrays on a GPU: what a host does not ask for stays there.

State, parameters and unit hydrographs go down when the host has changed them, and come up when it
looks at them; a block of steps moves its weather down and its chosen outputs up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache as memoised
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from ..errors import ConfigError
from ..physics import Process
from ..physics.unit_hydrograph import DISCHARGE, ROUTING_STORE
from . import cache
from .gpu import advance, launched_at

# Where launchers say which of the processes of a machine this one is.
_LOCAL_RANKS = (
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
    "PMI_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
)

_ROUTING = '''"""Unit hydrograph routing for a GPU; generated, do not edit."""
import triton
import triton.language as tl


@triton.jit(do_not_specialize=["steps", "lags", "catchments", "stride"])
def discharge(runoff, weights, pending, results, steps, lags, catchments, stride,
              CATCHMENTS: tl.constexpr, STEPS: tl.constexpr):
    c = tl.program_id(0) * CATCHMENTS + tl.arange(0, CATCHMENTS)
    t = tl.program_id(1) * STEPS + tl.arange(0, STEPS)
    inside = c < catchments
    here = (t < steps)[:, None] & inside[None, :]
    row = t.to(tl.int64)[:, None]
    waiting = here & (t < lags)[:, None]
    place = c.to(tl.int64)[None, :] * lags
    total = tl.load(pending + place + row, mask=waiting, other=0.0)
    for lag in range(lags):
        weight = tl.load(weights + c.to(tl.int64) * lags + lag, mask=inside, other=0.0)
        came = tl.load(
            runoff + (row - lag) * stride + c[None, :],
            mask=here & (t >= lag)[:, None],
            other=0.0,
        )
        total += weight[None, :] * came
    tl.store(results + row * catchments + c[None, :], total, mask=here)


@triton.jit(do_not_specialize=["steps", "lags", "catchments", "stride"])
def remaining(runoff, weights, pending, results, steps, lags, catchments, stride,
              CATCHMENTS: tl.constexpr, LAGS: tl.constexpr):
    c = tl.program_id(0) * CATCHMENTS + tl.arange(0, CATCHMENTS)
    k = tl.program_id(1) * LAGS + tl.arange(0, LAGS)
    inside = c < catchments
    here = inside[:, None] & (k < lags)[None, :]
    place = c.to(tl.int64)[:, None] * lags + k[None, :]
    later = k + steps
    total = tl.load(pending + place + steps, mask=here & (later < lags)[None, :], other=0.0)
    for back in range(tl.minimum(steps, lags)):
        weight = tl.load(
            weights + place + 1 + back, mask=here & (k + 1 + back < lags)[None, :], other=0.0
        )
        came = tl.load(
            runoff + (steps - 1 - back).to(tl.int64) * stride + c, mask=inside, other=0.0
        )
        total += weight * came[:, None]
    tl.store(results + place, total, mask=here)
'''

# Catchments, steps and lags of a routing program.
_TILE_CATCHMENTS, _TILE_STEPS, _TILE_LAGS = 32, 16, 16


def device_of(name: str) -> torch.device:
    """Return the device of a configuration.

    Parameters
    ----------
    name : str
        `cuda:n`, or `cuda`: the GPU of this process' rank on its machine, as the launcher says.

    Raises
    ------
    ConfigError
        If there is none.
    """
    device = torch.device(name)
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    if not torch.cuda.is_available() or count == 0:
        raise ConfigError(
            f"device: {name!r} needs a GPU that torch can use, and there is none (torch "
            f"{torch.__version__}); write 'cpu', or install a torch with CUDA"
        )
    if device.index is None:
        rank = next((int(os.environ[key]) for key in _LOCAL_RANKS if key in os.environ), 0)
        return torch.device("cuda", rank % count)
    if device.index >= count:
        raise ConfigError(f"device: {name!r}: there are GPUs 0 to {count - 1}")
    return device


@memoised
def _routing() -> dict[str, Any]:
    return cache.load_file(_ROUTING, "routing_gpu")


def route(runoff: Tensor, weights: Tensor, pending: Tensor) -> tuple[Tensor, Tensor]:
    """Convolve runoff with unit hydrographs; as `reference.route`, on a GPU.

    `runoff` may be rows of a larger array, catchments contiguous.
    """
    steps, catchments = runoff.shape
    lags = weights.shape[1]
    results, after = runoff.new_empty((steps, catchments)), torch.empty_like(pending)
    tiles = -(-catchments // _TILE_CATCHMENTS)
    arguments = (steps, lags, catchments, runoff.stride(0), _TILE_CATCHMENTS)
    module = _routing()
    with launched_at(runoff):
        module["discharge"][(tiles, -(-steps // _TILE_STEPS))](
            runoff, weights, pending, results, *arguments, _TILE_STEPS
        )
        module["remaining"][(tiles, -(-lags // _TILE_LAGS))](
            runoff, weights, pending, after, *arguments, _TILE_LAGS
        )
    return results, after


class GpuKernel:
    """Runs a process model on a GPU; arguments as `CpuKernel`.

    Parameters
    ----------
    device : torch.device
        A GPU, or the CPU where Triton's interpreter is on.
    """

    name = "gpu"

    def __init__(
        self,
        process: Process,
        outputs: Sequence[str],
        components: int,
        dtype: DTypeLike,
        dynamic: Sequence[str],
        device: torch.device,
    ) -> None:
        self._process = process
        self._outputs = tuple(outputs)
        self._dynamic = tuple(dynamic)
        self.device = device
        averaged = [name for name in outputs if name not in (DISCHARGE, ROUTING_STORE)]
        self._averaged = tuple(dict.fromkeys([process.runoff, *averaged]))
        self._state: Tensor | None = None
        self._pending: Tensor | None = None
        self._parameters: Tensor | None = None
        self._weights: Tensor | None = None
        self._ahead = False
        self._staging: Tensor | None = None

    def _down(self, values: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, copy=True)

    def _weather_down(self, forcing: NDArray) -> Tensor:
        """Return weather on the device, through memory from which it is copied without waiting."""
        if self.device.type != "cuda":
            return torch.from_numpy(forcing)
        given = torch.from_numpy(forcing)
        if self._staging is None or self._staging.shape != given.shape:
            self._staging = torch.empty_like(given, pin_memory=True)
        else:
            # The copy before may still be under way.
            torch.cuda.current_stream(self.device).synchronize()
        self._staging.copy_(given)
        return self._staging.to(self.device, non_blocking=True)

    def forget_state(self) -> None:
        """Take state and routing store from the host before the next step."""
        self._state = self._pending = None

    def forget_parameters(self) -> None:
        """Take parameters and unit hydrographs from the host before the next step."""
        self._parameters = self._weights = None

    def fetch(self, state: NDArray, pending: NDArray, position: int) -> None:
        """Bring state and routing store up, where the host does not have them; see `run`."""
        if not self._ahead or self._state is None or self._pending is None:
            return
        state[...] = self._state.cpu().numpy()
        pending[...] = np.roll(self._pending.cpu().numpy(), position, axis=1)
        self._ahead = False

    def run(
        self,
        forcing: NDArray,
        parameters: NDArray,
        state: NDArray,
        weights: NDArray,
        pending: NDArray,
        position: int,
        outputs: NDArray,
        dynamic: NDArray | None = None,
    ) -> None:
        """Advance all cells through a block of steps; see `CpuKernel.run`.

        `state` and `pending` are current after `fetch`.
        """
        if self._parameters is None or self._weights is None:
            # In registers members could not share them; each has its own copy.
            members = state.shape[1] // len(parameters)
            self._parameters = self._down(parameters.transpose(1, 0, 2)).repeat(1, members, 1)
            self._weights = self._down(weights).repeat(members, 1)
        if self._state is None or self._pending is None:
            self._state = self._down(state)
            self._pending = self._down(np.roll(pending, -position, axis=1))
        moving = {}
        if dynamic is not None:
            down = self._down(dynamic.transpose(2, 0, 1, 3))
            moving = dict(zip(self._dynamic, down, strict=True))
        weather = self._weather_down(forcing)
        steps, _, catchments = forcing.shape
        rows = weather.new_empty((steps, len(self._averaged), catchments))
        advance(
            self._process,
            self._averaged,
            weather,
            self._parameters,
            self._state,
            rows,
            moving,
        )
        runoff = rows[:, 0]
        waiting = self._pending
        discharge, self._pending = route(runoff, self._weights, waiting)
        self._ahead = True
        results = torch.from_numpy(outputs)
        for k, name in enumerate(self._outputs):
            if name == DISCHARGE:
                values = discharge
            elif name == ROUTING_STORE:
                values = waiting.sum(dim=1) + torch.cumsum(runoff - discharge, dim=0)
            else:
                values = rows[:, self._averaged.index(name)]
            results[:, k].copy_(values)
