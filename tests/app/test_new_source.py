"""A kind of source is one module: what it takes for the command line, the page and the service to know a new one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app.commands.kb import main
from app.settings import load_settings
from app.web.corpora import form
from kb import sources
from kb.catalogue import Catalogue
from kb.sources.registry import KINDS, Asked, as_request, collected, from_request, in_words, previewed

MODULE = '''
"""Books on a shelf."""

from kb.records import DocumentRecord
from kb.sources.kinds import NAMED, Field, SourceKind, first_documents
from kb.sources.rows import make_source


def make(values):
    def read(_cache_dir):
        titles = [f"{values['room']} {number}" for number in range(int(values["what"]))]
        return len(titles), (DocumentRecord(t.replace(" ", "_"), t, "", "en", "CC0", (f"It is {t}.",)) for t in titles)

    return make_source(values["corpus"], "Shelf", "CC0", "en", "", read)


KIND = SourceKind(
    "shelf",
    "Books on a shelf",
    (
        Field("what", "How many", "COUNT", "So many books.", required=True, where=True),
        Field("room", "Room", "ROOM", "Where the shelf stands.", where=True, required=True),
        NAMED,
    ),
    make,
    in_words="the shelf with",
    preview=first_documents(make),
)
'''


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch) -> None:
    """The module lies beside the others, and nothing else is touched."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "shelf.py").write_text(MODULE)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path / "modules")])
    for name, kind in collected().items():
        monkeypatch.setitem(KINDS, name, kind)
    yield
    monkeypatch.delitem(sys.modules, "kb.sources.shelf")


def test_without_its_module_there_is_no_such_source(tmp_path, capsys):
    assert "shelf" not in collected()
    assert main(["ingest", "shelf", "2", "--corpus", "x"], load_settings(data_dir=tmp_path)) == 2
    assert "There is no source called 'shelf'" in capsys.readouterr().err


def test_the_command_line_has_its_fields(shelf, tmp_path, capsys):
    settings = load_settings(data_dir=tmp_path / "data")
    with pytest.raises(SystemExit):
        main(["ingest", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "shelf COUNT --room ROOM --corpus NAME" in told and "--room ROOM of shelf: where the shelf stands" in told
    assert main(["ingest", "shelf", "2", "--corpus", "books"], settings) == 2
    assert "Say what to read: python -m kb ingest shelf COUNT --room ROOM --corpus NAME." in capsys.readouterr().err
    assert main(["ingest", "shelf", "2", "--room", "attic", "--corpus", "books"], settings) == 0
    assert capsys.readouterr().out.startswith("books: 2 new")
    catalogue = Catalogue(settings.catalogue_place)
    try:
        assert [p.text for page in catalogue.stream("books") for p in page] == ["It is attic 0.", "It is attic 1."]
        (run,) = catalogue.runs("books")
    finally:
        catalogue.close()
    asked = from_request(run["request"])
    assert asked.values == {"what": "2", "room": "attic", "corpus": "books"}
    assert in_words(asked) == "the shelf with 2 attic"
    assert main(["ingest", "jsonl", "x", "--room", "attic", "--corpus", "books"], settings) == 2
    assert "leave --room out" in capsys.readouterr().err


def test_the_form_has_its_boxes(shelf):
    assert ("Books on a shelf", "Books on a shelf") in form.choices()
    names = [field.name for field in form.boxes()]
    _, *boxes, look, _ = form.chosen("Books on a shelf")
    shown = {name: box.label for name, box in zip(names, boxes, strict=True) if box.visible}
    assert shown == {"what": "How many", "room": "Room", "corpus": "Name of the corpus"} and look.visible
    typed = [{"what": "1", "room": "attic", "corpus": "books"}.get(name, "") for name in names]
    asked = form.asked("Books on a shelf", typed)
    assert asked == Asked("shelf", {"what": "1", "room": "attic", "corpus": "books"})
    assert [each.title for each in previewed(asked, 5)] == ["attic 0"]
    assert json.loads(as_request(asked))["kind"] == "shelf"
    # In the forms of the others its box is not shown.
    hidden = dict(zip(names, form.chosen(form.UPLOAD)[1:-2], strict=True))
    assert hidden["room"].visible is False
