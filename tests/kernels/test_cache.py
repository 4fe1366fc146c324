import os
import stat
import subprocess
import sys
import textwrap

import pytest

from bmi_dhydro.kernels import cache

PROGRAM = textwrap.dedent(
    """
    import numpy as np
    from bmi_dhydro.kernels.interface import Ring, StepBlock
    from bmi_dhydro.kernels.cpu.kernel import CpuKernel
    from bmi_dhydro.physics import HBV
    kernel = CpuKernel(HBV, ("discharge",), 2, "float32")
    kernel.run(StepBlock(
        np.ones((1, 3, 1), "f4"), np.ones((1, 14, 2), "f4"), np.ones((5, 1, 2), "f4"),
        Ring(np.ones((1, 1), "f4"), np.zeros((1, 1), "f4"), np.ones(1, "i4")),
        np.ones((1, 1, 1), "f4"),
    ))
    print(sum(kernel._serial.stats.cache_hits.values()))
    """
)


def hits(folder, **environment):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, cache.CACHE_VARIABLE: str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


def test_a_second_process_finds_kernels_compiled(tmp_path):
    folder = tmp_path / "new" / "folder"
    assert hits(folder) == 0
    assert hits(folder) == 1


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert hits(tmp_path / "file" / "below") == 0


def test_a_read_only_folder_is_no_error(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert hits(tmp_path) == 0
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_the_variable_decides_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    assert cache.cache_folder() == tmp_path
    monkeypatch.delenv(cache.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert cache.cache_folder() == tmp_path / "bmi_dhydro"
