"""The rooms of the package, which of them stands above which, and what breaks that order.

A room is a folder of the package, or a file beside them. Imports go down only: never from a room
to one above it, and in no circle, not even between files of a room.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "bmi_dhydro"

# From the top floor down. Rooms of a floor do not import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli", "plugins"),
    ("bmi",),
    ("hosts", "training", "forecast", "datasets", "published"),
    ("run", "evaluation"),
    ("config", "variables"),
    ("weather",),
    ("io",),
    ("model", "river"),
    ("networks",),
    ("kernels", "catchments"),
    ("physics",),
    ("machine", "units", "files"),
    ("errors", "progress_bar"),
)

# What is imported where somebody asks for it by name, from above; `bmi_dhydro` is the way in.
_FACE = ""


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the files of the package by their dotted names below it."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return which modules of the package each of them imports, for types alone or not."""
    known = modules(package)
    return {name: set(_imported(name, path, known)) for name, path in known.items()}


def _imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    own = name.split(".") if name else []
    folder = own if path.name == "__init__.py" else own[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = folder[: len(folder) - node.level + 1]
        base += node.module.split(".") if node.module else []
        for alias in node.names:
            inner = ".".join([*base, alias.name])
            yield inner if inner in known else ".".join(base)


def floor_of(module: str) -> int:
    """Return the floor of a module, 0 at the top.

    Raises
    ------
    KeyError
        If its room stands on none.
    """
    room = module.split(".")[0]
    for floor, rooms in enumerate(FLOORS):
        if room in rooms:
            return floor
    raise KeyError(f"{room} stands on no floor: put it on one in docs/rooms.py")


def upward(package: Path = PACKAGE) -> list[str]:
    """Return the imports that go up, or to another room of the same floor."""
    wrong = []
    for name, targets in imports(package).items():
        for target in targets - {_FACE}:
            same_room = name.split(".")[0] == target.split(".")[0]
            if name != _FACE and not same_room and floor_of(target) <= floor_of(name):
                wrong.append(f"{name} imports {target}")
    return sorted(wrong)


def circles(package: Path = PACKAGE) -> list[list[str]]:
    """Return groups of modules that import each other in a circle."""
    arrows = {name: targets - {_FACE, name} for name, targets in imports(package).items()}
    # A package's own file hands on what is inside: it is no circle that the inside is in it.
    arrows = {
        name: {t for t in targets if not name.startswith(f"{t}.")}
        for name, targets in arrows.items()
    }
    found, done = [], set[str]()
    for name in arrows:
        if name in done:
            continue
        circle = {other for other in _reached(name, arrows) if name in _reached(other, arrows)}
        done |= circle
        if len(circle) > 1:
            found.append(sorted(circle))
    return found


def _reached(name: str, arrows: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for target in arrows[waiting.pop()]:
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached


def page() -> str:
    """Return the tables of all rooms, by the first sentence of each module."""
    known = modules()
    lines: list[str] = []
    for floor in FLOORS:
        for room in floor:
            inside = [m for m in known if m == room or m.startswith(f"{room}.")]
            if known[room].name != "__init__.py":
                lines += [f"**`{room}.py`**: {_summary(known[room])}", ""]
                continue
            lines += [f"### `{room}/`", "", _summary(known[room]), ""]
            lines += ["| module | what it is |", "| --- | --- |"]
            lines += [
                f"| `{known[m].relative_to(PACKAGE)}` | {_summary(known[m])} |"
                for m in inside
                if known[m].name != "__init__.py"
            ]
            lines.append("")
    return "\n".join(lines)


def _summary(path: Path) -> str:
    """Return the first sentence of a module."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())
