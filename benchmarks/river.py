"""How many routing steps of reaches a second: Muskingum-Cunge and linear, on two threads.

    python benchmarks/river.py [NETWORK] [--fortran FOLDER] [--check]

NETWORK is a table of reaches with `lateral_inflow` and `initial_flow` (NetCDF); a made-up one,
unless given. It is repeated to 100,000 reaches. FOLDER holds the kernel of the National Water Model
(MCsingleSegStime_f2py_NOLOOP.f90 and varPrecision.f90 of NOAA-OWP/t-route), which is compiled and
timed beside ours where there is a gfortran. With --check it ends with 1 where a limit of the
project is missed, and says which.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import xarray
from table import Report

from bmi_dhydro.physics import REACH_PROCESSES
from bmi_dhydro.river.differentiable import route
from bmi_dhydro.river.network import Network
from bmi_dhydro.river.river import River

REACHES, THREADS, HOURS = 100_000, 2, 12

# Calls the kernel for every reach, in the order in which water runs.
DRIVER = """
subroutine network(n, nt, nsub, order, down, geo, ql, flow, depth, dt) bind(c)
 use iso_c_binding
 use precis
 use muskingcunge_module
 integer(c_int), value :: n, nt, nsub
 real(c_float), value :: dt
 integer(c_int) :: order(n), down(n)
 real(c_float) :: geo(n,8), ql(n,nt), flow(n), depth(n)
 real(prec) :: qup(n), quc(n), old(n), vel, qdc, velc, depthc, ck, cn, X
 integer :: t, s, k, i, j
 vel = 0
 do t = 1, nt
  do s = 1, nsub
   old = flow; qup = 0; quc = 0
   do k = 1, n
    if (down(k) > 0) qup(down(k)) = qup(down(k)) + old(k)
   end do
   do k = 1, n
    i = order(k)
    call muskingcungenwm(dt, qup(i), quc(i), old(i), ql(i,t), geo(i,1), geo(i,2), geo(i,3), &
     geo(i,4), geo(i,5), geo(i,6), geo(i,7), geo(i,8), vel, depth(i), qdc, velc, depthc, ck, cn, X)
    flow(i) = qdc; depth(i) = depthc
    j = down(i)
    if (j > 0) quc(j) = quc(j) + qdc
   end do
  end do
 end do
end subroutine network
"""


def made_up(reaches: int = 3500) -> tuple[Network, np.ndarray, np.ndarray]:
    """Return a random river, its lateral inflow (hours, reaches) and initial flow."""
    random = np.random.default_rng(0)
    to = np.array([0, *(random.integers(max(0, k - 40), k) + 1 for k in range(1, reaches))])
    area = np.ones(reaches)
    for k in range(reaches - 1, 0, -1):
        area[to[k] - 1] += area[k]
    width = 2.0 * area**0.4
    parameters = {
        "length": random.uniform(300.0, 4000.0, reaches),
        "bottom_width": width,
        "top_width": 1.6 * width,
        "floodplain_width": 5.0 * width,
        "manning_n": random.uniform(0.04, 0.07, reaches),
        "floodplain_manning_n": random.uniform(0.08, 0.14, reaches),
        "side_slope": random.uniform(0.2, 1.2, reaches),
        "slope": 10.0 ** random.uniform(-4.0, -2.0, reaches),
    }
    lateral = random.gamma(0.5, 0.04, (HOURS, reaches))
    return Network.of(np.arange(1, reaches + 1), to, parameters), lateral, 0.02 * area


def read(path: Path) -> tuple[Network, np.ndarray, np.ndarray]:
    """Return a river of a file, its lateral inflow and initial flow."""
    with xarray.open_dataset(path) as data:
        names = [p.name for p in REACH_PROCESSES["muskingum_cunge"].parameters]
        network = Network.of(data["reach"], data["to"], {n: data[n].values for n in names})
        lateral = data["lateral_inflow"].values[:HOURS].astype(float)
        return network, lateral, data["initial_flow"].values.astype(float)


def repeated(network: Network, times: int) -> Network:
    """Return a network of so many equal rivers, each with waves of its own speed and weight."""
    size = len(network)
    first = np.repeat(np.arange(times) * size, size)
    to = np.tile(network.to, times)
    parameters = {name: np.tile(values, times) for name, values in network.parameters.items()}
    parameters["celerity"] = np.full(size * times, 1.0)
    parameters["weight"] = np.full(size * times, 0.2)
    return Network(
        np.arange(size * times).astype(str), np.where(to >= 0, to + first, -1), parameters
    )


def seconds_of(river: River, lateral: np.ndarray, flow: np.ndarray) -> float:
    """Return the shortest of three runs from the same state."""
    river.set_flow(flow)
    river.run(lateral[:1])
    times = []
    for _ in range(3):
        river.set_flow(flow)
        begin = time.perf_counter()
        river.run(lateral)
        times.append(time.perf_counter() - begin)
    return min(times)


def fortran(folder: Path, network: Network, lateral: np.ndarray, flow: np.ndarray) -> float | None:
    """Return the seconds of the National Water Model's kernel, None where it cannot be compiled."""
    sources = [folder / name for name in ("varPrecision.f90", "MCsingleSegStime_f2py_NOLOOP.f90")]
    if shutil.which("gfortran") is None or not all(path.exists() for path in sources):
        return None
    with tempfile.TemporaryDirectory() as work:
        driver = Path(work) / "driver.f90"
        driver.write_text(DRIVER)
        options = ["-O3", "-march=native", "-shared", "-fPIC", "-ffree-line-length-none"]
        subprocess.run(
            ["gfortran", *options, *map(str, sources), str(driver), "-o", f"{work}/kernel.so"],
            check=True,
            cwd=work,
            capture_output=True,
        )
        library = ctypes.CDLL(f"{work}/kernel.so")
    arrays = [
        (network.order + 1).astype(np.int32),
        (network.to + 1).astype(np.int32),
        np.asfortranarray(
            network.parameters_of(REACH_PROCESSES["muskingum_cunge"]).T.astype(np.float32)
        ),
        np.asfortranarray(lateral.T.astype(np.float32)),
        flow.astype(np.float32),
        np.zeros(len(network), np.float32),
    ]
    pointers = [values.ctypes.data_as(ctypes.c_void_p) for values in arrays]
    begin = time.perf_counter()
    library.network(len(network), len(lateral), 12, *pointers, ctypes.c_float(300.0))
    return time.perf_counter() - begin


def coupled(network: Network) -> float:
    """Return the seconds of a step of 100 reaches: set lateral inflow, update, get flow."""
    import csv

    from bmi_dhydro import BmiRiver

    with tempfile.TemporaryDirectory() as folder:
        few = network.subset(network.order[:100])
        names = [p.name for p in REACH_PROCESSES["muskingum_cunge"].parameters]
        with open(f"{folder}/rivers.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "to", *names])
            for k, name in enumerate(few.ids):
                below = few.ids[few.to[k]] if few.to[k] >= 0 else ""
                table.writerow([name, below, *(few.parameters[n][k] for n in names)])
        Path(f"{folder}/river.yaml").write_text(
            "network: rivers.csv\ntime: {step: 5min}\ndtype: float32\ninitial_flow: 0.5\n"
        )
        river = BmiRiver()
        river.initialize(f"{folder}/river.yaml")
        given, (wanted, *_) = river.get_input_var_names()[0], river.get_output_var_names()
        lateral, flow = np.full(100, 0.01), np.empty(100)
        times = []
        for _ in range(20):
            begin = time.perf_counter()
            for _ in range(100):
                river.set_value(given, lateral)
                river.update()
                river.get_value(wanted, flow)
            times.append((time.perf_counter() - begin) / 100)
        return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", type=Path)
    parser.add_argument("--fortran", type=Path, metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    options = parser.parse_args()
    one, lateral, flow = made_up() if options.network is None else read(options.network)
    times = -(-REACHES // len(one))
    many = repeated(one, times)
    inflow, start = np.tile(lateral, times).astype(np.float32), np.tile(flow, times)
    reach_steps = len(many) * len(lateral) * 12

    report = Report(
        f"{len(many):,} reaches, {len(lateral)} hours of 12 routing steps, float32, "
        f"{THREADS} threads",
        ("", "million reach-steps a second", "ratio", ""),
    )
    found = {}
    for process, least in (
        ("muskingum_cunge", 12.0),
        ("muskingum_cunge_nwm", 12.0),
        ("linear", 100.0),
    ):
        rivers = [River(many, process, threads=count) for count in (THREADS, 1)]
        both, alone = (seconds_of(river, inflow, start) for river in rivers)
        found[process] = both
        rate = reach_steps / both / 1e6
        report.row(
            process,
            f"{rate:.1f}",
            f"{alone / both:.2f} x one thread",
            limit=f">= {least:g}",
            kept=rate >= least,
        )
    baseline = None if options.fortran is None else fortran(options.fortran, many, inflow, start)
    if baseline is None:
        report.row("kernel of the National Water Model", "not compiled", "")
    else:
        ratio = baseline / found["muskingum_cunge"]
        rate = reach_steps / baseline / 1e6
        report.row("kernel of the National Water Model, one core", f"{rate:.1f}", f"{ratio:.1f} x")
    quarter = repeated(one, max(1, times // 4))
    few = River(quarter, threads=THREADS)
    size = len(quarter)
    short = seconds_of(few, inflow[:, :size], start[:size])
    growth = found["muskingum_cunge"] / short / (len(many) / size)
    report.row(
        f"of {size:,} reaches",
        "",
        f"{growth:.2f} x the time of a reach",
        limit="<= 1.3",
        kept=growth <= 1.3,
    )
    given = torch.from_numpy(np.ascontiguousarray(inflow[:, :size])).requires_grad_()
    few.set_flow(start[:size])
    route(few, given[:1]).flow.sum().backward()
    begin = time.perf_counter()
    route(few, given).flow.square().mean().backward()
    ratio = (time.perf_counter() - begin) / short
    report.row(
        "forward and backward", "", f"{ratio:.1f} x forward", limit="<= 5", kept=ratio <= 5.0
    )
    step = coupled(one) * 1e6
    report.row(
        "a coupled step of 100 reaches", f"{step:.0f} us", "", limit="<= 25 us", kept=step <= 25.0
    )
    report.finish(options.check)


if __name__ == "__main__":
    main()
