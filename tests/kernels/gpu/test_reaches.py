"""Reaches on a GPU (or in the interpreter of Triton) are those of the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("triton", reason="needs triton, which is there for Linux only")

from bmi_dhydro.kernels.gpu import reaches as gpu  # noqa: E402
from bmi_dhydro.kernels.gpu.reaches import Front  # noqa: E402
from bmi_dhydro.physics import LINEAR, MUSKINGUM_CUNGE, MUSKINGUM_CUNGE_NWM  # noqa: E402
from bmi_dhydro.physics.muskingum_cunge import muskingum_cunge  # noqa: E402
from bmi_dhydro.river.differentiable import route, state_of  # noqa: E402
from bmi_dhydro.river.river import River  # noqa: E402
from tests.river.conftest import made_up, storm  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
REACHES, STEPS, SUBSTEPS = 14, 2, 2


def made(process, dtype):
    network = made_up(REACHES, 2)
    network.parameters["length"][:] += 3000.0
    river = River(network, process, 3600, 3600 // SUBSTEPS, dtype, threads=1)
    river.set_flow(np.full(REACHES, 0.3))
    return river, storm(network, STEPS).astype(dtype)


def pulled(river, lateral, on_device):
    """Return outputs, the state at the end and gradients of a sum that every output counts in."""
    device = DEVICE if on_device else torch.device("cpu")
    state = state_of(river)
    leaves = [torch.tensor(lateral), torch.tensor(river.parameters), state.flow, state.storage]
    leaves = [values.to(device).requires_grad_() for values in leaves]
    start = state._replace(flow=leaves[2], storage=leaves[3])
    start = type(start)(*(values.to(device) for values in start))
    if on_device:
        front = Front.of(river.network.to, river.network.levels, device)
        outputs, after = gpu.route(
            river.process, front, leaves[0], leaves[1], start, SUBSTEPS, river.seconds
        )
    else:
        found = route(river, leaves[0], leaves[1], start)
        outputs, after = (found.flow, found.mean_flow, found.depth, found.storage), found.state
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand((4, STEPS, REACHES), generator=generator) - 0.5
    total = sum(
        (w.to(o) * o).sum() * scale
        for w, o, scale in zip(weights, outputs, (1.0, 1.0, 1.0, 1e-4), strict=True)
    )
    total.backward()
    gradients = [torch.zeros(()) if leaf.grad is None else leaf.grad for leaf in leaves]
    # What rounding took is of no size that two kernels would agree on.
    found = (*outputs, after.flow, after.depth, after.storage + after.remainder)
    return [values.detach().cpu() for values in found], [g.cpu() for g in gradients]


@pytest.mark.parametrize(
    ("process", "dtype", "tolerance"),
    [
        (LINEAR, np.float64, 1e-10),
        (LINEAR, np.float32, 1e-5),
        pytest.param(muskingum_cunge(1e-12), np.float64, 1e-9, marks=pytest.mark.long),
        (MUSKINGUM_CUNGE, np.float32, 1e-4),
        (MUSKINGUM_CUNGE_NWM, np.float64, 1e-9),
    ],
    ids=["linear-64", "linear-32", "muskingum_cunge-64", "muskingum_cunge-32", "nwm-64"],
)
def test_a_block_and_its_gradients_are_those_of_the_cpu(process, dtype, tolerance):
    river, lateral = made(process, dtype)
    for ours, theirs in zip(
        pulled(river, lateral, True), pulled(river, lateral, False), strict=True
    ):
        for a, b in zip(ours, theirs, strict=True):
            error = torch.linalg.vector_norm((a - b).double())
            assert error <= tolerance * torch.linalg.vector_norm(b.double()) + 1e-6


def test_a_block_goes_on_where_another_ended():
    river, lateral = made(LINEAR, np.float64)
    front = Front.of(river.network.to, river.network.levels, DEVICE)
    parameters, lateral = (torch.tensor(v).to(DEVICE) for v in (river.parameters, lateral))
    start = type(state_of(river))(*(v.to(DEVICE) for v in state_of(river)))

    def run(rows, state):
        return gpu.route(LINEAR, front, rows, parameters, state, SUBSTEPS, river.seconds)

    whole, _ = run(lateral, start)
    first, middle = run(lateral[:1], start)
    second, _ = run(lateral[1:], middle)
    for a, b, c in zip(first, second, whole, strict=True):
        assert torch.equal(torch.cat([a, b]), c)


_COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from bmi_dhydro.kernels.gpu import reaches
from bmi_dhydro.physics import LINEAR, MUSKINGUM_CUNGE

NUMBERS = ("wave", "steps", "substeps", "reaches", "most")
PLACES = ("level", "begins", "above", "below")
for process, kinds in ((LINEAR, ("fp32",)), (MUSKINGUM_CUNGE, ("fp32", "fp64"))):
    for kind in kinds:
        for name in ("forward", "backward"):
            kernel = reaches._compiled(process)[name]
            signature = {}
            for argument in kernel.arg_names:
                signature[argument] = "i32" if argument in NUMBERS else "*" + kind
                if argument in PLACES:
                    signature[argument] = "*i32"
            signature["LANES"] = "constexpr"
            source = ASTSource(kernel, signature, {"LANES": reaches.LANES})
            made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
            print(process.name, kind, name, len(made.asm["cubin"]))
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
    assert len(result.stdout.splitlines()) == 6
