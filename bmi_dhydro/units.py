"""Conversion of units, written as UDUNITS or pint understand them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from .errors import UnitsError

# UDUNITS writes exponents without an operator: "kg m-2 s-1", "m3 s-1".
_EXPONENT = re.compile(r"(?<=[A-Za-z])\^?(-?\d+)(?![A-Za-z0-9])")
# The length of a day without leap seconds, as calendars of models have it.
SECONDS_PER_DAY = 86400

_WATER = "1000 kg/m**3"


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def _parse(units: str) -> Any:
    text = _EXPONENT.sub(r"**\1", units.strip())
    text = re.sub(r"(?<=[A-Za-z0-9)])\s+(?=[A-Za-z(])", " * ", text)
    try:
        return _registry().Unit(text or "dimensionless")
    except Exception as error:  # pint raises many kinds, some of them of the tokenizer
        raise UnitsError(
            f"unit {units!r} is unknown ({error}); write it as UDUNITS does, for example "
            "'mm d-1', 'kg m-2 s-1', 'degC', 'K'"
        ) from None


def dimension(units: str) -> str:
    """Return what a unit of water or heat measures: "depth", "rate", "temperature" or "other".

    Raises
    ------
    UnitsError
        If the unit is unknown.
    """
    unit = _parse(units)
    table = {
        "[length]": "depth",
        "[mass] / [length] ** 2": "depth",
        "[length] / [time]": "rate",
        "[mass] / [length] ** 2 / [time]": "rate",
        "[temperature]": "temperature",
    }
    return table.get(str(unit.dimensionality), "other")


@lru_cache(maxsize=256)
def conversion(units: str, target: str) -> tuple[float, float]:
    """Return scale and offset that turn values in `units` into values in `target`.

    Mass of water per area counts as depth, at 1000 kg m-3.

    Parameters
    ----------
    units, target : str

    Returns
    -------
    scale, offset : float
        `value * scale + offset` is in `target`.

    Raises
    ------
    UnitsError
        If a unit is unknown or measures something else.
    """
    if units == target:
        return 1.0, 0.0
    registry = _registry()
    source, goal = _parse(units), _parse(target)

    def convert(value: float) -> float:
        quantity = registry.Quantity(value, source)
        if "[mass]" in source.dimensionality and "[mass]" not in goal.dimensionality:
            quantity = quantity / registry.Quantity(_WATER)
        return float(quantity.to(goal).magnitude)

    try:
        offset = convert(0.0)
        return convert(1.0) - offset, offset
    except Exception as error:
        hint = "; C is coulomb, write degC" if units.strip() == "C" else ""
        raise UnitsError(f"{units!r} cannot be converted to {target!r} ({error}){hint}") from None
