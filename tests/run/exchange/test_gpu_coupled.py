"""The parts of the exchange with a GPU that need none."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from bmi_dhydro.kernels.gpu.resident import Share
from bmi_dhydro.run.exchange.gpu_coupled import _copy, _Recorded, _runs
from tests.run.test_device import driven, started


def test_a_graph_is_captured_in_the_second_call_and_replayed_from_then_on(monkeypatch):
    """With a stand-in for CUDA graphs: a captured call does nothing, a replay does it."""
    capturing, done = [], []

    def function():
        (capturing[-1].calls if capturing else done).append("step")

    class Graph:
        def __init__(self):
            self.calls = []

        def replay(self):
            done.extend(self.calls)

    @contextmanager
    def graph(made, pool, capture_error_mode):
        assert pool == "pool"
        assert capture_error_mode == "thread_local"
        capturing.append(made)
        yield
        capturing.pop()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    step = _Recorded(function, torch.device("cuda", 0))
    for count in range(1, 5):
        step()
        assert done == ["step"] * count
    assert [made.calls for made in step._graphs.values()] == [["step"]]
    # Each phase of a day has a graph, and what is right for no later step has none.
    for count, phase in enumerate((None, 1, 2, 1, 2, None, 0), 5):
        step(phase)
        assert done == ["step"] * count
    assert sorted(step._graphs) == [0, 1, 2]


@pytest.mark.usefixtures("gpus")
def test_a_step_of_moving_parameters_knows_the_hour(many_host_example, dynamic_model):
    text = many_host_example.read_text().replace("model: fast", f"model: {dynamic_model} #")
    many_host_example.write_text(text.replace("step: 1d", "step: 6h"))
    model = started(many_host_example, "cuda")
    resident = model.component.exchange._devices[0]._resident
    # Nothing is known of the day before the first step, which no other is like.
    phases = []
    for step in range(6):
        phases.append(resident.phase)
        driven(model, step)
    assert phases == [None, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(("members", "first", "last"), [(1, 0, 7), (1, 2, 5), (3, 0, 7), (3, 2, 5)])
def test_traces_of_a_share_go_down_and_come_up(members, first, last):
    share = Share(slice(first, last), 7, members)
    columns = share.columns()
    own = last - first
    assert columns.size == members * own
    assert (columns.reshape(members, own) % 7 == np.arange(first, last)).all()
    runs = _runs(share.of(np.arange(7 * members), 0))
    # One copy where all columns are neighbours.
    assert len(runs) == (1 if members == 1 or own == 7 else members)
    host = np.random.default_rng(0).random(7 * members)
    device = torch.zeros(columns.size, dtype=torch.float64)
    _copy(device, host, runs, up=False)
    assert np.array_equal(device.numpy(), host[columns])
    back = np.zeros_like(host)
    _copy(device, back, runs, up=True)
    assert np.array_equal(back[columns], host[columns])
    assert np.count_nonzero(back) == columns.size
