"""What stands round the program: its documents lead where they say, and its requirements are said once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("retriever/**/*.md")])
PARTS = "app|benchmarks|common|docs|generator|hub|kb|retriever|tests"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    lost = [link for link in links if link and not (page.parent / link).exists()]
    if page.name != "CHANGELOG.md":
        named = re.findall(rf"`((?:{PARTS})/[\w./-]+)`", text)
        lost += [name for name in named if not (ROOT / name).exists() and "artefacts" not in name]
    assert not lost


def test_docstrings_name_files_that_are_there() -> None:
    lost = []
    for part in PARTS.split("|"):
        for file in (ROOT / part).rglob("*.py"):
            for name in re.findall(rf"(?<![\w/.-])((?:{PARTS})/[\w/]+\.(?:py|js|md|tsv))\b", file.read_text("utf-8")):
                if not (ROOT / name).exists():
                    lost.append(f"{file.relative_to(ROOT)}: {name}")
    assert not [each for each in lost if not each.startswith("tests/test_architecture.py")]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_the_package_needs_what_the_requirements_say() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    said = project["tool"]["setuptools"]["dynamic"]
    assert project["project"]["dynamic"] == ["dependencies", "optional-dependencies"]
    files = [said["dependencies"], *said["optional-dependencies"].values()]
    for each in files:
        lines = [line.split(" #")[0].strip() for line in (ROOT / each["file"]).read_text("utf-8").splitlines()]
        assert all(re.match(r"[A-Za-z0-9_.,\[\]-]+[=><]=", line) for line in lines if line and line[0] != "#")
    for name in project["project"]["scripts"].values():
        assert (ROOT / (name.split(":")[0].replace(".", "/") + ".py")).is_file()
