"""The table of exchange items: what hosts set and get, under which name, in which unit.

Nothing else in the package knows these names. `docs/variables.md` is made of this table.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .weather.quantities import QUANTITIES

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
    aliases : tuple of str
        Other names that hosts may use.
    rate_limits : tuple of float, optional
        Limits of a rate per hour, to be turned into a depth per step: the least and the most that
        is taken for one.
    """

    name: str
    source: str
    units: str
    long_name: str
    aliases: tuple[str, ...] = ()
    rate_limits: tuple[float, float] | None = None

    @property
    def per_hour(self) -> bool:
        """Whether it is a rate per hour."""
        return self.rate_limits is not None

    @property
    def lowest(self) -> float:
        """Least value that is accepted."""
        return self.rate_limits[0] if self.rate_limits else QUANTITIES[self.source].lowest

    @property
    def highest(self) -> float:
        """Greatest value that is accepted; beyond, it is an error of unit more often."""
        return self.rate_limits[1] if self.rate_limits else QUANTITIES[self.source].highest


@dataclass(frozen=True)
class Output:
    """A value that a host can get; `source` names an output of the model, or what it takes in."""

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
        ("atmosphere_water__precipitation_leq-volume_flux",),
        rate_limits=(0.0, 1000.0),
    ),
    Input(
        "land_surface_air__temperature",
        "temperature",
        "degC",
        "air temperature, mean over the step",
    ),
    Input(
        "land_surface_water__potential_evaporation_volume_flux",
        "potential_evapotranspiration",
        "mm h-1",
        "potential evapotranspiration, mean rate over the step; below zero counts as zero",
        rate_limits=(-10.0, 20.0),
    ),
    Input(
        "land_surface_air__time_min_of_temperature",
        "temperature_minimum",
        "degC",
        "lowest air temperature of the day, for Hargreaves evapotranspiration",
    ),
    Input(
        "land_surface_air__time_max_of_temperature",
        "temperature_maximum",
        "degC",
        "highest air temperature of the day, for Hargreaves evapotranspiration",
    ),
    Input(
        "land_surface_radiation~incoming~shortwave__energy_flux",
        "shortwave_radiation",
        "W m-2",
        "incoming shortwave radiation, mean over the step",
    ),
    Input(
        "land_surface_radiation~incoming~longwave__energy_flux",
        "longwave_radiation",
        "W m-2",
        "incoming longwave radiation, mean over the step",
    ),
    Input(
        "atmosphere_air_water~vapor__relative_saturation",
        "specific_humidity",
        "kg kg-1",
        "specific humidity, under the name that NextGen gives it",
        ("atmosphere_air_water~vapor__specific_humidity",),
    ),
    Input("land_surface_air__pressure", "air_pressure", "Pa", "air pressure at the surface"),
    Input(
        "land_surface_wind__x_component_of_velocity",
        "wind_x",
        "m s-1",
        "eastward wind at 10 m",
    ),
    Input(
        "land_surface_wind__y_component_of_velocity",
        "wind_y",
        "m s-1",
        "northward wind at 10 m",
    ),
)

# Runoff as a rate, which people plot and compare.
RUNOFF_FLUX = "land_surface_water__runoff_volume_flux"
FLOW = "channel_exit_water_x-section__volume_flow_rate"

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
        FLOW,
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
    Output(
        "atmosphere_water__rainfall_leq-volume_flux",
        "rain",
        "mm h-1",
        "rainfall: precipitation that is not snow",
        "depth_to_mm_per_hour",
    ),
    Output(
        "snowpack__melt_volume_flux",
        "melt",
        "mm h-1",
        "melt of the snowpack",
        "depth_to_mm_per_hour",
    ),
    Output(
        "soil_sat-zone_water~lateral-exchange__volume_flux",
        "lateral_exchange",
        "mm h-1",
        "gain from neighbouring catchments below ground, where the model has one",
        "depth_to_mm_per_hour",
    ),
    Output(
        "land_surface_water~created__volume_flux",
        "created_water",
        "mm h-1",
        "water that floors under the stores of a published model create",
        "depth_to_mm_per_hour",
    ),
    Output(
        "land_surface_water__potential_evapotranspiration_volume_flux",
        "potential_evapotranspiration",
        "mm h-1",
        "potential evapotranspiration that the step was done with, given or computed",
        "depth_to_mm_per_hour",
    ),
)

# Flow at the outlet, in each of its units.
FLOWS = tuple(item for item in OUTPUTS if item.source == "discharge")

# Flows on their way to the outlet: not published, but a state that hosts can move.
ROUTING_PENDING = "routing_pending"

# After the name of a parameter of the process: its value for each of the parallel parameter sets,
# where the name alone stands for one value of a catchment.
OF_PARAMETER_SETS = "_components"

# Which member of an ensemble the interface shows, where it shows one.
MEMBER = "ensemble__member"

# Inputs that a host is asked for unless the configuration says otherwise.
DEFAULT_INPUTS = ("precipitation", "temperature", "potential_evapotranspiration")


def outputs_of(sources: Container[str]) -> tuple[Output, ...]:
    """Return the outputs that a model can publish.

    Parameters
    ----------
    sources : container of str
        Names of what the model puts out and takes in: a process without groundwater publishes none.
    """
    return tuple(item for item in OUTPUTS if item.source in sources)


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


def quantile_of(name: str, share: float) -> str:
    """Return what results call a quantile of an output, such as `..._q05` for a share of 0.05."""
    return f"{name}_q{100 * share:02.0f}"


class ReachItem(NamedTuple):
    """A variable of the reaches of a river: its name, what the river calls it, and its units."""

    name: str
    source: str
    units: str


# What a river alone takes and gives, by the names of t-route.
RIVER_INPUTS = (ReachItem("land_surface_water_source__volume_flow_rate", "lateral", "m3 s-1"),)
RIVER_OUTPUTS = (
    ReachItem(FLOW, "flow", "m3 s-1"),
    ReachItem("channel_exit_water_x-section__time_mean_of_volume_flow_rate", "mean_flow", "m3 s-1"),
    ReachItem("channel_water__mean_depth", "depth", "m"),
    ReachItem("channel_water_flow__speed", "velocity", "m s-1"),
    ReachItem("channel_water__volume", "storage", "m3"),
)
# The same of a river that is joined to catchments, whose runoff has the first of these names.
REACH_OUTPUTS = tuple(
    item._replace(name=item.name.replace("channel_exit_water", "channel_water"))
    for item in RIVER_OUTPUTS
)
REACH_SPEED = REACH_OUTPUTS[3].name
REACH_STATES = {"flow": "m3 s-1", "depth": "m", "storage": "m3", "remainder": "m3"}
