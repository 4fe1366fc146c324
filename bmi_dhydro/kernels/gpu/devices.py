"""Which GPUs a configuration means."""

from __future__ import annotations

import os

import torch

from ...errors import ConfigError

# Where launchers say which of the processes of a machine this one is.
LOCAL_RANKS = (
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
    "PMI_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
)


# Older ones of triton get loops wrong whose length a kernel reads from memory.
OLDEST_TRITON = (3, 2)


def has_gpu() -> bool:
    """Return whether torch can use a GPU here."""
    return torch.cuda.is_available() and torch.cuda.device_count() > 0


def triton_problem() -> str | None:
    """Return what is wrong with triton here, if anything is."""
    wanted = ".".join(map(str, OLDEST_TRITON))
    try:
        import triton  # type: ignore[import-untyped]
    except ImportError:
        return f'triton is not installed; pip install "triton>={wanted}"'
    found = tuple(int(part) for part in triton.__version__.split(".")[:2])
    if found < OLDEST_TRITON:
        return f'triton {triton.__version__} is too old; pip install "triton>={wanted}"'
    return None


def devices_of(name: str) -> list[torch.device]:
    """Return the devices of a configuration.

    Parameters
    ----------
    name : str
        `cuda`: the GPU of this process' rank on its machine, as the launcher says; `cuda:n`;
        `cuda:n,m,...`: several, that share the catchments; `cuda:all`.

    Raises
    ------
    ConfigError
        If there is no such GPU, or triton is missing.
    """
    if not has_gpu():
        raise ConfigError(
            f"device: {name!r} needs a GPU that torch can use, and there is none (torch "
            f"{torch.__version__}); write 'cpu', or install a torch with CUDA"
        )
    problem = triton_problem()
    if problem is not None:
        raise ConfigError(f"device: {name!r}: {problem}")
    count, chosen = torch.cuda.device_count(), name.partition(":")[2]
    if not chosen:
        rank = next((int(os.environ[key]) for key in LOCAL_RANKS if key in os.environ), 0)
        return [torch.device("cuda", rank % count)]
    numbers = list(range(count)) if chosen == "all" else [int(n) for n in chosen.split(",")]
    if max(numbers) >= count:
        raise ConfigError(f"device: {name!r}: there are GPUs 0 to {count - 1}")
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"device: {name!r} names a GPU twice")
    return [torch.device("cuda", number) for number in numbers]
