"""The arrows between the parts, read from the source: who may import whom.

Only `import` statements are looked at, wherever in a file they stand, so nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests import ROOT

# Each part with the parts that it may import beside itself.
MAY_IMPORT = {
    "common": set(),
    "hub": {"common"},
    "kb": {"hub", "common"},
    "retriever": {"hub", "common"},
    "generator": {"common"},  # it fetches nothing
    "benchmarks": {"app", "generator", "kb", "retriever", "hub", "common"},
    "app": {"benchmarks", "generator", "kb", "retriever", "hub", "common"},
}


def source_files() -> list[Path]:
    return [ROOT / "app.py", *(file for part in MAY_IMPORT for file in (ROOT / part).rglob("*.py"))]


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
    web = part == "app.py" or place.parts[:2] == ("app", "web")
    command = place.parts[:2] == ("app", "commands")
    if place.name == "__main__.py" and len(place.parts) == 2:
        return "" if name == "app.commands.beginning.begin" or target not in MAY_IMPORT else "a shim begins its command"
    if part in MAY_IMPORT and target in MAY_IMPORT.keys() - MAY_IMPORT[part] - {part}:
        return f"{part} must not know {target}"
    if target == "benchmarks" and not command and part != "benchmarks":
        return "only the commands measure"
    if name.startswith("app.commands") and not command:
        return "nothing knows the commands"
    if name.startswith("app.web") and not web and not (command and name.startswith("app.web.serve")):
        return "only the page knows the page"
    if name.startswith("hub.client") and part != "hub":
        return "only hub/cache.py asks the Hub"
    if target in ("gradio", "starlette", "fastapi") and not web:
        return "Gradio and HTTP belong to app/web"
    if target in ("sqlalchemy", "alembic") and part != "kb":
        return "SQL belongs to kb"
    return ""


def test_every_import_goes_with_the_arrows():
    files = source_files()
    assert {file.relative_to(ROOT).parts[0] for file in files} == {"app.py", *MAY_IMPORT}
    faults = [
        f"{place}: imports {name}: {why}"
        for file in files
        for place in [PurePosixPath(file.relative_to(ROOT).as_posix())]
        for name in imports(file.read_text(encoding="utf-8"), place.parts[:-1])
        if (why := wrong(place, name))
    ]
    assert not faults, "\n".join(faults)


def at_once(file: Path) -> set[str]:
    """What is imported as soon as the file's module is."""
    package = file.relative_to(ROOT).parent.parts
    return {
        name
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imports(ast.unparse(node), package)
    }


def modules_that_import(library: str) -> set[str]:
    """Those that do as soon as they are imported, by way of others too."""
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts): at_once(file) for file in source_files()}
    found = {library}
    while True:
        more = {
            module
            for module, imported in names.items()
            if any(name == each or name.startswith(f"{each}.") for name in imported for each in found)
        }
        if more <= found:
            return found - {library}
        found |= {module.removesuffix(".__init__") for module in more} | more


def test_ray_is_not_imported_on_one_machine():
    """All else that needs it imports it when somebody has a cluster."""
    with_ray = modules_that_import("ray")
    for_a_cluster = {"app.service.cluster_building", "retriever.encoders.remote.ray_serve"}
    assert for_a_cluster < with_ray
    assert all(each in for_a_cluster or each.startswith("retriever.cluster.") for each in with_ray)


def test_all_code_is_in_a_part():
    outside = {"tests", "docs", ".venv", "data", "deploy"}  # of deploy, a Space's own file and what puts it together
    found = {file.relative_to(ROOT).parts[0] for file in ROOT.glob("*/**/*.py")} - outside
    assert found == set(MAY_IMPORT) and [file.name for file in ROOT.glob("*.py")] == ["app.py"]


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_every_room_says_what_lives_there(part: str) -> None:
    rooms = {file.parent for file in (ROOT / part).rglob("*.py") if "migrations" not in file.parts}
    assert rooms and all(ast.get_docstring(ast.parse((room / "__init__.py").read_text())) for room in rooms)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("kb/catalogue/catalogue.py", "import retriever.index"),
        ("kb/catalogue/catalogue.py", "from app.settings import Settings"),
        ("kb/sources/one.py", "def f():\n    from generator import answers"),
        ("kb/sources/__main__.py", "from app import settings"),
        ("kb/__main__.py", "from app.settings import load_settings"),
        ("kb/__main__.py", "from app.commands.retriever import main"),
        ("kb/ingest.py", "from app.commands.kb import main"),
        ("retriever/encoders/base.py", "from kb.records import Passage"),
        ("retriever/index/search.py", "import sqlalchemy as sql"),
        ("retriever/encoders/checkpoints.py", "from hub.client import repository"),
        ("generator/extractive/answerer.py", "from retriever.index import Hit"),
        ("generator/models/loading.py", "from hub.wheels import fetch_wheel"),
        ("app/service/ask.py", "import gradio as gr"),
        ("app/service/ask.py", "from app.web.page import build_page"),
        ("app/service/ask.py", "from ..web import page"),
        ("app/service/ask.py", "from app.commands.terminal import refuse"),
        ("app/service/ask.py", "from sqlalchemy.orm import Session"),
        ("app/service/ask.py", "import benchmarks.load"),
        ("app/commands/app.py", "from app.web import page"),
        ("app.py", "from app.commands import app"),
        ("benchmarks/load.py", "from app.web.waiting_line import Turns"),
        ("hub/wheels.py", "import kb"),
        ("hub/cache.py", "from retriever.encoders.registry import FLMR_FILES"),
        ("common/memory.py", "from generator.models import loading"),
        ("common/memory.py", "from hub import cache"),
    ],
)
def test_a_wrong_import_is_found(place, line):
    place = PurePosixPath(place)
    assert any(wrong(place, name) for name in imports(line, place.parts[:-1]))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("kb/__main__.py", "import sys\nfrom app.commands.beginning import begin"),
        ("app/commands/retriever.py", "from app.service.indexing import build_index\nimport benchmarks.load"),
        ("kb/ingest.py", "from kb.catalogue import Catalogue\nfrom . import records\nimport sqlalchemy"),
        ("retriever/encoders/base.py", "from hub.wheels import fetch_wheel\nfrom ..index import search"),
        ("app/web/ask/events.py", "import gradio\nfrom app.web.ask import heat_maps"),
        ("app/commands/generator.py", "from hub.cache import fetch_vision_language"),
        ("generator/models/loading.py", "from common.memory import free_bytes"),
        ("hub/cache.py", "from hub.client import repository"),
        ("benchmarks/load.py", "from app.service.ask import AnswerService"),
        ("app.py", "from app.web.serve import run"),
        ("app/commands/citesight.py", "from app.web.serve import run"),
        ("app/service/ask.py", "from kb.catalogue import Catalogue\nfrom retriever.index import Hit"),
    ],
)
def test_a_right_import_is_let_through(place, line):
    place = PurePosixPath(place)
    assert not [name for name in imports(line, place.parts[:-1]) if wrong(place, name)]
