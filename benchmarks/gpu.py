"""How fast the GPU kernels step: checks first, then one table against the CPU kernel and torch.

    python benchmarks/gpu.py [--check] [--launch]

The shares are of what the device was measured to do in the same run: bytes copied per second, and
multiply-adds per second; the title says how many of them a step of a cell needs. `--launch`
compares how the kernels' work can be divided instead. Without a GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache as memoised
from pathlib import Path

import numpy as np
import torch
import xarray
from step import random_model
from table import Report, median_seconds

from bmi_dhydro import BmiDhydro
from bmi_dhydro.kernels import reference
from bmi_dhydro.kernels.gpu import launch as gpu
from bmi_dhydro.kernels.gpu.resident import Resident
from bmi_dhydro.kernels.ir.program import fused, trace
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.parameter_network import DYNAMIC_HEAD
from bmi_dhydro.physics import HBV, unit_hydrograph
from bmi_dhydro.run.configured_model import ExtrapolationWarning
from bmi_dhydro.variables import DEFAULT_INPUTS, OUTPUTS, inputs_for

DEVICE = "cuda"
PARAMETER_SETS = 16
SIZES = (1_000, 10_000, 100_000, 1_000_000)
# Catchments for which torch eager is timed at most: its memory grows with the steps.
EAGER_SIZE, EAGER_STEPS = 100_000, 20
BLOCK = 64
DIVIDES = 830_000
# A power is a logarithm and an exponential, each of which the special unit does.
_COST = {"power": 8, "exp": 4, "log": 4, "div": 8, "sqrt": 8}
_RUNOFF = (HBV.runoff,)
_STATES, _PARAMETERS = len(HBV.states), len(HBV.parameters)


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call on the device."""

    def finished() -> None:
        call()
        torch.cuda.synchronize()

    return median_seconds(finished, repeats)


def arrays(catchments: int, steps: int) -> tuple[torch.Tensor, ...]:
    random = torch.Generator(device=DEVICE).manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=random, device=DEVICE)

    forcing = drawn(steps, 3, catchments)
    forcing[:, 0] = torch.clamp(forcing[:, 0] * 60.0 - 45.0, min=0.0)
    forcing[:, 1] = forcing[:, 1] * 40.0 - 10.0
    forcing[:, 2] *= 5.0
    shares = drawn(_PARAMETERS, catchments, PARAMETER_SETS)
    bounds = torch.tensor([(p.lower, p.upper) for p in HBV.parameters], device=DEVICE)
    low, high = bounds[:, 0, None, None], bounds[:, 1, None, None]
    state = drawn(_STATES, catchments, PARAMETER_SETS) * 30.0
    return forcing, low + shares * (high - low), state


def agree() -> None:
    """End with an error where the GPU's answers are not the reference's."""
    setup = arrays(40, 400)
    # Slopes in double precision: in single, which side of a threshold a store is on changes them.
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-8)):
        answers = []
        for module in (gpu, reference):
            leaves = [values.to(kind, copy=True).requires_grad_() for values in setup]
            rows, after = module.run_process(HBV, _RUNOFF, *leaves)
            slopes = torch.autograd.grad(rows.mean() + after.mean(), leaves)
            answers.append([value.detach() for value in (rows, after, *slopes)])
        count = 2 if kind == torch.float32 else len(answers[0])
        for ours, theirs in zip(answers[0][:count], answers[1], strict=False):
            error = float((ours - theirs).norm() / theirs.norm())
            if error > tolerance:
                sys.exit(f"the GPU kernel is off by {error:.1e}, relative, in {kind}")


def ceilings() -> tuple[float, float]:
    """Return bytes moved and multiply-adds done per second by this device."""
    big = torch.rand(2**28, device=DEVICE)
    other = torch.empty_like(big)
    copied = 2 * big.numel() * 4 / seconds(lambda: other.copy_(big), 10)
    side = 8192
    left, right = (torch.rand(side, side, device=DEVICE) for _ in range(2))
    torch.backends.cuda.matmul.allow_tf32 = False
    return copied, side**3 / seconds(lambda: left @ right, 5)


def operations() -> int:
    """Return what a step of a cell costs, in multiply-adds."""
    positions = [*range(_STATES), HBV.output_names.index(HBV.runoff)]
    program = fused(trace(HBV.step, HBV.argument_names).restricted(positions))
    return sum(_COST.get(op.name, 1) for op in program.operations)


@memoised
def eager(catchments: int) -> tuple[float, float]:
    """Return cell-steps per second of torch eager on the GPU, forward and with gradients."""
    forcing, parameters, state = arrays(catchments, EAGER_STEPS)
    cells = catchments * PARAMETER_SETS * EAGER_STEPS

    def forward() -> torch.Tensor:
        return reference.run_process(HBV, _RUNOFF, forcing, parameters, state)[0]

    with torch.no_grad():
        ahead = cells / seconds(forward, 3)
    parameters.requires_grad_()
    return ahead, cells / seconds(lambda: forward().sum().backward(), 3)


def fits(catchments: int) -> bool:
    """Return whether a block with gradients fits the memory that is free."""
    cells = catchments * PARAMETER_SETS
    needed = 4 * cells * (BLOCK * _STATES + 4 * _PARAMETERS + 8 * _STATES)
    return needed + 4 * 10 * BLOCK * catchments < 0.9 * torch.cuda.mem_get_info()[0]


def process(report: Report, catchments: int, bandwidth: float, arithmetic: float) -> None:
    """The process alone, one step and a block of them, forward and with gradients."""
    cells = catchments * PARAMETER_SETS
    plain, plain_gradient = eager(min(catchments, EAGER_SIZE))
    cost = operations()
    state_bytes = 4 * (2 * _STATES + _PARAMETERS)
    for steps, name in ((1, "one step"), (BLOCK, f"block of {BLOCK}")):
        forcing, parameters, state = arrays(catchments, steps)
        rows = forcing.new_empty((steps, 1, catchments))

        def forward(
            f: torch.Tensor = forcing,
            p: torch.Tensor = parameters,
            s: torch.Tensor = state,
            r: torch.Tensor = rows,
        ) -> None:
            gpu.advance(HBV, _RUNOFF, f, p, s, r)

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
        if steps == 1 or not fits(catchments):
            continue
        parameters.requires_grad_()

        def both(
            f: torch.Tensor = forcing, p: torch.Tensor = parameters, s: torch.Tensor = state
        ) -> None:
            gpu.run_process(HBV, _RUNOFF, f, p, s)[0].sum().backward()

        slower = cells * steps / seconds(both, 5)
        kept = rate / slower <= 6.0 and slower / plain_gradient >= 100.0
        report.row(
            f"{catchments} catchments, {name}, with gradients",
            f"{slower / 1e9:.2f} G cell-steps/s",
            f"{slower / plain_gradient:.0f} x",
            f"{rate / slower:.1f} x forward",
            "",
            limit="<= 6 x forward, >= 100 x eager" if catchments == EAGER_SIZE else "",
            kept=kept or catchments != EAGER_SIZE,
        )


def cpu_kernel(report: Report, catchments: int = 10_000) -> None:
    """The CPU kernel on this machine, for comparison."""
    model = random_model(catchments, "cpu", ("discharge",), 3600)
    forcing = np.ones((BLOCK, 3, catchments), np.float32)
    took = median_seconds(lambda: model.run(forcing), 5)
    rate = catchments * PARAMETER_SETS * BLOCK / took
    report.row(
        f"{catchments} catchments, hours routed, on this CPU", f"{rate / 1e9:.2f} G cell-steps/s"
    )


def table(path: Path, catchments: int) -> None:
    """Write a table of catchments as they occur in training."""
    normalisation = trained_model.load().normalisation
    random = np.random.default_rng(0)
    columns = {
        name: random.uniform(low, high, catchments).round(4)
        for name, low, high in zip(
            normalisation.names, normalisation.lowest, normalisation.highest, strict=True
        )
    }
    columns["area"] = random.lognormal(np.log(8.0), 0.6, catchments).round(2)
    data = {name: ("catchment", values) for name, values in columns.items()}
    data["id"] = ("catchment", [f"cat-{k}" for k in range(catchments)])
    xarray.Dataset(data).to_netcdf(path)


def started(name: str) -> BmiDhydro:
    """Return a trained model of all divides, by hours, with its inputs set."""
    names = [item.name for item in inputs_for(DEFAULT_INPUTS)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Attributes drawn at random are not those of any real catchment.
        warnings.simplefilter("ignore", ExtrapolationWarning)
        table(Path(folder) / "catchments.nc", DIVIDES)
        path = Path(folder) / "config.yaml"
        path.write_text(
            "catchments: {table: catchments.nc}\ntime: {step: 1h}\ndtype: float32\n"
            f"device: {DEVICE}\nmodel: {name}\n"
        )
        model = BmiDhydro()
        model.initialize(str(path))
        for given, value in zip(names, (0.3, 12.0, 0.1), strict=True):
            model.set_value(given, np.full(DIVIDES, value))
        model.update()
    return model


def alone(model: Model) -> tuple[Resident, Callable[[], None]]:
    """Return what a model is on its device, and a step of it there."""
    resident: Resident = model.device_side.residents()[0]
    weather = resident.rows.new_zeros((1, 3, DIVIDES))
    weather[:, 1] = 12.0
    rows = resident.rows
    return resident, lambda: resident.advance(weather, rows)


def coupled(report: Report, bandwidth: float, name: str, limits: tuple[float, float]) -> None:
    """Hourly steps of all divides through the interface, and the part that the device does."""
    model = started(name)
    runoff = model.get_value_ptr(OUTPUTS[0].name)
    # Of the hours of two days; the first have no graph yet.
    for _ in range(25):
        model.update()
    took = seconds(model.update, 48)
    if not (np.isfinite(runoff).all() and runoff.max() > 0.0):
        sys.exit("the coupled step gives no runoff")
    report.row(
        f"{name}: {DIVIDES} divides, hour, inputs from and one output to the host",
        f"{took * 1e3:.2f} ms",
        limit=f"<= {limits[0]:g} ms",
        kept=took <= limits[0] / 1e3,
    )
    resident, step = alone(model.component.model)
    took = seconds(step, 50)
    # Memory is read in sectors of eight catchments.
    reach = float(resident.reach.double()[: DIVIDES // 8 * 8].view(-1, 8).amax(1).mean())
    moved = 4 * PARAMETER_SETS * (2 * _STATES + _PARAMETERS) + 4 * 3 * reach
    dynamics = model.component.model.dynamics
    if dynamics is not None:
        # Gates, contents and outputs of units; outputs of the head; values, written and read.
        units, head = dynamics.hidden.shape[1], dynamics.weights[DYNAMIC_HEAD].shape[1]
        moved += 4 * (4 * units + 3 * units + units + head + 4 * head)
    lags = unit_hydrograph.hydrograph_of(HBV).lags(1 / 24)
    report.row(
        f"the same, on the device alone ({reach:.0f} of {lags} lags)",
        f"{took * 1e3:.2f} ms",
        "",
        f"{DIVIDES * moved / took / bandwidth:.0%}",
        limit=f"<= {limits[1]:g} ms",
        kept=took <= limits[1] / 1e3,
    )


def launches() -> None:
    """Print how the time of each kernel depends on how its work is divided."""
    catchments = SIZES[-1]
    together = (16, 32, 64, 128)
    report = Report(
        f"{catchments} catchments x {PARAMETER_SETS}, {torch.cuda.get_device_name()}: "
        f"G cell-steps/s; ms of an hour of {DIVIDES} divides by how many lags are read together",
        ("cells, warps", "forward", "backward", *(f"{lags} lags" for lags in together), ""),
    )
    forcing, parameters, state = arrays(catchments, 16)
    rows = forcing.new_empty((16, 1, catchments))
    starts = state.new_empty((16, *state.shape))
    divides = random_model(DIVIDES, "gpu", ("discharge",), 3600)
    divides.run(np.zeros((1, 3, DIVIDES), np.float32))
    resident, hour = alone(divides)
    cell_steps = catchments * PARAMETER_SETS * 16
    for cells, warps in (
        (32, 1),
        (64, 1),
        (64, 2),
        (128, 1),
        (128, 2),
        (256, 2),
        (256, 4),
        (512, 4),
    ):
        launch = resident.launch = gpu.Launch(cells, warps)

        def forward(chosen: gpu.Launch = launch) -> None:
            gpu.advance(HBV, _RUNOFF, forcing, parameters, state, rows, None, None, chosen)

        def backward(chosen: gpu.Launch = launch) -> None:
            gpu.gradients(
                HBV, _RUNOFF, forcing, parameters, starts, rows, state, None, chosen, False
            )

        rates = [cell_steps / seconds(call, 10) / 1e9 for call in (forward, backward)]
        hours = []
        for resident.lags_together in together:
            hours.append(f"{seconds(hour, 10) * 1e3:.2f}")
        names = ("forward", gpu.FORWARD), ("backward", gpu.BACKWARD), ("hour", gpu.SIMULATE)
        mark = "".join(f" ({name})" for name, used in names if used == launch)
        report.row(f"{cells}, {warps}{mark}", *(f"{rate:.1f}" for rate in rates), *hours)
    report.finish(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    parser.add_argument(
        "--launch", action="store_true", help="compare cells and warps of programs instead"
    )
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use on this machine: nothing was measured")
    agree()
    if chosen.launch:
        launches()
        return
    bandwidth, arithmetic = ceilings()
    report = Report(
        f"HBV, {PARAMETER_SETS} parallel parameter sets, float32, {torch.cuda.get_device_name()}: "
        f"{bandwidth / 1e12:.2f} TB/s, {arithmetic / 1e12:.1f} T multiply-adds/s, a step of a cell "
        f"costs {operations()} of them",
        ("", "measured", "against torch eager", "of bandwidth", "of arithmetic", "limit"),
    )
    coupled(report, bandwidth, "fast", (3.0, 1.0))
    coupled(report, bandwidth, "default", (10.0, 7.0))
    for catchments in SIZES:
        process(report, catchments, bandwidth, arithmetic)
    cpu_kernel(report)
    report.finish(chosen.check)


if __name__ == "__main__":
    main()
