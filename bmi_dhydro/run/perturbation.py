"""Members of an ensemble made different: noise on weather and stores, correlated in time.

Noise is a function of seed, catchment, member and time alone. So it does not depend on how a run is
cut into blocks, restarts and parts, or on which other catchments there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import EnsembleConfig, NoiseConfig
from ..errors import ConfigError, nearest
from ..kernels.cpu.noise import correlated_noise, mixed
from ..model.model import Model
from ..physics import Process
from ..units import SECONDS_PER_DAY
from .clock import Clock
from .water_account import WaterAccount


def number_of(text: str) -> np.uint64:
    """Return a number that a text always has, to seed noise with."""
    return np.uint64(
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    )


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

    def change(self, standard: Any) -> Any:
        """Turn standard normal noise into what is added, or the logarithm of the factor."""
        values = self.spread * standard
        return values - 0.5 * self.spread**2 if self.is_factor else values


class Perturbation:
    """The noise of an ensemble.

    Parameters
    ----------
    wanted : EnsembleConfig
    ids : array of str, shape (catchments,)
    process : Process
        Noise on amounts of water is a factor, its mean 1; to other forcings it is added.
    step_seconds : int
    threads : int, optional
        All processors of this process, unless given.

    Raises
    ------
    ConfigError
        If the process has no such state.

    Attributes
    ----------
    of_weather, of_states : list of Noise
    """

    def __init__(
        self,
        wanted: EnsembleConfig,
        ids: NDArray,
        process: Process,
        step_seconds: int,
        threads: int | None = None,
    ) -> None:
        for name in wanted.states:
            if name not in process.state_names:
                raise ConfigError(
                    f"ensemble.states: {name!r} is unknown; {nearest(name, process.state_names)}"
                )
        self._step_seconds, self._threads = step_seconds, threads
        depths = {item.name for item in process.forcings if item.is_depth}
        member = np.repeat(np.arange(wanted.members, dtype=np.uint64), len(ids))
        keys = np.tile(np.array([number_of(name) for name in ids.tolist()]), wanted.members)
        keys = mixed(mixed(keys ^ np.uint64(wanted.seed)) ^ member)
        self._columns = len(keys)

        def items(given: Mapping[str, NoiseConfig], names: Sequence[str]) -> list[Noise]:
            return [
                Noise(
                    names.index(name),
                    name in depths or name in process.state_names,
                    noise.spread,
                    noise.hours,
                    mixed(keys ^ number_of(name)),
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
            change = self._change(noise, times)
            if noise.is_factor:
                result[:, noise.row] *= np.exp(change)
            else:
                result[:, noise.row] += change
        return result

    def _change(self, noise: Noise, times: NDArray) -> NDArray:
        return noise.change(correlated_noise(noise.keys, times, noise.hours, self._threads))

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
            change = self._change(noise, np.array([seconds]))[0]
            state[noise.row] *= np.exp(change)[:, None].astype(state.dtype)


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
