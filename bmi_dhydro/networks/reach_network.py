"""A small network that changes roughness, width or celerity of reaches, by what is known of them.

Channel geometry of large networks comes from regressions on the drained area, and roughness from
tables: both are guesses, alike for reaches that look alike. So the network gives bounded factors of
them, the same function for all reaches of all rivers. It is trained on flow at gauges
(`training.stations`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..files.arrays import ArrayFormat

_FORMAT = ArrayFormat(
    name="bmi_dhydro reach network",
    title="a network of reaches",
    version=1,
    digest_since=1,
    error=CheckpointError,
    damaged=CheckpointError,
)

# Units of the hidden layer.
_HIDDEN = 16

# What a network sees of a reach, beside the length of all channels upstream: logarithms of these.
_SEEN = ("length", "slope", "bottom_width", "manning_n", "celerity")

# What one factor changes, and the most that it may be (and one over that the least).
_CHANGED: tuple[tuple[tuple[str, ...], float], ...] = (
    (("manning_n", "floodplain_manning_n"), 4.0),
    (("bottom_width", "top_width", "floodplain_width"), 2.0),
    (("celerity",), 4.0),
)


@dataclass(frozen=True)
class ReachNetwork:
    """A network for the parameters of one model of reaches.

    Attributes
    ----------
    process : str
        Model of a reach, in `physics.REACH_PROCESSES`.
    weights : dict of array
    """

    process: str
    weights: Mapping[str, NDArray]

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        _FORMAT.save(path, dict(self.weights), {"process": self.process})

    @classmethod
    def load(cls, path: str | Path) -> ReachNetwork:
        """Read what `save` has written.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, or of another kind.
        """
        arrays, metadata = _FORMAT.read(Path(path))
        _FORMAT.check_finite(arrays, str(path))
        expected = {"hidden.weight", "hidden.bias", "out.weight", "out.bias", "mean", "deviation"}
        if set(arrays) != expected:
            raise CheckpointError(f"{path}: not a whole network of reaches; make it again")
        return cls(metadata.get("process", ""), arrays)

    def changed(
        self, names: tuple[str, ...], parameters: NDArray, upstream: NDArray, source: str
    ) -> NDArray:
        """Return the parameters of reaches, changed; arguments as `changed_parameters`.

        Parameters
        ----------
        source : str
            What to call the network in errors.

        Raises
        ------
        CheckpointError
            If it is for another model of reaches.
        """
        if len(self.weights["mean"]) != len(_inputs(names)) + 1:
            raise CheckpointError(f"{source}: is for {self.process}, whose reaches differ")
        return changed_parameters(self.weights, names, parameters, upstream, np.tanh, np.exp)


def initial(names: tuple[str, ...], parameters: NDArray, upstream: NDArray, seed: int) -> dict:
    """Return the weights of a network that changes nothing yet.

    Parameters
    ----------
    names : tuple of str
        Names of the parameters of a model of reaches.
    parameters : array, shape (parameters, reaches)
        Of the reaches to learn from, which say what is usual.
    upstream : array, shape (reaches,)
        Length of each reach and of all upstream, in m.
    seed : int

    Raises
    ------
    ValueError
        If the model has no parameter that a network can change.
    """
    changed = _changed(names)
    if not changed:
        raise ValueError("nothing of these reaches can be learned")
    seen = _seen(names, parameters, upstream)
    inputs = len(seen)
    random = np.random.default_rng(seed)
    spread = 1.0 / np.sqrt(inputs)
    return {
        "hidden.weight": random.uniform(-spread, spread, (_HIDDEN, inputs)),
        "hidden.bias": np.zeros((_HIDDEN, 1)),
        "out.weight": np.zeros((len(changed), _HIDDEN)),
        "out.bias": np.zeros((len(changed), 1)),
        "mean": seen.mean(axis=1),
        # Reaches that are all alike have no spread.
        "deviation": np.maximum(seen.std(axis=1), 1e-3),
    }


def changed_parameters(
    weights: Mapping[str, Any],
    names: tuple[str, ...],
    parameters: NDArray,
    upstream: NDArray,
    tanh: Callable[[Any], Any],
    exp: Callable[[Any], Any],
    constant: Callable[[NDArray], Any] = np.asarray,
) -> Any:
    """Return the parameters of reaches, times factors of a network.

    Parameters
    ----------
    weights : mapping of array or Tensor
    names : tuple of str
        Names of the parameters.
    parameters : array, shape (parameters, reaches)
    upstream : array, shape (reaches,)
        Length of each reach and of all upstream, in m.
    tanh, exp : callable
        Those of the library of `weights`.
    constant : callable
        Makes what `weights` can be multiplied with of an array.

    Returns
    -------
    array or Tensor, shape (parameters, reaches)
    """
    mean, deviation = weights["mean"], weights["deviation"]
    seen = (constant(_seen(names, parameters, upstream)) - mean[:, None]) / deviation[:, None]
    hidden = tanh(weights["hidden.weight"] @ seen + weights["hidden.bias"])
    # The mean over units, so that a step of an optimiser is as large as one of the bias.
    bounded = tanh(weights["out.weight"] @ hidden / _HIDDEN + weights["out.bias"])
    changed = _changed(names)
    result = constant(parameters)
    for row, (places, most) in enumerate(changed):
        chosen = np.zeros((len(names), 1))
        chosen[places] = np.log(most)
        # A factor of 1 for all that this one does not change.
        result = result * exp(constant(chosen) * bounded[row][None])
    return result


def _inputs(names: tuple[str, ...]) -> list[str]:
    return [name for name in _SEEN if name in names]


def _seen(names: tuple[str, ...], parameters: NDArray, upstream: NDArray) -> NDArray:
    """Return what a network sees: array of shape (inputs, reaches)."""
    table = dict(zip(names, parameters, strict=True))
    return np.log10([*(table[name] for name in _inputs(names)), upstream])


def _changed(names: tuple[str, ...]) -> list[tuple[list[int], float]]:
    """Return the places of the parameters that each factor changes, and the most that it may be."""
    return [
        ([names.index(name) for name in changed], most)
        for changed, most in _CHANGED
        if changed[0] in names
    ]
