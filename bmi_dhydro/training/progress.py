"""What a training run has to remember to go on exactly, and the file that it is kept in."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..errors import TrainingError
from ..files.arrays import ArrayFormat

_log = logging.getLogger(__name__)

FORMAT = ArrayFormat(
    "bmi_dhydro training progress", "progress of training", 1, 1, TrainingError, TrainingError
)

# Before the names of what is in a file.
_WEIGHTS, _MOMENTS, _BEST, _AVERAGES = "weights.", "moments.", "best.", "averages."


@dataclass
class Progress:
    """What a training run has to remember to go on exactly.

    Attributes
    ----------
    batch : int
        Batches done.
    weights : dict of Tensor
    moments : dict of Tensor
        Moments of the optimiser, by `weight/moment`.
    losses : list of float
        Losses of each batch.
    scores : list of (int, float)
        Batch and median NSE of each validation.
    best : dict of Tensor
        Weights of the best validation; empty where there was none.
    averages : dict of Tensor
        Moving averages of the weights; empty where none are kept.
    """

    batch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, Tensor] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    averages: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        tables = (
            (_WEIGHTS, self.weights),
            (_MOMENTS, self.moments),
            (_BEST, self.best),
            (_AVERAGES, self.averages),
        )
        arrays = {
            prefix + name: value.numpy()
            for prefix, table in tables
            for name, value in table.items()
        }
        metadata = {
            "batch": str(self.batch),
            "losses": json.dumps(self.losses),
            "scores": json.dumps(self.scores),
        }
        FORMAT.save(path, arrays, metadata)

    @classmethod
    def read(cls, path: Path) -> Progress:
        """Read what `save` has written.

        Raises
        ------
        TrainingError
            If the file is damaged, or not one of progress.
        """
        arrays, metadata = FORMAT.read(path)
        FORMAT.check_finite(arrays, str(path))

        def table(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): torch.tensor(values)
                for name, values in arrays.items()
                if name.startswith(prefix)
            }

        try:
            return cls(
                int(metadata["batch"]),
                table(_WEIGHTS),
                table(_MOMENTS),
                [float(value) for value in json.loads(metadata["losses"])],
                [(int(batch), float(score)) for batch, score in json.loads(metadata["scores"])],
                table(_BEST),
                table(_AVERAGES),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise TrainingError(f"{path}: not whole progress of training ({error!r})") from None

    @classmethod
    def read_older(cls, path: Path) -> Progress:
        """Read a `.pt` file, as earlier versions have written it; errors as `read`."""
        _log.warning("%s: is of an older version, without a digest", path)
        try:
            return cls(**torch.load(path, weights_only=True))
        except Exception as error:  # torch raises many kinds
            raise TrainingError(f"{path}: progress cannot be read ({error})") from None

    def check_against(self, weights: Mapping[str, Tensor], batches: int) -> None:
        """Refuse progress of another network.

        Parameters
        ----------
        weights : mapping of Tensor
            Weights of the network that is to go on.
        batches : int
            That training has.

        Raises
        ------
        TrainingError
            If names or shapes differ, or there are more batches.
        """
        expected = {name: tuple(value.shape) for name, value in weights.items()}
        for what, table in (
            ("weights", self.weights),
            ("best weights", self.best),
            ("averages of weights", self.averages),
        ):
            found = {name: tuple(value.shape) for name, value in table.items()}
            if (found or what == "weights") and found != expected:
                raise TrainingError(f"{what} of another network than that of the configuration")
        for key, value in self.moments.items():
            name = key.rsplit("/", 1)[0]
            if name not in expected or (value.ndim and tuple(value.shape) != expected[name]):
                raise TrainingError(f"an optimiser of another network ({key})")
        if not 0 <= self.batch <= batches or len(self.losses) != self.batch:
            raise TrainingError(f"{self.batch} batches with {len(self.losses)} losses")
