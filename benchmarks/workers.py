"""What a second worker brings to a run: one table.

    python benchmarks/workers.py [--check]

Each worker has one thread. With --check it ends with 1 where a limit of the project is missed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

from table import Report

CATCHMENTS, DAYS = 2000, 3653


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    check = parser.parse_args().check
    # Workers are started from this process, and share what is set here.
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    import distributed

    from bmi_dhydro.cli.example import write_example
    from bmi_dhydro.run.divided_run import run_divided
    from bmi_dhydro.run.workers import workers

    warnings.simplefilter("ignore")
    report = Report(
        f"{CATCHMENTS} catchments, {DAYS} days, files included",
        ("", "measured", "against one worker", "limit"),
    )
    with tempfile.TemporaryDirectory() as name:
        config = write_example(Path(name), CATCHMENTS, DAYS, "1d", "file")
        config.write_text(config.read_text() + "threads: 1\ndtype: float32\n")
        seconds = {}
        for count in (1, 2):
            with (
                distributed.LocalCluster(
                    n_workers=count, threads_per_worker=1, dashboard_address=":0", silence_logs=40
                ) as cluster,
                workers(count, cluster.scheduler_address) as (mapper, found),
            ):
                # The first run loads the package in the workers.
                for _ in range(2):
                    begin = time.perf_counter()
                    # As many parts for one worker as for two, so that the work is the same.
                    run_divided(config, Path(name) / "results.nc", mapper, 2)
                    seconds[count] = time.perf_counter() - begin
                assert found == count
        for count, took in seconds.items():
            gain = seconds[1] / took
            limited = count == 2
            report.row(
                f"{count} worker{'s' if count > 1 else ''}",
                f"{took:.1f} s",
                f"{gain:.2f} x",
                limit=">= 1.7 x" if limited else "",
                kept=not limited or gain >= 1.7,
            )
    report.finish(check)


if __name__ == "__main__":
    main()
