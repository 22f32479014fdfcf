"""Ingestion, index and catalogue agree whatever happens in between: kills, changed texts, new versions."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.service import index_building, indexing
from app.service.index_building import build_index, disagreements, index_path, record_of
from app.service.index_check import check_indexes, repair_indexes
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.indexed import IndexRecord, records
from kb.chunking import Cutting
from kb.ingest import ingest
from kb.records import Section
from retriever.index import LateInteractionIndex
from retriever.opening import open_index
from tests.fakes.small_encoder import ARTICLES, SmallEncoder, plain
from tests.support.kb import record, source
from tests.support.service import fill, held_after, services
from tests.support.waiting import wait_for


@pytest.fixture
def path(tmp_path):
    return index_path(tmp_path, "things", "mini", "small-1")


def agree(catalogue: Catalogue, path: Path) -> None:
    """Index, record and catalogue hold the same passages, and the vectors are those of their texts now."""
    passages = {p.id: p for page in catalogue.stream("things") for p in page}
    with open_index(path, SmallEncoder()) as index:
        assert disagreements(index.ids(), record_of(catalogue, path)) == ([], [])
        assert sorted(index.ids()) == sorted(passages)
        assert dict(record_of(catalogue, path).entries()) == {p.id: p.content_hash for p in passages.values()}
        for passage in passages.values():
            [expected] = SmallEncoder().encode_passages([passage])
            assert abs(index.vectors(passage.id) - expected).max() < 1e-2
    assert check_indexes(catalogue, path.parents[2]) == []


def test_a_text_that_changes_is_indexed_anew(catalogue, monkeypatch, path):
    fill(catalogue, monkeypatch)
    build_index(catalogue, "things", SmallEncoder(), path)
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Swan": "A swan is a black bird."})
    encoder = SmallEncoder()
    assert build_index(catalogue, "things", encoder, path) == 1 and len(encoder.encoded) == 1
    assert "black" in encoder.encoded[0]
    agree(catalogue, path)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("where", ["add", "delete", "remember", "forget", "optimize", "compact"])
@pytest.mark.parametrize("call", [1, 2])
def test_a_kill_at_any_step_is_made_good(catalogue, monkeypatch, path, where, when, call):
    monkeypatch.setattr(index_building, "COMMIT_PASSAGES", 2)
    monkeypatch.setattr(index_building, "BATCH", 2)
    monkeypatch.setattr(index_building, "MOST_DELETED", 0.1)
    fill(catalogue, monkeypatch)
    build_index(catalogue, "things", SmallEncoder(), path)
    # One changes, one leaves, one comes: every kind of change has something to do.
    changed = {**ARTICLES, "Swan": "A swan is a black bird.", "Frog": "A frog is green.", "Toad": "A toad is brown."}
    fill(catalogue, monkeypatch, "things", changed)
    owner = LateInteractionIndex if where in ("add", "delete", "optimize", "compact") else IndexRecord
    real, calls = getattr(owner, where), []

    def dies(self, *args):
        calls.append(args)
        if len(calls) != call:
            return real(self, *args)
        if when == "after":
            real(self, *args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, where, dies)
        try:
            build_index(catalogue, "things", SmallEncoder(), path)
            assert len(calls) < call  # nothing was left to kill
        except Killed:
            # Whatever is remembered is in the index as it is remembered.
            repair_indexes(catalogue, path.parents[2])
            assert check_indexes(catalogue, path.parents[2]) == []
    build_index(catalogue, "things", SmallEncoder(), path)
    agree(catalogue, path)


def test_check_names_what_disagrees_and_repair_mends_it(catalogue, monkeypatch, path, tmp_path):
    fill(catalogue, monkeypatch)
    assert check_indexes(catalogue, tmp_path) == [] == repair_indexes(catalogue, tmp_path)
    build_index(catalogue, "things", SmallEncoder(), path)
    agree(catalogue, path)
    with open_index(path, SmallEncoder(), write=True) as index:
        index.delete(["things:Swan#0"])
        index.add(["things:Gone#0"], SmallEncoder().encode_passages(plain("gone")))
    found = [fault.what for fault in check_indexes(catalogue, tmp_path)]
    assert len(found) == 2 and "things:Swan#0" in " ".join(found) and "things:Gone#0" in " ".join(found)
    assert len(repair_indexes(catalogue, tmp_path)) == 2 and check_indexes(catalogue, tmp_path) == []
    assert build_index(catalogue, "things", SmallEncoder(), path) == 1
    agree(catalogue, path)
    # A flipped byte, and then no index at all.
    segment = max(path.glob("segment-*"), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    [fault] = check_indexes(catalogue, tmp_path)
    assert "damaged" in fault.what
    repair_indexes(catalogue, tmp_path)
    assert check_indexes(catalogue, tmp_path) == [] and not path.exists() and records(catalogue) == []
    assert build_index(catalogue, "things", SmallEncoder(), path) == len(ARTICLES)
    agree(catalogue, path)
    path.rename(tmp_path / "elsewhere")
    [fault] = check_indexes(catalogue, tmp_path)
    assert "is not there" in fault.what
    repair_indexes(catalogue, tmp_path)
    assert check_indexes(catalogue, tmp_path) == []


def test_repair_removes_no_index_that_is_being_written_to(catalogue, monkeypatch, path, tmp_path):
    fill(catalogue, monkeypatch)
    build_index(catalogue, "things", SmallEncoder(), path)
    with open_index(path, SmallEncoder(), write=True):
        for unsound in ("damaged", "not there"):
            manifest = path / "manifest.json"
            manifest.write_text("{}") if unsound == "damaged" else manifest.unlink()
            files = sorted(path.iterdir())
            with pytest.raises(Problem, match="Another process is writing"):
                repair_indexes(catalogue, tmp_path)
            assert sorted(path.iterdir()) == files and record_of(catalogue, path).count() == len(ARTICLES)
    assert len(repair_indexes(catalogue, tmp_path)) == 1 and not path.exists()
    assert record_of(catalogue, path).count() == 0


def test_texts_that_change_do_not_make_an_index_larger_for_ever(catalogue, monkeypatch, path):
    articles = dict(ARTICLES)
    fill(catalogue, monkeypatch, "things", articles)
    build_index(catalogue, "things", SmallEncoder(), path)
    deleted = []
    for title in ARTICLES:
        articles[title] = "It is gone."  # too little for the index to join its segments for it
        fill(catalogue, monkeypatch, "things", articles)
        build_index(catalogue, "things", SmallEncoder(), path)
        with open_index(path, SmallEncoder()) as index:
            deleted.append(index.stats()["deleted"])
        agree(catalogue, path)
    assert deleted == [1, 0, 1, 0]  # one of five may stay, two of six are too many


def words(most: int) -> Cutting:
    return Cutting(lambda texts: [len(t.split()) for t in texts], lambda t: t.split("; "), most=most)


def mills(count: int):
    return [
        replace(record(n, title=f"Mill {n}"), texts=(), sections=(Section((), f"mill {n} red; wheel {n} blue"),))
        for n in range(count)
    ]


def test_a_new_version_is_searched_when_its_index_is_ready_and_the_old_one_till_then(catalogue, monkeypatch, tmp_path):
    made_up = replace(source(mills(6)), name="things")
    ingest(catalogue, made_up, tmp_path, cutting=words(9))
    with services(tmp_path, catalogue) as make:
        one = make()
        assert one.prepare(lambda status: None).state == "ready"
        found = one.ask_once(None, "wheel 3 blue").passages[0]
        assert found.id == "things:doc_3#0" and "; " not in found.text
        ingest(catalogue, made_up, tmp_path, cutting=words(6))
        going, encoder = threading.Event(), SmallEncoder()
        monkeypatch.setattr(index_building, "BATCH", 2)
        held_after(monkeypatch, 1, going.is_set)
        other = make(encoder)
        other.start()
        wait_for(lambda: other.status().state == "indexing" and encoder.encoded)
        assert other.ask_once(None, "wheel 3 blue").passages[0].id == "things:doc_3#0"  # the old one answers
        going.set()
        wait_for(lambda: other.status().state == "ready")
        assert other.ask_once(None, "wheel 3 blue").passages[0].id == "things@2:doc_3#1"
        assert other.status().total == 12 and catalogue.count("things") == 12
        assert sorted(folder.name for folder in (tmp_path / "index").iterdir()) == ["things@2"]
        assert [record.corpus for record in records(catalogue)] == ["things@2"]
        assert check_indexes(catalogue, tmp_path) == []
        # So it does in another process that still had the old one open.
        assert one.ask_once(None, "wheel 3 blue").passages[0].id == "things@2:doc_3#1"


@pytest.mark.parametrize("step", ["serve", "delete_older", "_remove_older"])
def test_a_kill_while_versions_change_is_made_good(catalogue, monkeypatch, tmp_path, step):
    made_up = replace(source(mills(3)), name="things")
    ingest(catalogue, made_up, tmp_path, cutting=words(9))
    with services(tmp_path, catalogue) as make:
        assert make().prepare(lambda status: None).state == "ready"
        ingest(catalogue, made_up, tmp_path, cutting=words(6))

        def dies(*_args):
            raise Killed

        with monkeypatch.context() as patch:
            if step == "_remove_older":
                patch.setattr(indexing.Indexer, step, dies)
            elif step == "serve":
                patch.setattr(indexing, step, dies)
            else:  # within serve, after readers are given the new version
                patch.setattr("kb.catalogue.corpora.delete_older", dies)
            with pytest.raises(Killed):
                make().prepare(lambda status: None)
        last = make()
        assert last.prepare(lambda status: None).state == "ready"
        assert last.ask_once(None, "wheel 1 blue").passages[0].id == "things@2:doc_1#1"
        assert sorted(folder.name for folder in (tmp_path / "index").iterdir()) == ["things@2"]
        assert [record.corpus for record in records(catalogue)] == ["things@2"]
        assert catalogue.passages(["things:doc_1#0"]) == [] and check_indexes(catalogue, tmp_path) == []
