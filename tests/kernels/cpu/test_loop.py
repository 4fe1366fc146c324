"""Code for lanes covers every number of parameter sets once; threads divide catchments."""

import numpy as np
import pytest

from bmi_dhydro.kernels.cpu.loop import CELLS_WORTH_THREADS, CompiledLoop, LoopSource, over_lanes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 15, 16, 23, 64, 100])
def test_every_lane_is_covered_once(count, dtype):
    covered: list[int] = []
    lines = over_lanes(count, dtype, lambda lanes: [f"covered.extend(range(m, m + {lanes}))"])
    exec("\n".join(lines), {"covered": covered})
    assert covered == list(range(count))


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_threads_divide_the_catchments(threads):
    source = LoopSource(
        "Counts", float, "values", ["for c in range(start, stop):", "    values[c] += c"]
    )
    loop = CompiledLoop(source, "loop_of_a_test")
    for catchments in (1, 2, 7, 50):
        values = np.zeros(catchments)
        loop(catchments, CELLS_WORTH_THREADS, threads, values)
        assert values.tolist() == list(range(catchments))
