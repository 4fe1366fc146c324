"""The vocabulary of catchment attributes: one name and unit for each, whatever the data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Attribute:
    """A static property of a catchment; `kind` says where it can come from."""

    name: str
    long_name: str
    units: str
    kind: Literal["climate", "soil", "vegetation", "terrain", "geology", "geometry"]


ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute("mean_precipitation", "mean precipitation", "mm d-1", "climate"),
        Attribute(
            "mean_potential_evapotranspiration",
            "mean potential evapotranspiration",
            "mm d-1",
            "climate",
        ),
        Attribute(
            "aridity", "mean potential evapotranspiration over mean precipitation", "1", "climate"
        ),
        Attribute("snow_fraction", "share of precipitation on days below 0 degC", "1", "climate"),
        Attribute(
            "precipitation_seasonality",
            "seasonality of precipitation: positive where it peaks in summer (Woods 2009)",
            "1",
            "climate",
        ),
        Attribute("mean_temperature", "mean air temperature", "degC", "climate"),
        Attribute(
            "temperature_amplitude",
            "amplitude of the seasonal cycle of air temperature",
            "degC",
            "climate",
        ),
        Attribute(
            "high_precipitation_frequency",
            "days with at least five times the mean precipitation",
            "d yr-1",
            "climate",
        ),
        Attribute(
            "high_precipitation_duration",
            "mean length of spells of such days",
            "d",
            "climate",
        ),
        Attribute("low_precipitation_frequency", "days with less than 1 mm", "d yr-1", "climate"),
        Attribute(
            "low_precipitation_duration", "mean length of spells of such days", "d", "climate"
        ),
        Attribute(
            "precipitation_variability",
            "coefficient of variation of daily precipitation",
            "1",
            "climate",
        ),
        Attribute("soil_porosity", "porosity of the soil", "1", "soil"),
        Attribute("wilting_point", "soil moisture at the wilting point", "1", "soil"),
        Attribute("clapp_hornberger_b", "Clapp-Hornberger exponent of the soil", "1", "soil"),
        Attribute(
            "log10_saturated_conductivity",
            "logarithm of the saturated hydraulic conductivity in m s-1",
            "1",
            "soil",
        ),
        Attribute("forest_fraction", "share of forest", "1", "vegetation"),
        Attribute("sand_percentage", "sand in the soil, by weight", "%", "soil"),
        Attribute("clay_percentage", "clay in the soil, by weight", "%", "soil"),
        Attribute("soil_depth", "depth to bedrock", "m", "soil"),
        Attribute("maximum_water_content", "water that the soil can hold", "m", "soil"),
        Attribute("leaf_area_index_maximum", "highest monthly leaf area index", "1", "vegetation"),
        Attribute(
            "leaf_area_index_difference",
            "highest less lowest monthly leaf area index",
            "1",
            "vegetation",
        ),
        Attribute(
            "greenness_maximum", "highest monthly share of green vegetation", "1", "vegetation"
        ),
        Attribute(
            "greenness_difference",
            "highest less lowest monthly share of green vegetation",
            "1",
            "vegetation",
        ),
        Attribute("carbonate_rocks_fraction", "share of carbonate rocks", "1", "geology"),
        Attribute("subsurface_permeability", "logarithm of the permeability in m2", "1", "geology"),
        Attribute("mean_elevation", "mean elevation above sea level", "m", "terrain"),
        Attribute("mean_slope", "mean slope of the terrain", "m km-1", "terrain"),
        Attribute("area", "catchment area", "km2", "geometry"),
    )
}

CLIMATE = tuple(name for name, item in ATTRIBUTES.items() if item.kind == "climate")

# What a network sees unless its configuration says otherwise: what a NextGen hydrofabric has too.
# Area is not among them: it acts on the routing delay alone (see physics.unit_hydrograph), because
# hydrofabric divides are far smaller than gauged catchments.
NETWORK_INPUTS = (
    *CLIMATE,
    "soil_porosity",
    "wilting_point",
    "clapp_hornberger_b",
    "log10_saturated_conductivity",
    "forest_fraction",
)
