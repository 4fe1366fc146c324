"""What the interface says of variables: names, types, units, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import VariableError, nearest
from ..hosts.ngen import PREFIX
from .grids import ONE_VALUE
from .names import PROTOCOL, Variable

if TYPE_CHECKING:
    from ..hosts.fleet import FleetInstance
    from ..run.component import Component

from .life_cycle import LifeCycleMethods


class VariableMethods(LifeCycleMethods):
    """The methods of the interface that describe variables."""

    # ---- names ----------------------------------------------------------------------------

    def get_component_name(self) -> str:
        """Return the name of the component."""
        return "bmi_dhydro"

    def get_input_item_count(self) -> int:
        """Return the number of inputs that a host sets."""
        return len(self._input_names)

    def get_output_item_count(self) -> int:
        """Return the number of outputs that are published."""
        return len(self._output_names)

    def get_input_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names that a host sets each step; none where the component reads its weather."""
        return self._input_names

    def get_output_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Return the names of the outputs: CSDMS Standard Names, see `bmi_dhydro.variables`."""
        return self._output_names

    # ---- variables ------------------------------------------------------------------------

    def _variable(self, name: str) -> Variable:
        member = self._ready()
        found = self._known.find(name)
        if found is None and member.config.fleet and name in member.private_names:
            self._own()
            found = self._known.find(name)
        if found is not None:
            return found
        if name.startswith(PREFIX):
            item = self._protocols.find(name)
            return Variable(PROTOCOL, item.units, ONE_VALUE, None, item.type)
        raise VariableError(self._unknown(member, name))

    def _unknown(self, component: Component | FleetInstance, name: str) -> str:
        """Return what to say of a name that is none.

        One that is not like any of CSDMS is meant for a parameter or state: hosts such as NextGen's
        engine set those by name.
        """
        said = f"variable {name!r} is unknown (catchment {component.catchments.ids[0]})"
        hint = nearest(name, [*self._input_names, *self._output_names])
        if "__" in name or hint.startswith("did you mean"):
            return f"{said}; {hint}"
        model = component.model
        parameters = ", ".join(item.name for item in model.parameter_items)
        return f"{said}; parameters: {parameters}; states: {', '.join(model.process.state_names)}"

    def get_var_grid(self, name: str) -> int:
        """Return the grid that a variable is on.

        Parameters
        ----------
        name : str
            Name of an input or output, a parameter, attribute or state.

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        return self._variable(name).grid

    def get_var_type(self, name: str) -> str:
        """Return the type of a variable's values, as NumPy names it.

        Parameters
        ----------
        name : str

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        known = self._types.get(name)
        return self._variable(name).type if known is None else known

    def get_var_units(self, name: str) -> str:
        """Return the units of a variable, as UDUNITS writes them.

        Parameters
        ----------
        name : str

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        known = self._units.get(name)
        return self._variable(name).units if known is None else known

    def get_var_itemsize(self, name: str) -> int:
        """Return the size of one value of a variable, in bytes.

        Parameters
        ----------
        name : str

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        known = self._itemsizes.get(name)
        return self._variable(name).itemsize if known is None else known

    def get_var_nbytes(self, name: str) -> int:
        """Return the size of all values of a variable, in bytes.

        Parameters
        ----------
        name : str

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        known = self._nbytes.get(name)
        if known is not None:
            return known
        if name.startswith(PREFIX):
            return self._protocols.nbytes(name)
        return self.get_var_itemsize(name) * self.get_grid_size(self._variable(name).grid)

    def get_var_location(self, name: str) -> str:
        """Return where on its grid a variable is: at the nodes.

        Parameters
        ----------
        name : str

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        self._variable(name)
        return "node"
