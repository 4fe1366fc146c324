"""Imports go down only, in no circle, and classes stay small."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import rooms  # noqa: E402

MOST_METHODS = 30


def test_imports_go_down():
    assert rooms.upward() == []


def test_there_is_no_circle():
    assert rooms.circles() == []


def test_what_goes_up_and_around_is_found(tmp_path):
    package = tmp_path / "package"
    for name, text in {
        "__init__": "",
        "cli/__init__": "",
        "cli/main": "from ..run import component\n",
        "run/__init__": "",
        "run/component": "def later():\n    from ..cli.main import main\n",
        "errors": "from .io import files\n",
        "io/__init__": "",
        "io/files": "",
    }.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert rooms.upward(package) == ["errors imports io.files", "run.component imports cli.main"]
    assert rooms.circles(package) == [["cli.main", "run.component"]]
    with pytest.raises(KeyError, match=r"attic stands on no floor"):
        rooms.floor_of("attic.box")


def test_classes_have_few_methods():
    for path in rooms.modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
                assert len(methods) <= MOST_METHODS, f"{path}: {node.name} has {len(methods)}"
