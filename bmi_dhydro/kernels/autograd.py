"""The compiled kernels as one differentiable operation of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..physics import Process
from .cpu import CpuKernel, gradients


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        process: Process,
        outputs: tuple[str, ...],
        forcing: Tensor,
        parameters: Tensor,
        state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.process, ctx.outputs = process, outputs
        ctx.save_for_backward(forcing, parameters, state)
        steps, _, catchments = forcing.shape
        final = state.detach().clone(memory_format=torch.contiguous_format)
        rows = torch.empty((steps, len(outputs), catchments), dtype=state.dtype)
        routing = torch.zeros((catchments, 1), dtype=state.dtype).numpy()
        kernel = CpuKernel(process, outputs, state.shape[2], final.numpy().dtype)
        kernel.run(
            forcing.detach().contiguous().numpy(),
            parameters.detach().transpose(0, 1).contiguous().numpy(),
            final.numpy(),
            routing,
            routing.copy(),
            0,
            rows.numpy(),
        )
        return rows, final

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        forcing, parameters, state = ctx.saved_tensors
        to_forcing, to_parameters, to_state = gradients(
            ctx.process,
            ctx.outputs,
            *(
                tensor.detach().contiguous().numpy()
                for tensor in (forcing, parameters.transpose(0, 1), state, *gradient)
            ),
        )
        return (
            None,
            None,
            torch.from_numpy(to_forcing),
            torch.from_numpy(to_parameters).transpose(0, 1),
            torch.from_numpy(to_state),
        )


def run_process(
    process: Process,
    outputs: Sequence[str],
    forcing: Tensor,
    parameters: Tensor,
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """Run a block of steps, differentiable; as `reference.run_process`, compiled."""
    return _Block.apply(process, tuple(outputs), forcing, parameters, state)
