"""Which GPUs a configuration means."""

from __future__ import annotations

import os

import torch

from ..errors import ConfigError

# Where launchers say which of the processes of a machine this one is.
LOCAL_RANKS = (
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
    "PMI_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
)


def has_gpu() -> bool:
    """Return whether torch can use a GPU here."""
    return torch.cuda.is_available() and torch.cuda.device_count() > 0


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
        If there is no such GPU.
    """
    if not has_gpu():
        raise ConfigError(
            f"device: {name!r} needs a GPU that torch can use, and there is none (torch "
            f"{torch.__version__}); write 'cpu', or install a torch with CUDA"
        )
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
