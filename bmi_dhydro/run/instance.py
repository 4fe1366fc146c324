"""What a host sees of a component, whether it computes alone or is computed by a fleet."""

from __future__ import annotations

from numpy.typing import NDArray


class Instance:
    """Arrays that a host may hold, so that they are never replaced.

    Attributes
    ----------
    outputs : array, shape (outputs, traces)
    rows : array, shape (model outputs, traces)
    balance : array, shape (4,)
        What went in and out, is stored and was taken since the account was opened, in m: see
        `Component.mass_terms`.
    clock, current : array of int64, shape (1,)
        `done` and `balanced`, where compiled code counts and sets them.
    """

    outputs: NDArray
    rows: NDArray
    balance: NDArray
    clock: NDArray
    current: NDArray

    def want_rows(self) -> None:
        """Keep `rows` current from now on; where nobody has asked, they need not be."""

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self.clock.item()

    @done.setter
    def done(self, steps: int) -> None:
        self.clock[0] = steps

    @property
    def balanced(self) -> bool:
        """Whether `balance` is that of now; else `take_balance` makes it so."""
        return self.current.item() != 0

    @balanced.setter
    def balanced(self, whether: bool) -> None:
        self.current[0] = whether
