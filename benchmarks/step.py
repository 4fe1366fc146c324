"""How fast the component steps, and what it takes to start: one table, ratios to the reference.

    python benchmarks/step.py [--check]

With --check it ends with 1 where a limit of the project is missed, and says which.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from table import Report, median_seconds, peak_resident_megabytes

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.shipped import SHIPPED
from bmi_dhydro.physics import HBV, unit_hydrograph
from bmi_dhydro.variables import INPUTS, OUTPUTS

PARAMETER_SETS = 16
NAMES = [item.name for item in INPUTS[:3]]
VALUES = [np.array([value]) for value in (0.3, 8.0, 0.1)]


# One pass of the process model; longer steps are done in parts, shorter ones route over more lags.
HALF_A_DAY = 43200


def random_model(
    catchments: int,
    kernel: str,
    outputs: tuple[str, ...] | None,
    step_seconds: int = HALF_A_DAY,
) -> Model:
    random = np.random.default_rng(0)
    shape = (catchments, PARAMETER_SETS)
    parameters = [random.uniform(item.lower, item.upper, shape) for item in HBV.parameters]
    routing = [random.uniform(p.lower, p.upper, catchments) for p in unit_hydrograph.PARAMETERS]
    area = np.full(catchments, 100.0)
    return Model(
        HBV,
        parameters,
        routing,
        area,
        step_seconds,
        execution=Execution(kernel=kernel, dtype=np.float32),
        outputs=outputs,
    )


def random_forcing(steps: int, catchments: int) -> np.ndarray:
    random = np.random.default_rng(1)
    forcing = np.empty((steps, 3, catchments), np.float32)
    forcing[:, 0] = random.gamma(0.2, 15.0, (steps, catchments))
    forcing[:, 1] = random.normal(8.0, 8.0, (steps, catchments))
    forcing[:, 2] = random.uniform(0.0, 4.0, (steps, catchments))
    return forcing


def opened(folder: Path, kernel: str, trained: str = "fast", step: str = "1d") -> BmiDhydro:
    """One catchment, weather from a host, float32."""
    path = folder / f"{kernel}_{trained}_{step}" / "config.yaml"
    if not path.exists():
        write_example(path.parent, 1, 10, step, "host", model=trained)
        path.write_text(path.read_text() + f"dtype: float32\nkernel: {kernel}\n")
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def coupled_step(model: BmiDhydro) -> None:
    for name, value in zip(NAMES, VALUES, strict=True):
        model.set_value(name, value)
    model.update()
    model.get_value(OUTPUTS[0].name, RESULT)


RESULT = np.empty(1)


def single_catchment(report: Report, folder: Path) -> None:
    compiled, reference = opened(folder, "cpu"), opened(folder, "reference")
    for name, call, limit in (
        ("one catchment, coupled step of `fast`", coupled_step, 15.0),
        ("one catchment, update alone of `fast`", lambda model: model.update(), 6.0),
    ):
        ours = median_seconds(lambda call=call: call(compiled), 20_000) * 1e6
        theirs = median_seconds(lambda call=call: call(reference), 500) * 1e6
        report.row(
            name,
            f"{ours:.2f} us",
            f"{theirs / ours:.0f} x",
            limit=f"<= {limit:g} us",
            kept=ours <= limit,
        )


def coupled_models(report: Report, folder: Path) -> None:
    """Coupled steps of the model whose parameters move, against those of the one whose stay."""
    for step, name in (("1d", "day"), ("1h", "hour")):
        times = {}
        for trained in SHIPPED:
            model = opened(folder, "cpu", trained, step)
            times[trained] = median_seconds(lambda m=model: coupled_step(m), 5_000) * 1e6
        for trained, ours in times.items():
            report.row(
                f"one catchment, coupled {name} of `{trained}`",
                f"{ours:.1f} us",
                f"{ours / times['fast']:.1f} x fast",
            )


def many_catchments(report: Report, catchments: int) -> None:
    steps = 64
    forcing = random_forcing(steps, catchments)
    cells = catchments * PARAMETER_SETS / 1e6
    reference = random_model(catchments, "reference", ("discharge",))
    theirs = cells * 4 / median_seconds(lambda: reference.run(forcing[:4]), 3)
    for outputs, label in ((("discharge",), "discharge"), (None, "all 21 outputs")):
        model = random_model(catchments, "cpu", outputs)
        results = model.run(forcing)
        single = cells / median_seconds(lambda m=model: m.step(forcing[0]), 200)
        block = (
            cells
            * steps
            / median_seconds(
                lambda m=model, r=results: m.run(forcing, r), 2_000_000 // (catchments * steps) + 5
            )
        )
        for mode, rate, limit in (("one step per call", single, 250), ("blocks", block, 300)):
            limited = outputs is not None
            report.row(
                f"{catchments} catchments, {mode}, {label}",
                f"{rate:.0f} M cell-steps/s",
                f"{rate / theirs:.1f} x",
                limit=f">= {limit} M, >= 4 x" if limited else "",
                kept=not limited or (rate >= limit and rate >= 4 * theirs),
            )


def other_steps(report: Report, catchments: int) -> None:
    steps = 48
    forcing = random_forcing(steps, catchments)
    cells = catchments * PARAMETER_SETS * steps / 1e6
    for seconds, name in ((86400, "days (in two parts)"), (3600, "hours")):
        weather = forcing.copy()
        weather[:, [0, 2]] *= seconds / 86400.0
        model = random_model(catchments, "cpu", ("discharge",), seconds)
        reference = random_model(catchments, "reference", ("discharge",), seconds)
        theirs = cells * 4 / steps / median_seconds(lambda m=reference, w=weather: m.run(w[:4]), 3)
        results = model.run(weather)
        rate = cells / median_seconds(lambda m=model, w=weather, r=results: m.run(w, r), 10)
        report.row(
            f"{catchments} catchments, blocks of {name}, discharge",
            f"{rate:.0f} M cell-steps/s",
            f"{rate / theirs:.1f} x",
        )


def moving_parameters(report: Report) -> None:
    """Steps of the model whose parameters move, against those of the one whose stay."""
    random = np.random.default_rng(0)
    for catchments, seconds, step in (
        (1, 86400, "day"),
        (1, 3600, "hour"),
        (10_000, 86400, "day"),
        (10_000, 3600, "hour"),
    ):
        times = {}
        for name in ("fast", "default"):
            trained = trained_model.load(name)
            known = trained.normalisation
            attributes = {
                item: random.uniform(low, high, catchments)
                for item, low, high in zip(known.names, known.lowest, known.highest, strict=True)
            }
            model = Model(
                trained.layout.process,
                *trained.parameters(attributes),
                np.full(catchments, 10.0),
                seconds,
                execution=Execution(dtype=np.float32),
                outputs=("discharge",),
                dynamics=trained.dynamics(attributes, 86400 // seconds),
            )
            weather = random_forcing(1, catchments)[0]
            repeats = 2_000 if catchments == 1 else 50
            times[name] = median_seconds(lambda m=model, w=weather: m.step(w), repeats) * 1e6
        report.row(
            f"{catchments} catchments, {step} with parameters that move",
            f"{times['default']:.0f} us",
            f"{times['default'] / times['fast']:.1f} x fast",
        )


def memory(report: Report) -> None:
    catchments = 20_000
    model = random_model(catchments, "cpu", None)
    arrays = sum(
        array.nbytes
        for array in (
            model.state,
            model._daily,
            model._per_step,
            model.ring.weights,
            model.ring.pending,
        )
    )
    forcing = random_forcing(1, catchments)
    model.step(forcing[0])
    import tracemalloc

    tracemalloc.start()
    again = random_model(catchments, "cpu", None)
    again.step(forcing[0])
    beside = (tracemalloc.get_traced_memory()[0] - arrays) / catchments
    before = tracemalloc.get_traced_memory()[0]
    resident = peak_resident_megabytes()
    for _ in range(10_000 // 50):
        for _ in range(50):
            again.step(forcing[0])
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    grown_resident = peak_resident_megabytes() - resident
    report.row(
        "memory beside state and parameters",
        f"{beside:.0f} B per catchment",
        "",
        limit="<= 2000 B",
        kept=beside <= 2000,
    )
    report.row(
        "memory after 10,000 steps",
        f"{grown / 1024:+.1f} kB ({grown_resident:.1f} MB resident)",
        "",
        limit="flat",
        kept=grown < 64 * 1024 and grown_resident < 4,
    )


def start_up(report: Report, folder: Path) -> None:
    program = (
        "import time; b = time.perf_counter(); import bmi_dhydro; "
        "print(time.perf_counter() - b); import sys; "
        "print([m for m in ('torch', 'numba', 'netCDF4', 'pandas') if m in sys.modules])"
    )
    times, loaded = [], "[]"
    for _ in range(5):
        text = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        times.append(float(text[0]))
        loaded = text[1]
    seconds = sorted(times)[2]
    report.row(
        "import bmi_dhydro",
        f"{seconds:.2f} s",
        f"loads {loaded}",
        limit="<= 0.3 s, no torch",
        kept=seconds <= 0.3 and "torch" not in loaded,
    )
    path = write_example(folder / "many", 10_000, 10, "1d", "host")
    for attempt in ("first", "later"):
        model = BmiDhydro()
        begin = time.perf_counter()
        model.initialize(str(path))
        seconds = time.perf_counter() - begin
        limited = attempt == "later"
        report.row(
            f"initialize 10,000 catchments, {attempt}",
            f"{seconds:.2f} s",
            "",
            limit="<= 2 s" if limited else "",
            kept=not limited or seconds <= 2.0,
        )


# A first run in a process of its own: processor time of the first coupled step.
FIRST = """
import sys, time
import numpy as np
from bmi_dhydro import BmiDhydro
model = BmiDhydro()
model.initialize(sys.argv[1])
for name in list(model.get_input_var_names())[:3]:
    model.set_value(name, np.array([1.0]))
before = time.process_time()
model.update()
print(time.process_time() - before)
"""


def first_steps(report: Report, folder: Path) -> None:
    """Measure the first coupled step of a process, with kernels to compile and without."""
    for trained in ("fast", "default"):
        config = write_example(folder / f"first_{trained}", 1, 10, "1d", "host", model=trained)
        seconds: dict[str, list[float]] = {"compiled anew": [], "compiled before": []}
        for attempt in range(3):
            cache = str(folder / f"cache_{trained}_{attempt}")
            for times in seconds.values():
                text = subprocess.run(
                    [sys.executable, "-c", FIRST, str(config)],
                    env={**os.environ, "BMI_DHYDRO_CACHE_DIR": cache},
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                times.append(float(text))
        warm = sorted(seconds["compiled before"])[1]
        for kind, times in seconds.items():
            middle = sorted(times)[1]
            limited = kind == "compiled anew"
            report.row(
                f"{trained}, first coupled step, {kind}",
                f"{middle:.2f} s of a processor",
                f"{middle / warm:.1f} x compiled before",
                limit="<= 2 s" if limited else "",
                kept=not limited or middle <= 2.0,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    check = parser.parse_args().check
    report = Report(
        f"HBV, {PARAMETER_SETS} parallel parameter sets, float32",
        ("", "measured", "against reference", "limit"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        single_catchment(report, folder)
        coupled_models(report, folder)
        for catchments in (1_000, 10_000):
            many_catchments(report, catchments)
        other_steps(report, 10_000)
        moving_parameters(report)
        memory(report)
        start_up(report, folder)
        first_steps(report, folder)
    report.finish(check)


if __name__ == "__main__":
    main()
