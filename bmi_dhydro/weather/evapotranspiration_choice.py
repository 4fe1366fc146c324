"""Which potential evapotranspiration a run takes, beside the one that its model learned with."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ForcingError
from ..networks.learned_evapotranspiration import LearnedEvapotranspiration
from .quantities import FROM_FORCING, PET_METHODS

_log = logging.getLogger(__name__)

# What to do where a run takes another method than the model learned with.
Mismatch = Literal["refuse", "rescale", "accept"]

# Words by which files say of which method their potential evapotranspiration is.
_WORDS = {
    "hargreaves": "hargreaves",
    "penman": "penman_monteith",
    "priestley": "priestley_taylor",
    "oudin": "oudin",
    "hamon": "hamon",
}

# A series that is not said to be of a method is taken for it if it is like it within this share.
TOLERANCE = 0.1

_KEY = "forcing.evapotranspiration_mismatch"


@lru_cache(maxsize=64)
def _warn_once(text: str) -> None:
    """Say something once, however many instances of a host it is true of."""
    _log.warning("%s", text)


def said_method(text: str) -> str | None:
    """Return the method that a description names, if it names exactly one."""
    found = {method for word, method in _WORDS.items() if word in text.lower()}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class EvapotranspirationChoice:
    """What a model learned with, and what to do where a run takes another method.

    Attributes
    ----------
    learned : LearnedEvapotranspiration
    mismatch : {"refuse", "rescale", "accept"}
    """

    learned: LearnedEvapotranspiration = field(default_factory=LearnedEvapotranspiration)
    mismatch: Mismatch = "accept"

    def fits(self, method: str | None) -> bool:
        """Return whether the model learned with a method, or may have: None is an unknown one."""
        known = self.learned.methods
        return not known or method is None or method in known

    def factors(
        self,
        method: str | None,
        latitude: NDArray,
        measured: NDArray | None,
        where: str,
        detail: str = "",
    ) -> NDArray | None:
        """Return what potential evapotranspiration is multiplied with, each month.

        Parameters
        ----------
        method : str or None
            Method of the run; None where it is unknown.
        latitude : array, shape (catchments,)
        measured : array, shape (12, catchments), optional
            Factors from this method to that of training, where the weather itself gives them.
        where : str
            What takes the method: a file, or the configuration.
        detail : str
            What is known of the difference, for messages.

        Returns
        -------
        array, shape (12, catchments), or None
            None where nothing is to be changed.

        Raises
        ------
        ForcingError
            If the method is not accepted, or cannot be rescaled.
        """
        learned = " or ".join(self.learned.methods)
        given = f"of {method}" if method else "of an unknown method"
        said = f"{where}: potential evapotranspiration is {given}, but the model learned with "
        said += f"{learned}{detail}"
        if self.mismatch == "accept":
            _warn_once(f"{said}; flow is biased as far as the two differ")
            return None
        if self.mismatch == "rescale":
            factors = measured
            if factors is None and method is not None:
                factors = self.learned.factors(method, latitude)
            if factors is None:
                raise ForcingError(
                    f"{said}; the model knows no factors for it (it has {self._known()}), and the "
                    f"weather does not suffice to find them. {self._remedy()}, or set {_KEY}: "
                    "accept"
                )
            _warn_once(f"{said}; it is rescaled, by {float(np.mean(factors)):.2f} in the mean")
            return factors
        raise ForcingError(
            f"{said}. Flow would be biased. {self._remedy()}, or set {_KEY} to rescale or accept"
        )

    def _known(self) -> str:
        return ", ".join(self.learned.monthly) or "none"

    def _remedy(self) -> str:
        needed = [
            f"{', '.join(PET_METHODS[name].quantities)} ({name})"
            for name in self.learned.methods
            if name in PET_METHODS
        ]
        return f"Give the weather {' or '.join(needed)}" if needed else "Give it by that method"

    def best(self, computable: Collection[str], said: str | None, has_own: bool) -> str | None:
        """Return the method that `auto` takes, as far as the model decides it.

        Parameters
        ----------
        computable : collection of str
            Methods that the weather suffices for.
        said : str, optional
            Method of the potential evapotranspiration in the weather, where it says so.
        has_own : bool
            Whether the weather has potential evapotranspiration.

        Returns
        -------
        str or None
            None where the model does not care.
        """
        if has_own and self.fits(said):
            return FROM_FORCING
        return next((name for name in self.learned.methods if name in computable), None)
