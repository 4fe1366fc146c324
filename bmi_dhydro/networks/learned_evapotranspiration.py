"""With which potential evapotranspiration a model learned, and what another one is to it.

A network learns the water balance of its catchments together with the demand that it is shown. A
method that is higher by a third, as Oudin's can be beside Hargreaves', gives other flow from the
same weather.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF_A_YEAR = 6  # months


@dataclass(frozen=True)
class LearnedEvapotranspiration:
    """The methods of training, and factors that bring others to them.

    Attributes
    ----------
    methods : tuple of str
        Names in `weather.quantities.PET_METHODS`; none where it is not known.
    monthly : mapping of tuple of float
        By another method: what its evapotranspiration is multiplied with, in each month of a year
        of the northern hemisphere, to be like the first of `methods` in the catchments of training.
    """

    methods: tuple[str, ...] = ()
    monthly: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def described(
        cls, description: Mapping[str, Any], about: Mapping[str, Any]
    ) -> LearnedEvapotranspiration:
        """Read what a trained model's file says; older ones say it to people only.

        Parameters
        ----------
        description, about : mapping
            Description and metadata of the file.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is malformed.
        """
        own = description.get("potential_evapotranspiration")
        if own is None:
            said = about.get("training", {}).get("potential_evapotranspiration", "")
            return cls(() if said in ("", "auto", "forcing") else (str(said),))
        monthly = {name: tuple(map(float, row)) for name, row in own["monthly"].items()}
        for name, row in monthly.items():
            if len(row) != 12 or not all(0.0 < value < np.inf for value in row):
                raise ValueError(f"monthly factors of {name}: {row}")
        return cls(tuple(map(str, own["methods"])), monthly)

    def description(self) -> dict[str, Any]:
        """Return what `described` reads."""
        return {
            "methods": list(self.methods),
            "monthly": {name: list(row) for name, row in self.monthly.items()},
        }

    def factors(self, method: str, latitude: NDArray) -> NDArray | None:
        """Return the factors that bring a method to that of training, where they are known.

        Parameters
        ----------
        method : str
        latitude : array, shape (catchments,)
            In degrees; where it is unknown (NaN) the north is meant.

        Returns
        -------
        array, shape (12, catchments), or None
        """
        if method not in self.monthly:
            return None
        return in_season(np.array(self.monthly[method])[:, None], latitude)


def in_season(monthly: NDArray, latitude: NDArray) -> NDArray:
    """Move months of the southern hemisphere by half a year, either way.

    Parameters
    ----------
    monthly : array, shape (12, catchments or 1)
        January to December.
    latitude : array, shape (catchments,)

    Returns
    -------
    array, shape (12, catchments)
    """
    moved = np.roll(monthly, _HALF_A_YEAR, axis=0)
    return np.where(latitude < 0.0, moved, monthly)


def monthly_factors(own: NDArray, other: NDArray, latitude: NDArray) -> tuple[float, ...]:
    """Return factors from one method to another in the catchments of training.

    Parameters
    ----------
    own, other : array, shape (12, catchments)
        Mean potential evapotranspiration of each month, by the method of training and another one.
    latitude : array, shape (catchments,)

    Returns
    -------
    tuple of float
        The ratio of all catchments together, since a ratio of small numbers says little.
    """
    sums = [in_season(values, latitude).sum(axis=1) for values in (own, other)]
    ratio = np.divide(sums[0], sums[1], out=np.ones(12), where=sums[1] > 0.0)
    return tuple(round(float(value), 4) for value in np.clip(ratio, 0.05, 20.0))
