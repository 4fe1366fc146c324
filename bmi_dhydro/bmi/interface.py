"""The Basic Model Interface 2.0, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import NDArray

from ..machine import required
from .values import ValueMethods


class BmiDhydro(ValueMethods):
    """A trained differentiable hydrology model for one catchment or many.

    Published inputs and outputs are those of `bmi_dhydro.variables`. By name, but unpublished, a
    host also reaches: the parameters of the process and of routing (daily values, one for each
    catchment; those of each of its parallel parameter sets under the name with `_components` after
    it), the attributes that the network sees, the states of each component, `routing_pending`, and
    all fluxes and stores of the model in mm (per step).
    """

    # Where pymt finds what it must know of a component: seen from this module's folder.
    METADATA = "../plugins/pymt"

    # ---- derivatives ----------------------------------------------------------------------

    def vjp(
        self, seeds: Mapping[str, NDArray], wrt: Sequence[str], steps: int = 1
    ) -> dict[str, NDArray]:
        """Pull the derivative of an objective back through the last steps.

        No part of BMI: in the manner of FMI 3's adjoint derivatives. Needs `history` in the
        configuration; see `bmi_dhydro.run.derivatives.vjp` for shapes and units.

        Parameters
        ----------
        seeds : mapping
            Derivative of the objective with respect to outputs, by name.
        wrt : sequence of str
            Inputs, parameters, attributes, states `steps` back.
        steps : int

        Returns
        -------
        dict of array
            The derivative of the objective with respect to each of `wrt`.
        """
        required("torch", "BmiDhydro.vjp")
        from ..run.derivatives import vjp

        return vjp(self._leave_fleet(), seeds, wrt, steps)
