"""What the interface says of a name, and where its values are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import units_of
from ..variables import (
    MEMBER,
    OF_PARAMETER_SETS,
    REACH_OUTPUTS,
    REACH_STATES,
    ROUTING_PENDING,
    Input,
    Output,
)
from .grids import CATCHMENTS, CELLS, LAGS, ONE_VALUE, REACHES, shown_of

if TYPE_CHECKING:
    from ..hosts.fleet import FleetInstance
    from ..run.component import Component

# Kind of the variables of `hosts.ngen`, and of those of a river that is joined.
PROTOCOL = "protocol"
REACH, REACH_STATE, REACH_PARAMETER = "reach", "reach_state", "reach_parameter"

_ITEMSIZES = {
    name: np.dtype(name).itemsize for name in ("float64", "float32", "int64", "int32", "uint8")
}


class Variable:
    """What the interface says of a name, and how its values are reached.

    Parameters
    ----------
    kind : {"input", "output", "state", "parameter", "attribute", "protocol"} or a name
        A name is that of a variable that is the only one of its kind.
    units : str
    grid : int
        See `grids`.
    values : array or None
        None where they have no fixed place in memory.
    type : str
        As the interface reports it.
    index : int
        Row among inputs, or place among outputs (see `Component.place`).
    """

    __slots__ = ("grid", "index", "itemsize", "kind", "type", "units", "values")

    def __init__(
        self, kind: str, units: str, grid: int, values: NDArray | None, type: str, index: int = 0
    ) -> None:
        self.kind = kind
        self.units = units
        self.grid = grid
        self.values = values
        self.type = type
        self.itemsize = _ITEMSIZES[type]
        self.index = index


class Published(NamedTuple):
    """What never changes of inputs and outputs, by their names and aliases.

    One for all instances of a kind, so that a host with many of them finds it in the processor's
    cache.

    Attributes
    ----------
    types, units : dict of str
    itemsizes, nbytes : dict of int
    inputs : dict of (int, float, float)
        Row among inputs, and between what bounds a value may be.
    outputs : dict of int
        Row among outputs.
    """

    types: dict[str, str]
    units: dict[str, str]
    itemsizes: dict[str, int]
    nbytes: dict[str, int]
    inputs: dict[str, tuple[int, float, float]]
    outputs: dict[str, int]


@lru_cache(maxsize=128)
def _published(
    inputs: tuple[Input, ...], sizes: tuple[int, ...], outputs: tuple[Output, ...], size: int
) -> Published:
    """Return what instances of one kind say of inputs and outputs.

    Parameters
    ----------
    inputs : tuple of Input
    sizes : tuple of int
        Values of each input.
    outputs : tuple of Output
    size : int
        Values of an output.
    """
    table = Published({}, {}, {}, {}, {}, {})
    width = _ITEMSIZES["float64"]
    every: list[tuple[Input | Output, int]] = [
        *zip(inputs, sizes, strict=True),
        *((output, size) for output in outputs),
    ]
    for item, count in every:
        for name in (item.name, *item.aliases):
            table.types[name], table.units[name] = "float64", item.units
            table.itemsizes[name], table.nbytes[name] = width, width * count
    for row, item in enumerate(inputs):
        for name in (item.name, *item.aliases):
            table.inputs[name] = (row, item.lowest, item.highest)
    for row, output in enumerate(outputs):
        table.outputs.update(dict.fromkeys((output.name, *output.aliases), row))
    return table


NOTHING_PUBLISHED = Published({}, {}, {}, {}, {}, {})


class Names:
    """The names of one instance.

    Parameters
    ----------
    component : Component or FleetInstance

    Attributes
    ----------
    published : Published
    inputs : tuple of array
        What a host sets of each input: of all members, or of the one that is shown.
    outputs : tuple of array
        What it reads of each output; empty where only what is asked for is current, and where each
        has one value.
    single_inputs, single_outputs : memoryview or None
        Where each input, or output, has one value: read and set about twice as fast as through
        NumPy.
    """

    __slots__ = (
        "_component",
        "_table",
        "inputs",
        "outputs",
        "published",
        "single_inputs",
        "single_outputs",
    )

    def __init__(self, component: Component | FleetInstance) -> None:
        self._component = component
        self._table: dict[str, Variable] | None = None
        items = component.input_items
        self.inputs = tuple(_inputs_shown(component, row) for row in range(len(items)))
        self.single_inputs = _numbers(component.inputs) if self.inputs else None
        self.outputs: tuple[NDArray, ...] = ()
        self.single_outputs: memoryview | None = None
        if not component.exchange.selective:
            self.single_outputs = _numbers(component.shown)
            if self.single_outputs is None:
                self.outputs = tuple(component.shown)
        sizes = tuple(values.size for values in self.inputs)
        self.published = _published(items, sizes, component.output_items, component.shown.shape[1])

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def table(self) -> dict[str, Variable]:
        """All names that can be read where the component stands, made when first asked for."""
        if self._table is None:
            component: Any = self._component
            component.want_rows()
            every = _published_variables(component)
            self._table = every if component.config.fleet else {**every, **_own(component)}
        return self._table

    def find(self, name: str) -> Variable | None:
        """Return a variable by name, None if there is none."""
        return self.table.get(name)

    def take(self, component: Component) -> None:
        """Answer for every name of a component that is not, or no longer, a fleet's."""
        self._table = {**_published_variables(component), **_own(component)}


def _numbers(rows: NDArray) -> memoryview | None:
    """Return the values of rows that have one each, one after the other."""
    return rows.reshape(-1).data if rows.shape[1] == 1 else None


def moves_with_member(component: Component | FleetInstance, variable: Variable) -> bool:
    """Return whether the values of a variable are elsewhere when another member is shown."""
    if component.shown is component.outputs:
        return False
    own_inputs = component.inputs.shape[1] == component.model.columns
    moves = variable.kind in ("state", REACH_STATE)
    return moves or (variable.kind == "input" and own_inputs)


def _inputs_shown(component: Component | FleetInstance, row: int) -> NDArray:
    """Return what a host sets of an input: of all members, or of the one that is shown."""
    values = component.inputs[row]
    return values[component.own_columns] if len(values) == component.model.columns else values


def _published_variables(component: Component | FleetInstance) -> dict[str, Variable]:
    """Return the names of inputs and outputs, those that are means over parameter sets too."""
    table: dict[str, Variable] = {}
    model = component.model
    of_columns = shown_of(component, CATCHMENTS)
    for row, item in enumerate(component.input_items):
        values = _inputs_shown(component, row)
        grid = of_columns if len(values) == model.columns else CATCHMENTS
        for name in (item.name, *item.aliases):
            table[name] = Variable("input", item.units, grid, values, "float64", row)
    for row, output in enumerate(component.output_items):
        for name in (output.name, *output.aliases):
            table[name] = Variable(
                "output", output.units, of_columns, component.shown[row], "float64", row
            )
    for row, name in enumerate(model.outputs):
        if name not in model.process.state_names:
            values = component.shown_rows[row]
            place = len(component.output_items) + row
            table[name] = Variable("output", "mm", of_columns, values, model.dtype.name, place)
    if component.joined is not None:
        for reach in REACH_OUTPUTS:
            values = component.joined.shown[reach.source]
            table[reach.name] = Variable(REACH, reach.units, REACHES, values, "float64")
    return table


def _own(component: Component) -> dict[str, Variable]:
    """Return the unpublished names: states, parameters, attributes."""
    model = component.model
    own = model.dtype.name
    table: dict[str, Variable] = {}
    joined = component.joined
    if joined is not None:
        for name, unit in REACH_STATES.items():
            values = joined.river.states[name][joined.own]
            table[name] = Variable(REACH_STATE, unit, REACHES, values, own)
        for item in joined.river.process.parameters:
            table[item.name] = Variable(REACH_PARAMETER, item.units, REACHES, None, "float64")
    grid = shown_of(component, CELLS)
    for k, quantity in enumerate(model.process.states):
        values = model.state[k][component.own_columns]
        table[quantity.name] = Variable("state", quantity.units, grid, values, own)
    grid = shown_of(component, LAGS)
    table[ROUTING_PENDING] = Variable(ROUTING_PENDING, "mm", grid, None, own)
    if component.shown is not component.outputs:
        member = np.array([component.own_columns.start // len(component.catchments)], np.int32)
        table[MEMBER] = Variable(MEMBER, "1", ONE_VALUE, member, "int32")
    units = {item.name: item.units for item in model.parameter_items}
    parameters = component.parameters
    for name, values in model.parameters.items():
        unit, means = units[name], parameters.means(name)
        table[name] = Variable("parameter", unit, CATCHMENTS, means, "float64")
        if values.ndim == 2:
            kind = values.dtype.name
            table[name + OF_PARAMETER_SETS] = Variable("parameter", unit, CELLS, values, kind)
    for name in parameters.attribute_names:
        table[name] = Variable(
            "attribute",
            units_of(name),
            CATCHMENTS,
            parameters.attribute(name),
            "float64",
        )
    return table
