"""Two programs over one data folder: the second waits for what the first is at, says so, and goes on from there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.service import fixed_corpora
from app.service.index_building import build_index, index_path
from app.service.index_check import check_indexes
from app.settings import load_settings
from kb import ingest as ingestion
from kb.catalogue import alive
from kb.records import Source
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from retriever.index import LateInteractionIndex
from retriever.index.storage import WriterLock
from retriever.opening import open_index
from tests.fakes.small_encoder import ARTICLES, SmallEncoder
from tests.support.kb import record, source
from tests.support.service import fill, photo, services
from tests.support.waiting import LONG, ended, wait_for

OTHER = "Another program is indexing this"


@pytest.fixture
def path(tmp_path) -> Path:
    return index_path(tmp_path, "things", "mini", "small-1")


def test_an_index_that_another_program_begins_is_waited_for(tmp_path, catalogue, monkeypatch, path):
    fill(catalogue, monkeypatch)
    path.mkdir(parents=True)
    other = WriterLock(path)  # as while it makes the first of the index
    with services(tmp_path, catalogue) as make:
        service = make()
        service.start()
        wait_for(lambda: OTHER in service.status().message)
        assert service.status().state == "indexing" and f"0 of {len(ARTICLES)} passages" in service.status().message
        other.release()
        wait_for(lambda: service.status().state == "ready")
        assert service.status().done == len(ARTICLES)


def test_questions_are_answered_from_what_another_program_has_indexed(tmp_path, catalogue, monkeypatch, path):
    fill(catalogue, monkeypatch)
    build_index(catalogue, "things", SmallEncoder(), path)
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Heron": "A heron is a grey bird."})
    mine = SmallEncoder()
    with services(tmp_path, catalogue) as make:
        service = make(mine)
        with open_index(path, SmallEncoder(), write=True):
            service.start()
            wait_for(lambda: f"{OTHER}: {len(ARTICLES)} of" in service.status().message)
            assert "8 grams" in service.ask_once(photo("red"), "How heavy is it?").answer.text
        wait_for(lambda: service.status().state == "ready")
        assert len(mine.encoded) == 1 and "heron" in mine.encoded[0]


def test_a_command_waits_too(tmp_path, catalogue, monkeypatch, path):
    fill(catalogue, monkeypatch)
    build_index(catalogue, "things", SmallEncoder(), path)
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Heron": "A heron is a grey bird."})
    other = open_index(path, SmallEncoder(), write=True)
    told = []

    def hears(status) -> None:
        told.append(status.message)
        if OTHER in status.message:
            other.close()

    with services(tmp_path, catalogue) as make:
        assert make().prepare(hears).state == "ready"
    assert any(OTHER in message for message in told)


def test_who_waits_can_be_stopped(tmp_path, catalogue, monkeypatch, path):
    fill(catalogue, monkeypatch)
    path.mkdir(parents=True)
    other = WriterLock(path)
    with services(tmp_path, catalogue) as make:
        service = make()
        service.start()
        wait_for(lambda: OTHER in service.status().message)
    other.release()  # after the service was closed
    assert not (path / "manifest.json").exists()


def test_an_index_that_another_program_was_quicker_to_make_is_opened(path, monkeypatch):
    create = LateInteractionIndex.create

    def second(*about) -> LateInteractionIndex:
        create(*about).close()
        return create(*about)

    monkeypatch.setattr(LateInteractionIndex, "create", second)
    with open_index(path, SmallEncoder(), write=True) as index:
        assert len(index) == 0


def test_an_index_at_work_on_is_not_faulty(tmp_path, catalogue, monkeypatch, path):
    fill(catalogue, monkeypatch)
    build_index(catalogue, "things", SmallEncoder(), path)
    with open_index(path, SmallEncoder(), write=True) as index:
        index.add(["things:coming#0"], [index.vectors(index.ids()[0])])  # and is not remembered yet
        assert check_indexes(catalogue, tmp_path) == []
    [fault] = check_indexes(catalogue, tmp_path)
    assert "nobody remembers" in fault.what


class TestFetching:
    @pytest.fixture
    def settings(self, tmp_path):
        return load_settings(data_dir=tmp_path)

    def test_a_collection_that_another_program_ingests_is_waited_for(self, catalogue, settings, monkeypatch):
        begun, go_on = threading.Event(), threading.Event()

        def stop(place: int) -> None:
            begun.set()
            assert go_on.wait(LONG)

        made = source([record(number) for number in range(7)], stop)
        monkeypatch.setitem(KINDS, "made-up", fixed_collection(made))
        other = threading.Thread(target=ingestion.ingest, args=(catalogue, made, Path("unused")))
        other.start()
        assert begun.wait(LONG)
        told: list[tuple[int, int]] = []
        mine = threading.Thread(
            target=fixed_corpora.fetch, args=(catalogue, settings, "made-up", lambda *how: told.append(how))
        )
        mine.start()
        try:
            wait_for(lambda: told)
        finally:
            go_on.set()
            assert ended(other) and ended(mine)
        assert told[0] == (0, 7) and [run["state"] for run in catalogue.runs()] == ["finished"]

    def test_what_a_killed_program_left_is_gone_on_with(self, catalogue, settings, monkeypatch):
        def stop(place: int) -> None:
            if place == 3 and len(catalogue.runs()) == 1:
                raise KeyboardInterrupt

        made = source([record(number) for number in range(7)], stop)
        monkeypatch.setitem(KINDS, "made-up", fixed_collection(made))
        with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
            patch.setattr(ingestion, "record_stop", lambda *_: True)
            patch.setattr(alive, "remove", lambda _: None)
            ingestion.ingest(catalogue, made, Path("unused"))
        fixed_corpora.fetch(catalogue, settings, "made-up", lambda done, total: None)
        assert [run["state"] for run in catalogue.runs()] == ["finished", "interrupted"]
        assert catalogue.count("made-up") == 7

    def test_what_is_whole_is_not_read_again(self, catalogue, settings, monkeypatch):
        made: Source = source([record(1)])
        monkeypatch.setitem(KINDS, "made-up", fixed_collection(made))
        for _ in range(2):
            fixed_corpora.fetch(catalogue, settings, "made-up", lambda done, total: None)
        assert len(catalogue.runs()) == 1
