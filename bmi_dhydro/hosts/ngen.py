"""What the NextGen engine asks of a module beside the Basic Model Interface: unpublished variables.

Two protocols of the engine (NOAA-OWP/ngen): the mass balance, which it checks, and the
serialization of state (pull request 957), by which it saves and restores modules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StateError, VariableError

if TYPE_CHECKING:
    from ..run.component import Component

PREFIX = "ngen::"

# In the order of `Component.balance`.
_MASS = tuple(f"{PREFIX}mass_{name}" for name in ("in", "out", "stored", "leaked"))

# As that is; metres, so that the engine's tolerance means the same as for other modules.
_MASS_UNITS = "m"


@dataclass(frozen=True)
class ProtocolVariable:
    """An unpublished variable: its type, units, and how it is read and written."""

    type: str
    units: str
    read: Callable[[], NDArray]
    write: Callable[[Any], None] | None = None


# The variable through which a state goes out and comes back.
_STATE = f"{PREFIX}serialization_state"


class Protocols:
    """The unpublished variables of one component.

    Parameters
    ----------
    component : callable
        Returns the component; asked each time, since it may be replaced.
    """

    def __init__(self, component: Callable[[], Component]) -> None:
        self._component = component
        # One term each of the component's balance, once somebody has asked for one.
        self._mass: dict[str, NDArray] = {}
        self._expected: int | None = None

    @cached_property
    def variables(self) -> dict[str, ProtocolVariable]:
        """All of them by name, made when one is asked for: many instances are never asked."""
        self._payload = np.empty(0, np.uint8)
        self._size = np.zeros(1, np.int64)
        self._trigger = np.zeros(1, np.int32)
        return {
            **{
                name: ProtocolVariable("float64", _MASS_UNITS, partial(self.read, name))
                for name in _MASS
            },
            f"{PREFIX}serialization_create": ProtocolVariable(
                "int32", "ngen::trigger", lambda: self._trigger, self._create
            ),
            f"{PREFIX}serialization_free": ProtocolVariable(
                "int32", "ngen::trigger", lambda: self._trigger, self._free
            ),
            f"{PREFIX}serialization_size": ProtocolVariable(
                "int64", "bytes", lambda: self._size, self._announce
            ),
            _STATE: ProtocolVariable("uint8", "ngen::opaque", lambda: self._payload, self._restore),
        }

    def read(self, name: str) -> NDArray:
        """Return the values of a variable; the same array each time for the mass balance.

        The engine asks for its four terms after each step, so that they are found together.

        Raises
        ------
        VariableError
            If there is no such variable.
        """
        term = self._mass.get(name)
        if term is None:
            if name not in _MASS:
                return self.find(name).read()
            component = self._component()
            balance, self._current = component.held.balance, component.held.current.data
            self._mass = {each: balance[k : k + 1] for k, each in enumerate(_MASS)}
            term = self._mass[name]
        # `Component.balanced`, asked for four times in each step of each instance.
        if not self._current[0]:
            self._component().take_balance()
        return term

    def close(self) -> None:
        """Let go of the component."""
        self._mass = {}

    def find(self, name: str) -> ProtocolVariable:
        """Return a variable by name.

        Raises
        ------
        VariableError
            If there is none.
        """
        try:
            return self.variables[name]
        except KeyError:
            raise VariableError(
                f"variable {name!r} is unknown; of NextGen's protocols there are "
                f"{', '.join(self.variables)}"
            ) from None

    def nbytes(self, name: str) -> int:
        """Return the size of a variable; of a state that is about to come, what was announced."""
        if name == _STATE and self._expected is not None:
            return self._expected
        return int(self.read(name).nbytes)

    def write(self, name: str, values: Any) -> None:
        """Set a variable.

        Raises
        ------
        VariableError
            If it is unknown or only to be read.
        StateError
            If a state does not fit.
        """
        write = self.find(name).write
        if write is None:
            raise VariableError(f"{name} cannot be set")
        write(values)

    # ---- serialization --------------------------------------------------------------------

    def _create(self, _: Any) -> None:
        self._payload = np.frombuffer(bytearray(self._component().payload()), np.uint8)
        self._size[0] = self._payload.size

    def _free(self, _: Any) -> None:
        self._payload = np.empty(0, np.uint8)
        self._size[0] = 0
        self._expected = None

    def _announce(self, values: Any) -> None:
        self._expected = int(np.asarray(values).reshape(-1)[0])

    def _restore(self, values: Any) -> None:
        payload = np.asarray(values)
        component = self._component()
        where = f"state for catchment {component.catchments.ids[0]}"
        if payload.dtype.itemsize != 1:
            raise StateError(f"{where}: expected bytes (uint8), got {payload.dtype}")
        if self._expected is not None and payload.size != self._expected:
            raise StateError(
                f"{where}: {self._expected} bytes were announced, but {payload.size} came"
            )
        component.restore_payload(payload.tobytes(), where)
        self._expected = None
