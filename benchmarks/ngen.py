"""What the component costs inside the NextGen engine: one table, with limits.

    python benchmarks/ngen.py [--check] [--model default]

The calls are those of the engine for each catchment and step (see tests/hosts/replay.py), in
a plain loop; the baseline is a module that does nothing, called in the same way. Limits are those
of `fast`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from table import Report

from bmi_dhydro import BmiDhydro
from bmi_dhydro.hosts.package_options import PackageOptions
from bmi_dhydro.hosts.run_package import write_run_package
from bmi_dhydro.networks.shipped import SHIPPED
from bmi_dhydro.variables import INPUTS, OUTPUTS, inputs_for
from bmi_dhydro.weather.quantities import quantities_for

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "nextgen"))
from make_inputs import made_up_divides, write_climate, write_forcing, write_hydrofabric

# What a host sets: precipitation, temperature, and evapotranspiration or what it is computed from.
VALUES = {
    item.name: np.array([value])
    for item, value in zip(
        INPUTS, (0.3, 8.0, 0.1, 3.0, 14.0, 250.0, 320.0, 0.006, 98000.0, 2.0, -1.0), strict=True
    )
}
FEW = tuple(item.name for item in INPUTS[:3])
MANY = tuple(item.name for item in inputs_for(quantities_for("penman_monteith")))
TERMS = tuple(f"ngen::mass_{name}" for name in ("in", "out", "stored", "leaked"))
MAIN = OUTPUTS[0].name
INSTANCES = 200
FIRST = np.array([0], np.int32)

_START_UP = """
import sys, time
from bmi_dhydro import BmiDhydro
models, times, resident = [], [], []
for number in range(1, int(sys.argv[2]) + 1):
    begin = time.perf_counter()
    model = BmiDhydro()
    model.initialize(f"{sys.argv[1]}/config/cat_config/DHYDRO/cat-{number}.yml")
    times.append(time.perf_counter() - begin)
    models.append(model)
    if number in (100, int(sys.argv[2])):
        resident.append(int(next(x for x in open("/proc/self/status") if "VmRSS" in x).split()[1]))
print((resident[1] - resident[0]) / (int(sys.argv[2]) - 100))
print(sorted(times[1:])[len(times) // 2] * 1e3)
"""


_STEPPED = """
import sys
from bmi_dhydro import BmiDhydro
models = []
for number in range(1, int(sys.argv[2]) + 1):
    model = BmiDhydro()
    model.initialize(f"{sys.argv[1]}/config/cat_config/DHYDRO/cat-{number}.yml")
    models.append(model)
for _ in range(48):
    for model in models:
        model.update()
print(int(next(x for x in open("/proc/self/status") if "VmRSS" in x).split()[1]))
"""


class Nothing:
    """A module that answers what the engine asks, and computes nothing."""

    names: tuple[str, ...] = (MAIN,)

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.inputs = inputs
        self._time = 0.0
        self._values = {name: np.zeros(1) for name in (*self.names, *self.inputs)}

    def get_current_time(self) -> float:
        return self._time

    def get_time_step(self) -> float:
        return 3600.0

    def get_input_var_names(self) -> tuple[str, ...]:
        return self.inputs

    def get_output_var_names(self) -> tuple[str, ...]:
        return self.names

    def get_input_item_count(self) -> int:
        return len(self.inputs)

    def get_output_item_count(self) -> int:
        return len(self.names)

    def get_var_type(self, name: str) -> str:
        return "float64"

    def get_var_itemsize(self, name: str) -> int:
        return 8

    def get_var_nbytes(self, name: str) -> int:
        return 8

    def get_var_units(self, name: str) -> str:
        return "m"

    def set_value(self, name: str, src: np.ndarray) -> None:
        self._values[name][:] = src

    def update(self) -> None:
        self._time += 3600.0

    def get_value_at_indices(self, name: str, dest: np.ndarray, inds: np.ndarray) -> np.ndarray:
        dest[:] = self._values[name][inds]
        return dest


def engine_step(model: Any, dest: np.ndarray) -> None:
    """Make the calls of one catchment and step, as they were counted in the engine (dd04bbcc9).

    Metadata of inputs are cached; the main output is read for the nexus and for the table of the
    catchment, as packages have it.
    """
    model.get_current_time()
    model.get_current_time()
    for name in model.get_input_var_names():
        # Asked in each step, whatever the cache of metadata.
        model.get_var_itemsize(name)
        model.get_var_type(name)
        model.get_var_itemsize(name)
        model.get_var_nbytes(name)
        model.set_value(name, VALUES[name])
    model.get_time_step()
    model.update()
    for _ in range(2):
        model.get_output_item_count()
        model.get_output_var_names()
        model.get_var_type(MAIN)
        model.get_var_type(MAIN)
        model.get_var_type(MAIN)
        model.get_var_itemsize(MAIN)
        model.get_var_itemsize(MAIN)
        model.get_input_item_count()
        model.get_input_var_names()
        model.get_value_at_indices(MAIN, dest, FIRST)
        model.get_var_units(MAIN)


def balance(model: Any) -> None:
    """Make the calls of the mass balance protocol after a step."""
    for name in TERMS:
        model.get_value_ptr(name)


def balanced_step(model: Any) -> None:
    """Do a step, and ask for its balance."""
    model.update()
    balance(model)


def microseconds(
    steps: int, *measured: tuple[list[Any], Callable[[Any], object]]
) -> tuple[float, ...]:
    """Return the time of one call for each of some pairs of models and what is called.

    All models are stepped in turn, and the pairs too, so that they meet the same machine; the lower
    quartile over steps, since others use it.
    """
    times: list[list[float]] = [[] for _ in measured]
    for _ in range(steps):
        for (models, call), taken in zip(measured, times, strict=True):
            begin = time.perf_counter()
            for model in models:
                call(model)
            taken.append((time.perf_counter() - begin) / len(models))
    return tuple(sorted(taken)[steps // 4] * 1e6 for taken in times)


def opened(folder: Path, count: int) -> list[BmiDhydro]:
    models = []
    for number in range(1, count + 1):
        model = BmiDhydro()
        model.initialize(str(folder / "config" / "cat_config" / "DHYDRO" / f"cat-{number}.yml"))
        models.append(model)
    return models


def resident_kilobytes() -> float:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return float(line.split()[1])


def stepping(report: Report, computed: Path, coupled: Path, fleet: Path) -> None:
    dest = np.zeros(1)

    def all_calls(model: Any) -> None:
        engine_step(model, dest)

    def against_nothing(name: str, models: list[Any], inputs: tuple[str, ...], most: float) -> None:
        """Add rows of a module that does nothing, and of ours."""
        idle: list[Any] = [Nothing(inputs) for _ in range(INSTANCES)]
        nothing, ours = microseconds(200, (idle, all_calls), (models, all_calls))
        row_name = f"a module that does nothing, {len(inputs)} inputs, all calls"
        report.row(row_name, f"{nothing:.2f} us", "1.0 x")
        row(report, name, ours, nothing, most)

    def balance_alone(name: str, models: list[Any]) -> float:
        """Add a row of the mass balance; return the time of an update."""
        alone, balanced = microseconds(200, (models, lambda m: m.update()), (models, balanced_step))
        row(report, name, balanced - alone, 0.0, 4.0)
        return alone

    eight = opened(computed, INSTANCES)
    against_nothing(f"computed, {len(MANY)} inputs, all calls", eight, MANY, 12.0)
    models = opened(coupled, INSTANCES)
    against_nothing(f"coupled, {len(FEW)} inputs, all calls", models, FEW, 12.0)
    alone = balance_alone("coupled, mass balance of a step", models)
    row(report, "coupled, update alone", alone, 0.0, 6.0)
    before = resident_kilobytes()
    for _ in range(10_000 // 20):
        for model in models[:20]:
            engine_step(model, dest)
    grown = resident_kilobytes() - before
    report.row(
        "memory after 10,000 more steps", f"{grown:+.0f} kB", "", limit="flat", kept=grown < 1024
    )
    together = opened(fleet, INSTANCES)
    against_nothing("fleet, all calls, engine included", together, (), 6.0)
    balance_alone("fleet, mass balance of a step", together)


def row(report: Report, name: str, ours: float, baseline: float, limit: float) -> None:
    """Add a row; the limit is on what is more than the baseline."""
    ratio = f"{ours / baseline:.1f} x" if baseline else ""
    above = ours - baseline
    said = f"<= {limit:g} us" + (" above it" if baseline else "")
    report.row(name, f"{ours:.2f} us", ratio, limit=said, kept=above <= limit)


def starting(report: Report, coupled: Path, fleet: Path) -> None:
    for name, folder in (("coupled", coupled), ("fleet", fleet)):
        begin = time.perf_counter()
        result = subprocess.run(
            [sys.executable, "-c", _START_UP, str(folder), "1000"],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - begin
        memory, each = (float(line) for line in result.stdout.split())
        report.row(
            f"{name}, initialize of one more instance",
            f"{each:.2f} ms",
            "",
            limit="<= 3 ms",
            kept=each <= 3.0,
        )
        report.row(
            f"{name}, 1,000 instances from the start of the process",
            f"{seconds:.1f} s",
            "",
            limit="<= 4 s",
            kept=seconds <= 4.0,
        )
        report.row(
            f"{name}, memory of one more instance",
            f"{memory:.0f} kB",
            "",
            limit="<= 60 kB",
            kept=memory <= 60.0,
        )


def stepped(report: Report, fleet: Path) -> None:
    """Add the row of the memory of a fleet that has been stepped."""
    few, many = (
        float(
            subprocess.run(
                [sys.executable, "-c", _STEPPED, str(fleet), str(count)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for count in (200, 1000)
    )
    memory = (many - few) / 800
    report.row(
        "fleet, memory of one more instance after stepping",
        f"{memory:.0f} kB",
        "",
        limit="<= 40 kB",
        kept=memory <= 40.0,
    )


def package(report: Report, folder: Path, model: str) -> None:
    divides = made_up_divides(10_000)
    write_hydrofabric(folder / "many.gpkg", divides)
    write_forcing(folder / "many.nc", divides, 2, 0)
    write_climate(folder / "many.csv", divides, 0)
    begin = time.perf_counter()
    options = PackageOptions(model=model, climate=folder / "many.csv")
    write_run_package(folder / "many.gpkg", folder / "many.nc", folder / "run", options)
    seconds = time.perf_counter() - begin
    report.row(
        "run package of 10,000 divides",
        f"{seconds:.1f} s",
        "",
        limit="<= 20 s",
        kept=seconds <= 20.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    parser.add_argument("--model", default="fast", choices=list(SHIPPED))
    wanted = parser.parse_args()
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    report = Report(
        f"One catchment per instance, `{wanted.model}`, float64, hourly",
        ("", "measured", "against nothing", "limit"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        divides = made_up_divides(1000)
        write_hydrofabric(folder / "h.gpkg", divides)
        write_forcing(folder / "f.nc", divides, 30, 0)
        write_climate(folder / "c.csv", divides, 0)
        common = PackageOptions(model=wanted.model, climate=folder / "c.csv", spin_up=0)
        packages = {
            "coupled": common,
            "computed": replace(common, evapotranspiration="computed"),
            "fleet": replace(common, fleet=True),
        }
        for name, options in packages.items():
            write_run_package(folder / "h.gpkg", folder / "f.nc", folder / name, options)
        stepping(report, *(folder / name for name in ("computed", "coupled", "fleet")))
        starting(report, folder / "coupled", folder / "fleet")
        stepped(report, folder / "fleet")
        package(report, folder, wanted.model)
    report.finish(wanted.check)


if __name__ == "__main__":
    main()
