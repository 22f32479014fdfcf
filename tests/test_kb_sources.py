"""From the command line to a source, and corpora of one's own all the way into the catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import kb.__main__ as command_line
from app.settings import load_settings
from kb.catalogue import Catalogue
from kb.chunking import Cutting
from kb.records import CatalogueProblem
from kb.sources import SOURCES
from kb.sources.chosen import KINDS, Asked, source_for


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own, where a token is a word; (exit code, stdout, stderr)."""
    words = Cutting(lambda texts: [len(text.split()) for text in texts], lambda text: [text], most=50)
    monkeypatch.setattr(command_line, "_cutting", lambda settings: words)
    settings = load_settings(data_dir=tmp_path / "data")

    def run(*argv: str) -> tuple[int, str, str]:
        code = command_line.main(argv, settings=settings)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def passages(tmp_path: Path, corpus: str) -> list[tuple[str, str, str]]:
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}")
    try:
        return [(p.heading, p.text, p.licence) for page in catalogue.stream(corpus) for p in page]
    finally:
        catalogue.close()


def test_json_lines(run, tmp_path):
    weir, sluice = {"id": 1, "title": "Weir", "text": "It holds."}, {"id": 2, "title": "Sluice", "text": "It lets go."}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(weir)}\nnot json\n{json.dumps(sluice)}\n")
    code, out, err = run("ingest", "jsonl", str(tmp_path / "a.jsonl"), "--corpus", "water", "--licence", "CC0")
    assert code == 0 and out.startswith("water: 2 new") and "1 could not be taken" in err
    assert passages(tmp_path, "water") == [("Weir", "It holds.", "CC0"), ("Sluice", "It lets go.", "CC0")]
    assert "a.jsonl, line 2: It is not JSON" in run("runs", "--corpus", "water")[1]
    assert run("ingest", "jsonl", str(tmp_path / "a.jsonl"), "--corpus", "water", "--licence", "CC0")[1].startswith(
        "water: 0 new, 0 updated, 2 unchanged"
    )


def test_tables_and_okvqa(run, tmp_path):
    (tmp_path / "a.csv").write_text("title,text\nWeir,It holds.\n")
    assert run("ingest", "csv", str(tmp_path / "a.csv"), "--corpus", "table")[0] == 0
    assert [p[:2] for p in passages(tmp_path, "table")] == [("Weir", "It holds.")]
    (tmp_path / "okvqa.csv").write_text("kid,text\nk7,A weir holds water.\n")
    assert run("ingest", "okvqa-google", str(tmp_path / "okvqa.csv"))[0] == 0
    assert passages(tmp_path, "okvqa-google")[0][1] == "A weir holds water."


def test_a_folder(run, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mill.md").write_text("# Mill\n\nIt grinds.\n\n## Wheel\n\nIt turns.\n")
    assert run("ingest", "folder", str(tmp_path / "notes"), "--corpus", "notes")[0] == 0
    assert [p[:2] for p in passages(tmp_path, "notes")] == [("Mill", "It grinds."), ("Mill › Wheel", "It turns.")]


def test_a_dump(run, tmp_path):
    text = "<revision><id>1</id><text>A '''weir''' holds.</text></revision>"
    page = f"<page><title>Weir</title><ns>0</ns><id>5</id>{text}</page>"
    base = "<base>https://en.wikipedia.org/wiki/Main</base>"
    head = f"<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>{base}</siteinfo>"
    (tmp_path / "a.xml").write_text(f'<mediawiki xml:lang="en">{head}{page}</mediawiki>')
    code, out, err = run("ingest", "wikipedia-dump", str(tmp_path / "a.xml"), "--corpus", "dump")
    assert code == 0, err
    assert passages(tmp_path, "dump") == [("Weir", "A weir holds.", "CC BY-SA 4.0")]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["jsonl"], "Say what to read: python -m kb ingest jsonl FILE --corpus NAME."),
        (["jsonl", "x"], "Give the corpus a name"),
        (["jsonl", "nowhere.jsonl", "--corpus", "x"], "nowhere.jsonl"),
        (["folder", "nowhere", "--corpus", "x"], "nowhere does not exist"),
        (["csv", "x", "--corpus", "a:b"], "A corpus cannot be called 'a:b'"),
        (["csv", "x", "--corpus", "../x"], "A corpus cannot be called"),
        (["google-search"], "--questions FILE"),
        (["google-search", "--questions", "x"], "CITESIGHT_GOOGLE_KEY"),
        (["m2kr"], "python -m kb ingest m2kr DATASET"),
        (["nothing"], "There is no source called 'nothing'; the sources are: csv, folder"),
    ],
)
def test_what_is_missing_is_said(run, argv, said):
    code, out, err = run("ingest", *argv)
    assert code == 2 and err.startswith("error: ") and said in err and err.count("\n") == 1


def test_data_is_no_short_form_of_data_dir(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = run("ingest", "m2kr", "EVQA", "--data", str(tmp_path / "empty"))
    assert code == 2 and err.startswith("error: ") and "empty" in err


def test_every_kind_leads_to_a_source(tmp_path):
    (tmp_path / "questions.txt").write_text("What is a weir?\n")
    (tmp_path / "a.xml").write_text("<mediawiki>")
    questions = tmp_path / "questions.txt"
    asked = Asked("", "20231101.en", "mine", questions=questions, google_key="k", google_engine="e")
    names = {}
    for kind in KINDS:
        what = {"wikipedia-dump": str(tmp_path / "a.xml"), "m2kr": "EVQA"}.get(kind, asked.what)
        try:
            names[kind] = source_for(replace(asked, kind=kind, what=what)).name
        except CatalogueProblem as problem:
            assert kind == "wikipedia-dump" and "no dump" in str(problem)
    fixed = {*SOURCES, "google-search"}
    assert {kind for kind, name in names.items() if name != "mine"} <= fixed
    assert source_for(Asked("wikipedia-hub", "20231101.en")).name == "wikipedia-20231101.en"
    assert source_for(Asked("m2kr", "EVQA")).name == "m2kr-evqa"
