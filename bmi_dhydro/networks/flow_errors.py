"""How far observed flow may lie from simulated flow: quantiles, learned from a model's errors.

Networks of several seeds differ far less from each other than they err, so that their band holds
few of the observed days. What errs is known where flow was observed that training did not see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics.primitives import exp, log, minimum
from .mlp import logits

# The quantiles: a band that nine tenths of observed days should lie in, and its middle.
SHARES = (0.05, 0.5, 0.95)

# Added to flow before logarithms are taken, in mm d-1.
OFFSET = 0.1

# Beyond this the softplus is its argument, and the exponential would overflow.
_LINEAR = 30.0

# What describes a model's errors in its file.
_STATISTICS = ("mean", "deviation", "lowest", "highest")


def _softplus(values: Any) -> Any:
    """Return a smooth function that is positive everywhere."""
    return log(1.0 + exp(minimum(values, _LINEAR)))


def log_quantiles(weights: Mapping[str, Any], logarithm: Any, inputs: Any) -> tuple[Any, ...]:
    """Return logarithms of the quantiles of observed flow, in increasing order.

    Parameters
    ----------
    weights : mapping
        See `mlp.logits`; three outputs.
    logarithm : array, shape (...)
        Of simulated flow and `OFFSET`.
    inputs : array, shape (..., inputs)
        Normalised: that logarithm, and attributes.
    """
    shifts = logits(weights, inputs)
    middle = logarithm + shifts[..., 0]
    return middle - _softplus(shifts[..., 1]), middle, middle + _softplus(shifts[..., 2])


@dataclass(frozen=True)
class FlowErrors:
    """Quantiles of observed daily flow, given what was simulated, and where.

    Attributes
    ----------
    attributes : tuple of str
        Attributes of a catchment that they depend on, beside its flow.
    weights : mapping of array
        See `log_quantiles`.
    mean, deviation, lowest, highest : array, shape (1 + attributes,)
        Statistics of the inputs: the logarithm of flow, and attributes. What lies outside the range
        counts as its end.
    about : mapping
        For people: `catchments` that they were learned from, and `coverage`.
    """

    attributes: tuple[str, ...]
    weights: Mapping[str, NDArray]
    mean: NDArray
    deviation: NDArray
    lowest: NDArray
    highest: NDArray
    about: Mapping[str, Any] = field(default_factory=dict)

    def quantiles(self, flow: NDArray, attributes: Mapping[str, NDArray]) -> NDArray:
        """Return the quantiles `SHARES` of observed flow.

        Parameters
        ----------
        flow : array, shape (days, catchments)
            Simulated daily flow in mm d-1.
        attributes : mapping of array, shape (catchments,)

        Returns
        -------
        array, shape (3, days, catchments)
            In mm d-1; NaN where flow or an attribute is.
        """
        logarithm = np.log(np.maximum(flow, 0.0) + OFFSET)
        inputs = self.normalised(logarithm, attributes)
        rows = np.stack(log_quantiles(self.weights, logarithm, inputs))
        return np.maximum(np.exp(rows) - OFFSET, 0.0)

    def normalised(self, logarithm: NDArray, attributes: Mapping[str, NDArray]) -> NDArray:
        """Return what the network sees: shape (days, catchments, inputs)."""
        columns = [logarithm]
        columns += (np.broadcast_to(attributes[name], logarithm.shape) for name in self.attributes)
        inside = np.clip(np.stack(columns, axis=-1), self.lowest, self.highest)
        return (inside - self.mean) / self.deviation

    def description(self) -> dict[str, Any]:
        """Return what `described` reads, beside the weights."""
        statistics = {name: getattr(self, name).tolist() for name in _STATISTICS}
        return {"attributes": list(self.attributes), **statistics, "about": dict(self.about)}

    @classmethod
    def described(
        cls, description: Mapping[str, Any], weights: Mapping[str, NDArray]
    ) -> FlowErrors:
        """Read what `description` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is malformed.
        """
        names = tuple(map(str, description["attributes"]))
        mean, deviation, lowest, highest = (
            np.array(description[name], dtype=float) for name in _STATISTICS
        )
        if any(values.shape != (1 + len(names),) for values in (mean, deviation, lowest, highest)):
            raise ValueError(f"statistics of flow errors of {len(names)} attributes")
        wide = {name: values.astype(float) for name, values in weights.items()}
        return cls(names, wide, mean, deviation, lowest, highest, description["about"])
