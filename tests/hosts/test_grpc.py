"""Through grpc4bmi: the component in a server process, driven by its client."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example

grpc = pytest.importorskip("grpc", reason="needs grpcio")
client_module = pytest.importorskip("grpc4bmi.bmi_grpc_client", reason="needs grpc4bmi")

# Making the server's process import everything takes a while on a busy machine.
PATIENCE = 60.0


@pytest.fixture
def remote():
    """A client of a server process of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    folder = str(Path(sys.executable).parent)
    program = shutil.which("run-bmi-server", path=folder) or "run-bmi-server"
    server = subprocess.Popen(
        [program, "--name", "bmi_dhydro.BmiDhydro", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    channel = grpc.insecure_channel(f"localhost:{port}")
    try:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
        yield client_module.BmiClient(channel)
    finally:
        channel.close()
        server.terminate()
        server.wait(timeout=10)


@pytest.mark.parametrize("catchments", [1, 5])
def test_a_remote_host_sees_what_a_local_one_does(tmp_path, remote, catchments):
    path = str(write_example(tmp_path / "case", catchments, 40, "1h", "host"))
    local = BmiDhydro()
    assert remote.get_output_var_names() == local.get_output_var_names()
    for model in (remote, local):
        model.initialize(path)
    names = local.get_input_var_names()
    assert remote.get_input_var_names() == names
    random = np.random.default_rng(0)
    for _ in range(30):
        rain, heat = random.gamma(0.3, 2.0, catchments), random.normal(8.0, 4.0, catchments)
        for model in (remote, local):
            for name, values in zip(names, (rain, heat, np.full(catchments, 0.1)), strict=True):
                model.set_value(name, values)
            model.update()
    cells = local.get_grid_size(local.get_var_grid("soil_moisture"))
    for model in (remote, local):
        model.set_value("soil_moisture", np.linspace(20.0, 90.0, cells))
        model.set_value("FC", np.linspace(120.0, 300.0, catchments))
        model.set_value_at_indices(names[0], np.array([0]), np.array([6.5]))
        model.update_until(40 * 3600.0)
    for name in (
        *local.get_output_var_names(),
        *names,
        "soil_moisture",
        "K1",
        "FC",
        "melt",
        "area",
    ):
        for question in ("units", "type", "itemsize", "nbytes", "location", "grid"):
            ask = f"get_var_{question}"
            assert getattr(remote, ask)(name) == getattr(local, ask)(name), (ask, name)
        there, here = (
            model.get_value(name, np.empty(model.get_grid_size(model.get_var_grid(name))))
            for model in (remote, local)
        )
        assert np.array_equal(there, here), name
        grid = local.get_var_grid(name)
        assert remote.get_grid_type(grid) == local.get_grid_type(grid)
        assert remote.get_grid_rank(grid) == local.get_grid_rank(grid)
    if catchments > 1:
        for axis in ("x", "y"):
            coordinates = [
                getattr(model, f"get_grid_{axis}")(0, np.empty(catchments))
                for model in (remote, local)
            ]
            assert np.array_equal(*coordinates)
    assert remote.get_current_time() == local.get_current_time() == 40 * 3600.0
    assert remote.get_time_units() == "s"
    for model in (remote, local):
        model.finalize()


def test_errors_reach_the_client(tmp_path, remote):
    """In the words of the component, and the server lives on."""
    with pytest.raises(Exception, match="no such configuration|nowhere.yaml"):
        remote.initialize(str(tmp_path / "nowhere.yaml"))
    remote.initialize(str(write_example(tmp_path / "case", 1, 40, "1d", "host")))
    begin = time.monotonic()
    with pytest.raises(Exception, match="variable 'snow' is unknown"):
        remote.get_var_units("snow")
    temperature = remote.get_input_var_names()[1]
    with pytest.raises(Exception, match="cannot be 500 degC for catchment"):
        remote.set_value(temperature, np.array([500.0]))
    remote.update()
    assert time.monotonic() - begin < PATIENCE
