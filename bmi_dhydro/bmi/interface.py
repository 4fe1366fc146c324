"""The Basic Model Interface 2.0, and nothing else."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ForcingError, OrderError, VariableError, nearest
from ..hosts.ngen import PREFIX, Protocols
from ..run.aggregation import Aggregation
from ..time_units import TimeUnits
from ..variables import DEFAULT_INPUTS, MEMBER, OF_COMPONENTS, OUTPUTS, ROUTING_PENDING, inputs_for
from .grids import CATCHMENTS, ONE_VALUE, GridMethods, Grids
from .names import NOTHING_PUBLISHED, PROTOCOL, Names, Variable, moves_with_member

if TYPE_CHECKING:
    from ..hosts.fleet import FleetMember
    from ..run.component import Component

_log = logging.getLogger(__name__)

# `update_until` forgives a time that misses a step by this share of it.
_TOLERANCE = 1e-6


class BmiDhydro(GridMethods):
    """A trained differentiable hydrology model for one catchment or many.

    Published inputs and outputs are those of `bmi_dhydro.variables`. By name, but unpublished, a
    host also reaches: the parameters of the process and of routing (daily values, one for each
    catchment; those of each component under the name with `_components` after it), the attributes
    that the network sees, the states of each component, `routing_pending`, and all fluxes and
    stores of the model in mm (per step).
    """

    def __init__(self) -> None:
        self._component: Component | FleetMember | None = None
        self._finalized = False
        self._names: Names | None = None
        self._remember(None)
        self._never_set: set[str] = set()
        # Errors of parameters that a host has set, by name, until they are set right.
        self._refused_parameters: dict[str, ValueError] = {}
        # Inputs that were last set on a GPU, by row.
        self._set_on_device: set[int] = set()
        self._input_names = tuple(item.name for item in inputs_for(DEFAULT_INPUTS))
        self._output_names = tuple(item.name for item in OUTPUTS)
        self._protocols = Protocols(self._ready)
        # Whether outputs are those of several steps.
        self._together = False
        self._time_step = self._start_time = 0.0
        self._time_units = "s"

    # ---- life cycle -----------------------------------------------------------------------

    def initialize(self, config_file: str) -> None:
        """Read a configuration and make everything ready for the first step.

        Parameters
        ----------
        config_file : str
            Path of a YAML file; see `bmi_dhydro.config`.

        Raises
        ------
        DhydroError
            If the configuration, or anything it names, is missing or does not fit.
        """
        if self._component is not None:
            raise OrderError("initialize was called before; call finalize first")
        from ..config import read_config
        from ..run.component import Component

        if not config_file:
            raise ConfigError("initialize needs the path of a configuration file")
        config = read_config(config_file)
        if config.fleet:
            from ..hosts.fleet import FleetMember

            self._start(FleetMember(config))
        else:
            self._start(Component(config))

    def _start(self, component: Component | FleetMember) -> None:
        self._component = component
        self._finalized = False
        self._clock = component.clock.data
        self._set_clock(component)
        self._update = component.stepper
        self._input_names = tuple(item.name for item in component.input_items)
        self._output_names = tuple(item.name for item in component.output_items)
        self._never_set = set(self._input_names)
        self._find_arrays(component)

    def _set_clock(self, component: Component | FleetMember) -> None:
        """Find the time step and the start in the unit that the configuration names."""
        units = TimeUnits.parse(component.config.time.units, "time.units")
        if units.needs_start and component.start is None:
            raise ConfigError(f"time.units: {units.text!r} needs time.start")
        self._time_step = component.model.step_seconds / units.seconds
        self._start_time = units.at_start(component.start)
        self._time_units = units.described(component.start)

    def _find_arrays(self, component: Component | FleetMember) -> None:
        """Find the arrays that names stand for."""
        self._names = Names(component)
        self._remember(self._names)

    def _remember(self, names: Names | None) -> None:
        """Keep what is asked in each step, so that an engine with many instances does not wait."""
        published = NOTHING_PUBLISHED if names is None else names.published
        self._types, self._units = published.types, published.units
        self._itemsizes, self._nbytes = published.itemsizes, published.nbytes
        self._input_places, self._output_places = published.inputs, published.outputs
        self._inputs = () if names is None else names.inputs
        self._outputs = () if names is None else names.outputs
        self._single_inputs = None if names is None else names.single_inputs
        self._single_outputs = None if names is None else names.single_outputs

    @property
    def component(self) -> Component:
        """The model behind the interface, for hosts that know Python; it leaves its fleet."""
        return self._leave_fleet()

    def _own(self) -> Component:
        """Return a component of this instance alone, to be changed.

        In a fleet that has not begun, the fleet takes over what is changed.
        """
        member = self._ready()
        if not member.config.fleet:
            return member
        if not member.waiting:
            return self._leave_fleet()
        component = member.prepare()
        self._known.take(component)
        self._update = self._first_update
        return component

    def _leave_fleet(self) -> Component:
        """Return the component of this instance, which a fleet no longer computes."""
        member = self._ready()
        if not member.config.fleet:
            return member
        component = member.leave()
        self._component, self._update = component, component.stepper
        self._known.take(component)
        return component

    def _first_update(self) -> None:
        """Do the first step of a fleet that has taken over what was changed here."""
        member = self._ready()
        self._names, self._update = Names(member), member.stepper
        self._update()

    @property
    def _known(self) -> Names:
        """The names of this instance, while it is initialized."""
        assert self._names is not None
        return self._names

    @property
    def _grids(self) -> Grids:
        return Grids(self._ready())

    def _ready(self) -> Any:
        if self._component is None:
            what = "finalize was called" if self._finalized else "the model is not initialized"
            raise OrderError(f"{what}; call initialize(config_file) first")
        return self._component

    def update(self) -> None:
        """Advance by one step.

        Raises
        ------
        ForcingError
            If weather is missing or impossible; the step is not done then.
        """
        if self._component is None:
            self._ready()
        if self._never_set:
            _log.warning("never set, so zero: %s", ", ".join(sorted(self._never_set)))
            self._never_set = set()
        self._together = False
        if self._refused_parameters:
            raise next(iter(self._refused_parameters.values()))
        self._update()

    def update_until(self, time: float) -> None:
        """Advance to a time, in the units of `get_time_units`.

        A time in the past does nothing. Where it takes several steps, outputs are those of all of
        them afterwards: depths add up, rates are means, stores those of the last step.

        Raises
        ------
        ValueError
            If the time is not at the end of a step; nothing is done then.
        """
        component = self._ready()
        steps = (time - self.get_current_time()) / self._time_step
        if steps <= 0:
            return
        whole = round(steps)
        if abs(steps - whole) > _TOLERANCE * max(1, whole):
            raise ValueError(
                f"time {time:g} is {steps:.6g} steps of {self._time_step:g} {self._time_units} "
                "ahead; only whole steps can be done: ask for a multiple, or set time.step"
            )
        if component.steps is not None and component.done + whole > component.steps:
            raise ForcingError(
                f"time {time:g} is beyond the end of the run, {self.get_end_time():g}"
            )
        if whole == 1:
            self.update()
        else:
            self._update_together(whole)

    def _update_together(self, steps: int) -> None:
        """Do several steps; outputs are then those of all of them."""
        component = self._ready()
        if component.exchange.selective:
            component.keep_all()
            self._find_arrays(component)
        total = Aggregation(component)
        for _ in range(steps):
            self.update()
            # An instance may have left its fleet.
            component = self._ready()
            total.add(component)
        total.show(component)
        self._together = True

    def finalize(self) -> None:
        """Finish files and let go of everything; may be called at any time, and twice."""
        component, self._component = self._component, None
        self._names = None
        self._remember(None)
        self._refused_parameters = {}
        self._protocols.close()
        self._finalized = True
        if component is not None:
            self._update = _not_ready
            component.close()

    # ---- names ----------------------------------------------------------------------------

    def get_component_name(self) -> str:
        return "bmi_dhydro"

    def get_input_item_count(self) -> int:
        return len(self._input_names)

    def get_output_item_count(self) -> int:
        return len(self._output_names)

    def get_input_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names that a host sets each step; none where the component reads its weather."""
        return self._input_names

    def get_output_var_names(self) -> tuple[str, ...]:  # type: ignore[override]
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

    def _unknown(self, component: Component | FleetMember, name: str) -> str:
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
        return self._variable(name).grid

    def get_var_type(self, name: str) -> str:
        known = self._types.get(name)
        return self._variable(name).type if known is None else known

    def get_var_units(self, name: str) -> str:
        known = self._units.get(name)
        return self._variable(name).units if known is None else known

    def get_var_itemsize(self, name: str) -> int:
        known = self._itemsizes.get(name)
        return self._variable(name).itemsize if known is None else known

    def get_var_nbytes(self, name: str) -> int:
        known = self._nbytes.get(name)
        if known is not None:
            return known
        if name.startswith(PREFIX):
            return self._protocols.nbytes(name)
        return self.get_var_itemsize(name) * self.get_grid_size(self._variable(name).grid)

    def get_var_location(self, name: str) -> str:
        self._variable(name)
        return "node"

    # ---- time -----------------------------------------------------------------------------

    def get_current_time(self) -> float:
        if self._component is None:
            self._ready()
        return self._start_time + self._clock[0] * self._time_step

    def get_start_time(self) -> float:
        self._ready()
        return self._start_time

    def get_end_time(self) -> float:
        steps = self._ready().steps
        if steps is None:
            return sys.float_info.max
        return self._start_time + steps * self._time_step

    def get_time_units(self) -> str:
        self._ready()
        return self._time_units

    def get_time_step(self) -> float:
        self._ready()
        return self._time_step

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
        if variable.kind == ROUTING_PENDING:
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
            component.keep([variable.index])
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
            raise self._refused(name, row, source)
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
            return component.model.pending[component.part]
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
            component.bring(variable.index)

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
                return values[component.part]
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

    def _refused(self, name: str, row: int, values: NDArray) -> ForcingError:
        component = self._ready()
        item = component.input_items[row]
        values = values.astype(float)
        wrong = int(np.argmax(~((values >= item.lowest) & (values <= item.highest))))
        ids = component.catchments.ids
        return ForcingError(
            f"{name} cannot be {values[wrong]:.6g} {item.units} for catchment "
            f"{ids[wrong % len(ids)]} at {component.moment()}; expected {item.lowest:g} to "
            f"{item.highest:g} {item.units}, nothing was set"
        )

    def _set_parameter(self, name: str, src: NDArray, rows: slice | NDArray = slice(None)) -> None:
        """Set a parameter of some catchments; a name alone gives all components the same value.

        A host that does not see the error meets it again in the next `update`: NextGen's engine
        goes on whatever `set_value` raises.
        """
        component = self._own()
        variable = self._variable(name)
        shape = self._current(name).shape
        try:
            values = self._numbers(name, src, int(np.prod(shape)), single=True).reshape(shape)
            base = name.removesuffix(OF_COMPONENTS)
            if variable.grid == CATCHMENTS and component.model.parameters[base].ndim == 2:
                values = np.repeat(values[:, None], component.model.components, axis=1)
            component.set_parameter(base, values[rows], rows)
        except ValueError as error:
            self._refused_parameters[name] = error
            raise
        self._refused_parameters.pop(name, None)

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
            raise ValueError(f"{name} has {size} values, but {values.size} were given")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} cannot be {values[~np.isfinite(values)][0]}; nothing was set")
        return values

    def _set_other(self, name: str, src: NDArray) -> None:
        variable = self._variable(name)
        if variable.kind == PROTOCOL:
            self._protocols.write(name, src)
            return
        if variable.kind == "output":
            raise VariableError(f"{name} is an output and cannot be set")
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
            pending[component.part] = values.reshape(shape)
            component.model.pending = pending
        else:
            assert variable.values is not None
            variable.values[...] = values.reshape(shape)
        component.account.moved(component.model.stored() - before)

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
        from ..run.derivatives import vjp

        return vjp(self._leave_fleet(), seeds, wrt, steps)


def _on_host(values: Any) -> NDArray:
    """Return an array that offers itself by DLPack as one of NumPy."""
    in_host_memory = 1  # kDLCPU of DLPack
    if values.__dlpack_device__()[0] == in_host_memory:
        return np.from_dlpack(values)
    import torch

    return torch.from_dlpack(values).cpu().numpy()


def _not_ready() -> None:
    raise OrderError("finalize was called; call initialize(config_file) first")
