"""EXP-HYDRO: a snow store and a soil store whose outflow is an exponential function of its content.

Equations after Patil and Stieglitz (2014, 10.1002/wrcr.20477), explicit in time, with each flux
limited to what its store holds, so that the balance closes to rounding.
"""

from __future__ import annotations

from .primitives import exp, maximum, minimum, where
from .process import Parameter, Process, Quantity


def step(
    snowpack,
    soil_moisture,
    precipitation,
    temperature,
    potential_evapotranspiration,
    DF,
    F,
    QMAX,
    SMAX,
    TMAX,
    TMIN,
):
    """Advance one cell by one step; depths in mm, fluxes in mm per step, temperature in degC.

    Arguments are the states, forcings and parameters of `EXP_HYDRO`, in its order; returns its
    states and fluxes.
    """
    snowfall = where(temperature < TMIN, precipitation, 0.0)
    rain = precipitation - snowfall
    snowpack = snowpack + snowfall
    melt = minimum(maximum(DF * (temperature - TMAX), 0.0), snowpack)
    snowpack = snowpack - melt

    soil_moisture = soil_moisture + (rain + melt)
    surface_runoff = maximum(soil_moisture - SMAX, 0.0)
    soil_moisture = soil_moisture - surface_runoff
    evapotranspiration = minimum(
        potential_evapotranspiration * (soil_moisture / SMAX), soil_moisture
    )
    soil_moisture = soil_moisture - evapotranspiration
    baseflow = minimum(QMAX * exp(F * (soil_moisture - SMAX)), soil_moisture)
    soil_moisture = soil_moisture - baseflow

    return (
        snowpack,
        soil_moisture,
        rain,
        snowfall,
        melt,
        evapotranspiration,
        surface_runoff,
        baseflow,
        surface_runoff + baseflow,
        snowpack + 0.0,
    )


EXP_HYDRO = Process(
    name="exp_hydro",
    long_name="EXP-HYDRO, 6 parameters",
    reference="Patil and Stieglitz 2014, 10.1002/wrcr.20477",
    step=step,
    states=(
        Quantity("snowpack", "water in the snowpack", "mm", 0.001),
        Quantity("soil_moisture", "water in the catchment's store", "mm", 0.001),
    ),
    forcings=(
        Quantity("precipitation", "precipitation", "mm"),
        Quantity("temperature", "mean air temperature", "degC"),
        Quantity("potential_evapotranspiration", "potential evapotranspiration", "mm"),
    ),
    parameters=(
        Parameter("DF", "degree-day factor", "mm degC-1 d-1", 0.1, 10.0, "rate", possible=(0, 50)),
        Parameter(
            "F",
            "decline of outflow with storage",
            "mm-1",
            0.001,
            0.1,
            scale="log",
            possible=(1e-06, 1),
        ),
        Parameter(
            "QMAX",
            "outflow of the full store",
            "mm d-1",
            1.0,
            50.0,
            "rate",
            "log",
            possible=(0, 1000),
        ),
        Parameter(
            "SMAX", "capacity of the store", "mm", 100.0, 1500.0, scale="log", possible=(1, 20000)
        ),
        Parameter(
            "TMAX", "temperature above which snow melts", "degC", 0.0, 3.0, possible=(-15, 15)
        ),
        Parameter(
            "TMIN", "temperature below which snow falls", "degC", -3.0, 0.0, possible=(-15, 15)
        ),
    ),
    stores=("snow_water_equivalent",),
    fluxes=(
        Quantity("rain", "rainfall", "mm"),
        Quantity("snowfall", "snowfall, liquid equivalent", "mm"),
        Quantity("melt", "snow melt", "mm"),
        Quantity("evapotranspiration", "actual evapotranspiration", "mm"),
        Quantity("surface_runoff", "overflow of the full store", "mm"),
        Quantity("baseflow", "outflow of the store", "mm"),
        Quantity("runoff", "runoff before routing", "mm"),
        Quantity("snow_water_equivalent", "water in the snowpack", "mm"),
    ),
)
