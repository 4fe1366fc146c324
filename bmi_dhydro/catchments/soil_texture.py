"""Hydraulic properties of soil from its texture, where a data set has no more.

Regressions of Cosby et al. (1984, 10.1029/WR020i006p00682), table 4, as land surface models use
them. The wilting point is the water content at a suction of 150 m (1.5 MPa), after Clapp and
Hornberger (1978, 10.1029/WR014i004p00601).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CatchmentError

# Suction at the wilting point, in m of water: 1.5 MPa.
_WILTING_SUCTION = 153.0

_INCH_PER_HOUR = 0.0254 / 3600.0  # m s-1


def soil_properties(sand: ArrayLike, clay: ArrayLike) -> dict[str, NDArray]:
    """Return soil properties from texture.

    Parameters
    ----------
    sand, clay : array, shape (catchments,)
        Percent of the mineral soil by weight; the rest is silt.

    Returns
    -------
    dict of array, shape (catchments,)
        `soil_porosity` (1), `wilting_point` (1), `clapp_hornberger_b` (1) and
        `log10_saturated_conductivity` (logarithm of m s-1), as in `attributes.ATTRIBUTES`. NaN
        where texture is unknown.

    Raises
    ------
    CatchmentError
        If a share is negative, or both together are more than 100 percent.
    """
    sand, clay = np.asarray(sand, dtype=float), np.asarray(clay, dtype=float)
    wrong = (sand < 0.0) | (clay < 0.0) | (sand + clay > 100.5)
    if wrong.any():
        place = np.argwhere(wrong)[0]
        raise CatchmentError(
            f"soil texture: {np.broadcast_to(sand, wrong.shape)[tuple(place)]:g} % sand and "
            f"{np.broadcast_to(clay, wrong.shape)[tuple(place)]:g} % clay cannot be; give percent "
            "of the mineral soil"
        )
    silt = np.maximum(100.0 - sand - clay, 0.0)
    exponent = 3.10 + 0.157 * clay - 0.003 * sand
    porosity = 0.01 * (50.5 - 0.142 * sand - 0.037 * clay)
    suction = 0.01 * 10.0 ** (1.54 - 0.0095 * sand + 0.0063 * silt)
    conductivity = 10.0 ** (-0.60 + 0.0126 * sand - 0.0064 * clay) * _INCH_PER_HOUR
    return {
        "soil_porosity": porosity,
        "wilting_point": porosity * (_WILTING_SUCTION / suction) ** (-1.0 / exponent),
        "clapp_hornberger_b": exponent,
        "log10_saturated_conductivity": np.log10(conductivity),
    }


def soil_of_texture(columns: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return the soil properties that a table lacks and its texture gives.

    Parameters
    ----------
    columns : mapping of array, shape (catchments,)
        By the names of `attributes.ATTRIBUTES`.

    Returns
    -------
    dict of array, shape (catchments,)
        Columns that are missing, or not known everywhere; what is known stays. Empty where
        `sand_percentage` or `clay_percentage` is missing.

    Raises
    ------
    CatchmentError
        If texture is impossible.
    """
    if not {"sand_percentage", "clay_percentage"} <= set(columns):
        return {}
    made = {}
    found = soil_properties(columns["sand_percentage"], columns["clay_percentage"])
    for name, values in found.items():
        known = columns.get(name, np.full(values.shape, np.nan))
        filled = np.where(np.isfinite(known), known, values)
        if not np.array_equal(filled, known, equal_nan=True):
            made[name] = filled
    return made
