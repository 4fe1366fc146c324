"""Forcing of what a host sets, made on the GPU that steps the model.

Potential evapotranspiration and the noise of members are those of `weather.preparation` and
`run.perturbation`; the host says only which time it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...kernels.gpu.noise import correlated_noise
from ...kernels.ir.binding import bind
from ...kernels.reference import TORCH_PRIMITIVES
from ...weather.preparation import Preparation
from ...weather.quantities import FROM_FORCING, PET_METHODS
from ..perturbation import Noise, Perturbation


@dataclass(frozen=True)
class _NoiseThere:
    """Noise of some columns: which row it is of, how it is made, and its keys on the device."""

    noise: Noise
    keys: Tensor

    @classmethod
    def of(cls, noise: Noise, columns: NDArray, device: torch.device) -> _NoiseThere:
        keys = np.ascontiguousarray(noise.keys[columns]).view(np.int64)
        return cls(noise, torch.from_numpy(keys).to(device))

    def values(self, moment: Tensor) -> Tensor:
        """Return the noise at a time: a factor of amounts, and what is added to others."""
        found = torch.empty(len(self.keys), dtype=torch.float64, device=self.keys.device)
        correlated_noise(self.keys, moment, self.noise.hours, found)
        change = self.noise.change(found)
        return torch.exp(change) if self.noise.is_factor else change


class DeviceForcing:
    """Makes the forcing of some columns.

    Parameters
    ----------
    preparation : Preparation
    inputs : array of int
        Catchments (or columns) that the host sets weather for, on this device.
    repeats : int
        Members that each of them has.
    device : torch.device
    """

    def __init__(
        self, preparation: Preparation, inputs: NDArray, repeats: int, device: torch.device
    ) -> None:
        self._preparation, self._repeats, self._device = preparation, repeats, device
        self._direct = preparation.method == FROM_FORCING
        self._weather_noise: Sequence[_NoiseThere] = ()
        self._state_noise: Sequence[_NoiseThere] = ()
        # The time of a step, in place, so that a captured step sees it change.
        self._moment = torch.zeros(1, dtype=torch.int64, device=device)
        self._month = torch.zeros_like(self._moment)
        self._day = torch.zeros(1, dtype=torch.float64, device=device)
        self._hour = torch.zeros_like(self._day)
        self._hours = torch.full_like(self._day, preparation.step_seconds / 3600.0)
        if self._direct:
            return

        def placed(values: NDArray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        chosen = PET_METHODS[preparation.method]
        self._equation = bind(chosen.function, TORCH_PRIMITIVES)
        self._latitude = placed(preparation.arrays["arguments"][len(chosen.quantities), inputs])
        self._solar_shift = placed(preparation.arrays["solar_shift"][inputs])
        factors = preparation.factors
        self._factors = None if factors is None else placed(factors[:, inputs])

    def make_different(self, perturbation: Perturbation, columns: NDArray) -> None:
        """Make members different from now on; `columns` are those of this device."""
        self._weather_noise, self._state_noise = (
            [_NoiseThere.of(noise, columns, self._device) for noise in table]
            for table in (perturbation.of_weather, perturbation.of_states)
        )

    def set_time(self, step: int, seconds: int) -> None:
        """Say which step comes next, and at which time in seconds it begins."""
        preparation = self._preparation
        if self._weather_noise or self._state_noise:
            self._moment.fill_(seconds)
        if self._direct:
            return
        day, hour = preparation.clock(step)
        self._day.fill_(day)
        self._hour.fill_(hour)
        if preparation.factors is not None:
            self._month.fill_(preparation.month(step))

    def make(self, given: Tensor, weather: Tensor) -> None:
        """Make forcing.

        Parameters
        ----------
        given : Tensor, shape (quantities, inputs)
            Depths in the step, and the other quantities as they are.
        weather : Tensor, shape (forcings, columns)
            Written.
        """
        rows = given
        if not self._direct:
            rows = torch.stack([given[0], given[1], self._potential_evapotranspiration(given)])
        weather.copy_(rows.repeat(1, self._repeats))
        for item in self._weather_noise:
            values = item.values(self._moment)
            row = weather[item.noise.row]
            row.copy_(row * values if item.noise.is_factor else row + values)

    def _potential_evapotranspiration(self, given: Tensor) -> Tensor:
        hour = (self._solar_shift + self._hour) % 24.0
        time = self._latitude, self._day, hour, self._hours
        values = self._equation(*given[1:], *time)
        if self._factors is None:
            return values
        return values * self._factors.index_select(0, self._month)[0]

    def move_states(self, state: Tensor) -> Tensor:
        """Perturb stores at the beginning of a day.

        Parameters
        ----------
        state : Tensor, shape (states, columns, parameter sets)
            Changed in place.

        Returns
        -------
        Tensor, shape (columns,)
            Water that came in, in mm.
        """
        moved = torch.zeros(state.shape[1], dtype=torch.float64, device=state.device)
        for item in self._state_noise:
            row = state[item.noise.row]
            before = row.to(torch.float64, copy=True)
            row.mul_(item.values(self._moment).to(row.dtype)[:, None])
            moved += (row.double() - before).mean(dim=1)
        return moved
