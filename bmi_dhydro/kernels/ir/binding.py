"""Give the primitive names in an equation another meaning, without a second copy of it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from ...physics import primitives


def bind(
    function: Callable[..., Any],
    operations: Mapping[str, Any],
    _bound: dict[Callable[..., Any], Callable[..., Any]] | None = None,
) -> Callable[..., Any]:
    """Rebuild `function` with the primitives replaced by `operations`.

    Parameters
    ----------
    function : callable
        A plain function.
    operations : mapping
        A replacement for each name in `physics.primitives.NAMES` that the function uses.

    Returns
    -------
    callable
        The same code with other globals; helper functions of the same package that it calls are
        rebuilt too, where it names them itself (not as an attribute of a module).

    Raises
    ------
    KeyError
        If the function uses a primitive that `operations` does not offer.
    """
    bound = {} if _bound is None else _bound
    if function in bound:
        return bound[function]
    package = function.__module__.partition(".")[0]
    namespace = dict(function.__globals__)
    closure = function.__closure__
    if closure is not None:
        closure = tuple(_bound_cell(cell, package, operations, bound) for cell in closure)
    result = types.FunctionType(
        function.__code__, namespace, function.__name__, function.__defaults__, closure
    )
    bound[function] = result
    for name in _names(function.__code__):
        value = namespace.get(name)
        if name in primitives.NAMES and value is getattr(primitives, name):
            namespace[name] = operations[name]
        elif _is_ours(value, package):
            namespace[name] = bind(value, operations, bound)
    return result


def _is_ours(value: Any, package: str) -> TypeGuard[types.FunctionType]:
    """Return whether a value is a function of the package."""
    return isinstance(value, types.FunctionType) and value.__module__.partition(".")[0] == package


def _bound_cell(
    cell: types.CellType,
    package: str,
    operations: Mapping[str, Any],
    bound: dict[Callable[..., Any], Callable[..., Any]],
) -> types.CellType:
    """Return a variable of an enclosing function, bound too if it is a function."""
    value: Any = cell.cell_contents
    return types.CellType(bind(value, operations, bound)) if _is_ours(value, package) else cell


def _names(code: types.CodeType) -> set[str]:
    """Return the global names of a function, those inside its comprehensions too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names
