"""What gradients cost: the compiled adjoint beside autograd through the reference kernel.

    python benchmarks/adjoint.py [--check]

With --check it ends with 1 where a limit of the project is missed, and says which.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from table import Report, median_seconds, peak_resident_megabytes
from torch import Tensor

from bmi_dhydro.kernels import autograd, reference
from bmi_dhydro.physics import HBV

CATCHMENTS, PARAMETER_SETS, DAYS = 100, 16, 730
Run = Callable[..., tuple[Tensor, Tensor]]


def tensors(days: int, catchments: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return forcing, parameters that want a gradient, and states."""
    random = np.random.default_rng(0)
    shape = (catchments, PARAMETER_SETS)
    forcing = np.empty((days, 3, catchments), np.float32)
    forcing[:, 0] = random.gamma(0.2, 15.0, (days, catchments))
    forcing[:, 1] = random.normal(8.0, 8.0, (days, catchments))
    forcing[:, 2] = random.uniform(0.0, 4.0, (days, catchments))
    parameters = np.stack([random.uniform(p.lower, p.upper, shape) for p in HBV.parameters])
    state = np.full((len(HBV.states), *shape), 10.0, np.float32)
    return (
        torch.from_numpy(forcing),
        torch.from_numpy(parameters.astype(np.float32)).requires_grad_(),
        torch.from_numpy(state),
    )


def forward(run: Run, arrays: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return run(HBV, (HBV.runoff,), *arrays)[0]


def forward_and_backward(run: Run, arrays: tuple[Tensor, Tensor, Tensor]) -> None:
    arrays[1].grad = None
    forward(run, arrays).square().mean().backward()


def peak_memory(catchments: int) -> float:
    """Return the MB that a forward and backward pass adds to a process of its own."""
    before = peak_resident_megabytes()
    forward_and_backward(autograd.run_process, tensors(DAYS, catchments))
    return peak_resident_megabytes() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(peak_memory(options.peak))
        return
    report = Report(
        f"HBV, {PARAMETER_SETS} parallel parameter sets, float32, static parameters",
        ("", "seconds", "ratio", "limit"),
    )
    arrays = tensors(DAYS, CATCHMENTS)
    compiled = autograd.run_process
    alone = median_seconds(lambda: forward(compiled, arrays), 20)
    both = median_seconds(lambda: forward_and_backward(compiled, arrays), 20)
    longer = tensors(2 * DAYS, CATCHMENTS)
    double = median_seconds(lambda: forward_and_backward(compiled, longer), 20)
    begin = time.perf_counter()
    forward_and_backward(reference.run_process, arrays)
    slow = time.perf_counter() - begin
    name = f"{DAYS} days x {CATCHMENTS} catchments"
    report.row(f"forward, {name}", f"{alone:.4f}")
    report.row(
        f"forward and backward, {name}",
        f"{both:.4f}",
        f"{both / alone:.1f} x forward",
        limit="<= 10 x",
        kept=both <= 10 * alone,
    )
    report.row(
        "autograd through the reference, the same",
        f"{slow:.2f}",
        f"{slow / both:.0f} x",
        limit=">= 30 x",
        kept=slow >= 30 * both,
    )
    report.row(
        f"forward and backward, {2 * DAYS} days",
        f"{double:.4f}",
        f"{double / both:.2f} x",
        limit="<= 2.2 x",
        kept=double <= 2.2 * both,
    )
    process = subprocess.run(
        [sys.executable, __file__, "--peak", "1000"], capture_output=True, text=True, check=True
    )
    peak = float(process.stdout)
    report.row(
        f"memory added, {DAYS} days x 1000 catchments",
        "",
        f"{peak:.0f} MB",
        limit="<= 500 MB",
        kept=peak <= 500,
    )
    report.finish(options.check)


if __name__ == "__main__":
    main()
