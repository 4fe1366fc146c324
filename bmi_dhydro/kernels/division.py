"""Steps longer than a process model's longest, for a kernel that cannot do them in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..physics import Process
from ..physics.unit_hydrograph import ROUTING_STORE
from .interface import HostArrays, Kernel, Ring

# What the parts of a block may take; longer blocks are done piece by piece.
_BYTES = 32 * 2**20


class DividedKernel(HostArrays):
    """A kernel whose steps are each done in parts of equal length; see `cpu.CpuKernel`.

    Amounts of water are spread evenly over the parts, temperature stays. What passes during a step
    is the sum of its parts, what is stored that of the last.

    Parameters
    ----------
    kernel : Kernel
        Does the parts, on arrays of the host.
    process : Process
    outputs : sequence of str
    parts : int
        Parts in which a step is done.
    """

    def __init__(
        self, kernel: Kernel, process: Process, outputs: Sequence[str], parts: int
    ) -> None:
        self._kernel = kernel
        self._parts = parts
        self._shares = process.forcing_shares(parts)[:, None]
        stored = {*process.stored_names, ROUTING_STORE}
        self._stored = np.array([k for k, name in enumerate(outputs) if name in stored], dtype=int)
        self._forcing = self._rows = np.empty((0, 0, 0))

    def run(
        self,
        forcing: NDArray,
        parameters: NDArray,
        state: NDArray,
        ring: Ring,
        outputs: NDArray,
        dynamic: NDArray | None = None,
    ) -> None:
        """Advance all cells through a block of steps.

        Parameters and `ring` are those of parts; forcing, outputs and dynamic parameters have a row
        for each whole step.
        """
        steps, parts = len(forcing), self._parts
        row_bytes = parts * (forcing[0].nbytes + outputs[0].nbytes)
        length = max(1, min(steps, _BYTES // max(1, row_bytes)))
        for first in range(0, steps, length):
            piece = slice(first, min(first + length, steps))
            self._run_piece(
                forcing[piece],
                parameters,
                state,
                replace(ring, position=(ring.position + first * parts) % ring.pending.shape[1]),
                outputs[piece],
                None if dynamic is None else np.repeat(dynamic[piece], parts, axis=0),
            )

    def _run_piece(
        self,
        forcing: NDArray,
        parameters: NDArray,
        state: NDArray,
        ring: Ring,
        outputs: NDArray,
        dynamic: NDArray | None,
    ) -> None:
        steps, parts = len(forcing), self._parts
        if len(self._forcing) != steps * parts or self._forcing.dtype != forcing.dtype:
            self._forcing = np.empty((steps * parts, *forcing.shape[1:]), dtype=forcing.dtype)
            self._rows = np.empty((steps * parts, *outputs.shape[1:]), dtype=outputs.dtype)
        divided = self._forcing.reshape(steps, parts, *forcing.shape[1:])
        np.multiply(forcing[:, None], self._shares, out=divided, casting="same_kind")
        self._kernel.run(self._forcing, parameters, state, ring, self._rows, dynamic)
        rows = self._rows.reshape(steps, parts, *outputs.shape[1:])
        np.add(rows[:, 0], rows[:, 1], out=outputs)
        for k in range(2, parts):
            outputs += rows[:, k]
        if self._stored.size:
            outputs[:, self._stored] = rows[:, -1, self._stored]
