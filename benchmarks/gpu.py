"""How fast the GPU kernel steps: checks first, then one table against the CPU kernel and torch.

    python benchmarks/gpu.py [--check]

The shares are of what the device was measured to do in the same run: bytes copied per second, and
multiply-adds per second; the title says how many of them a step of a cell needs. Without a
GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import torch
from table import Report, median_seconds

from bmi_dhydro.kernels import gpu, reference
from bmi_dhydro.kernels.program import fused, trace
from bmi_dhydro.model import Model
from bmi_dhydro.physics import HBV, unit_hydrograph

COMPONENTS = 16
# A power is a logarithm and an exponential, each of which the special unit does.
_COST = {"power": 8, "exp": 4, "log": 4, "div": 8, "sqrt": 8}
DIVIDES = 830_000


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call on the device."""

    def finished() -> None:
        call()
        torch.cuda.synchronize()

    return median_seconds(finished, repeats)


def arrays(catchments: int, steps: int, device: str) -> tuple[torch.Tensor, ...]:
    random = torch.Generator(device=device).manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=random, device=device)

    forcing = drawn(steps, 3, catchments)
    forcing[:, 0] = torch.clamp(forcing[:, 0] * 60.0 - 45.0, min=0.0)
    forcing[:, 1] = forcing[:, 1] * 40.0 - 10.0
    forcing[:, 2] *= 5.0
    shares = drawn(len(HBV.parameters), catchments, COMPONENTS)
    bounds = torch.tensor([(p.lower, p.upper) for p in HBV.parameters], device=device)
    low, high = bounds[:, 0, None, None], bounds[:, 1, None, None]
    state = drawn(len(HBV.states), catchments, COMPONENTS) * 30.0
    return forcing, low + shares * (high - low), state


def agree() -> None:
    """End with an error where the GPU's answers are not the reference's."""
    setup = arrays(40, 400, "cuda")
    ours, after = gpu.run_process(HBV, (HBV.runoff,), *setup)
    theirs, expected = reference.run_process(HBV, (HBV.runoff,), *setup)
    for a, b in ((ours, theirs), (after, expected)):
        error = float((a - b).norm() / b.norm())
        if error > 1e-5:
            sys.exit(f"the GPU kernel is off by {error:.1e}, relative")


def ceilings() -> tuple[float, float]:
    """Return bytes moved and multiply-adds done per second by this device."""
    big = torch.empty(2**28, device="cuda")
    other = torch.empty_like(big)
    copied = 2 * big.numel() * 4 / seconds(lambda: other.copy_(big), 10)
    side = 8192
    left, right = (torch.rand(side, side, device="cuda") for _ in range(2))
    torch.backends.cuda.matmul.allow_tf32 = False
    return copied, side**3 / seconds(lambda: left @ right, 5)


def operations() -> int:
    """Return what a step of a cell costs, in multiply-adds."""
    positions = [*range(len(HBV.states)), HBV.output_names.index(HBV.runoff)]
    program = fused(trace(HBV.step, HBV.argument_names).restricted(positions))
    return sum(_COST.get(op.name, 1) for op in program.operations)


def eager(catchments: int) -> tuple[float, float]:
    """Return cell-steps per second of torch eager on the GPU, forward and with gradients."""
    steps = 20
    forcing, parameters, state = arrays(catchments, steps, "cuda")
    cells = catchments * COMPONENTS * steps

    def forward() -> torch.Tensor:
        return reference.run_process(HBV, (HBV.runoff,), forcing, parameters, state)[0]

    with torch.no_grad():
        ahead = cells / seconds(forward, 3)
    parameters.requires_grad_()
    return ahead, cells / seconds(lambda: forward().sum().backward(), 3)


def stepping(report: Report, catchments: int, bandwidth: float, arithmetic: float) -> None:
    cells = catchments * COMPONENTS
    plain, plain_gradient = eager(min(catchments, 100_000))
    cost = operations()
    state_bytes = 4 * (2 * len(HBV.states) + len(HBV.parameters))
    for steps, name in ((1, "one step"), (64, "block of 64")):
        forcing, parameters, state = arrays(catchments, steps, "cuda")
        rows = forcing.new_empty((steps, 1, catchments))

        def forward(
            f: torch.Tensor = forcing,
            p: torch.Tensor = parameters,
            s: torch.Tensor = state,
            r: torch.Tensor = rows,
        ) -> None:
            gpu.advance(HBV, (HBV.runoff,), f, p, s, r)

        rate = cells * steps / seconds(forward, 20)
        limited = steps > 1 and catchments == 1_000_000
        report.row(
            f"{catchments} catchments, {name}, forward",
            f"{rate / 1e9:.2f} G cell-steps/s",
            f"{rate / plain:.0f} x",
            f"{rate * state_bytes / steps / bandwidth:.0%}",
            f"{rate * cost / arithmetic:.0%}",
            limit=">= 20 G" if limited else "",
            kept=not limited or rate >= 2e10,
        )
        if steps == 1 or catchments > 300_000:
            continue
        parameters.requires_grad_()

        def both(
            f: torch.Tensor = forcing, p: torch.Tensor = parameters, s: torch.Tensor = state
        ) -> None:
            gpu.run_process(HBV, (HBV.runoff,), f, p, s)[0].sum().backward()

        slower = cells * steps / seconds(both, 5)
        kept = rate / slower <= 6.0 and slower / plain_gradient >= 100.0
        report.row(
            f"{catchments} catchments, {name}, with gradients",
            f"{slower / 1e9:.2f} G cell-steps/s",
            f"{slower / plain_gradient:.0f} x",
            "",
            "",
            limit="<= 6 x forward, >= 100 x eager" if catchments == 100_000 else "",
            kept=kept or catchments != 100_000,
        )


def coupled(report: Report) -> None:
    """One hourly step of all divides: weather down, one output up."""
    random = np.random.default_rng(0)
    shape = (DIVIDES, COMPONENTS)
    parameters = [random.uniform(p.lower, p.upper, shape) for p in HBV.parameters]
    routing = [random.uniform(p.lower, p.upper, DIVIDES) for p in unit_hydrograph.PARAMETERS]
    area = np.full(DIVIDES, 10.0)
    options = {"step_seconds": 3600, "dtype": np.float32, "outputs": ("discharge",)}
    model = Model(HBV, parameters, routing, area, kernel="gpu", **options)
    forcing = np.ascontiguousarray(arrays(DIVIDES, 1, "cpu")[0][0].numpy())
    took = seconds(lambda: model.step(forcing), 50)
    report.row(
        f"{DIVIDES} divides, one coupled step from and to the host",
        f"{took * 1e3:.2f} ms",
        "",
        "",
        "",
        limit="<= 3 ms",
        kept=took <= 3e-3,
    )
    few = 20_000
    cpu = Model(
        HBV,
        [p[:few] for p in parameters],
        [r[:few] for r in routing],
        area[:few],
        kernel="cpu",
        **options,
    )
    alone = median_seconds(lambda: cpu.step(np.ascontiguousarray(forcing[:, :few])), 20)
    report.row(
        "the same on this machine's CPU",
        f"{alone * DIVIDES / few * 1e3:.0f} ms",
        f"{alone * DIVIDES / few / took:.0f} x as long",
        "",
        "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    check = parser.parse_args().check
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use on this machine: nothing was measured")
    agree()
    bandwidth, arithmetic = ceilings()
    report = Report(
        f"HBV, {COMPONENTS} components, float32, {torch.cuda.get_device_name()}: "
        f"{bandwidth / 1e12:.2f} TB/s, {arithmetic / 1e12:.1f} T multiply-adds/s, a step of a cell "
        f"costs {operations()} of them",
        ("", "measured", "against torch eager", "of bandwidth", "of arithmetic", "limit"),
    )
    for catchments in (1_000, 10_000, 100_000, 1_000_000):
        stepping(report, catchments, bandwidth, arithmetic)
    coupled(report)
    report.finish(check)


if __name__ == "__main__":
    main()
