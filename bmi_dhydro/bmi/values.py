"""Getting and setting values, on a GPU too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ForcingError, VariableError
from ..hosts.ngen import PREFIX
from ..variables import MEMBER, OF_PARAMETER_SETS, REACH_SPEED, ROUTING_PENDING
from .grids import CATCHMENTS
from .names import (
    PROTOCOL,
    REACH,
    REACH_PARAMETER,
    REACH_STATE,
    Variable,
    moves_with_member,
)
from .variables import VariableMethods


class ValueMethods(VariableMethods):
    """The methods of the interface that get and set values."""

    # ---- values ---------------------------------------------------------------------------

    def get_value(self, name: str, dest: NDArray) -> NDArray:
        """Copy the values of a variable into `dest`, and return it.

        Raises
        ------
        VariableError
            If the name is unknown.
        ValueError
            If `dest` has another size.
        """
        row = self._output_places.get(name)
        if row is not None and self._single_outputs is not None and dest.size == 1:
            dest[...] = self._single_outputs[row]
            return dest
        if row is not None and self._outputs:
            values = self._outputs[row]
        else:
            values = self._current(name).reshape(-1)
        if dest.size != values.size:
            raise ValueError(f"{name} has {values.size} values, but dest has room for {dest.size}")
        if dest.ndim == 1:
            dest[:] = values
        else:
            dest[...] = values.reshape(dest.shape)
        return dest

    def get_value_ptr(self, name: str) -> NDArray:
        """Return a flat view of the values of a variable; it stays valid and current.

        Parameters and attributes are read-only views: `set_value` changes them, since the model
        has to know.
        """
        if name.startswith(PREFIX):
            return self._protocols.read(name)
        variable = self._variable(name)
        component = self._ready()
        if component.config.fleet and variable.kind != "output":
            component = self._leave_fleet()
            variable = self._variable(name)
        if variable.kind in (ROUTING_PENDING, REACH_PARAMETER):
            raise VariableError(f"{name} has no fixed place in memory; use get_value")
        if moves_with_member(component, variable):
            raise VariableError(
                f"{name} has no fixed place in memory where the interface shows one member at a "
                "time; use get_value and set_value, or set ensemble.view: all"
            )
        if variable.kind == "state":
            component.pin()
        if variable.kind == "input":
            self._never_set.discard(component.input_items[variable.index].name)
            self._back_to_host(variable.index)
        if variable.kind == "output" and component.exchange.selective:
            component.table.keep([variable.index])
        if name == REACH_SPEED:
            component.joined.outputs.velocity_is_kept = True
        view = self._current(name).reshape(-1)
        if variable.kind in ("parameter", "attribute"):
            view = view.view()
            view.flags.writeable = False
        return view

    def get_value_at_indices(self, name: str, dest: NDArray, inds: NDArray) -> NDArray:
        """Copy the values at some flat indices into `dest`, and return it."""
        row = self._output_places.get(name)
        if row is not None and self._single_outputs is not None and len(inds) == 1 and inds[0] == 0:
            dest[0] = self._single_outputs[row]
            return dest
        if row is not None and self._outputs:
            values = self._outputs[row]
        else:
            values = self._current(name).reshape(-1)
        dest[:] = values[inds]
        return dest

    def set_value(self, name: str, src: NDArray) -> None:
        """Set all values of a variable.

        Inputs hold until they are set again. Setting an attribute re-runs the network for the
        catchments that it changes. A parameter also takes one value for all catchments.

        Raises
        ------
        VariableError
            If the name is unknown or cannot be set.
        ValueError
            If there are more or fewer values than the variable has, they are no numbers, or the
            equations do not hold for them; `update` raises the latter again until they are set
            right.
        ForcingError
            If weather is not a number or impossible; nothing is changed then.
        """
        known = self._input_places.get(name)
        if known is None:
            self._set_other(name, src)
            return
        row, lowest, highest = known
        if self._set_on_device:
            self._back_to_host(row)
        if self._single_inputs is not None and type(src) is np.ndarray and src.size == 1:
            number = src.item()
            if lowest <= number <= highest and not self._never_set:
                self._single_inputs[row] = number
                return
        values = self._inputs[row]
        source = src if type(src) is np.ndarray else np.asarray(src)
        if source.size != values.size:
            raise ValueError(f"{name} has {values.size} values, but {source.size} were given")
        source = source.reshape(-1)
        if not (lowest <= source.min() and source.max() <= highest):
            raise self._rejected(name, row, source)
        values[:] = source
        if self._never_set:
            self._never_set.discard(self._ready().input_items[row].name)

    def set_value_at_indices(self, name: str, inds: NDArray, src: NDArray) -> None:
        """Set the values of a variable at some flat indices."""
        values = np.array(self._current(name)).reshape(-1)
        values[inds] = src
        if self._variable(name).kind == "parameter":
            # Only the catchments that are named get a parameter of the host's.
            width = values.size // len(self._ready().catchments)
            self._set_parameter(name, values, np.unique(np.arange(values.size)[inds] // width))
            return
        self.set_value(name, values)

    def _current(self, name: str) -> NDArray:
        """Return the values of a variable, in their own shape."""
        variable = self._variable(name)
        if variable.kind == PROTOCOL:
            return self._protocols.read(name)
        if variable.kind in ("state", ROUTING_PENDING):
            component = self._own()
            component.synchronise()
            variable = self._variable(name)
        if variable.kind == ROUTING_PENDING:
            return component.model.pending[component.own_columns]
        if name == REACH_SPEED:
            self._ready().joined.find_velocity()
        if variable.kind == REACH_PARAMETER:
            joined = self._ready().joined
            return joined.river.parameter(name)[joined.own].astype(float)
        if variable.kind == "output":
            self._bring(variable)
        if variable.kind == "input":
            self._back_to_host(variable.index)
        assert variable.values is not None
        return variable.values

    def _bring(self, variable: Variable) -> None:
        """Make an output current, where only those that are asked for are."""
        component = self._ready()
        if component.exchange.selective:
            component.table.bring(variable.index)

    def _back_to_host(self, row: int) -> None:
        """Take an input from the host again, after a GPU has set it."""
        if row in self._set_on_device:
            self._ready().exchange.take_from_host(row)
            self._set_on_device.discard(row)

    # ---- values on a GPU ------------------------------------------------------------------

    def get_value_dlpack(self, name: str) -> Any:
        """Return the values of a variable where they are, for other libraries to take by DLPack.

        No part of BMI. On one GPU outputs do not pass the host: `torch.from_dlpack(...)` or
        `cupy.from_dlpack(...)` of the result has them there, current after each `update` where the
        host sets the weather, else until the next. Inputs are the host's; everything else is a
        copy in its memory.

        Parameters
        ----------
        name : str

        Returns
        -------
        object with `__dlpack__`, shape (values,)

        Raises
        ------
        VariableError
            If the name is unknown.
        """
        variable = self._variable(name)
        component = self._ready()
        on_device = component.exchange.selective and not self._together
        if variable.kind == "output" and on_device:
            values = component.exchange.on_device(variable.index)
            if values is not None:
                return values[component.own_columns]
        if variable.kind in ("input", "output"):
            return self.get_value_ptr(name)
        return self._current(name).reshape(-1).copy()

    def set_value_dlpack(self, name: str, values: Any) -> None:
        """Set an input from an array of another library, on a GPU or not.

        No part of BMI. Where model and array are on a GPU, the values do not pass the host; they
        are checked in `update`. Otherwise, and for anything but inputs, as `set_value`.

        Parameters
        ----------
        name : str
        values : object with `__dlpack__`
            As many as the variable has.

        Raises
        ------
        VariableError, ValueError, ForcingError
            As `set_value`.
        """
        variable = self._variable(name)
        component = self._ready()
        if variable.kind == "input" and component.exchange.selective:
            import torch

            tensor = torch.from_dlpack(values)
            row = variable.index
            if tensor.numel() == component.inputs.shape[1] and component.exchange.set_on_device(
                row, tensor
            ):
                self._set_on_device.add(row)
                self._never_set.discard(component.input_items[row].name)
                return
        self.set_value(name, _on_host(values))

    def _rejected(self, name: str, row: int, values: NDArray) -> ForcingError:
        component = self._ready()
        item = component.input_items[row]
        values = values.astype(float)
        wrong = int(np.argmax(~((values >= item.lowest) & (values <= item.highest))))
        ids = component.catchments.ids
        return ForcingError(
            f"{name} cannot be {values[wrong]:.6g} {item.units} for catchment "
            f"{ids[wrong % len(ids)]} at {component.clock.moment()}; expected {item.lowest:g} to "
            f"{item.highest:g} {item.units}, nothing was set"
        )

    def _set_parameter(self, name: str, src: NDArray, rows: slice | NDArray = slice(None)) -> None:
        """Set a parameter of some catchments; a name alone gives all parameter sets the same value.

        A host that does not see the error meets it again in the next `update`: NextGen's engine
        goes on whatever `set_value` raises.
        """
        component = self._own()
        variable = self._variable(name)
        shape = self._current(name).shape
        try:
            values = self._numbers(name, src, int(np.prod(shape)), single=True).reshape(shape)
            base = name.removesuffix(OF_PARAMETER_SETS)
            if variable.grid == CATCHMENTS and component.model.parameters[base].ndim == 2:
                values = np.repeat(values[:, None], component.model.parameter_sets, axis=1)
            component.set_parameter(base, values[rows], rows)
        except ValueError as error:
            self._rejected_parameters[name] = error
            raise
        self._rejected_parameters.pop(name, None)

    @staticmethod
    def _numbers(name: str, src: NDArray, size: int, single: bool = False) -> NDArray:
        """Return finite numbers that were given, as many as a variable has.

        Raises
        ------
        ValueError
            If they are no numbers, not finite, or more or fewer.
        """
        try:
            values = np.asarray(src, dtype=float).reshape(-1)
        except (TypeError, ValueError):
            raise ValueError(f"{name} takes numbers, not {src!r}") from None
        if values.size == 1 and single:
            values = np.full(size, values[0])
        if values.size != size:
            also = " (or one that holds for all)" if single else ""
            raise ValueError(f"{name} has {size} values{also}, but {values.size} were given")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} cannot be {values[~np.isfinite(values)][0]}; nothing was set")
        return values

    def _set_other(self, name: str, src: NDArray) -> None:
        variable = self._variable(name)
        if variable.kind == PROTOCOL:
            self._protocols.write(name, src)
            return
        if variable.kind in ("output", REACH):
            raise VariableError(f"{name} is an output and cannot be set")
        if variable.kind in (REACH_STATE, REACH_PARAMETER):
            values = self._numbers(name, src, self.get_grid_size(variable.grid))
            self._ready().joined.set_values(name, values)
            return
        if variable.kind == "parameter":
            self._set_parameter(name, src)
            return
        component = self._own()
        variable = self._variable(name)
        if variable.kind == MEMBER:
            component.select(int(np.asarray(src).reshape(-1)[0]))
            self._find_arrays(component)
            return
        values = self._numbers(name, src, self.get_grid_size(variable.grid))
        shape = self._current(name).shape
        if variable.kind == "attribute":
            component.set_attribute(name, values)
            return
        if (values < 0).any():
            raise ValueError(f"{name} is a store and cannot be {values.min():g}; nothing was set")
        component.changing()
        before = component.model.stored()
        if variable.kind == ROUTING_PENDING:
            pending = component.model.pending
            pending[component.own_columns] = values.reshape(shape)
            component.model.pending = pending
        else:
            assert variable.values is not None
            variable.values[...] = values.reshape(shape)
        component.account.moved(component.model.stored() - before)


def _on_host(values: Any) -> NDArray:
    """Return an array that offers itself by DLPack as one of NumPy."""
    in_host_memory = 1  # kDLCPU of DLPack
    if values.__dlpack_device__()[0] == in_host_memory:
        return np.from_dlpack(values)
    import torch

    return torch.from_dlpack(values).cpu().numpy()
