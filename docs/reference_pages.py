"""Pages of the site that are made while it is built: the Python reference, and files of the root.

Run by mkdocs (see mkdocs.yml): one page for each module of the package, made of its docstrings.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import rooms  # noqa: E402


def from_root(name: str, page: str) -> None:
    """Write a page that is a file of the repository's root, whose links are seen from there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](", text)
    text = text.replace("](CHANGELOG.md)", "](changelog.md)")
    text = text.replace("](CONTRIBUTING.md)", "](contributing.md)")
    with mkdocs_gen_files.open(page, "w") as file:
        file.write(text)


navigation = mkdocs_gen_files.Nav()
for floor in rooms.FLOORS:
    for room in floor:
        for name, path in rooms.modules().items():
            inside = name == room or name.startswith(f"{room}.")
            if not inside or name == "__main__":
                continue
            page = Path(*name.split(".")).with_suffix(".md")
            if path.name == "__init__.py":
                page = Path(*name.split("."), "index.md")
            navigation[tuple(name.split("."))] = page.as_posix()
            with mkdocs_gen_files.open(Path("reference") / page, "w") as file:
                file.write(f"# {name}\n\n::: bmi_dhydro.{name}\n")
with mkdocs_gen_files.open("reference/SUMMARY.md", "w") as file:
    file.writelines(navigation.build_literate_nav())
from_root("README.md", "index.md")
from_root("CHANGELOG.md", "changelog.md")
from_root("CONTRIBUTING.md", "contributing.md")
