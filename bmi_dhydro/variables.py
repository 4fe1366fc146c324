"""The table of exchange items: what hosts set and get, under which name, in which unit.

Nothing else in the package knows these names. `docs/variables.md` is made of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# How a value in the model's units (mm per step, mm, degC) becomes one in the item's units.
Conversion = Literal["none", "depth_to_m", "depth_to_mm_per_hour", "depth_to_m3_per_second"]


@dataclass(frozen=True)
class Input:
    """A value that a host provides.

    Attributes
    ----------
    name : str
        CSDMS standard name.
    source : str
        What the package calls it.
    units, long_name : str
    lowest, highest : float
        Values beyond are refused: they are errors of unit more often than weather.
    aliases : tuple of str
        Other names that hosts may use.
    per_hour : bool
        Whether it is a rate per hour, to be turned into a depth per step.
    """

    name: str
    source: str
    units: str
    long_name: str
    lowest: float
    highest: float
    aliases: tuple[str, ...] = ()
    per_hour: bool = False


@dataclass(frozen=True)
class Output:
    """A value that a host can get; `source` names an output of the model."""

    name: str
    source: str
    units: str
    long_name: str
    conversion: Conversion
    aliases: tuple[str, ...] = ()


INPUTS: tuple[Input, ...] = (
    Input(
        "atmosphere_water__liquid_equivalent_precipitation_rate",
        "precipitation",
        "mm h-1",
        "precipitation, rain and snow, mean rate over the step",
        0.0,
        1000.0,
        ("atmosphere_water__precipitation_leq-volume_flux",),
        per_hour=True,
    ),
    Input(
        "land_surface_air__temperature",
        "temperature",
        "degC",
        "air temperature, mean over the step",
        -90.0,
        70.0,
    ),
    Input(
        "land_surface_water__potential_evaporation_volume_flux",
        "potential_evapotranspiration",
        "mm h-1",
        "potential evapotranspiration, mean rate over the step; below zero counts as zero",
        -10.0,
        20.0,
        per_hour=True,
    ),
    Input(
        "land_surface_air__time_min_of_temperature",
        "temperature_minimum",
        "degC",
        "lowest air temperature of the day, for Hargreaves evapotranspiration",
        -90.0,
        70.0,
    ),
    Input(
        "land_surface_air__time_max_of_temperature",
        "temperature_maximum",
        "degC",
        "highest air temperature of the day, for Hargreaves evapotranspiration",
        -90.0,
        70.0,
    ),
)

# Runoff as a rate, which people plot and compare.
RUNOFF_FLUX = "land_surface_water__runoff_volume_flux"

OUTPUTS: tuple[Output, ...] = (
    Output(
        "land_surface_water__runoff_depth",
        "discharge",
        "m",
        "runoff at the outlet, depth over the catchment in a step",
        "depth_to_m",
    ),
    Output(
        RUNOFF_FLUX,
        "discharge",
        "mm h-1",
        "runoff at the outlet, rate",
        "depth_to_mm_per_hour",
    ),
    Output(
        "channel_exit_water_x-section__volume_flow_rate",
        "discharge",
        "m3 s-1",
        "discharge at the outlet",
        "depth_to_m3_per_second",
    ),
    Output(
        "snowpack__liquid-equivalent_depth",
        "snow_water_equivalent",
        "mm",
        "snow water equivalent, liquid water in the snowpack included",
        "none",
    ),
    Output("soil_root-zone_water__depth", "soil_moisture", "mm", "water in the soil", "none"),
    Output(
        "soil_sat-zone_water__depth",
        "groundwater",
        "mm",
        "water in both groundwater zones",
        "none",
    ),
    Output(
        "land_surface_water__evaporation_volume_flux",
        "evapotranspiration",
        "mm h-1",
        "actual evapotranspiration",
        "depth_to_mm_per_hour",
    ),
    Output(
        "land_surface_water__baseflow_volume_flux",
        "baseflow",
        "mm h-1",
        "outflow of the lower groundwater zone, before routing",
        "depth_to_mm_per_hour",
    ),
    Output(
        "soil_water_sat-zone_top__recharge_volume_flux",
        "recharge",
        "mm h-1",
        "recharge of the groundwater zones",
        "depth_to_mm_per_hour",
    ),
)

# Flows on their way to the outlet: not published, but a state that hosts can move.
ROUTING_PENDING = "routing_pending"

# Inputs that a host is asked for unless the configuration says otherwise.
DEFAULT_INPUTS = ("precipitation", "temperature", "potential_evapotranspiration")


def inputs_for(sources: tuple[str, ...]) -> tuple[Input, ...]:
    """Return the inputs that provide these quantities, in their order."""
    table = {item.source: item for item in INPUTS}
    return tuple(table[source] for source in sources)


def factor(conversion: Conversion, step_seconds: int, area: NDArray) -> NDArray:
    """Return the number that turns the model's unit into that of an output.

    Parameters
    ----------
    conversion : str
    step_seconds : int
    area : array, shape (catchments,)
        In km2.
    """
    return {
        "none": np.ones_like(area),
        "depth_to_m": np.full_like(area, 1e-3),
        "depth_to_mm_per_hour": np.full_like(area, 3600.0 / step_seconds),
        "depth_to_m3_per_second": area * (1e3 / step_seconds),
    }[conversion]
