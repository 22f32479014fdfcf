"""How much may be taken in: what ends at a limit leaves whole documents, and a sentence that says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.service.ingestions import Ingestions
from app.service.job_states import IngestionState
from app.service.quotas import FRESH, Quotas, bytes_below
from app.settings import load_settings
from common.problems import Problem
from kb import ingest as ingestion
from kb.catalogue import Catalogue
from kb.records import Source
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS, Asked
from tests.support.kb import record, source
from tests.support.service import services
from tests.support.waiting import wait_for


@pytest.fixture
def managed(tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Ingestions under settings, of collections of 40 documents with a passage each in batches of five."""
    monkeypatch.setattr(ingestion, "_BATCH", 5)
    for name in ("one", "two"):
        made = source([record(number) for number in range(40)], lambda place: None)
        given = Source(name, "Made up", "CC0", "en", "https://example.org/", made.read)
        monkeypatch.setitem(KINDS, name, fixed_collection(given))
    made = []
    with services(tmp_path / "data", catalogue) as build:

        def manage(**settings: object) -> Ingestions:
            made.append(Ingestions(build(manage=True, **settings)))
            return made[-1]

        yield manage
        for each in made:
            each.close()


def ended(ingestions: Ingestions, corpus: str) -> tuple[IngestionState, str]:
    """How an ingestion ended, and its problem."""

    def state():
        return next((each for each in ingestions.states() if each.name == corpus), None)

    wait_for(lambda: state() and state().state in (IngestionState.FINISHED, IngestionState.FAILED))
    return state().state, state().error


def test_a_collection_that_grows_too_large_keeps_whole_documents_and_can_go_on(managed, catalogue) -> None:
    small = managed(corpus_passages=10)
    small.start(Asked("one"))
    state, error = ended(small, "one")
    assert state == IngestionState.FAILED and "may have 10" in error and "CITESIGHT_CORPUS_PASSAGES" in error
    [corpus] = catalogue.corpora()
    assert corpus.documents == corpus.passages and 10 < corpus.passages <= 20
    with pytest.raises(Problem, match="a collection may have 10"):
        small.resume("one")
    large = managed(corpus_passages=1000)
    large.resume("one")
    assert ended(large, "one") == (IngestionState.FINISHED, "")
    assert catalogue.count("one") == 40


def test_so_many_collections_there_may_be(managed, catalogue, tmp_path: Path) -> None:
    ingestions = managed(most_corpora=1)
    ingestions.start(Asked("one"))
    assert ended(ingestions, "one")[0] == IngestionState.FINISHED
    with pytest.raises(Problem, match="There are 1 collections, as many as there may be; delete one"):
        ingestions.start(Asked("two"))
    (tmp_path / "a.txt").write_text("A heron.")
    with pytest.raises(Problem, match="as many as there may be"):
        ingestions.upload([tmp_path / "a.txt"], "mine", "CC0", "en")
    assert not (ingestions.settings.data_dir / "uploads" / "mine").exists()
    ingestions.start(Asked("one"))  # which is there
    assert ended(ingestions, "one")[0] == IngestionState.FINISHED


def test_so_much_the_data_folder_may_take(managed, catalogue, tmp_path: Path) -> None:
    ingestions = managed(data_gb=1e-4)
    folder = ingestions.settings.data_dir
    folder.mkdir(exist_ok=True)
    (tmp_path / "a.txt").write_text("A heron. " * 20_000)
    with pytest.raises(Problem, match="CITESIGHT_DATA_GB"):  # 180 kB and 100 kB
        ingestions.upload([tmp_path / "a.txt"], "mine", "CC0", "en")
    assert not (folder / "uploads").exists() and not catalogue.corpora()


def test_how_much_a_folder_takes(tmp_path: Path, catalogue) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"x" * 100)
    os.link(tmp_path / "in" / "a", tmp_path / "again")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert 100 <= bytes_below(tmp_path / "in") == 100 and bytes_below(tmp_path) < 100 + 10_000_000
    now = [0.0]
    quotas = Quotas(load_settings(data_dir=tmp_path / "in", data_gb=2e-7), catalogue, lambda: now[0])
    quotas.check_room(100)
    (tmp_path / "in" / "b").write_bytes(b"x" * 101)
    quotas.check_room()  # it is not counted for every batch
    now[0] += FRESH + 1
    with pytest.raises(Problem, match="takes 2.01e-07 GB of the 2e-07 GB"):
        quotas.check_room()
