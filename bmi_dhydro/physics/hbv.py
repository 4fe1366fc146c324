"""HBV with capillary rise and an evapotranspiration exponent: 14 parameters, 5 stores.

Equations after Bergstroem (1976, 1992) and Seibert and Vis (2012, 10.5194/hess-16-3315-2012), in
the form that differentiable models use (Feng et al. 2022, 10.1029/2022WR032404). Where published
forms put a floor under a store, which creates water, this one limits the flux, so that the
balance closes to rounding.
"""

from __future__ import annotations

from .primitives import maximum, minimum, power, where
from .process import Parameter, Process, Quantity

# Keeps the base of a power above zero, where its derivative is finite.
DRIEST = 1e-5


def soil_wetness(soil_moisture, FC, BETA):
    """Return the share of inflow that passes the soil."""
    return power(minimum(maximum(soil_moisture / FC, DRIEST), 1.0), BETA)


def evapotranspiration_share(soil_moisture, FC, LP, BETAET):
    """Return actual evapotranspiration as a share of the potential one."""
    return power(minimum(maximum(soil_moisture / (LP * FC), DRIEST), 1.0), BETAET)


def step(
    snowpack,
    meltwater,
    soil_moisture,
    upper_zone,
    lower_zone,
    precipitation,
    temperature,
    potential_evapotranspiration,
    BETA,
    FC,
    K0,
    K1,
    K2,
    LP,
    PERC,
    UZL,
    TT,
    CFMAX,
    CFR,
    CWH,
    BETAET,
    C,
):
    """Advance one cell by one step; depths in mm, fluxes in mm per step, temperature in degC.

    Arguments are the states, forcings and parameters of `HBV`, in its order; returns its states
    and fluxes.
    """
    # Snow: degree-day melt, refreezing, and a pack that holds a share CWH of itself as water.
    rain = where(temperature >= TT, precipitation, 0.0)
    snowfall = precipitation - rain
    snowpack = snowpack + snowfall
    melt = minimum(maximum(CFMAX * (temperature - TT), 0.0), snowpack)
    snowpack = snowpack - melt
    meltwater = meltwater + melt
    refreezing = minimum(maximum(CFR * CFMAX * (TT - temperature), 0.0), meltwater)
    snowpack = snowpack + refreezing
    meltwater = meltwater - refreezing
    snow_outflow = maximum(meltwater - CWH * snowpack, 0.0)
    meltwater = meltwater - snow_outflow

    # Soil: the wetter it is, the larger the share of inflow that passes through.
    infiltration = rain + snow_outflow
    recharge = infiltration * soil_wetness(soil_moisture, FC, BETA)
    soil_moisture = soil_moisture + (infiltration - recharge)
    excess = maximum(soil_moisture - FC, 0.0)
    soil_moisture = soil_moisture - excess
    recharge = recharge + excess
    evapotranspiration = minimum(
        soil_moisture,
        potential_evapotranspiration * evapotranspiration_share(soil_moisture, FC, LP, BETAET),
    )
    soil_moisture = soil_moisture - evapotranspiration
    capillary_rise = C * lower_zone * (1.0 - minimum(soil_moisture / FC, 1.0))
    soil_moisture = soil_moisture + capillary_rise
    lower_zone = lower_zone - capillary_rise

    # Response: an upper zone with two outlets and percolation to a slow lower zone.
    upper_zone = upper_zone + recharge
    percolation = minimum(upper_zone, PERC)
    upper_zone = upper_zone - percolation
    surface_runoff = K0 * maximum(upper_zone - UZL, 0.0)
    upper_zone = upper_zone - surface_runoff
    interflow = K1 * upper_zone
    upper_zone = upper_zone - interflow
    lower_zone = lower_zone + percolation
    baseflow = K2 * lower_zone
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
        capillary_rise,
        percolation,
        surface_runoff,
        interflow,
        baseflow,
        surface_runoff + interflow + baseflow,
        snowpack + meltwater,
        upper_zone + lower_zone,
    )


HBV = Process(
    name="hbv",
    long_name="HBV with capillary rise, 14 parameters",
    reference="Seibert and Vis 2012, 10.5194/hess-16-3315-2012; Feng et al. 2022, "
    "10.1029/2022WR032404",
    step=step,
    states=(
        Quantity("snowpack", "frozen water in the snowpack", "mm", 0.001),
        Quantity("meltwater", "liquid water held by the snowpack", "mm", 0.001),
        Quantity("soil_moisture", "water in the soil", "mm", 0.001),
        Quantity("upper_zone", "water in the upper groundwater zone", "mm", 0.001),
        Quantity("lower_zone", "water in the lower groundwater zone", "mm", 0.001),
    ),
    forcings=(
        Quantity("precipitation", "precipitation", "mm"),
        Quantity("temperature", "mean air temperature", "degC"),
        Quantity("potential_evapotranspiration", "potential evapotranspiration", "mm"),
    ),
    parameters=(
        Parameter("BETA", "shape of the recharge curve", "1", 1.0, 6.0),
        Parameter("FC", "field capacity", "mm", 50.0, 1000.0, scale="log"),
        Parameter("K0", "recession of surface runoff", "d-1", 0.05, 0.9, "fraction"),
        Parameter("K1", "recession of interflow", "d-1", 0.01, 0.5, "fraction", "log"),
        Parameter("K2", "recession of baseflow", "d-1", 0.001, 0.2, "fraction", "log"),
        Parameter("LP", "share of FC above which evapotranspiration is potential", "1", 0.2, 1.0),
        Parameter("PERC", "largest percolation", "mm d-1", 0.0, 10.0, "rate"),
        Parameter("UZL", "upper zone storage above which surface runoff starts", "mm", 0.0, 100.0),
        Parameter("TT", "threshold temperature of snowfall and melt", "degC", -2.5, 2.5),
        Parameter("CFMAX", "degree-day factor", "mm degC-1 d-1", 0.5, 10.0, "rate"),
        Parameter("CFR", "refreezing as a share of melt", "1", 0.0, 0.1),
        Parameter("CWH", "water holding capacity of snow", "1", 0.0, 0.2),
        Parameter("BETAET", "shape of the evapotranspiration curve", "1", 0.3, 5.0),
        Parameter("C", "capillary rise from the lower zone", "d-1", 0.0, 1.0, "fraction"),
    ),
    curves={"soil_wetness": ("BETA",), "evapotranspiration_share": ("LP", "BETAET")},
    fluxes=(
        Quantity("rain", "rainfall", "mm"),
        Quantity("snowfall", "snowfall, liquid equivalent", "mm"),
        Quantity("melt", "snow melt", "mm"),
        Quantity("refreezing", "refreezing of meltwater", "mm"),
        Quantity("recharge", "recharge of the groundwater zones", "mm"),
        Quantity("evapotranspiration", "actual evapotranspiration", "mm"),
        Quantity("capillary_rise", "capillary rise into the soil", "mm"),
        Quantity("percolation", "percolation to the lower zone", "mm"),
        Quantity("surface_runoff", "fast outflow of the upper zone", "mm"),
        Quantity("interflow", "slow outflow of the upper zone", "mm"),
        Quantity("baseflow", "outflow of the lower zone", "mm"),
        Quantity("runoff", "runoff before routing", "mm"),
        Quantity("snow_water_equivalent", "water in the snowpack, frozen and liquid", "mm"),
        Quantity("groundwater", "water in both groundwater zones", "mm"),
    ),
)
