"""The arrows between the parts, read from the source: who may import whom.

Only `import` statements are looked at, wherever in a file they stand, so nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("app", "generator", "kb", "retriever")
ALONE = ("wheelcache.py", "hubcache.py", "hubclient.py", "memory.py")


def source_files() -> list[Path]:
    files = [file for part in PARTS for file in (ROOT / part).rglob("*.py")]
    return [*files, *ROOT.glob("*.py")]


def imports(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """Full names of the modules that a file of a package imports; of `from a import b` it is a.b."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += (node.module or "").split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def wrong(place: PurePosixPath, name: str) -> str:
    """Why the file at a place in the project may not import a module; "" when it may."""
    part, target = place.parts[0], name.split(".")[0]
    page = (
        place.name == "app.py" if len(place.parts) == 1 else part == "app" and place.name.startswith("page")
    )
    command = place.name == "__main__.py" and len(place.parts) == 2  # puts parts together, as app does
    if part in ("kb", "retriever", "generator") and target in PARTS and target != part and not command:
        return f"{part} must not know {target}"
    if target in ("wheelcache", "hubcache") and part == "generator" and not command:
        return "the generator fetches nothing"
    if target == "hubclient" and place.as_posix() != "hubcache.py":
        return "only hubcache asks the Hub"
    if place.as_posix() in ALONE and target in (*PARTS, "wheelcache", "hubcache", "memory"):
        return f"{place.stem} knows no part of the program"
    if target == "gradio" and not page:
        return "Gradio belongs to app/page*.py"
    if target in ("sqlalchemy", "alembic") and part != "kb":
        return "SQL belongs to kb"
    if part == "app" and name.startswith("app.page") and not page:
        return "only pages know pages"
    return ""


def test_every_import_goes_with_the_arrows():
    files = source_files()
    assert {file.relative_to(ROOT).parts[0] for file in files} >= {*PARTS, *ALONE}
    faults = [
        f"{place}: imports {name}: {why}"
        for file in files
        for place in [PurePosixPath(file.relative_to(ROOT).as_posix())]
        for name in imports(file.read_text(encoding="utf-8"), place.parts[:-1])
        if (why := wrong(place, name))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("kb/catalogue.py", "import retriever.index"),
        ("kb/catalogue.py", "from app.settings import Settings"),
        ("kb/sources/one.py", "def f():\n    from generator import answers"),
        ("kb/sources/__main__.py", "from app import settings"),
        ("retriever/encoder.py", "from kb.records import Passage"),
        ("retriever/index/search.py", "import sqlalchemy as sql"),
        ("generator/extractive.py", "from retriever.index import Hit"),
        ("generator/extractive.py", "from wheelcache import fetch_wheel"),
        ("generator/loading.py", "from hubcache import fetch_vision_language"),
        ("app/service.py", "import gradio as gr"),
        ("app/service.py", "from app.page import build_page"),
        ("app/service.py", "from . import page"),
        ("app/service.py", "from sqlalchemy.orm import Session"),
        ("wheelcache.py", "import kb"),
        ("hubcache.py", "from retriever.profiles import FLMR_FILES"),
        ("hubcache.py", "import wheelcache"),
        ("hubclient.py", "from hubcache import fetch_model"),
        ("retriever/checkpoints.py", "from hubclient import HubProblem"),
        ("memory.py", "from generator import loading"),
    ],
)
def test_a_wrong_import_is_found(place, line):
    place = PurePosixPath(place)
    assert any(wrong(place, name) for name in imports(line, place.parts[:-1]))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("kb/__main__.py", "from app.settings import load_settings"),
        ("retriever/__main__.py", "from app.indexing import build_index\nfrom kb.catalogue import Catalogue"),
        ("kb/ingest.py", "from kb.catalogue import Catalogue\nfrom . import records\nimport sqlalchemy"),
        ("retriever/encoder.py", "from wheelcache import fetch_wheel\nfrom ..retriever import images"),
        ("app/page_html.py", "import gradio\nfrom app import page_heat"),
        ("generator/__main__.py", "from hubcache import fetch_vision_language"),
        ("generator/loading.py", "from memory import free_bytes"),
        ("retriever/profiles.py", "from hubcache import fetch_model\nfrom memory import free_bytes"),
        ("hubcache.py", "from hubclient import HubProblem"),
        ("app.py", "import gradio\nfrom app.page import build_page"),
        ("app/service.py", "from kb.catalogue import Catalogue\nfrom retriever.index import Hit"),
    ],
)
def test_a_right_import_is_let_through(place, line):
    place = PurePosixPath(place)
    assert not [name for name in imports(line, place.parts[:-1]) if wrong(place, name)]
