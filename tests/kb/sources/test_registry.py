"""From the command line to a source, and corpora of one's own all the way into the catalogue."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from sqlalchemy import text

import app.commands.kb as command_line
from app.commands import ingesting
from app.settings import load_settings
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.tables import CorpusRow
from kb.chunking import Cutting
from kb.sources import m2kr
from kb.sources.registry import KINDS, Asked, source_for
from tests.support.pdf import pdf


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own, where a token is a word; (exit code, stdout, stderr)."""
    words = Cutting(lambda texts: [len(said.split()) for said in texts], lambda said: [said], most=50)
    monkeypatch.setattr(ingesting, "_cutting", lambda *_: words)
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


def test_pages_of_pdfs_as_pictures(run, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "report.pdf").write_bytes(pdf("one", "word " * 60 + ". two"))
    assert run("ingest", "folder", str(tmp_path / "scans"), "--corpus", "scans", "--pages")[0] == 0
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}")
    found = catalogue.passages_of("scans:report.pdf")
    assert [(each.heading, len(each.text), [picture.caption for picture in each.pictures]) for each in found] == [
        ("report › page 1", 3, ["Page 1"]), ("report › page 2", 305, ["Page 2"]),
    ]  # fmt: skip
    catalogue.close()
    again = run("ingest", "folder", str(tmp_path / "scans"), "--corpus", "scans", "--pages")
    assert again[1].startswith("scans: 0 new, 0 updated")
    assert run("ingest", "csv", str(tmp_path / "a.csv"), "--corpus", "x", "--pages")[2].count("leave --pages out") == 1


def test_a_folder_does_not_remove_what_came_from_elsewhere(run, tmp_path):
    for name in ("notes", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mill.txt").write_text(f"The mill of {name}.")
    (tmp_path / "a.jsonl").write_text('{"id": 1, "title": "Weir", "text": "It holds."}\n')
    assert run("ingest", "jsonl", str(tmp_path / "a.jsonl"), "--corpus", "water")[0] == 0
    assert run("ingest", "folder", str(tmp_path / "notes"), "--corpus", "notes")[0] == 0
    for corpus, folder in (("water", "notes"), ("notes", "others")):
        before = passages(tmp_path, corpus)
        code, _, err = run("ingest", "folder", str(tmp_path / folder), "--corpus", corpus)
        assert code == 2 and f"The corpus {corpus} comes from elsewhere" in err
        assert passages(tmp_path, corpus) == before != []
    (tmp_path / "notes" / "mill.txt").unlink()
    (tmp_path / "notes" / "weir.txt").write_text("The weir.")
    assert "1 removed" in run("ingest", "folder", str(tmp_path / "notes"), "--corpus", "notes")[1]


def test_a_row_without_an_id_stays_the_same_document(run, tmp_path):
    (tmp_path / "a.csv").write_text("title,text\nWeir,It holds.\n")
    assert run("ingest", "csv", str(tmp_path / "a.csv"), "--corpus", "table")[0] == 0
    again = run("ingest", "csv", str(tmp_path / "a.csv"), "--corpus", "table", "--licence", "CC0", "--language", "en")
    assert again[1].startswith("table: 0 new, 1 updated")
    assert passages(tmp_path, "table") == [("Weir", "It holds.", "CC0")]


def test_a_path_that_is_not_utf_8(run, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "a.txt").write_text("It holds.")
    assert run("ingest", "folder", str(folder), "--corpus", "notes")[0] == 0
    assert run("ingest", "folder", str(folder), "--corpus", "notes")[1].startswith("notes: 0 new")
    assert json.loads(json.loads(run("runs", "--json")[1])[0]["request"])["what"] == str(folder)


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
        (["jsonl"], "Say what to read: python -m kb ingest jsonl FILE --corpus NAME [--fetch-images]."),
        (["jsonl", "x"], "Give the corpus a name"),
        (["jsonl", "nowhere.jsonl", "--corpus", "x"], "nowhere.jsonl"),
        (["folder", "nowhere", "--corpus", "x"], "nowhere does not exist"),
        (["csv", "x", "--corpus", "a:b"], "A corpus cannot be called 'a:b'"),
        (["csv", "x", "--corpus", "../x"], "A corpus cannot be called"),
        (["google-search"], "--questions FILE"),
        (["google-search", "--questions", "x"], "CITESIGHT_GOOGLE_KEY"),
        (["m2kr"], "python -m kb ingest m2kr DATASET"),
        (["folder", ".", "--corpus", "wikipedia-vital"], "name of a collection"),
        (["wikipedia-vital", "--corpus", "x"], "leave --corpus out"),
        (["wikipedia-vital", "--licence", "CC0"], "leave --licence out"),
        (["m2kr", "EVQA", "--language", "en"], "leave --language out"),
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
    (tmp_path / "results.jsonl").write_text('{"query": "What is a weir?", "url": "https://example.org/"}\n')
    settings = {"google_key": "k", "google_engine": "e", "searxng_url": "http://localhost:8080"}
    whats = {"wikipedia-dump": "a.xml", "m2kr": "EVQA", "search-results": "results.jsonl"}
    names = {}
    for name, kind in KINDS.items():
        given = {"what": whats.get(name, "20231101.en"), "questions": "questions.txt", "corpus": "mine"}
        given = {field.name: given[field.name] for field in kind.fields if field.name in given}
        files = [field.name for field in kind.fields if field.value == "path" and field.name in given]
        paths = {name: str(tmp_path / given[name]) for name in files}
        try:
            names[name] = source_for(Asked(name, given | paths), settings).name
        except Problem as problem:
            assert name == "wikipedia-dump" and "of a dump" in str(problem)
    fixed = {name for name, kind in KINDS.items() if kind.fixed}
    assert set(names) == set(KINDS) - {"wikipedia-dump"} and fixed == {"wikipedia-vital"}
    assert all(name == ("mine" if kind not in fixed else kind) for kind, name in names.items())
    assert source_for(Asked("wikipedia-hub", {"what": "20231101.en"})).name == "wikipedia-20231101.en"
    assert source_for(Asked("m2kr", {"what": "EVQA"})).name == "m2kr-evqa"
    assert source_for(Asked("m2kr", {"what": "EVQA"})).homepage.endswith(m2kr.HUB)
    assert source_for(Asked("m2kr", {"what": "EVQA", "licence": "CC0"})).licence == "CC0"


def test_check_and_repair_from_the_command_line(run, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 1, "text": "It holds."}) + "\n")
    assert run("ingest", "jsonl", str(tmp_path / "a.jsonl"), "--corpus", "a")[0] == 0
    code, out, _ = run("check")
    assert (code, out) == (0, "All is whole and agrees.\n")
    assert run("repair")[:2] == (0, "There was nothing to mend.\n")
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}")
    with catalogue.database.writing() as session:
        session.execute(text("UPDATE corpus SET passages = 9"))
    catalogue.close()
    code, out, _ = run("check")
    assert code == 1 and out.startswith("The counts of a are not what is there; passages are missing from a")
    code, out, _ = run("check", "--json")
    said = json.loads(out)
    assert code == 1 and said["sound"] is False and said["waiting"] == {} and len(said["faults"]) == 1
    assert json.loads(run("repair", "--json")[1])["mended"] == said["faults"]
    assert json.loads(run("check", "--json")[1])["sound"] is True


def test_passages_that_say_the_same_are_told_of(run, tmp_path):
    rows = [{"id": n, "text": "The mill by the lake was built in 1871 and grinds rye."} for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = run("ingest", "jsonl", str(tmp_path / "a.jsonl"), "--corpus", "a")[1]
    assert "a: 2 new" in out and "a: 1 passages say what an earlier one says" in out
    _, out, shown = run("twins", "a")
    assert out == "a: 1 passages say what an earlier one says\n"
    assert "a, reading: 2 passages" in shown and "a, comparing" in shown


def test_cutting_is_what_is_asked_or_what_the_corpus_has(tmp_path, capsys, wheel_cache):
    settings = load_settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    (settings.data_dir / "cache").symlink_to(wheel_cache)
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 1, "text": "The mill grinds rye. " * 30}) + "\n")
    ingest = ["ingest", "jsonl", str(tmp_path / "a.jsonl"), "--corpus", "a"]

    def cut(*options: str) -> list[tuple[int, str]]:
        assert command_line.main([*ingest, *options], settings=settings) == 0
        catalogue = Catalogue(settings.catalogue_place)
        try:
            newest = catalogue.stats()["corpora"][0]
            return [(each["passages"], each["cutting"]) for each in (newest, newest["newer"]) if each]
        finally:
            catalogue.close()

    assert cut() == [(1, "200+0")]
    assert cut("--tokens", "50", "--overlap", "10") == [(1, "200+0"), (5, "50+10")]
    assert cut() == [(1, "200+0"), (5, "50+10")]  # goes on with the newest
    assert command_line.main([*ingest, "--tokens", "20", "--overlap", "20"], settings=settings) == 2
    assert "cannot share 20" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_bench_measures_in_a_database_of_its_own(tmp_path, capsys, wheel_cache, url):
    settings = load_settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    (settings.data_dir / "cache").symlink_to(wheel_cache)
    command = ["bench", "--passages", "300", "--json", "--database-url", url]
    assert command_line.main(command, settings=settings) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["passages"] == 300 and measured["twins"] == 3 and measured["wikitext_megabytes_per_second"] > 0
    assert all(measured[name] > 0 for name in measured if name.endswith(("seconds", "megabytes")))
    catalogue = Catalogue(url)
    assert catalogue.corpora() == []
    with catalogue.database.writing() as session:
        session.add(CorpusRow(name="x", called="x", title="x", licence="x", language="x", homepage="x"))
    catalogue.close()
    assert command_line.main(command, settings=settings) == 2
    assert "is not empty; measure on one that is" in capsys.readouterr().err


def test_the_title_is_the_name_that_was_given(tmp_path):
    (tmp_path / "data.jsonl").touch()
    for kind, what in (("folder", tmp_path), ("jsonl", tmp_path / "data.jsonl"), ("m2kr", "EVQA")):
        assert source_for(Asked(kind, {"what": str(what), "corpus": "mine"})).title == "mine"
    assert source_for(Asked("m2kr", {"what": "EVQA"})).title == "M2KR, passages of EVQA"
