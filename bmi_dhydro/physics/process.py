"""What a process model is: a step function and the tables that describe its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .primitives import exp, log

TimeScaling = Literal["none", "rate", "fraction"]
BoundScale = Literal["linear", "log"]


@dataclass(frozen=True)
class Parameter:
    """A coefficient of a process model, in its daily meaning.

    Attributes
    ----------
    name, long_name, units : str
        The name in the literature, a description, a UDUNITS string.
    lower, upper : float
        Bounds between which a network or a calibration may choose.
    time_scaling : {"none", "rate", "fraction"}
        How a daily value turns into the value of a step of length `dt` days: unchanged, times
        `dt`, or `1 - (1 - k)**dt` for a share of a store that leaves per day.
    scale : {"linear", "log"}
        Whether a network's output between 0 and 1 moves linearly or logarithmically between
        the bounds.
    possible : (float, float)
        Values for which the equations hold: wider than the bounds, and what anybody may set.
    """

    name: str
    long_name: str
    units: str
    lower: float
    upper: float
    time_scaling: TimeScaling = "none"
    scale: BoundScale = "linear"
    possible: tuple[float, float] = (-math.inf, math.inf)

    def impossible(self, values: NDArray) -> NDArray:
        """Return which daily values the equations do not hold for: an array of bool."""
        least, most = self.possible
        return ~(np.isfinite(values) & (values >= least) & (values <= most))


@dataclass(frozen=True)
class Quantity:
    """A state, forcing or flux of a process model: depths in mm, fluxes in mm per step."""

    name: str
    long_name: str
    units: str
    initial: float = 0.0

    @property
    def is_depth(self) -> bool:
        """Whether it is an amount of water, which adds up over time and over parameter sets."""
        return self.units == "mm"


@dataclass(frozen=True)
class SiteRule:
    """A parameter that an attribute of a catchment decides, instead of a network.

    Attributes
    ----------
    parameter, attribute : str
    least : float
        Where the attribute is at least this, the rule holds.
    value : float or None
        What the parameter is there, in its daily units; the attribute itself, if None.
    """

    parameter: str
    attribute: str
    least: float = -math.inf
    value: float | None = None


@dataclass(frozen=True)
class Process:
    """A process model.

    Attributes
    ----------
    name, long_name, reference : str
        Identifier, description, source of the equations.
    step : callable
        One time step of one cell: `step(*states, *forcings, *parameters)` returns
        `(*states, *fluxes)`. Straight-line arithmetic over `physics.primitives` only.
    states, forcings, fluxes : tuple of Quantity
    parameters : tuple of Parameter
    curves : mapping
        Functions that the step function calls for the share of a flux that passes, by name, and
        their parameters: `curve(fullness, *parameters)`; see `learned_curves`.
    learned : tuple of str
        Curves that are replaced by networks.
    longest_step : float
        In days. A longer step is done in substeps of equal length, because the equations would not
        give what shorter ones give.
    stores : tuple of str
        Those of `fluxes` that are an amount stored at the end of a step, rather than what passed
        during it.
    inflow, evapotranspiration, runoff : str
        Names of the forcing and the fluxes that make up the water balance: the change of the
        sum of all states is inflow + gains - evapotranspiration - runoff.
    gains : tuple of str
        Those of `fluxes` that bring water from elsewhere; negative where they take it away.
    hydrograph : {"gamma", "published_gamma"}
        How runoff is routed; see `unit_hydrograph.hydrograph_of`.
    site : tuple of SiteRule
        Parameters that attributes of a catchment decide beside the network.
    """

    name: str
    long_name: str
    reference: str
    step: Callable[..., tuple]
    states: tuple[Quantity, ...]
    forcings: tuple[Quantity, ...]
    parameters: tuple[Parameter, ...]
    fluxes: tuple[Quantity, ...]
    curves: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    learned: tuple[str, ...] = ()
    longest_step: float = 1.0
    stores: tuple[str, ...] = ()
    inflow: str = "precipitation"
    evapotranspiration: str = "evapotranspiration"
    runoff: str = "runoff"
    gains: tuple[str, ...] = ()
    hydrograph: Literal["gamma", "published_gamma"] = "gamma"
    site: tuple[SiteRule, ...] = ()

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """Names of the stores, in order."""
        return tuple(item.name for item in self.states)

    @cached_property
    def forcing_names(self) -> tuple[str, ...]:
        """Names of what the step takes in, in order."""
        return tuple(item.name for item in self.forcings)

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(item.name for item in self.parameters)

    @cached_property
    def argument_names(self) -> tuple[str, ...]:
        """What the step function takes, in order."""
        return self.state_names + self.forcing_names + self.parameter_names

    @cached_property
    def flux_names(self) -> tuple[str, ...]:
        """Names of the fluxes, in order."""
        return tuple(item.name for item in self.fluxes)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Everything a step returns, in its order."""
        return self.state_names + self.flux_names

    @cached_property
    def stored_names(self) -> tuple[str, ...]:
        """Outputs that are an amount stored at the end of a step."""
        return self.state_names + self.stores

    def substeps(self, days: float) -> int:
        """Return in how many substeps a step of `days` days is done."""
        return max(1, math.ceil(days / self.longest_step))

    def forcing_shares(self, substeps: int) -> NDArray:
        """Return what a substep sees of each forcing: depths are spread, temperature stays.

        Parameters
        ----------
        substeps : int

        Returns
        -------
        array, shape (forcings,)
        """
        return np.array([1.0 / substeps if item.is_depth else 1.0 for item in self.forcings])


def between_bounds(share, parameter: Parameter):
    """Place a share between 0 and 1 between the bounds of a parameter.

    Parameters
    ----------
    share : array or tensor, any shape
    parameter : Parameter

    Returns
    -------
    array or tensor
        Values in `parameter.units`.
    """
    if parameter.scale == "log":
        lower, upper = np.log(parameter.lower), np.log(parameter.upper)
        return exp(float(lower) + share * float(upper - lower))
    return parameter.lower + share * (parameter.upper - parameter.lower)


def share_between_bounds(values, parameter: Parameter):
    """Return where values lie between the bounds of a parameter: the inverse of `between_bounds`.

    Parameters
    ----------
    values : array, any shape
        In `parameter.units`.
    parameter : Parameter

    Returns
    -------
    array
        0 at the lower bound, 1 at the upper.
    """
    if parameter.scale == "log":
        lower, upper = np.log(parameter.lower), np.log(parameter.upper)
        return (log(values) - lower) / (upper - lower)
    return (values - parameter.lower) / (parameter.upper - parameter.lower)


def per_step(values, parameter: Parameter, days: float):
    """Turn daily parameter values into those of a step of `days` days.

    Parameters
    ----------
    values : array or tensor, any shape
        Daily values in `parameter.units`.
    parameter : Parameter
    days : float
        Length of the step, in days.

    Returns
    -------
    array or tensor
        The same kind and shape as `values`.
    """
    if days == 1.0 or parameter.time_scaling == "none":
        return values
    if parameter.time_scaling == "rate":
        return values * days
    return 1.0 - (1.0 - values) ** days
