"""The documentation that is installed with the package, and what helps point to."""

import re
from pathlib import Path

import click
import pytest

from bmi_dhydro.cli import documents
from bmi_dhydro.cli.main import main
from tests.cli.conftest import call

ROOT = Path(__file__).parents[2]


def test_pages_are_listed_and_shown():
    text = call("docs")
    for name in ("config", "guide", "training", "nextgen", "skill"):
        assert f"{name} " in text
    assert "introduction" not in text
    assert "spin_up" in call("docs", "config")
    assert "no page 'confi'; did you mean 'config'?" in call("docs", "confi", code=1)


def test_what_is_installed_is_found(tmp_path, monkeypatch):
    """Of an installed wheel: beside the package there is no repository."""
    place = tmp_path / "share" / "doc" / "bmi_dhydro"
    place.mkdir(parents=True)
    (place / "guide.md").write_text("# A guide\n")
    monkeypatch.setattr(documents, "__file__", str(tmp_path / "a" / "b" / "documents.py"))
    monkeypatch.setattr(documents.sysconfig, "get_path", lambda name: str(tmp_path))
    assert documents.folder() == place
    (place / "guide.md").unlink()
    monkeypatch.setattr(documents.metadata, "files", lambda name: None)
    with pytest.raises(Exception, match="was not installed"):
        documents.folder()


@pytest.mark.parametrize("name", sorted(set(main.commands) - {"docs"}))
def test_helps_point_to_pages_that_there_are(name):
    context = click.Context(main.commands[name], info_name=name)
    text = " ".join(main.commands[name].get_help(context).split())
    assert not re.search(r"docs/\w+\.md", text)
    for page in re.findall(r"bmi-dhydro docs (\w+)", text):
        assert page in documents.pages(), page


def test_an_sdist_has_all_that_it_needs():
    """What MANIFEST.in names is there, and what a wheel takes along stands in it."""
    for line in (ROOT / "MANIFEST.in").read_text().splitlines():
        for word in line.split()[1:] if line.startswith(("include", "graft")) else ():
            assert (ROOT / word).exists(), word
