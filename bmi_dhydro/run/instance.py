"""What a host sees of a component, whether it computes alone or is computed by a fleet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..model.model import Model
from ..variables import Input, Output
from .clock import Clock
from .exchange.host import HostExchange

if TYPE_CHECKING:
    from .joined_river import JoinedRiver


@dataclass(frozen=True)
class Held:
    """Arrays that a host may hold, so that they are never replaced.

    Attributes
    ----------
    outputs : array, shape (outputs, columns)
    rows : array, shape (model outputs, columns)
        All outputs of the model, in its units.
    balance : array, shape (4,)
        What went in and out, is stored and was taken since the account was opened, in m: see
        `Component.mass_terms`.
    count : array of int64, shape (1,)
        Steps that are done.
    current : array of int64, shape (1,)
        Whether `balance` is that of now.
    """

    outputs: NDArray
    rows: NDArray
    balance: NDArray
    count: NDArray
    current: NDArray

    @classmethod
    def of(
        cls,
        outputs: int,
        rows: int,
        columns: int,
        dtype: DTypeLike,
        zeros: Callable[..., NDArray] = np.zeros,
    ) -> Held:
        """Return arrays of zeros for a number of outputs, rows and columns."""
        return cls(
            count=zeros(1, np.int64),
            current=zeros(1, np.int64),
            balance=zeros(4),
            outputs=zeros((outputs, columns)),
            rows=zeros((rows, columns), dtype),
        )


class Instance:
    """A component, or a catchment of a fleet, as a host sees it.

    Attributes
    ----------
    held : Held
    outputs, rows : array
        Those of `held`.
    output_items : tuple of Output
        In the order of `outputs`.
    inputs : array, shape (inputs, catchments or columns)
        What a host sets, in the units of `input_items`; empty where weather is read.
    input_items : tuple of Input
    shown, shown_rows : array, shape (outputs or model outputs, shown columns)
        What the interface shows of `outputs` and `rows`: all, or one member. Where it is one, they
        are arrays of their own, so that who holds them sees the member that is chosen.
    own_columns : slice
        Which columns those are.
    exchange : HostExchange
        What a host reads and sets, wherever the model is.
    clock : Clock
    model : Model
        That of the component, or one like it.
    """

    model: Model
    held: Held
    outputs: NDArray
    rows: NDArray
    output_items: tuple[Output, ...]
    inputs: NDArray
    input_items: tuple[Input, ...]
    shown: NDArray
    shown_rows: NDArray
    own_columns: slice
    exchange: HostExchange
    clock: Clock
    # The river that runoff enters, where the configuration has one.
    joined: JoinedRiver | None = None

    def show(self) -> None:
        """Bring what the interface shows of the outputs up to date."""

    def want_rows(self) -> None:
        """Keep `rows` current from now on; where nobody has asked, they need not be."""

    def write_balance(self, terms: Sequence[float]) -> None:
        """Write what `mass_terms` returned, in mm, to `held.balance`, in m."""
        self.held.balance[:] = terms
        self.held.balance[:] *= 1e-3

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self.clock.done

    @property
    def balanced(self) -> bool:
        """Whether `held.balance` is that of now; else `take_balance` makes it so."""
        return self.held.current.item() != 0

    @balanced.setter
    def balanced(self, whether: bool) -> None:
        self.held.current[0] = whether
