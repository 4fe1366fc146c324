"""How long states take to save and restore, and how large they are: one table.

    python benchmarks/state.py [--check]

The baseline is writing the same numbers with NumPy, without names, checks or replacement.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from table import Report

from bmi_dhydro.io import state_file
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.model import Model
from bmi_dhydro.physics import HBV, unit_hydrograph

CATCHMENTS, PARAMETER_SETS = 100_000, 16


def random_model() -> Model:
    random = np.random.default_rng(0)
    shape = (CATCHMENTS, PARAMETER_SETS)
    parameters = [random.uniform(p.lower, p.upper, shape) for p in HBV.parameters]
    routing = [random.uniform(p.lower, p.upper, CATCHMENTS) for p in unit_hydrograph.PARAMETERS]
    area = np.full(CATCHMENTS, 10.0)
    model = Model(
        HBV,
        parameters,
        routing,
        area,
        execution=Execution(dtype=np.float32),
        outputs=("discharge",),
    )
    model.state[:] = random.uniform(0.0, 200.0, model.state.shape)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    check = parser.parse_args().check
    model, other = random_model(), random_model()
    ids = np.array([f"cat-{number}" for number in range(CATCHMENTS)])
    raw = model.state.nbytes + model.pending.nbytes
    report = Report(
        f"{CATCHMENTS} catchments x {PARAMETER_SETS} parallel parameter sets, float32",
        ("", "measured", "against NumPy", "limit"),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.nc"
        begin = time.perf_counter()
        np.savez(Path(folder) / "plain.npz", state=model.state, pending=model.pending)
        plain_save = time.perf_counter() - begin
        begin = time.perf_counter()
        with np.load(Path(folder) / "plain.npz") as data:
            other.state[:] = data["state"]
            other.pending = data["pending"]
        plain_load = time.perf_counter() - begin
        begin = time.perf_counter()
        state_file.save(path, model, "fingerprint", ids)
        save = time.perf_counter() - begin
        begin = time.perf_counter()
        state_file.restore(path, other, "fingerprint", ids)
        restore = time.perf_counter() - begin
        size = path.stat().st_size / raw
    for name, seconds, plain in (("save", save, plain_save), ("restore", restore, plain_load)):
        ratio = f"{seconds / plain:.1f} x"
        report.row(name, f"{seconds:.2f} s", ratio, limit="<= 3 s", kept=seconds <= 3.0)
    report.row("file, against the raw numbers", f"{size:.2f}", "", limit="<= 1.2", kept=size <= 1.2)
    report.finish(check)


if __name__ == "__main__":
    main()
