"""The compiled kernels as one differentiable operation of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..physics import Process
from .cpu.kernel import CpuKernel, gradients
from .interface import Ring, StepBlock


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        process: Process,
        outputs: tuple[str, ...],
        dynamic_names: tuple[str, ...],
        forcing: Tensor,
        parameters: Tensor,
        state: Tensor,
        dynamic: Tensor | None,
        threads: int | None,
    ) -> tuple[Tensor, Tensor]:
        ctx.process, ctx.outputs, ctx.dynamic_names = process, outputs, dynamic_names
        ctx.threads = threads
        ctx.save_for_backward(forcing, parameters, state, dynamic)
        steps, _, catchments = forcing.shape
        final = state.detach().clone(memory_format=torch.contiguous_format)
        rows = torch.empty((steps, len(outputs), catchments), dtype=state.dtype)
        nothing = torch.zeros((catchments, 1), dtype=state.dtype).numpy()
        ring = Ring(nothing, nothing.copy(), np.ones(catchments, np.int32))
        kernel = CpuKernel(
            process, outputs, state.shape[2], final.numpy().dtype, threads, dynamic_names
        )
        kernel.run(
            StepBlock(
                _array(forcing),
                _array(parameters.transpose(0, 1)),
                final.numpy(),
                ring,
                rows.numpy(),
                None if dynamic is None else _array(dynamic),
            )
        )
        return rows, final

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        forcing, parameters, state, dynamic = ctx.saved_tensors
        to_forcing, to_parameters, to_state, *to_dynamic = gradients(
            ctx.process,
            ctx.outputs,
            _array(forcing),
            _array(parameters.transpose(0, 1)),
            _array(state),
            _array(gradient[0]),
            _array(gradient[1]),
            ctx.threads,
            dynamic=None if dynamic is None else _array(dynamic),
            dynamic_names=ctx.dynamic_names,
        )
        return (
            None,
            None,
            None,
            torch.from_numpy(to_forcing),
            torch.from_numpy(to_parameters).transpose(0, 1),
            torch.from_numpy(to_state),
            torch.from_numpy(to_dynamic[0]) if to_dynamic else None,
            None,
        )


def _array(tensor: Tensor) -> NDArray:
    return tensor.detach().contiguous().numpy()


def run_process(
    process: Process,
    outputs: Sequence[str],
    forcing: Tensor,
    parameters: Tensor,
    state: Tensor,
    dynamic: Mapping[str, Tensor] | None = None,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Run a block of steps, differentiable; as `reference.run_process`, compiled.

    Where the tensors are decides whether the CPU or the GPU kernel does it; `threads` are those of
    the CPU, all processors unless given.
    """
    if forcing.is_cuda:
        from .gpu.launch import run_process as run_on_gpu

        return run_on_gpu(process, outputs, forcing, parameters, state, dynamic)
    names = tuple(dynamic or ())
    values = torch.stack(list(dynamic.values()), dim=2) if dynamic else None
    return _Block.apply(process, tuple(outputs), names, forcing, parameters, state, values, threads)
