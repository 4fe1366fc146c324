"""The GPU kernel: on a GPU where there is one, else the same code in Triton's interpreter."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bmi_dhydro.kernels import reference
from bmi_dhydro.kernels.gpu import launch as gpu
from bmi_dhydro.model.differentiable import Block, run
from bmi_dhydro.physics import HBV, PROCESSES, with_learned_curves
from bmi_dhydro.physics.unit_hydrograph import DISCHARGE
from tests.conftest import random_routing, random_setup

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which is there for Linux only"
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

VARIANTS = {**PROCESSES, "hbv with learned curves": with_learned_curves(HBV, tuple(HBV.curves))}


def arrays(process, catchments, parameter_sets, steps, dtype=np.float64):
    setup = random_setup(catchments, parameter_sets, steps, dtype, process=process)
    return [torch.from_numpy(array).to(DEVICE) for array in setup]


def close(ours, theirs, tolerance):
    ours, theirs = ours.double().cpu(), theirs.double().cpu()
    assert (ours - theirs).norm() <= tolerance * theirs.norm()


@pytest.mark.parametrize("process", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float32, 1e-5), pytest.param(np.float64, 1e-10, marks=pytest.mark.long)],
)
def test_a_block_is_that_of_the_reference(process, dtype, tolerance):
    setup = arrays(process, 5, 6, 24, dtype)
    rows, final = gpu.run_process(process, process.output_names, *setup)
    expected, after = reference.run_process(process, process.output_names, *setup)
    for k in range(rows.shape[1]):
        close(rows[:, k], expected[:, k], tolerance)
    close(final, after, tolerance)


@pytest.mark.long
def test_years_stay_with_the_reference():
    """Ten of them on a GPU; the interpreter runs the same code a thousand times slower."""
    years = 10 if torch.cuda.is_available() else 1
    forcing, parameters, state = arrays(HBV, 3, 4, 365 * years, np.float32)
    outputs = (HBV.runoff, HBV.evapotranspiration, "soil_moisture")
    with torch.no_grad():
        rows, _ = gpu.run_process(HBV, outputs, forcing, parameters, state)
        expected, _ = reference.run_process(HBV, outputs, forcing, parameters, state)
    for k in range(len(outputs)):
        close(rows[:, k], expected[:, k], 1e-5)


@pytest.mark.parametrize("catchments", [1, 40])
def test_one_step_at_a_time_equals_the_block(catchments):
    forcing, parameters, state = arrays(HBV, catchments, 16, 12)
    rows, final = gpu.run_process(HBV, (HBV.runoff,), forcing, parameters, state)
    for t in range(12):
        row, state = gpu.run_process(HBV, (HBV.runoff,), forcing[t : t + 1], parameters, state)
        assert torch.equal(row[0], rows[t])
    assert torch.equal(state, final)


def pulled(module, process, setup, names=(), moving=()):
    leaves = [array.clone().requires_grad_() for array in setup]
    dynamic = {n: m.clone().requires_grad_() for n, m in zip(names, moving, strict=True)}
    outputs = (process.runoff, process.evapotranspiration, "soil_moisture")
    rows, final = module.run_process(process, outputs, *leaves, dynamic)
    generator = torch.Generator().manual_seed(0)
    seeds = torch.randn(rows.shape, generator=generator, dtype=rows.dtype).to(rows.device)
    ends = torch.randn(final.shape, generator=generator, dtype=rows.dtype).to(rows.device)
    ((rows * seeds).sum() + (final * ends).sum()).backward()
    return [leaf.grad for leaf in (*leaves, *dynamic.values())]


@pytest.fixture(params=["whole", "segments"])
def kept(request, monkeypatch):
    """Let blocks be kept whole for the adjoint, or in segments, as long ones of much memory are."""
    if request.param == "segments":
        monkeypatch.setattr(gpu, "SHORT", 4)
        monkeypatch.setattr(gpu, "LITTLE", 0)


@pytest.mark.parametrize("process", VARIANTS.values(), ids=VARIANTS)
def test_gradients_are_those_of_autograd_through_the_reference(process, kept):
    setup = arrays(process, 4, 3, 20)
    for a, b in zip(pulled(gpu, process, setup), pulled(reference, process, setup), strict=True):
        for ours, theirs in zip(a.unbind(0), b.unbind(0), strict=True):
            close(ours, theirs, 1e-9)


def test_gradients_of_forcing_are_left_out_where_they_are_not_wanted(kept):
    forcing, parameters, state = arrays(HBV, 4, 3, 20)
    slopes = []
    for wanted in (True, False):
        leaves = [values.clone().requires_grad_() for values in (parameters, state)]
        given = forcing.clone().requires_grad_(wanted)
        rows, _ = gpu.run_process(HBV, (HBV.runoff,), given, *leaves)
        (rows**2).sum().backward()
        assert (given.grad is not None) == wanted
        slopes.append([leaf.grad for leaf in leaves])
    for ours, theirs in zip(*slopes, strict=True):
        assert torch.equal(ours, theirs)


def test_parameters_that_change_with_time(kept):
    names = ("BETA", "K0", "BETAET")
    setup = arrays(HBV, 3, 5, 30)
    random = np.random.default_rng(0)
    items = [item for item in HBV.parameters if item.name in names]
    moving = [
        torch.from_numpy(random.uniform(p.lower, p.upper, (30, 3, 5))).to(DEVICE) for p in items
    ]
    ours = pulled(gpu, HBV, setup, names, moving)
    theirs = pulled(reference, HBV, setup, names, moving)
    static = [k for k, name in enumerate(HBV.parameter_names) if name not in names]
    for a, b in zip(ours, theirs, strict=True):
        if a.shape[0] == len(HBV.parameters):
            a, b = a[static], b[static]
        close(a, b, 1e-9)


def test_a_block_of_the_whole_model_is_learned_from():
    """What training does on a GPU: days in two parts, routing, gradients to daily parameters."""
    forcing, parameters, _ = arrays(HBV, 4, 3, 8)
    routing = torch.from_numpy(random_routing(4)).to(DEVICE)
    area = torch.linspace(20.0, 3000.0, 4, dtype=torch.float64, device=DEVICE)
    slopes = []
    for module in (gpu, reference):
        leaves = [values.clone().requires_grad_() for values in (parameters, routing)]
        block = Block(leaves[0], list(leaves[1]), area, forcing)
        flow = run(HBV, (DISCHARGE,), block, kernel=module.run_process).outputs[DISCHARGE]
        slopes.append(torch.autograd.grad((flow**2).sum(), leaves))
    for a, b in zip(*slopes, strict=True):
        close(a, b, 1e-9)


_COMPILE = """
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from bmi_dhydro.kernels.gpu import launch as gpu
from bmi_dhydro.physics import HBV

SCALARS = ("steps", "columns", "catchments", "segment", "length")
KINDS = {"reach": "*i32", "refused": "*i32", "position": "*i64"}
TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"

def stack(cubin):
    if not TOOL.exists():
        return 0
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(TOOL), "--dump-resource-usage", file.name]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"STACK:(\\d+)", report)[1])

def compiled(label, function, launch, kind, **more):
    constants = {k: v for k, v in launch.constants(16).items() if k not in launch.options}
    constants.update(more)
    signature = {}
    for name in function.arg_names:
        if name in constants:
            signature[name] = "constexpr"
        else:
            signature[name] = "i32" if name in SCALARS else KINDS.get(name, "*" + kind)
    source = ASTSource(function, signature, constants)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=launch.options)
    cells = launch.cells // (32 * launch.warps)
    powers = made.asm["ptx"].count("ex2.approx") / cells
    print(label, kind, powers, stack(made.asm["cubin"]))

EVERYTHING = (*HBV.output_names, "discharge", "routing_store")
for kind in ("fp32", "fp64"):
    for dynamic in ((), ("BETA", "K0")) if kind == "fp32" else ((),):
        module = gpu._block(HBV, (HBV.runoff,), dynamic)
        for keep in (0, 1, 2):
            compiled("forward", module["forward"], gpu.FORWARD, kind, KEEP=keep)
        for again in (False, True):
            more = dict(AGAIN=again, FRESH=not again, OF_FORCING=again)
            compiled("backward", module["backward"], gpu.BACKWARD, kind, **more)
    for parts in (1, 2):
        for outputs in (("discharge",), EVERYTHING) if kind == "fp32" else (EVERYTHING,):
            module = gpu._model(HBV, outputs, (), parts)
            launch = gpu.SIMULATE if len(outputs) <= gpu.FEW_OUTPUTS else gpu.SIMULATE_MANY
            compiled("simulate", module["simulate"], launch, kind, LAGS=gpu.LAGS)
"""


def test_it_compiles_for_an_h100_that_is_not_there(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    # Where the compiled kernels are kept between runs of the tests, those of Triton are too.
    kept = os.environ.get("BMI_DHYDRO_CACHE_DIR", tmp_path)
    environment["TRITON_CACHE_DIR"] = str(Path(kept) / "triton")
    result = subprocess.run(
        [sys.executable, "-c", _COMPILE],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == 21
    for name, kind, powers, stack in lines:
        if kind == "fp32":
            # Nothing is spilled to memory, and a step of a cell has two powers.
            assert int(stack) == 0, name
            assert float(powers) >= 2, name
