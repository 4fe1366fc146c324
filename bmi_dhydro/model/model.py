"""A process model for many catchments: parameters, state and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..kernels.factory import Execution, make_kernel
from ..kernels.interface import Ring, StepBlock
from ..networks.dynamics import Dynamics
from ..physics import Parameter, Process, per_step, unit_hydrograph
from ..physics.unit_hydrograph import DISCHARGE, ROUTING_STORE
from ..units import SECONDS_PER_DAY
from .device_side import DeviceSide, moving_factory

if TYPE_CHECKING:
    from ..kernels.cpu.arena import Arena
    from ..kernels.cpu.coupled import CoupledStep
    from ..kernels.gpu.resident import Resident


# Catchments whose unit hydrographs are computed at a time. Always the same number: the order in
# which a matrix product adds depends on its size, and a catchment has the same alone and among
# others.
_CHUNK = 8

# Catchments whose unit hydrographs are looked at together, so that they stay in the cache.
_PIECE = 32 * _CHUNK


class Model:
    """N catchments x M parameter sets of a process model, and the routing of their runoff.

    Parameters
    ----------
    process : Process
    parameters : array, shape (parameters, catchments, parameter sets)
        Daily values, in the units of `process.parameters`.
    routing : array, shape (3, catchments)
        Values of `unit_hydrograph.PARAMETERS`.
    area : array, shape (catchments,)
        In km2.
    step_seconds : int
        Length of a step; must divide a day.
    outputs : sequence of str, optional
        What steps return, among `output_names`; everything, unless given.
    routed : bool
        Whether runoff passes a unit hydrograph before it is discharge.
    dynamics : Dynamics, optional
        Moves some parameters from day to day, around the values given; of all columns.
    members : int
        Members of an ensemble: each catchment is computed once for each, with the same parameters
        but its own weather and state. A column is a member of a catchment; the columns of the first
        member come first.
    execution : Execution
        Kernel, type, threads and device.

    Attributes
    ----------
    state : array, shape (states, columns, parameter sets)
        In mm; may be changed in place before the next step. On a GPU, ask for it again after one.
    steps : int
        Steps done.
    clock : array of int64, shape (1,)
        The same, where compiled code counts them.
    substeps : int
        In which a step is done; see `Process.longest_step`.
    threads : int or None
        Threads of the cpu kernel, where they were given.
    ring : Ring
        Unit hydrographs, and flows on their way.
    device_side : DeviceSide
        What concerns a model on GPUs alone.
    """

    def __init__(
        self,
        process: Process,
        parameters: ArrayLike,
        routing: ArrayLike,
        area: ArrayLike,
        step_seconds: int = SECONDS_PER_DAY,
        outputs: Sequence[str] | None = None,
        routed: bool = True,
        dynamics: Dynamics | None = None,
        members: int = 1,
        execution: Execution = Execution(),  # noqa: B008  it cannot be changed
    ) -> None:
        if step_seconds <= 0 or SECONDS_PER_DAY % step_seconds:
            raise ValueError(
                f"a step of {step_seconds} s does not divide a day; take 86400, 3600, 900, ..."
            )
        self.process = process
        self.dynamics = dynamics
        self._dynamic_names = () if dynamics is None else dynamics.layout.dynamic
        self.step_seconds = int(step_seconds)
        self.execution, self.dtype = execution, np.dtype(execution.dtype)
        self.threads = execution.threads
        if dynamics is not None:
            dynamics.threads = execution.threads
        self.routed = routed
        self.area = np.array(area, dtype=float)
        self._daily = np.array(parameters, dtype=self.dtype)
        self._routing = np.array(routing, dtype=float)
        count, catchments, parameter_sets = self._daily.shape
        self.members = members
        columns = catchments * members
        if count != len(process.parameters):
            raise ValueError(
                f"{process.name} has {len(process.parameters)} parameters, but values of {count} "
                "were given"
            )
        self.outputs = tuple(outputs) if outputs is not None else self.output_names
        unknown = [name for name in self.outputs if name not in self.output_names]
        if unknown:
            raise ValueError(
                f"output {unknown[0]!r} is unknown; known: {', '.join(self.output_names)}"
            )
        # What the kernel reads: values per step, those of a catchment side by side.
        self._per_step = np.empty((catchments, count, parameter_sets), dtype=self.dtype)
        # Long steps are done in substeps: parameters, unit hydrograph and its store are theirs.
        self.substeps = process.substeps(self.step_seconds / SECONDS_PER_DAY)
        days = self._part_days
        hydrograph = unit_hydrograph.hydrograph_of(process)
        self._lag_times = hydrograph.lag_times(days)
        self._lag_matrix = hydrograph.lag_matrix(days)
        lags = hydrograph.lags(days) if routed else 1
        self.ring = Ring(
            np.ones((catchments, lags), dtype=self.dtype),
            np.zeros((columns, lags), dtype=self.dtype),
            np.ones(columns, dtype=np.int32),
        )
        self.clock = np.zeros(1, np.int64)
        self._kernel = make_kernel(
            execution,
            process,
            self.outputs,
            parameter_sets,
            self._dynamic_names,
            self.substeps,
            moving_factory(dynamics, days, self.dtype)
            if execution.kernel == "gpu" and dynamics is not None
            else None,
        )
        self.device_side = DeviceSide(self, self._kernel, self._load)
        self._rescale(slice(None))
        initial = np.array([state.initial for state in process.states], dtype=self.dtype)
        self._state = np.empty((len(initial), columns, parameter_sets), dtype=self.dtype)
        self._state[:] = initial[:, None, None]
        self._single = np.empty((1, len(self.outputs), columns), dtype=self.dtype)

    def subset(self, catchments: NDArray, outputs: Sequence[str] | None = None) -> Model:
        """Return a model of some catchments, one member each, that goes on from here.

        Parameters
        ----------
        catchments : array of int
        outputs : sequence of str, optional
            What its steps return; the same, unless given.
        """
        daily, routing = self._daily[:, catchments], self._routing[:, catchments]
        part = Model(
            self.process,
            daily,
            routing,
            self.area[catchments],
            self.step_seconds,
            self.outputs if outputs is None else outputs,
            self.routed,
            None if self.dynamics is None else self.dynamics.subset(catchments),
            execution=self.execution,
        )
        part.steps = self.steps
        snapshot = self.snapshot()
        part.restore(
            {
                name: values[:, catchments] if name == "state" else values[catchments]
                for name, values in snapshot.items()
            }
        )
        return part

    @property
    def resident(self) -> bool:
        """Whether state and parameters are on a GPU."""
        return self._kernel.resident

    @property
    def catchments(self) -> int:
        """Number of catchments."""
        return len(self.area)

    @property
    def columns(self) -> int:
        """Number of catchments, times the members of each."""
        return self._state.shape[1]

    @property
    def parameter_sets(self) -> int:
        """Number of parallel parameter sets of a catchment."""
        return self._state.shape[2]

    @property
    def output_names(self) -> tuple[str, ...]:
        """All that a step can return: states, fluxes and those of the routing store."""
        return (*self.process.output_names, DISCHARGE, ROUTING_STORE)

    @property
    def parameters(self) -> Mapping[str, NDArray]:
        """Daily parameters by name, read-only views; change them by `set_parameter`."""
        table = dict(zip(self.process.parameter_names, self._daily, strict=True))
        names = (item.name for item in unit_hydrograph.PARAMETERS)
        table.update(zip(names, self._routing, strict=True))
        table = {name: values.view() for name, values in table.items()}
        for view in table.values():
            view.flags.writeable = False
        return table

    @property
    def parameter_items(self) -> tuple[Parameter, ...]:
        """Names, units and bounds of all parameters, those of routing last."""
        return (*self.process.parameters, *unit_hydrograph.hydrograph_of(self.process).parameters)

    @property
    def steps(self) -> int:
        """Steps that are done."""
        return self.clock.item()

    @steps.setter
    def steps(self, done: int) -> None:
        self.clock[0] = done

    @property
    def state(self) -> NDArray:
        """Stores of all cells, in mm: shape (states, columns, parameter sets)."""
        self.fetch()
        self._kernel.forget_state()
        return self._state

    def fetch(self) -> None:
        """Bring the state up, where it is on a GPU: what `state` has returned is current then."""
        self._kernel.fetch(self._state, self.ring.pending)

    @property
    def pending(self) -> NDArray:
        """Flows yet to leave, in mm, the next one first: shape (columns, lags).

        One for each step, or each of its substeps where it is done in `substeps`.
        """
        self.fetch()
        return np.roll(self.ring.pending, -self._position, axis=1)

    @pending.setter
    def pending(self, values: ArrayLike) -> None:
        self.fetch()
        self._kernel.forget_state()
        ring, values = self.ring, np.asarray(values)
        ring.pending[...] = np.roll(values, self._position, axis=1)
        of_weights = np.tile(_reach(ring.weights), self.members)
        ring.reach[...] = np.maximum(of_weights, _reach(values))

    @property
    def _part_days(self) -> float:
        """Length of a substep of a step, in days."""
        return self.step_seconds / SECONDS_PER_DAY / self.substeps

    @property
    def _position(self) -> int:
        return self.steps * self.substeps % self.ring.pending.shape[1]

    def set_parameter(
        self, name: str, values: ArrayLike, catchments: slice | NDArray = slice(None)
    ) -> None:
        """Change a daily parameter of some catchments.

        One that changes from day to day moves around the value that is set here.

        Parameters
        ----------
        name : str
            Name of a parameter of the process or of the unit hydrograph.
        values : array, shape (catchments, parameter sets), or (catchments,) for routing
        catchments : slice or array of int
            All, unless given.
        """
        routing_names = [item.name for item in unit_hydrograph.PARAMETERS]
        if name in routing_names:
            self._routing[routing_names.index(name), catchments] = values
        else:
            self._daily[self.process.parameter_names.index(name), catchments] = values
        self._rescale(catchments)

    def set_parameters(
        self, parameters: NDArray, routing: NDArray, catchments: slice | NDArray = slice(None)
    ) -> None:
        """Change all daily parameters of some catchments; shapes as for the constructor."""
        self._daily[:, catchments] = parameters
        self._routing[:, catchments] = routing
        self._rescale(catchments)

    def set_area(self, values: ArrayLike, catchments: slice | NDArray = slice(None)) -> None:
        """Change the area of some catchments, in km2: it acts on their unit hydrographs."""
        self.area[catchments] = values
        self._rescale(catchments)

    def _rescale(self, catchments: slice | NDArray) -> None:
        """Turn daily parameters into those of a step, once; the only place that does."""
        self._kernel.forget_parameters()
        days = self._part_days
        chosen = np.arange(len(self.area))[catchments]
        for k, parameter in enumerate(self.process.parameters):
            daily = self._daily[k, catchments].astype(float)
            self._per_step[catchments, k] = per_step(daily, parameter, days)
            if parameter.name in self._dynamic_names:
                assert self.dynamics is not None
                for member in range(self.members):
                    columns = chosen + member * len(self.area)
                    self.dynamics.set_centres(parameter.name, daily, columns)
        if not self.routed:
            return
        reach = self.ring.reach.reshape(self.members, -1)
        for first in range(0, chosen.size, _PIECE):
            part = chosen[first : first + _PIECE]
            hydrographs = _hydrographs(
                self._routing[:, part], self.area[part], self._lag_times, self._lag_matrix
            )
            weights = unit_hydrograph.ended(hydrographs, self.dtype)
            self.ring.weights[part] = weights
            # Flows on their way may reach further than the new hydrographs.
            reach[:, part] = np.maximum(reach[:, part], _reach(weights))

    def step(self, forcing: NDArray) -> NDArray:
        """Advance by one step.

        Parameters
        ----------
        forcing : array, shape (forcings, catchments or columns)
            In the units of `process.forcings`: precipitation and potential evapotranspiration in
            mm per step, temperature in degC.

        Returns
        -------
        array, shape (outputs, columns)
            Means over parameter sets, in mm (per step); overwritten by the next step.
        """
        self.run(forcing[None], self._single)
        return self._single[0]

    def run(self, forcing: NDArray, results: NDArray | None = None) -> NDArray:
        """Advance by a block of steps.

        Parameters
        ----------
        forcing : array, shape (steps, forcings, catchments or columns)
            As for `step`; members share that of catchments.
        results : array, shape (steps, outputs, columns), optional
            Where to write; of `dtype`.

        Returns
        -------
        array, shape (steps, outputs, columns)
        """
        if self.members > 1 and forcing.shape[2] == self.catchments:
            forcing = np.tile(forcing, (1, 1, self.members))
        if forcing.shape[1:] != (len(self.process.forcings), self.columns):
            raise ValueError(
                f"forcing has shape {forcing.shape}, expected (steps, "
                f"{len(self.process.forcings)}, {self.columns})"
            )
        if results is None:
            shape = (forcing.shape[0], len(self.outputs), self.columns)
            results = np.empty(shape, dtype=self.dtype)
        self.advance(np.ascontiguousarray(forcing, dtype=self.dtype), results)
        return results

    def advance(self, forcing: NDArray, results: NDArray) -> None:
        """Do what `run` does, for contiguous arrays of the right shape and type, unchecked."""
        dynamic = None
        if self.dynamics is not None and not self.resident:
            dynamic = self.dynamics.advance(forcing, self._part_days, self.dtype)
        self.ring.position = self._position
        self._kernel.run(
            StepBlock(forcing, self._per_step, self._state, self.ring, results, dynamic)
        )
        self.steps += len(forcing)

    def move_to(self, arena: Arena) -> None:
        """Move what each step touches to memory beside that of the host's side.

        Only before anybody has been given an array of the model.
        """
        self._state = arena.near(self._state)
        self._per_step = arena.near(self._per_step)
        ring = self.ring
        ring.weights, ring.pending = arena.near(ring.weights), arena.near(ring.pending)
        ring.reach = arena.near(ring.reach)

    def bind(
        self,
        step: CoupledStep,
        arrays: Mapping[str, NDArray],
        inflow: int,
        evapotranspiration: Callable[..., object] | None = None,
    ) -> bool:
        """Let a step from a host's inputs to its outputs be one compiled call.

        Parameters
        ----------
        step : CoupledStep
            Bound.
        arrays : mapping of array
            Arrays on the host's side; those of the model are added, see `CoupledStep.bind`.
        inflow, evapotranspiration
            As `CoupledStep.bind`.

        Returns
        -------
        bool
            False where a step takes more: threads, a GPU, another kernel.
        """
        loop, moving = self._kernel.serial(self.columns * self.parameter_sets), None
        if loop is None:
            return False
        if self.dynamics is not None:
            moving = self.dynamics.serial(self._part_days)
            if moving is None:
                return False
        ring = self.ring
        own = {
            "clock": self.clock,
            "parameters": self._per_step,
            "state": self._state,
            "weights": ring.weights,
            "pending": ring.pending,
            "reach": ring.reach,
        }
        if self.dynamics is not None:
            shape = (1, self.columns, len(self.dynamics.centres), self.parameter_sets)
            values = np.empty(shape, self.dtype)
            own |= {"progress": self.dynamics.progress, "values": values, "dynamic": values[0]}
        step.bind(loop, {**arrays, **own}, inflow, self.substeps, evapotranspiration, moving)
        return True

    def _load(self, kernel: Any) -> list[Resident]:
        """Let GPUs take over what was changed here; see `DeviceSide.residents`."""
        self.ring.position = self._position
        return kernel.load(self._per_step, self._state, self.ring)

    def snapshot(self) -> dict[str, NDArray]:
        """Return copies of all that the next steps depend on, beside parameters and weather.

        Returns
        -------
        dict of array
            `state`, `pending`, and, with dynamic parameters, those of `Dynamics.snapshot`.
        """
        pending = self.pending  # brings the state up too
        arrays = {"state": self._state.copy(), "pending": pending}
        if self.dynamics is not None:
            arrays.update(self.dynamics.snapshot())
        return arrays

    def restore(self, snapshot: Mapping[str, NDArray]) -> None:
        """Take on what `snapshot` returned; the clock stays as it is."""
        self.state[...] = snapshot["state"]
        self.pending = snapshot["pending"]
        if self.dynamics is not None:
            self.dynamics.restore(snapshot)

    def stored(self) -> NDArray:
        """Return the water in all stores, routing included, in mm: shape (columns,)."""
        self.fetch()
        stores = self._state.sum(axis=0, dtype=float).mean(axis=1)
        return stores + self.ring.pending.sum(axis=1, dtype=float)


def _reach(flows: NDArray) -> NDArray:
    """Return how many lags there are up to the last that is not zero, one at least.

    Parameters
    ----------
    flows : array, shape (n, lags)

    Returns
    -------
    array, shape (n,)
    """
    there = flows[:, ::-1] != 0.0
    return np.where(there.any(axis=1), flows.shape[1] - np.argmax(there, axis=1), 1)


def _hydrographs(
    routing: NDArray, area: NDArray, lag_times: NDArray, lag_matrix: NDArray | None
) -> NDArray:
    """Return unit hydrographs of catchments, in float64.

    Parameters
    ----------
    routing : array, shape (3, catchments)
        Parameters of the unit hydrograph.
    area : array, shape (catchments,)
        In km2.
    lag_times, lag_matrix
        As `unit_hydrograph.weights`.

    Returns
    -------
    array, shape (catchments, lags)
    """
    result: list[NDArray] = []
    for first in range(0, area.size, _CHUNK):
        filled = np.resize(np.arange(first, min(first + _CHUNK, area.size)), _CHUNK)
        shape, delay, exponent = routing[:, filled]
        delays = unit_hydrograph.delay(delay, exponent, area[filled])
        result.append(unit_hydrograph.weights(shape, delays, lag_times, lag_matrix))
    return np.concatenate(result)[: area.size]
