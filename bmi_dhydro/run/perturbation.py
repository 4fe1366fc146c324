"""Members of an ensemble made different: noise on weather and stores, correlated in time.

Noise is a function of seed, catchment, member and time alone. So it does not depend on how a run is
cut into blocks, restarts and parts, or on which other catchments there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import EnsembleConfig, NoiseConfig
from ..errors import ConfigError, nearest
from ..model.model import Model
from ..physics import Process
from ..units import SECONDS_PER_DAY
from .clock import Clock
from .water_account import WaterAccount

# Constants of splitmix64 (Steele et al. 2014, 10.1145/2714064.2660195), a hash that fills 64 bits.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


def number_of(text: str) -> np.uint64:
    """Return a number that a text always has, to seed noise with."""
    return np.uint64(
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    )


def _mixed(values: NDArray) -> NDArray:
    """Return 64 well-mixed bits of each of some numbers."""
    with np.errstate(over="ignore"):
        values = values + _GOLDEN
        for shift, factor in _MIX:
            values = (values ^ (values >> shift)) * factor
        return values ^ (values >> np.uint64(31))


def _uniform(bits: NDArray) -> NDArray:
    """Return numbers between 0 and 1, neither included."""
    return ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def _normal(keys: NDArray, knots: NDArray) -> NDArray:
    """Return a standard normal number for each key and knot: shape (knots, keys)."""
    with np.errstate(over="ignore"):
        bits = _mixed(keys + _GOLDEN * knots.astype(np.uint64)[:, None])
    radius = np.sqrt(-2.0 * np.log(_uniform(bits)))
    return radius * np.cos(2.0 * np.pi * _uniform(_mixed(bits)))


def correlated_noise(keys: NDArray, times: NDArray, hours: float) -> NDArray:
    """Return standard normal noise that forgets itself in time.

    Independent numbers at knots a correlation time apart, and between two of them
    `cos(u) a + sin(u) b`, which is standard normal everywhere. The knots of each key are shifted at
    random. The correlation is 0.32 after a correlation time and 0 after two.

    Parameters
    ----------
    keys : array of uint64, shape (columns,)
    times : array of int, shape (steps,)
        In seconds, increasing.
    hours : float
        Correlation time; 0 for noise that does not remember.

    Returns
    -------
    array, shape (steps, columns)
    """
    if hours <= 0.0:
        return _normal(keys, times)
    place = times[:, None] / (hours * 3600.0) + _uniform(_mixed(keys ^ _GOLDEN))
    knot = np.floor(place).astype(np.int64)
    first = int(knot.min())
    numbers = _normal(keys, np.arange(first, int(knot.max()) + 2))
    angle = (place - knot) * (np.pi / 2.0)
    a, b = (np.take_along_axis(numbers, knot - first + shift, axis=0) for shift in (0, 1))
    return np.cos(angle) * a + np.sin(angle) * b


@dataclass(frozen=True)
class Noise:
    """Noise on a forcing or a store.

    Attributes
    ----------
    row : int
        Which of the forcings or states it is of.
    is_factor : bool
        Whether it is multiplied with, its mean 1; else it is added.
    spread, hours : float
        Standard deviation, and correlation time.
    keys : array of uint64, shape (columns,)
    """

    row: int
    is_factor: bool
    spread: float
    hours: float
    keys: NDArray


class Perturbation:
    """The noise of an ensemble.

    Parameters
    ----------
    wanted : EnsembleConfig
    ids : array of str, shape (catchments,)
    process : Process
        Noise on amounts of water is a factor, its mean 1; to other forcings it is added.
    step_seconds : int

    Raises
    ------
    ConfigError
        If the process has no such state.

    Attributes
    ----------
    of_weather, of_states : list of Noise
    """

    def __init__(
        self, wanted: EnsembleConfig, ids: NDArray, process: Process, step_seconds: int
    ) -> None:
        for name in wanted.states:
            if name not in process.state_names:
                raise ConfigError(
                    f"ensemble.states: {name!r} is unknown; {nearest(name, process.state_names)}"
                )
        self._step_seconds = step_seconds
        depths = {item.name for item in process.forcings if item.is_depth}
        member = np.repeat(np.arange(wanted.members, dtype=np.uint64), len(ids))
        keys = np.tile(np.array([number_of(name) for name in ids.tolist()]), wanted.members)
        keys = _mixed(_mixed(keys ^ np.uint64(wanted.seed)) ^ member)
        self._columns = len(keys)

        def items(given: Mapping[str, NoiseConfig], names: Sequence[str]) -> list[Noise]:
            return [
                Noise(
                    names.index(name),
                    name in depths or name in process.state_names,
                    noise.spread,
                    noise.hours,
                    _mixed(keys ^ number_of(name)),
                )
                for name, noise in given.items()
            ]

        self.of_weather = items(wanted.weather, process.forcing_names)
        self.of_states = items(wanted.states, process.state_names)

    @property
    def moves_states(self) -> bool:
        """Whether stores are perturbed at the beginning of each day."""
        return bool(self.of_states)

    def forcing(self, forcing: NDArray, seconds: int) -> NDArray:
        """Return the weather of all columns.

        Parameters
        ----------
        forcing : array, shape (steps, forcings, catchments or columns)
        seconds : int
            Time at which the first step starts.

        Returns
        -------
        array, shape (steps, forcings, columns)
        """
        result = np.tile(forcing, (1, 1, self._columns // forcing.shape[2]))
        times = seconds + np.arange(len(forcing)) * self._step_seconds
        for noise in self.of_weather:
            values = noise.spread * correlated_noise(noise.keys, times, noise.hours)
            if noise.is_factor:
                result[:, noise.row] *= np.exp(values - 0.5 * noise.spread**2)
            else:
                result[:, noise.row] += values
        return result

    def starts_day(self, seconds: int) -> bool:
        """Return whether stores are perturbed at a time."""
        return self.moves_states and seconds % SECONDS_PER_DAY == 0

    def steps_until_moved(self, seconds: int, most: int) -> int:
        """Return how many steps from a time on, at most `most`, pass until stores are perturbed."""
        if not self.moves_states:
            return most
        return min(most, (SECONDS_PER_DAY - seconds % SECONDS_PER_DAY) // self._step_seconds)

    def states(self, state: NDArray, seconds: int) -> None:
        """Perturb the stores at the beginning of a day, in place.

        Parameters
        ----------
        state : array, shape (states, columns, parameter sets)
        seconds : int
        """
        for noise in self.of_states:
            values = correlated_noise(noise.keys, np.array([seconds]), noise.hours)[0]
            values *= noise.spread
            state[noise.row] *= np.exp(values - 0.5 * noise.spread**2)[:, None].astype(state.dtype)


class PerturbedStates:
    """Makes the stores of members different where a day begins, and books what that adds.

    Parameters
    ----------
    perturbation : Perturbation
    model : Model
    clock : Clock
    account : callable
        Returns the water account; asked each time, since it may be replaced.

    Attributes
    ----------
    move : callable
        Perturbs the stores at a time in seconds, and returns what that adds to those of each
        column, in mm.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        model: Model,
        clock: Clock,
        account: Callable[[], WaterAccount],
    ) -> None:
        self._perturbation, self._model = perturbation, model
        self._clock, self._account = clock, account
        self.move: Callable[[int], NDArray] = self._move

    @property
    def due(self) -> bool:
        """Whether a day begins, and stores are perturbed then."""
        return self._perturbation.starts_day(self._clock.seconds)

    def __call__(self) -> None:
        """Perturb the stores, if a day begins."""
        if self.due:
            self._account().moved(self.move(self._clock.seconds))

    def _move(self, seconds: int) -> NDArray:
        before = self._model.stored()
        self._perturbation.states(self._model.state, seconds)
        return self._model.stored() - before
