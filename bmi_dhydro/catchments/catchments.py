"""The catchments of a run: where they are and what is known of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CatchmentError, listed, nearest, without_zeros
from .attributes import ATTRIBUTES, CAMELS_NAMES, CLIMATE
from .soil_texture import soil_of_texture

_log = logging.getLogger(__name__)

# Columns of a catchment table that are no attributes of the network's vocabulary.
GEOGRAPHY = {
    "area": "km2",
    "latitude": "degrees_north",
    "longitude": "degrees_east",
    "elevation": "m",
    "fold": "1",
}


# Those that are fields of their own.
_PLACES = tuple(name for name in GEOGRAPHY if name != "area")


@dataclass
class Catchments:
    """Spatial units of a model.

    Attributes
    ----------
    ids : array of str, shape (catchments,)
    area : array, shape (catchments,)
        In km2.
    latitude, longitude, elevation : array, shape (catchments,)
        In degrees and m; NaN where unknown.
    fold : array, shape (catchments,)
        Number of a group of neighbours, for tests in space; NaN where unknown.
    attributes : dict of array, shape (catchments,)
        By the names of `attributes.ATTRIBUTES`, and others that the table has.
    """

    ids: NDArray
    area: NDArray
    latitude: NDArray
    longitude: NDArray
    elevation: NDArray
    fold: NDArray
    attributes: dict[str, NDArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, rows: NDArray) -> Catchments:
        """Return the catchments in these rows, in this order."""
        return Catchments(
            self.ids[rows],
            self.area[rows],
            self.latitude[rows],
            self.longitude[rows],
            self.elevation[rows],
            self.fold[rows],
            {name: values[rows] for name, values in self.attributes.items()},
        )

    def chosen(self, ids: Sequence[str], source: str) -> Catchments:
        """Return the catchments with these ids, in this order.

        Raises
        ------
        CatchmentError
            If one is not there; names `source`.
        """
        if not ids:
            raise CatchmentError(f"{source}: no catchment is selected; name some, or leave it out")
        values, counts = np.unique(np.array(ids, dtype=str), return_counts=True)
        if (counts > 1).any():
            raise CatchmentError(f"{source}: {listed(values[counts > 1])} is selected twice")
        absent = [name for name in ids if name not in self._rows]
        if absent:
            hint = without_zeros(absent, self._rows)
            raise CatchmentError(f"{source}: has no catchment {listed(absent)}{hint}")
        return self.subset(np.array([self._rows[name] for name in ids]))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids.tolist())}

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, Any],
        source: str,
        strict: bool = True,
        more: Sequence[str] = (),
    ) -> Catchments:
        """Make catchments of columns by name.

        Parameters
        ----------
        columns : mapping
            `id` and `area` at least; `latitude`, `longitude`, `elevation`, attributes, also by the
            names that CAMELS gives them. Soil properties that are missing are made of
            `sand_percentage` and `clay_percentage`.
        source : str
            What to call their origin in errors.
        strict : bool
            Whether a column that is not known is an error; else it is an attribute, if it is
            numeric, and left out otherwise.
        more : sequence of str
            Names that are known beside the vocabulary: attributes of a trained model.

        Raises
        ------
        CatchmentError
            If a column is missing, unknown, not numeric, or impossible.
        """
        columns = {
            name if name in more else CAMELS_NAMES.get(name, name): values
            for name, values in columns.items()
            # Where both names are there, that of the vocabulary is meant.
            if name in more or name not in CAMELS_NAMES or CAMELS_NAMES[name] not in columns
        }
        known = ("id", *GEOGRAPHY, *ATTRIBUTES, *more)
        unknown = [name for name in columns if name not in known]
        if unknown and strict:
            raise CatchmentError(
                f"{source}: column {unknown[0]!r} is unknown; {nearest(unknown[0], known)}"
            )
        without_use = [name for name in unknown if not _is_numeric(columns[name])]
        if without_use:
            _log.info("%s: columns without a use: %s", source, ", ".join(without_use))
        columns = {name: values for name, values in columns.items() if name not in without_use}
        for name in ("id", "area"):
            if name not in columns:
                raise CatchmentError(f"{source}: column {name!r} is missing")
        ids = np.array([str(item) for item in columns["id"]], dtype=object).astype(str)
        if ids.size == 0:
            raise CatchmentError(f"{source}: there are no catchments")
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            raise CatchmentError(f"{source}: id {listed(values[counts > 1])} stands twice")
        numbers = {}
        for name, column in columns.items():
            if name == "id":
                continue
            try:
                numbers[name] = np.array(column, dtype=float)
            except (TypeError, ValueError) as error:
                raise CatchmentError(f"{source}: column {name!r} is not numeric: {error}") from None
        absent = np.full(ids.size, np.nan)
        area = numbers["area"]
        wrong = ~((area > 0) & np.isfinite(area))
        if wrong.any():
            raise CatchmentError(f"{source}: area must be positive, in km2: {listed(ids[wrong])}")
        latitude = numbers.get("latitude", absent)
        if (np.abs(latitude) > 90).any():
            wrong = ids[np.abs(latitude) > 90]
            raise CatchmentError(f"{source}: latitude is beyond 90 degrees: {listed(wrong)}")
        made = soil_of_texture(numbers)
        if made:
            _log.info("%s: made of sand and clay: %s", source, ", ".join(made))
            numbers |= made
        return cls(
            ids,
            area,
            latitude,
            numbers.get("longitude", absent),
            numbers.get("elevation", absent),
            numbers.get("fold", absent),
            {name: values for name, values in numbers.items() if name not in _PLACES},
        )


def _is_numeric(column: Any) -> bool:
    """Return whether all values of a column are numbers."""
    try:
        np.array(column, dtype=float)
    except (TypeError, ValueError):
        return False
    return True


def climate_to_compute(catchments: Catchments, needed: Sequence[str], source: str) -> list[str]:
    """Return the climate indices that have to be computed of weather.

    Parameters
    ----------
    catchments : Catchments
    needed : sequence of str
        Attributes that a network needs.
    source : {"auto", "table", "forcing"}
        `catchments.climate` of a configuration.
    """
    if source == "table":
        return []
    indices = [name for name in needed if name in CLIMATE]
    if source == "forcing":
        return indices
    return [name for name in indices if name not in catchments.attributes]
