"""The service with an index that is another engine's: nothing is asked of it that the protocol does not name."""

from __future__ import annotations

from retriever.index import Index
from tests.fakes.memory_index import MemoryIndex
from tests.fakes.small_encoder import ARTICLES
from tests.support.service import fill, photo, services
from tests.support.waiting import wait_for


def test_a_question_is_answered_from_another_engines_index(tmp_path, catalogue, monkeypatch):
    made: dict = {}

    def open_index(path, encoder, write=False, over=None):
        if write:
            made.setdefault(path, MemoryIndex(path))
        return made.get(path)

    monkeypatch.setattr("app.service.indexing.open_index", open_index)
    monkeypatch.setattr("app.service.index_building.open_index", open_index)
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        service = make()
        service.start()
        wait_for(lambda: service.status().state == "ready")
        [index] = made.values()
        assert isinstance(index, Index) and len(index) == len(ARTICLES)

        result = service.ask_once(photo("red"), "How heavy is it?")
        assert result.answer.answered and "8 grams" in result.answer.text
        assert result.passages[0].title == "Cherry" and index.searched

        again = service.ask_once(photo("red"), "How heavy is it?")
        assert again.cached
        assert service.ask_once(None, "Where is an emerald cut?").passages[0].title == "Emerald"
        assert result.unsearched == 0

        index.unsearched = 0.25  # as where a machine that holds some of it does not answer
        for _ in range(2):
            part = service.ask_once(photo("red"), "What does it weigh?")
            assert part.unsearched == part.as_dict()["unsearched"] == 0.25 and not part.cached
        assert service.find(None, "Where is an emerald cut?", 3).unsearched == 0.25
        index.unsearched = 0.0
        assert service.ask_once(photo("red"), "What does it weigh?").unsearched == 0
    assert not any(tmp_path.glob("index/*/*/*"))  # no file of the real one
