"""Steps longer than a process model's longest, for a kernel that cannot do them in substeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..physics import Process
from ..physics.unit_hydrograph import stored_outputs
from .interface import HostArrays, Kernel, StepBlock

# What the substeps of a block may take; longer blocks are done piece by piece.
_BYTES = 32 * 2**20


class DividedKernel(HostArrays):
    """A kernel whose steps are each done in substeps of equal length; see `cpu.CpuKernel`.

    Amounts of water are spread evenly over the substeps, temperature stays. What passes during a
    step is the sum of its substeps, what is stored that of the last.

    Parameters
    ----------
    kernel : Kernel
        Does the substeps, on arrays of the host.
    process : Process
    outputs : sequence of str
    substeps : int
        Substeps in which a step is done.
    """

    def __init__(
        self, kernel: Kernel, process: Process, outputs: Sequence[str], substeps: int
    ) -> None:
        self._kernel = kernel
        self._substeps = substeps
        self._shares = process.forcing_shares(substeps)[:, None]
        stored = stored_outputs(process)
        self._stored = np.array([k for k, name in enumerate(outputs) if name in stored], dtype=int)
        self._forcing = self._rows = np.empty((0, 0, 0))

    def run(self, block: StepBlock) -> None:
        """Advance all cells through a block of steps.

        Parameters and `ring` are those of substeps; forcing, outputs and dynamic parameters have a
        row for each whole step.
        """
        steps, substeps = len(block.forcing), self._substeps
        ring, dynamic = block.ring, block.dynamic
        row_bytes = substeps * (block.forcing[0].nbytes + block.outputs[0].nbytes)
        length = max(1, min(steps, _BYTES // max(1, row_bytes)))
        for first in range(0, steps, length):
            piece = slice(first, min(first + length, steps))
            position = (ring.position + first * substeps) % ring.pending.shape[1]
            self._run_piece(
                replace(
                    block,
                    forcing=block.forcing[piece],
                    ring=replace(ring, position=position),
                    outputs=block.outputs[piece],
                    dynamic=None
                    if dynamic is None
                    else np.repeat(dynamic[piece], substeps, axis=0),
                )
            )

    def _run_piece(self, block: StepBlock) -> None:
        forcing, outputs = block.forcing, block.outputs
        steps, substeps = len(forcing), self._substeps
        if len(self._forcing) != steps * substeps or self._forcing.dtype != forcing.dtype:
            self._forcing = np.empty((steps * substeps, *forcing.shape[1:]), dtype=forcing.dtype)
            self._rows = np.empty((steps * substeps, *outputs.shape[1:]), dtype=outputs.dtype)
        divided = self._forcing.reshape(steps, substeps, *forcing.shape[1:])
        np.multiply(forcing[:, None], self._shares, out=divided, casting="same_kind")
        self._kernel.run(replace(block, forcing=self._forcing, outputs=self._rows))
        rows = self._rows.reshape(steps, substeps, *outputs.shape[1:])
        np.add(rows[:, 0], rows[:, 1], out=outputs)
        for k in range(2, substeps):
            outputs += rows[:, k]
        if self._stored.size:
            outputs[:, self._stored] = rows[:, -1, self._stored]
