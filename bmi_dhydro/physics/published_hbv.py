"""HBV as published differentiable models have it: delta-HBV 1.0, 1.1p and 2.0, step by step.

Equations after Feng et al. (2022, 10.1029/2022WR032404; 1.0), Song et al. (2024,
10.22541/essoar.172304428.82707157; 1.1p) and Song et al. (2025, 10.1029/2024WR038928; 2.0). Unlike
in `hbv`, stores are emptied one after the other, a day's water arrives at its beginning, and floors
under the stores create water. Parameters that a network learned with one form are wrong in
another, so these are kept as they were published. What floors create, and what 2.0 exchanges with
neighbours, are fluxes of their own, so that the water balance closes and shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .hbv import HBV
from .primitives import exp, maximum, minimum, power, where
from .process import Parameter, Process, Quantity, SiteRule

# The least content of a store, in mm.
FLOOR = 1e-5

# Keeps the base of a power above zero; the soil's moisture is further above it.
_LEAST_BASE = 1e-12

# Where a catchment is at least this high, in m, precipitation is snow below the temperature that
# follows, in degC (2.0).
_HIGH, _THRESHOLD_OF_HIGH = 2000.0, 4.0

# Upstream area, in km2, from which on rivers lose ever less to the ground (2.0).
_LARGE = 2500.0


def curve(fullness: Any, exponent: Any) -> Any:
    """Return a power of how full a store is, 0 to 1."""
    return minimum(maximum(power(maximum(fullness, _LEAST_BASE), exponent), 0.0), 1.0)


def lateral_exchange(RT: Any, AC: Any, upstream_area: Any) -> Any:
    """Return what a catchment gains from its neighbours below ground (2.0), in mm per step.

    Parameters
    ----------
    RT : array
        Largest exchange, in mm per step.
    AC : array
        Upstream area below which the catchment loses water, in km2.
    upstream_area : array
        In km2.
    """
    small = minimum(maximum((upstream_area - AC) * 1e-3, -1.0), 1.0)
    large = exp(minimum(maximum((_LARGE - upstream_area) * 0.02, -10.0), 0.0))
    return where(upstream_area < _LARGE, small, large) * RT


def advance(at: Mapping[str, Any]) -> tuple:
    """Advance one cell by one step; depths in mm, fluxes in mm per step, temperature in degC.

    Parameters
    ----------
    at : mapping
        States, forcings and parameters by name. The exponent BETAET, capillary rise (C) and the
        exchange with neighbours (RT, AC, UPSTREAM_AREA) are those of the forms that have them.

    Returns
    -------
    tuple
        States and fluxes, those of the form's `Process` in its order.
    """
    # Snow.
    temperature, TT, CFMAX = at["temperature"], at["TT"], at["CFMAX"]
    rain = where(temperature >= TT, at["precipitation"], 0.0)
    snowfall = at["precipitation"] - rain
    snowpack = at["snowpack"] + snowfall
    melt = minimum(maximum(CFMAX * (temperature - TT), 0.0), snowpack)
    meltwater = at["meltwater"] + melt
    snowpack = snowpack - melt
    refreezing = minimum(maximum(at["CFR"] * CFMAX * (TT - temperature), 0.0), meltwater)
    snowpack = snowpack + refreezing
    meltwater = meltwater - refreezing
    snow_outflow = maximum(meltwater - at["CWH"] * snowpack, 0.0)
    meltwater = meltwater - snow_outflow

    # Soil.
    FC = at["FC"]
    infiltration = rain + snow_outflow
    recharge = infiltration * curve(at["soil_moisture"] / FC, at["BETA"])
    soil_moisture = at["soil_moisture"] + infiltration - recharge
    excess = maximum(soil_moisture - FC, 0.0)
    soil_moisture = soil_moisture - excess
    share = curve(soil_moisture / (at["LP"] * FC), at.get("BETAET", 1.0))
    evapotranspiration = minimum(soil_moisture, at["potential_evapotranspiration"] * share)
    left = soil_moisture - evapotranspiration
    soil_moisture = maximum(left, FLOOR)
    created = soil_moisture - left

    # Capillary rise.
    lower_zone = at["lower_zone"]
    more: list[Any] = []
    if "C" in at:
        dryness = 1.0 - minimum(soil_moisture / FC, 1.0)
        capillary_rise = minimum(lower_zone, at["C"] * lower_zone * dryness)
        soil_moisture = maximum(soil_moisture + capillary_rise, FLOOR)
        left = lower_zone - capillary_rise
        lower_zone = maximum(left, FLOOR)
        created = created + (lower_zone - left)
        more.append(capillary_rise)

    # Response: an upper zone with two outlets and percolation to a lower zone.
    upper_zone = at["upper_zone"] + (recharge + excess)
    percolation = minimum(upper_zone, at["PERC"])
    upper_zone = upper_zone - percolation
    surface_runoff = at["K0"] * maximum(upper_zone - at["UZL"], 0.0)
    upper_zone = upper_zone - surface_runoff
    interflow = at["K1"] * upper_zone
    upper_zone = upper_zone - interflow
    lower_zone = lower_zone + percolation
    if "RT" in at:
        gained = lateral_exchange(at["RT"], at["AC"], at["UPSTREAM_AREA"])
        left = lower_zone + gained
        lower_zone = maximum(left, FLOOR)
        created = created + (lower_zone - left)
        more.append(gained)
    baseflow = at["K2"] * lower_zone
    lower_zone = lower_zone - baseflow
    return (
        snowpack,
        meltwater,
        soil_moisture,
        upper_zone,
        lower_zone,
        rain,
        snowfall,
        melt,
        refreezing,
        recharge,
        evapotranspiration,
        percolation,
        surface_runoff,
        interflow,
        baseflow,
        surface_runoff + interflow + baseflow,
        snowpack + meltwater,
        upper_zone + lower_zone,
        created,
        *more,
    )


def _step_of(names: tuple[str, ...]) -> Callable[..., tuple]:
    """Return the step of a form: a function of its arguments in their order."""

    def step(*arguments: Any) -> tuple:
        return advance(dict(zip(names, arguments, strict=True)))

    return step


CREATED = "created_water"
EXCHANGE = "lateral_exchange"

_COMMON_FLUXES = tuple(item for item in HBV.fluxes if item.name != "capillary_rise")
_CREATED_FLUX = Quantity(CREATED, "water that floors under the stores create", "mm")
_RISE_FLUX = next(item for item in HBV.fluxes if item.name == "capillary_rise")
_EXCHANGE_FLUX = Quantity(EXCHANGE, "gain from neighbouring catchments below ground", "mm")

# All bounds are linear, as the networks of these models have them.
_PARAMETERS = {item.name: replace(item, scale="linear") for item in HBV.parameters}
_SHARED = tuple(item for name, item in _PARAMETERS.items() if name not in ("BETAET", "C"))
_ONLY_2_0 = (
    Parameter(
        "RT",
        "largest exchange with neighbouring catchments",
        "mm d-1",
        0.0,
        20.0,
        "rate",
        possible=(0, 1000),
    ),
    Parameter(
        "AC",
        "upstream area below which a catchment loses water to its neighbours",
        "km2",
        0.0,
        2500.0,
        possible=(0, 1e7),
    ),
)
_UPSTREAM_AREA = Parameter(
    "UPSTREAM_AREA", "area that drains through the catchment", "km2", 0.0, 5000.0, possible=(0, 1e7)
)


def _form(
    name: str,
    long_name: str,
    reference: str,
    parameters: tuple[Parameter, ...],
    more: tuple[Quantity, ...] = (),
    site: tuple[SiteRule, ...] = (),
) -> Process:
    """Return a published form with these parameters, and fluxes beside those that all have."""
    names = (
        *HBV.state_names,
        *HBV.forcing_names,
        *(item.name for item in parameters),
    )
    return Process(
        name=name,
        long_name=long_name,
        reference=reference,
        step=_step_of(names),
        states=HBV.states,
        forcings=HBV.forcings,
        parameters=parameters,
        fluxes=(*_COMMON_FLUXES, _CREATED_FLUX, *more),
        longest_step=1.0,
        stores=HBV.stores,
        gains=tuple(item.name for item in (_CREATED_FLUX, *more) if item is not _RISE_FLUX),
        hydrograph="published_gamma",
        site=site,
    )


HBV_1_0 = _form(
    "hbv_1_0",
    "HBV of delta-HBV 1.0, with an evapotranspiration exponent",
    "Feng et al. 2022, 10.1029/2022WR032404",
    (*_SHARED, _PARAMETERS["BETAET"]),
)
HBV_1_0_STATIC = _form(
    "hbv_1_0_static",
    "HBV of delta-HBV 1.0, whose evapotranspiration has no exponent",
    "Feng et al. 2022, 10.1029/2022WR032404",
    _SHARED,
)
HBV_1_1P = _form(
    "hbv_1_1p",
    "HBV of delta-HBV 1.1p, with capillary rise",
    "Song et al. 2024, 10.22541/essoar.172304428.82707157",
    (*_SHARED, _PARAMETERS["BETAET"], _PARAMETERS["C"]),
    (_RISE_FLUX,),
)
HBV_2_0 = _form(
    "hbv_2_0",
    "HBV of delta-HBV 2.0, with capillary rise and exchange with neighbours",
    "Song et al. 2025, 10.1029/2024WR038928",
    (*_SHARED, _PARAMETERS["BETAET"], _PARAMETERS["C"], *_ONLY_2_0, _UPSTREAM_AREA),
    (_RISE_FLUX, _EXCHANGE_FLUX),
    (
        SiteRule("UPSTREAM_AREA", "upstream_area"),
        SiteRule("TT", "mean_elevation", _HIGH, _THRESHOLD_OF_HIGH),
    ),
)
PUBLISHED = (HBV_1_0, HBV_1_0_STATIC, HBV_1_1P, HBV_2_0)
