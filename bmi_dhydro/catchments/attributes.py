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
        Attribute("upstream_area", "area that drains through the catchment", "km2", "geometry"),
    )
}

# What the data set CAMELS (Addor et al. 2017, 10.5194/hess-21-5293-2017), and published models that
# learned from it, call attributes whose meaning and units are the same.
CAMELS_NAMES = {
    "p_mean": "mean_precipitation",
    "pet_mean": "mean_potential_evapotranspiration",
    "frac_snow": "snow_fraction",
    "p_seasonality": "precipitation_seasonality",
    "high_prec_freq": "high_precipitation_frequency",
    "high_prec_dur": "high_precipitation_duration",
    "low_prec_freq": "low_precipitation_frequency",
    "low_prec_dur": "low_precipitation_duration",
    "frac_forest": "forest_fraction",
    "lai_max": "leaf_area_index_maximum",
    "lai_diff": "leaf_area_index_difference",
    "gvf_max": "greenness_maximum",
    "gvf_diff": "greenness_difference",
    "sand_frac": "sand_percentage",
    "clay_frac": "clay_percentage",
    "soil_depth_pelletier": "soil_depth",
    "max_water_content": "maximum_water_content",
    "carbonate_rocks_frac": "carbonate_rocks_fraction",
    "geol_permeability": "subsurface_permeability",
    "elev_mean": "mean_elevation",
    "slope_mean": "mean_slope",
}


def units_of(name: str) -> str:
    """Return the units of an attribute; those of one that is not in the vocabulary are unknown."""
    return ATTRIBUTES[name].units if name in ATTRIBUTES else "unknown"


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
