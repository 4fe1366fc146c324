"""What a machine has decides how many threads start, and what is too large for it."""

import pytest

from bmi_dhydro import machine
from bmi_dhydro.errors import ConfigError


def test_no_more_threads_than_processors():
    count = machine.processors()
    assert count >= 1
    assert machine.threads_of(None) == count
    assert machine.threads_of(1) == 1
    assert machine.threads_of(10_000) == count


def test_what_does_not_fit_says_how_much_is_needed(monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: 8e9)
    machine.check_memory(7.9e9, "states")
    with pytest.raises(ConfigError, match=r"states need 12 GB of memory, .* has 8 GB; take fewer"):
        machine.check_memory(12e9, "states")


def test_a_limit_of_the_container_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text("123456789\n")
    monkeypatch.setattr(machine, "_LIMITS", (str(limit), str(tmp_path / "absent")))
    machine.memory.cache_clear()
    try:
        assert machine.memory() == 123456789.0
        limit.write_text("max\n")
        machine.memory.cache_clear()
        assert machine.memory() > 123456789.0
    finally:
        machine.memory.cache_clear()


@pytest.mark.parametrize("launcher", ["OMPI_COMM_WORLD", "PMI", "MV2_COMM_WORLD"])
def test_launchers_of_mpi_are_known(launcher, monkeypatch):
    for rank, size in machine._RANKS.items():
        monkeypatch.delenv(rank, raising=False)
        monkeypatch.delenv(size, raising=False)
    assert machine.rank_of_processes() == (0, 1)
    monkeypatch.setenv(f"{launcher}_RANK", "3")
    assert machine.rank_of_processes() == (0, 1)
    monkeypatch.setenv(f"{launcher}_SIZE", "4")
    assert machine.rank_of_processes() == (3, 4)
