"""The water that went in and out since the start: what a host needs to check the balance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class WaterAccount:
    """Cumulative depths for each catchment, in mm, relative to when it was opened.

    What goes in is precipitation, what goes out evapotranspiration and discharge. Nothing in the
    model makes or loses water beyond rounding, which is not booked: `leaked` is what was taken
    from the stores from outside, negative where a host has added to them.

    Parameters
    ----------
    stored : array, shape (catchments,)
        Water in all stores when the account is opened.

    Attributes
    ----------
    flows : array, shape (2, catchments)
        In and out; changed in place.
    leaked : array, shape (catchments,)
    opened : array, shape (catchments,)
        What was stored then.
    """

    def __init__(self, stored: NDArray) -> None:
        self.flows = np.zeros((2, len(stored)))
        self.leaked = np.zeros(len(stored))
        self.opened = np.array(stored, dtype=float)

    def to_array(self) -> NDArray:
        """Return what the account remembers: shape (4, catchments)."""
        return np.stack([*self.flows, self.leaked, self.opened])

    def take(self, rows: NDArray) -> None:
        """Go on with what `to_array` of another returned."""
        self.flows[...] = rows[:2]
        self.leaked[...], self.opened[...] = rows[2], rows[3]

    def moved(self, added: NDArray) -> None:
        """Book water that was added to the stores from outside: shape (catchments,)."""
        self.leaked -= added

    def mean(
        self, stored: NDArray, own_columns: slice, area: NDArray
    ) -> tuple[float, float, float, float]:
        """Return what went in and out, is stored since, and was taken: means by area.

        Parameters
        ----------
        stored : array, shape (columns,)
            Water in all stores now.
        own_columns : slice
            Columns that count; where they are several members, their mean.
        area : array, shape (catchments,)
        """
        share = area / area.sum()
        into, out, kept, leaked = (
            float(values[own_columns].reshape(-1, area.size).mean(axis=0) @ share)
            for values in self.values(stored).values()
        )
        return into, out, kept, leaked

    def values(self, stored: NDArray) -> dict[str, NDArray]:
        """Return `in`, `out`, `stored` and `leaked`, each of shape (catchments,).

        Parameters
        ----------
        stored : array, shape (catchments,)
            Water in all stores now.
        """
        return {
            "in": self.flows[0],
            "out": self.flows[1],
            "stored": stored - self.opened,
            "leaked": self.leaked,
        }
