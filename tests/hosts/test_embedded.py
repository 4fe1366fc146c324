"""The component inside a C++ process with a netCDF library of its own, as in the NextGen engine."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.hosts.replay import Engine
from tests.hosts.test_ngen import IDS, inputs, package  # noqa: F401

SOURCE = Path(__file__).with_name("engine.cpp")
STEPS = 48


def flags(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.split() if result.returncode == 0 else None


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The compiled host."""
    pybind11 = pytest.importorskip("pybind11", reason="needs pybind11")
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler (g++)")
    netcdf = flags("pkg-config", "--cflags", "--libs", "netcdf")
    if netcdf is None:
        pytest.skip("needs the system's netCDF with its headers (libnetcdf-dev, pkg-config)")
    library, folder = sysconfig.get_config_var("LDVERSION"), sysconfig.get_config_var("LIBDIR")
    if not any(Path(folder).glob(f"libpython{library}.*")):
        pytest.skip(f"needs libpython{library} in {folder} to embed Python")
    program = tmp_path_factory.mktemp("host") / "engine"
    command = [
        "g++",
        "-std=c++17",
        "-O1",
        "-fvisibility=hidden",
        str(SOURCE),
        "-o",
        str(program),
        f"-I{pybind11.get_include()}",
        f"-I{sysconfig.get_path('include')}",
        *netcdf,
        f"-L{folder}",
        f"-Wl,-rpath,{folder}",
        f"-lpython{library}",
    ]
    subprocess.run(command, check=True)
    return program


def run(host, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment["PYTHONHOME"] = sys.base_prefix
    result = subprocess.run(
        [str(host), str(folder), str(STEPS), *IDS],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    totals = dict(line.split() for line in result.stdout.splitlines())
    return np.array([float(totals[name]) for name in IDS])


@pytest.mark.parametrize("fleet", [False, True])
def test_nothing_crashes_and_results_are_those_of_python(host, package, fleet):  # noqa: F811
    folder = package(fleet=fleet)
    expected = Engine(folder, IDS).advance(STEPS).sum(axis=0)
    np.testing.assert_allclose(run(host, folder), expected, rtol=1e-9)
