"""Printed code as LLVM instructions, without the many passes of Numba.

Numba takes 2 ms for a line of numbers and 20 ms for a loop: it finds types, renames variables and
writes instructions through several layers. A model is hundreds of lines, and this was most of what
a first start took. Printed code needs little of that: a text is written as instructions at once,
and is one operation for Numba, which goes on to compile, call and cache it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .elements import whole
from .expressions import Expressions, Slot, Value


class _Writer(Expressions):
    """Writes a text as instructions."""

    def write(self, code: ast.Module) -> Any:
        """Write all lines, and return what they return; -1 where they do not."""
        builder = self.builder
        self._end = builder.append_basic_block("end")
        self._returned = Slot(types.intp, self.room(types.intp))
        self.store(self._returned, whole(-1))
        self._lines(code.body)
        if not builder.block.is_terminated:
            builder.branch(self._end)
        builder.position_at_end(self._end)
        return builder.load(self._returned.address)

    def _lines(self, lines: Sequence[ast.stmt]) -> None:
        for line in lines:
            getattr(self, f"_{type(line).__name__.lower()}")(line)

    def _assign(self, line: ast.Assign) -> None:
        (target,) = line.targets
        if isinstance(target, ast.Tuple):
            for name, value in zip(target.elts, self.several(line.value), strict=True):
                self._set_target(name, value)
        else:
            self._set_target(target, self.value_of(line.value))

    def _augassign(self, line: ast.AugAssign) -> None:
        before = self.value_of(line.target)
        self._set_target(line.target, self.calculated(line.op, before, line.value))

    def _expr(self, line: ast.Expr) -> None:
        self.value_of(line.value)

    def _return(self, line: ast.Return) -> None:
        assert line.value is not None
        self.store(self._returned, self.value_of(line.value).value)
        self.builder.branch(self._end)

    def _for(self, line: ast.For) -> None:
        assert isinstance(line.iter, ast.Call)
        assert isinstance(line.target, ast.Name)
        bounds = [self.value_of(bound) for bound in line.iter.args]
        start, stop = (
            (whole(0), bounds[0].value) if len(bounds) == 1 else (bounds[0].value, bounds[1].value)
        )
        step = bounds[2] if len(bounds) == 3 else Value(types.literal(1), whole(1))
        rising = step.kind.literal_value > 0
        with (
            self._inner(line.body),
            cgutils.for_range_slice(
                self.builder, start, stop, step.value, start.type, inc=rising
            ) as (index, _),
        ):
            self.names[line.target.id] = Value(types.intp, index)
            self._lines(line.body)

    def _while(self, line: ast.While) -> None:
        builder = self.builder
        test, body, after = (builder.append_basic_block(n) for n in ("test", "body", "after"))
        with self._inner(line.body):
            builder.branch(test)
            builder.position_at_end(test)
            builder.cbranch(self.value_of(line.test).value, body, after)
            builder.position_at_end(body)
            self._lines(line.body)
            builder.branch(test)
            builder.position_at_end(after)

    def _if(self, line: ast.If) -> None:
        condition = self.value_of(line.test).value
        with self._inner([*line.body, *line.orelse]):
            if not line.orelse:
                with self.builder.if_then(condition):
                    self._lines(line.body)
                return
            with self.builder.if_else(condition) as (yes, no):
                with yes:
                    self._lines(line.body)
                with no:
                    self._lines(line.orelse)

    @contextmanager
    def _inner(self, lines: Sequence[ast.stmt]) -> Iterator[None]:
        """Keep what is known before in memory where these lines change it; forget what is new."""
        changed = {
            node.id
            for line in lines
            for node in ast.walk(line)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        # In the order in which they became known: the same text gives the same instructions.
        for name, known in list(self.names.items()):
            if name in changed and isinstance(known, Value):
                slot = Slot(known.kind, self.room(known.kind))
                self.store(slot, known.value)
                self.names[name] = slot
        before = dict(self.names)
        yield
        self.names = before

    def _set_target(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            kind = types.unliteral(value.kind)
            self.set_name(target.id, Value(kind, value.value))
            return
        assert isinstance(target, ast.Subscript)
        array, places = self.element(target)
        self.builder.store(self.cast(value, array.kind.dtype), array.value.at(*places))


@intrinsic(prefer_literal=True)
def assembled(typingctx: Any, real: Any, names: Any, text: Any, *values: Any) -> Any:
    """Do what a text says, and return what it returns, a whole number; -1 where it does not.

    Parameters
    ----------
    real : str
        Kind of number of constants with a point, and of `real(value)`.
    names : str
        What the values are called in the text, with commas.
    text : str
        Code of a part of Python. Lines: assignments to names and elements of arrays, also of
        several at a time and augmented ones; `for` over a `range` with a constant step; `while`,
        `if` and `else`; `return`. Values: names, constants, arithmetic, comparisons, `min`, `max`,
        elements of arrays and their `shape`, calls of what `instructions` offers and of functions
        that Numba compiles. A name that is first given a value inside a loop or branch is known
        there alone. Whole numbers that are divided are positive or zero.
    values : object
        Arrays, numbers and compiled functions.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = cgutils.unpack_tuple(builder, arguments[3], len(values))
        pairs = (Value(*pair) for pair in zip(values, given, strict=True))
        known = dict(zip(names.literal_value.split(", "), pairs, strict=True))
        writer = _Writer(context, builder, getattr(types, real.literal_value), known)
        return writer.write(ast.parse(text.literal_value))

    return types.intp(real, names, text, types.StarArgTuple(values)), build
