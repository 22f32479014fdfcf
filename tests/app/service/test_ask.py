"""The answer service and its indexer: a small encoder, the real catalogue, index and answerer."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from app.limits import FIRST_AT_MOST
from app.service import ask, assembly, fixed_corpora, index_building, indexes, indexing, questions
from app.service.answerers import Answerers
from app.service.encoder_lock import SharedEncoder
from app.service.index_building import build_index, index_path
from app.service.indexing import Indexer
from app.service.passages_wanted import Wanted
from app.service.results import EvidenceFound, IndexStatus, PartialText, Result
from app.settings import load_settings
from common.problems import Problem
from common.worker_thread import MOST, cancellable
from generator.answers import LOOSE, Answer
from kb.records import DocumentRecord, Section, Source
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from retriever.encoders.base import Query
from retriever.index import LateInteractionIndex
from retriever.opening import open_index
from tests.fakes.small_encoder import ARTICLES, COLOURS, GRID, SmallEncoder, embed_sentences, plain, words
from tests.support.service import fill, held_after, held_until_wanted, photo, refused, services
from tests.support.waiting import LONG, ended, wait_for


def many(count: int) -> dict[str, str]:
    return {f"Thing{number}": f"Thing number {number} weighs {number} grams." for number in range(count)}


@pytest.fixture
def steady(monkeypatch):
    """Batches of 16 passages, however fast they are encoded."""
    monkeypatch.setattr(index_building, "_next_size", lambda size, seconds: size)


@pytest.fixture
def make(tmp_path, catalogue):
    with services(tmp_path, catalogue) as make:
        yield make


@pytest.fixture
def ready(make, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    one = make()
    one.start()
    wait_for(lambda: one.status().state == "ready")
    return one


# --- asking


def test_the_photo_decides_what_is_found(ready):
    for colour, title in [("red", "Cherry"), ("green", "Emerald"), ("blue", "Sapphire"), ("white", "Swan")]:
        result = ready.ask_once(photo(colour), "What is this?")
        assert result.passages[0].title == title
        assert result.answer.answered and title in result.answer.text


def test_the_question_decides_too(ready):
    result = ready.ask_once(None, "Which gem was found in Ceylon?")
    assert result.passages[0].title == "Sapphire"
    assert result.query.grid == (0, 0)


def test_an_answer_is_quoted_from_the_passage_it_cites(ready):
    result = ready.ask_once(photo("red"), "How heavy is it?", k=3)
    assert result.answer.answered and "8 grams" in result.answer.text
    for citation in result.answer.citations:
        passage = result.passages[citation.number - 1]
        assert passage.rank == citation.number and passage.id == citation.passage_id
        assert passage.text[citation.start : citation.end] == citation.quote


def test_steps_come_in_order_and_text_grows(ready):
    steps = list(ready.ask(photo("blue"), "When was it found?", k=2))
    assert isinstance(steps[0], EvidenceFound) and isinstance(steps[-1], Result)
    texts = [step.text for step in steps[1:-1]]
    assert texts and all(isinstance(step, PartialText) for step in steps[1:-1])
    for shorter, longer in zip(texts, texts[1:], strict=False):
        assert longer.startswith(shorter) and longer != shorter
    assert texts[-1] == steps[-1].answer.text
    assert steps[0].passages == steps[-1].passages and len(steps[-1].passages) == 2


def test_passages_carry_all_there_is_to_show(ready):
    result = ready.ask_once(photo("green"), "What is green?", k=4)
    best = result.passages[0]
    assert best.title == "Emerald" and best.text == ARTICLES["Emerald"] and best.corpus == "things"
    assert best.url == "https://example.org/Emerald" and best.licence == "CC0"
    assert best.description == "about a emerald"
    assert [passage.rank for passage in result.passages] == [1, 2, 3, 4]
    scores = [passage.score for passage in result.passages]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)
    # All six patches and one word of three are met exactly: half the weight and a third of the other half.
    assert scores[0] >= 1 / 2 + 1 / 6 - 0.01


def test_the_score_of_a_perfect_match_is_one(ready):
    result = ready.ask_once(photo("red"), "cherry red fruit")
    assert result.passages[0].score == pytest.approx(1.0, abs=1e-3)
    # The photo is half of the weight, whichever number of vectors it has.
    half = ready.ask_once(photo("red"), "cherry zebra")
    assert 0.75 - 1e-3 <= half.passages[0].score < 0.99


def test_a_result_is_json(ready):
    result = ready.ask_once(photo("white"), "Where does it live?")
    said = json.loads(json.dumps(result.as_dict()))
    assert said["answer"] == result.answer.text and said["question"] == "Where does it live?"
    assert said["passages"][0]["title"] == "Swan" and said["corpora"] == ["things"]
    assert said["citations"][0]["quote"] in ARTICLES["Swan"]
    assert (said["indexed"], said["total"]) == (4, 4)
    assert set(said["timings"]) == {"load", "encode", "search", "read", "passages", "answer", "total"}
    assert "query" not in said


def test_times_add_up(ready):
    began = time.perf_counter()
    timings = dict(ready.ask_once(photo("red"), "What is it?").timings)
    spent = (time.perf_counter() - began) * 1000
    total = timings.pop("total")
    assert total == pytest.approx(sum(timings.values())) and 0 < total <= spent


def test_photos_may_be_files_bytes_or_pictures(ready, tmp_path):
    path = tmp_path / "photo.png"
    photo("green").save(path)
    for source_of_photo in (path, str(path), path.read_bytes(), photo("green").convert("RGBA")):
        assert ready.ask_once(source_of_photo, "What is this?").passages[0].title == "Emerald"


def test_too_weak_evidence_is_an_answer_and_no_exception(make, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    question = "What is the small fruit?"
    lax, strict = make(min_score=0.0), make(min_score=0.9)
    lax.prepare(lambda status: None)
    strict.prepare(lambda status: None)
    assert lax.ask_once(None, question).answer.answered
    weak = strict.ask_once(None, question)
    assert not weak.answer.answered and LOOSE in weak.answer.reason
    assert weak.passages[0].title == "Cherry"
    assert LOOSE not in strict.ask_once(None, "small red fruit").answer.reason


def test_an_answerer_that_says_nothing_is_noticed(make, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)

    class Silent:
        def answer(self, question, image, passages, turns):
            yield "well"

    broken = make(answerers=Answerers("silent", Silent()))
    broken.prepare(lambda status: None)
    with pytest.raises(RuntimeError, match="Silent"):
        broken.ask_once(None, "Who?")


# --- what is refused


def test_no_photo_and_no_question(ready):
    assert "photo and type a question" in refused(ready, None, "  ")
    assert "Type a question" in refused(ready, photo("red"), " \n\t\0 ")
    assert "Type a question" in refused(ready, photo("red"), None)


def test_a_question_too_long(ready):
    sentence = refused(ready, photo("red"), "a" * 2001)
    assert "2,001" in sentence and "2,000" in sentence
    assert ready.ask_once(photo("red"), "cherry " * 285).passages


@pytest.mark.parametrize("k", [0, 51, -1, 2.5, "5", True, float("nan"), float("inf")])
def test_a_count_of_passages_that_makes_no_sense(ready, k):
    assert "from 1 to 50" in refused(ready, photo("red"), "What?", k=k)


def test_counts_of_passages_that_do(ready):
    assert len(ready.ask_once(photo("red"), "What?", k=1).passages) == 1
    assert len(ready.ask_once(photo("red"), "What?", k=3.0).passages) == 3
    assert len(ready.ask_once(photo("red"), "What?", k=50).passages) == 4


def test_an_unknown_corpus(ready):
    sentence = refused(ready, photo("red"), "What?", ["things", "<b>nothing</b>"])
    assert "<b>nothing</b>" in sentence and "things" in sentence
    assert "at least one" in refused(ready, photo("red"), "What?", [])


def test_a_bad_photo(ready, tmp_path):
    assert "not a photo" in refused(ready, b"hello", "What?")
    assert "no file" in refused(ready, tmp_path / "none.jpg", "What?")
    huge = Image.new("L", (20_000, 6_000))
    assert "too many pixels" in refused(ready, huge, "What?")


def test_odd_characters_in_a_question(ready):
    assert ready.ask_once(photo("red"), "a\ud800b \u202e\0 cherry").passages[0].title == "Cherry"


# --- heat maps


def heat(one, *args, **named) -> dict[str, np.ndarray]:
    """The heat maps of a question by title, as the page draws them."""
    found, *_ = one.ask(*args, **named)
    return {passage.title: found.heat()[passage.rank] for passage in found.passages if passage.rank in found.heat()}


def test_heat_shows_the_part_of_the_photo_that_matches(ready):
    half = photo("red")
    half.paste(COLOURS["blue"], (0, 0, 10, 20))  # the left third
    at = heat(ready, half, "What is this?", k=4)
    red, blue = at["Cherry"], at["Sapphire"]
    assert red.shape == blue.shape == GRID
    assert red[:, 1:].min() > red[:, 0].max() and blue[:, 0].min() > blue[:, 1:].max()


def test_alignments_account_for_the_scores_and_name_the_words(ready):
    found, *_ = ready.ask(photo("red"), "What fruit is it?", k=4)
    assert len(found.alignments) == len(found.passages) == 4
    for passage, aligned in zip(found.passages, found.alignments, strict=True):
        assert aligned.contributions.sum() == pytest.approx(passage.score, abs=0.01)
    said = words(f"Cherry {ARTICLES['Cherry']}")
    row = found.query.tokens.index("fruit")
    assert said[found.alignments[0].best[row]] == "fruit" and found.passages[0].title == "Cherry"


def test_no_heat_without_a_photo_and_for_what_has_left_the_index(ready, monkeypatch):
    assert heat(ready, None, "What is red?") == {}

    def vectors(index, passage_id, kept=LateInteractionIndex.vectors):
        if passage_id == gone:
            raise KeyError(passage_id)
        return kept(index, passage_id)

    first, second, *_ = ready.ask_once(photo("red"), "What is that?", k=4).passages
    gone = first.id
    monkeypatch.setattr(LateInteractionIndex, "vectors", vectors)
    found, *_ = ready.ask(photo("red"), "What is there?", k=4)
    assert found.passages[0].id == gone and found.alignments[0] is None
    assert sorted(found.heat()) == [2, 3, 4]


def test_a_photo_is_decoded_once(ready, tmp_path, monkeypatch):
    photo("red").save(tmp_path / "red.png")
    decoded = []

    def counted(image, load=questions.load_image):
        decoded.append(image)
        return load(image)

    monkeypatch.setattr(questions, "load_image", counted)
    for asked in ("What is this?", "What is that?"):
        found, *_ = ready.ask(str(tmp_path / "red.png"), asked)
        assert found.photo.size == (30, 20)
    assert decoded == [str(tmp_path / "red.png")]
    photo("blue").save(tmp_path / "red.png")  # another photo in its place
    found, *_ = ready.ask(str(tmp_path / "red.png"), "What is this?")
    assert found.passages[0].title == "Sapphire" and len(decoded) == 2


# --- before there is an index, and while it grows


def test_before_the_first_passage_is_indexed_the_person_is_told_what_happens(make, catalogue, monkeypatch):
    monkeypatch.setattr(indexes, "ENCODER_PATIENCE", 0.2)
    going = threading.Event()

    def fetch(corpus, progress):
        progress(1, 4)
        assert going.wait(LONG)
        fill(catalogue, monkeypatch)

    one = make(fetch=fetch)
    one.start()
    wait_for(lambda: one.status().state == "fetching")
    sentence = refused(one, photo("red"), "What?")
    assert "nothing to search yet" in sentence and "1 of 4 documents" in sentence
    assert one.corpora() == []
    going.set()
    wait_for(lambda: one.status().state == "ready")
    assert one.ask_once(photo("red"), "What is this?").passages[0].title == "Cherry"
    assert [info.name for info in one.corpora()] == ["things"]


def test_asking_starts_a_service_that_was_not_started(make, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    make().prepare(lambda status: None)
    assert make().ask_once(photo("blue"), "What is this?").passages[0].title == "Sapphire"


def test_the_part_already_indexed_answers(make, catalogue, monkeypatch):
    monkeypatch.setattr(index_building, "COMMIT_PASSAGES", 1)
    monkeypatch.setattr(ask, "FIRST_PATIENCE", 0.01)
    fill(catalogue, monkeypatch, articles=many(40))
    going = threading.Event()
    held_after(monkeypatch, 1, going.is_set)
    one = make()
    one.start()
    wait_for(lambda: one.status().done and one.indexes._indexer("things").index() is not None)
    result = one.ask_once(None, "How heavy is thing number 3?")
    assert 0 < result.indexed < 40 and result.total == 40
    status = one.status()
    assert status.state == "indexing" and "of 40" in status.message and "answered" in status.message
    going.set()
    wait_for(lambda: one.status().state == "ready")
    assert one.ask_once(None, "How heavy is thing number 3?").indexed == 40


def test_what_most_likely_answers_is_indexed_first(make, catalogue, monkeypatch, steady):
    monkeypatch.setattr(index_building, "COMMIT_PASSAGES", 1)
    articles = many(200)
    fill(catalogue, monkeypatch, articles=articles)
    encoder = SmallEncoder()
    one = make(encoder)
    indexer = one.indexes._indexer("things")
    held_until_wanted(monkeypatch, indexer)
    one.start()
    wait_for(lambda: indexer.index() is not None)
    result = one.ask_once(None, "How heavy is thing number 197?")
    assert result.answer.answered and "197 grams" in result.answer.text
    assert f"Thing197: {articles['Thing197']}" in encoder.encoded[16 : 16 + FIRST_AT_MOST]
    wait_for(lambda: one.status().state == "ready")
    assert len(encoder.encoded) == len(set(encoder.encoded)) == 200  # each once


def test_who_waits_for_passages_hears_when_nobody_indexes_any_more():
    wanted = Wanted()
    with ThreadPoolExecutor(2) as threads:
        waits = [threads.submit(wanted.wait, [name], LONG) for name in "ab"]
        wait_for(lambda: wanted._asked == 2)
        with wanted.taken() as ids:
            assert set(ids) == {"a", "b"} and not any(each.done() for each in waits)
        assert [each.result(LONG) for each in waits] == [None, None]
        late = threads.submit(wanted.wait, ["c"], LONG)
        wait_for(lambda: wanted._asked == 3)
        wanted.end()
        late.result(LONG)
    wanted.wait(["d"], LONG)
    with wanted.taken() as ids:
        assert ids == ["c"]


def test_a_batch_that_a_question_waits_for_is_not_held_up_by_questions():
    shared = SharedEncoder(SmallEncoder())
    with shared.asking(), ThreadPoolExecutor(1) as thread:
        batch = thread.submit(shared.encode_passages, plain("red"))
        with shared.waiting_for_passages():
            assert len(batch.result(LONG)) == 1


def test_a_question_goes_before_the_next_batch():
    small = SmallEncoder()
    shared = SharedEncoder(small)
    with shared.asking():
        thread = threading.Thread(target=shared.encode_passages, args=(plain("one red thing"),))
        thread.start()
        time.sleep(0.1)
        assert small.encoded == []
        shared.encode_queries([Query("red")])
    thread.join(LONG)
    assert small.encoded == ["one red thing"]


def test_endless_questions_do_not_stop_indexing(monkeypatch):
    monkeypatch.setattr("app.service.encoder_lock.QUIET_AT_MOST", 0.05)
    shared = SharedEncoder(SmallEncoder())
    with shared.asking():
        assert len(shared.encode_passages(plain("red"))) == 1


def test_encoder_calls_do_not_overlap():
    class Jealous(SmallEncoder):
        busy = False

        def encode_queries(self, queries):
            assert not self.busy
            self.busy = True
            time.sleep(0.01)
            self.busy = False
            return super().encode_queries(queries)

    shared = SharedEncoder(Jealous())
    failures = []

    def ask():
        try:
            for _ in range(5):
                shared.encode_queries([Query("red")])
        except AssertionError as problem:
            failures.append(problem)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_models_work_in_one_thread_and_searches_in_another_whoever_asks(tmp_path, monkeypatch):
    """As the page does, as `/ask` does, for heat maps, and by commands; else memory grows with those who ask."""
    threads = {"models": set(), "search": set()}

    def noted(kind, call):
        def noting(*args, **named):
            threads[kind].add(threading.current_thread())
            return call(*args, **named)

        return noting

    class Noting(SmallEncoder):
        encode_queries = noted("models", SmallEncoder.encode_queries)
        encode_passages = noted("models", SmallEncoder.encode_passages)

    class Sentences:
        embed_sentences = staticmethod(noted("models", embed_sentences))

    monkeypatch.setattr(assembly, "load_encoder", lambda *_args: Noting())
    monkeypatch.setattr(assembly, "load_sentence_encoder", lambda *_args: Sentences())
    one = assembly.build_service(load_settings(data_dir=tmp_path, corpus="things"))
    fill(one.catalogue, monkeypatch)
    assert one.prepare(lambda status: None).state == "ready"
    monkeypatch.setattr(LateInteractionIndex, "search", noted("search", LateInteractionIndex.search))
    monkeypatch.setattr(LateInteractionIndex, "vectors", noted("search", LateInteractionIndex.vectors))

    def page(colour):
        for step in cancellable(one.ask(photo(colour), "How heavy is it?"), LONG):
            if isinstance(step, EvidenceFound):
                assert step.heat()[1].shape == GRID

    def program(colour):
        assert one.ask_once(photo(colour), "How heavy is it?").passages
        assert one.find(photo(colour), "What is this?", 2).passages

    with ThreadPoolExecutor(8) as askers:
        asked = [askers.submit(way, colour) for colour in COLOURS for way in (page, program)]
        assert [each.result() for each in asked] == [None] * 8
    one.close()
    assert {kind: len(each) for kind, each in threads.items()} == {"models": 1, "search": 1}
    for thread in threads["models"] | threads["search"]:
        assert ended(thread)


def test_a_fixed_collection_of_whole_documents_is_cut_when_it_is_fetched(tmp_path, monkeypatch):
    mill = DocumentRecord("mill", "Mill", "", "en", "CC0", (), sections=(Section(("Work",), "It grinds rye. " * 90),))
    made = Source("mills", "Mills", "CC0", "en", "", lambda _cache_dir: (1, iter([mill])))
    monkeypatch.setitem(KINDS, "mills", fixed_collection(made, cut=True))
    monkeypatch.setattr(assembly, "load_encoder", lambda *_args: SmallEncoder())
    words = SimpleNamespace(count_tokens=lambda texts: [len(text.split()) for text in texts])
    monkeypatch.setattr(fixed_corpora, "load_word_pieces", lambda *_args: words)
    sentences = SimpleNamespace(embed_sentences=embed_sentences)
    monkeypatch.setattr(assembly, "load_sentence_encoder", lambda *_args: sentences)
    one = assembly.build_service(load_settings(data_dir=tmp_path, corpus="mills"))
    try:
        assert one.prepare(lambda status: None).state == "ready"
        assert one.catalogue.cutting("mills") == (200, 0)
        assert one.catalogue.count("mills") > 1
    finally:
        one.close()


def test_models_that_say_nothing_keep_nobody_from_evidence(make, catalogue, monkeypatch):
    going = threading.Event()

    class Silent:
        def answer(self, question, image, passages, turns=()):
            going.wait(LONG)
            yield Answer("Nothing.", (), False, "")

    fill(catalogue, monkeypatch)
    one = make(answerers=Answerers("silent", Silent()))
    one.prepare(lambda status: None)
    asked = [cancellable(one.ask(photo("red"), f"What is number {number}?"), 0.02) for number in range(MOST)]
    try:
        for steps in asked:
            found = next(step for step in steps if step is not None)
            assert found.heat()[1].shape == GRID
            assert next(steps) is None
        assert one.find(photo("blue"), "What is this?", 1).passages[0].title == "Sapphire"
    finally:
        going.set()
    assert [[step for step in steps if step is not None][-1].answer.text for steps in asked] == ["Nothing."] * MOST


def test_many_threads_get_their_own_answers(ready):
    wanted = [("red", "Cherry"), ("green", "Emerald"), ("blue", "Sapphire"), ("white", "Swan")] * 4
    got = {}

    def ask(number, colour):
        got[number] = ready.ask_once(photo(colour), "What is this?").passages[0].title

    threads = [threading.Thread(target=ask, args=(n, colour)) for n, (colour, _) in enumerate(wanted)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[n] for n in range(len(wanted))] == [title for _, title in wanted]


MORE = {"Ruby": "A ruby is a red stone that shines.", "Rain": "Rain is wet."}


def test_several_corpora_are_merged_by_score(ready, catalogue, monkeypatch):
    fill(catalogue, monkeypatch, "more", MORE)
    ready.start("more")
    wait_for(lambda: ready.status("more").state == "ready")
    result = ready.ask_once(photo("red"), "ruby stone", ["things", "more"], k=6)
    assert result.passages[0].title == "Ruby" and result.corpora == ("things", "more")
    assert {passage.corpus for passage in result.passages} == {"things", "more"}
    assert len(result.passages) == result.indexed == result.total == 6
    scores = [passage.score for passage in result.passages]
    assert scores == sorted(scores, reverse=True)
    only = ready.ask_once(photo("red"), "ruby", ["more"])
    assert {passage.corpus for passage in only.passages} == {"more"} and only.total == 2
    assert heat(ready, photo("red"), "ruby", ["more"])["Ruby"].shape == GRID


def test_a_corpus_not_indexed_yet_is_begun_and_counted(ready, catalogue, monkeypatch):
    fill(catalogue, monkeypatch, "more", MORE)
    started = []
    monkeypatch.setattr(Indexer, "start", lambda indexer: started.append(indexer.corpus))
    monkeypatch.setattr(indexes, "ENCODER_PATIENCE", 0.1)
    result = ready.ask_once(photo("red"), "ruby stone", ["things", "more"])
    assert started == ["more"] and (result.indexed, result.total) == (4, 6)


def test_new_passages_are_indexed_when_started_again(ready, catalogue, monkeypatch):
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Frog": "A frog is a green animal that jumps."})
    ready.start()
    wait_for(lambda: ready.status().state == "ready" and ready.status().total == 5)
    assert ready.ask_once(photo("green"), "Which animal jumps?").passages[0].title == "Frog"


# --- what can go wrong while indexing


def test_no_network_is_told_in_a_sentence_and_tried_again(make, catalogue, monkeypatch):
    tries = []

    def fetch(corpus, progress):
        tries.append(corpus)
        if len(tries) == 1:
            raise Problem("The corpus could not be fetched; check the network.")
        fill(catalogue, monkeypatch)

    one = make(fetch=fetch)
    one.start()
    wait_for(lambda: one.status().state == "failed")
    assert one.status().message == "The corpus could not be fetched; check the network."
    one.start()
    wait_for(lambda: one.status().state == "ready")
    assert tries == ["things", "things"]


def test_an_encoder_that_cannot_be_loaded(make, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)

    def loader(progress):
        raise OSError("disk on fire\nat line 2")

    one = make(loader)
    one.start()
    wait_for(lambda: one.status().state == "failed")
    message = one.status().message
    assert "disk on fire at line 2" in message and "\n" not in message and message.endswith(".")
    assert "disk on fire" in refused(one, photo("red"), "What?")


def test_an_empty_corpus_is_a_failure_with_a_sentence(make):
    status = make().prepare(lambda status: None)
    assert status.state == "failed" and "things is empty" in status.message


def test_a_full_disk_keeps_what_was_indexed(make, catalogue, monkeypatch, steady):
    monkeypatch.setattr(index_building, "COMMIT_PASSAGES", 1)
    fill(catalogue, monkeypatch, articles=many(60))
    real = LateInteractionIndex.add

    def add(self, ids, vectors):
        if len(self) >= 32:
            raise Problem("The disk is full; free some space.")
        real(self, ids, vectors)

    monkeypatch.setattr(LateInteractionIndex, "add", add)
    one = make()
    status = one.prepare(lambda status: None)
    assert status == IndexStatus("failed", 32, 60, "The disk is full; free some space.")
    assert one.ask_once(None, "How heavy is thing number 1?").indexed == 32
    monkeypatch.setattr(LateInteractionIndex, "add", real)
    assert one.prepare(lambda status: None).state == "ready"


def test_an_index_of_another_encoder_is_kept_and_a_new_one_made(make, catalogue, monkeypatch, tmp_path):
    fill(catalogue, monkeypatch)
    first, second = SmallEncoder("small-1"), SmallEncoder("small-2")
    assert make(first).prepare(lambda status: None).state == "ready"
    assert make(second).prepare(lambda status: None).state == "ready"
    assert len(first.encoded) == len(second.encoded) == 4
    folders = sorted((tmp_path / "index" / "things").iterdir())
    assert len(folders) == 2
    again = SmallEncoder("small-1")
    assert make(again).prepare(lambda status: None).state == "ready"
    assert again.encoded == []
    assert sorted((tmp_path / "index" / "things").iterdir()) == folders


def test_an_index_put_in_the_place_of_another_is_refused(make, catalogue, monkeypatch, tmp_path):
    fill(catalogue, monkeypatch)
    make(SmallEncoder("small-1")).prepare(lambda status: None)
    old = index_path(tmp_path, "things", "mini", "small-1")
    old.rename(index_path(tmp_path, "things", "mini", "small-2"))
    status = make(SmallEncoder("small-2")).prepare(lambda status: None)
    assert status.state == "failed" and "small-1" in status.message and status.message.endswith(".")


@pytest.mark.parametrize("says", ["cut short", "damaged"])
def test_a_damaged_index_is_refused_with_a_sentence(make, catalogue, monkeypatch, tmp_path, says):
    fill(catalogue, monkeypatch)
    make().prepare(lambda status: None)
    path = index_path(tmp_path, "things", "mini", "small-1")
    [segment] = path.glob("segment-*")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1  # among the vectors, which take most of it
    segment.write_bytes(content[:100] if says == "cut short" else content)
    one = make()
    status = one.prepare(lambda status: None)
    assert status.state == "failed" and says in status.message
    assert says in refused(one, photo("red"), "What?")


def test_an_index_cut_short_while_it_is_served_is_refused_and_the_others_answer(make, catalogue, monkeypatch, tmp_path):
    fill(catalogue, monkeypatch, "more", {"Ruby": "A ruby is a red stone that shines."})
    fill(catalogue, monkeypatch)
    one = make()
    for name in ("things", "more"):
        assert one.prepare(lambda status: None, name).state == "ready"
    path = index_path(tmp_path, "things", "mini", "small-1")
    [segment] = path.glob("segment-*")
    content = segment.read_bytes()
    os.truncate(segment, len(content) - 1)  # of the last page, so that a program that reads on lives to tell
    with pytest.raises(Problem, match="cut short") as opening:
        LateInteractionIndex.open(path)
    assert refused(one, photo("red"), "What is this?") == str(opening.value)
    assert refused(one, photo("red"), "What is this?", ["more", "things"]) == str(opening.value)
    assert one.ask_once(photo("red"), "Which stone is it?", ["more"]).passages[0].title == "Ruby"
    assert heat(one, photo("red"), "What shines there?", ["more"])["Ruby"].shape == GRID
    segment.unlink()
    segment.write_bytes(content)  # from a backup
    assert one.ask_once(photo("red"), "What is this?").passages[0].title == "Cherry"


def test_indexing_that_finds_a_file_cut_short_says_so(make, catalogue, monkeypatch, tmp_path):
    fill(catalogue, monkeypatch)
    one = make()
    assert one.prepare(lambda status: None).state == "ready"
    [segment] = index_path(tmp_path, "things", "mini", "small-1").glob("segment-*")

    def cut(*_args, **_named):
        os.truncate(segment, segment.stat().st_size - 1)

    monkeypatch.setattr(indexing, "delete_older", cut)  # after it was found sound
    status = one.prepare(lambda status: None)
    assert status.state == "failed" and "cut short" in status.message and status.done == 0


def test_what_another_process_adds_is_searched(make, catalogue, monkeypatch, tmp_path, ready):
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Frog": "A frog is a green animal that jumps."})
    assert make().prepare(lambda status: None).state == "ready"
    assert ready.ask_once(photo("green"), "Which animal jumps?").passages[0].title == "Frog"


def test_while_an_index_is_verified_again_it_answers(ready, monkeypatch):
    verifying, going = threading.Event(), threading.Event()
    says = []

    def verify(index):
        verifying.set()
        assert going.wait(LONG)
        if says:
            raise Problem(says[0])

    monkeypatch.setattr(LateInteractionIndex, "verify", verify)
    ready.start()
    assert verifying.wait(LONG)
    try:
        for colour in ("red", "blue"):  # neither of which was asked about before
            assert ready.ask_once(photo(colour), "What is this?").answer.answered
    finally:
        going.set()
    wait_for(lambda: ready.status().state == "ready")
    assert ready.ask_once(photo("white"), "What is this?").answer.answered
    says.append("The index is damaged; delete it.")
    assert ready.prepare(lambda status: None).message == says[0] == refused(ready, photo("red"), "What?")


@pytest.mark.parametrize("managed", [True, False])
def test_where_an_index_lies_is_told_to_those_who_may_know(make, catalogue, monkeypatch, caplog, managed):
    fill(catalogue, monkeypatch)
    one = make(manage=managed)
    assert one.prepare(lambda status: None).state == "ready"
    known = "The disk of /home/me/secret is damaged; look at it."
    said = known if managed else "The collection things cannot be searched at the moment."

    def fail(*_args, **_named):
        raise Problem(known)

    monkeypatch.setattr(LateInteractionIndex, "search", fail)
    assert refused(one, photo("red"), "What?") == said
    assert managed or caplog.text.count(known) == 1
    caplog.clear()
    monkeypatch.setattr(LateInteractionIndex, "verify", fail)
    one.start()
    wait_for(lambda: one.status().state == "failed")
    assert one.status().message == one.indexes.statuses()["things"].message == said
    assert known in caplog.text
    assert refused(one, photo("red"), "What?") == said


# --- building


def test_a_build_that_was_stopped_goes_on_where_it_was(catalogue, monkeypatch, tmp_path, steady):
    fill(catalogue, monkeypatch, articles=many(100))
    path = index_path(tmp_path, "things", "mini", "small-1")
    first, second = SmallEncoder(), SmallEncoder()
    turns = iter([True, True, False])
    assert build_index(catalogue, "things", first, path, go_on=lambda: next(turns)) == 32
    told = []
    assert build_index(catalogue, "things", second, path, progress=lambda *now: told.append(now)) == 68
    assert told[0] == (32, 100) and told[-1] == (100, 100)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(set(first.encoded + second.encoded)) == len(first.encoded) + len(second.encoded) == 100
    third = SmallEncoder()
    assert build_index(catalogue, "things", third, path) == 0 and third.encoded == []
    with open_index(path, third) as index:
        assert sorted(index.ids()) == sorted(f"things:Thing{n}#0" for n in range(100))
        stored = index.vectors("things:Thing7#0")
    expected = SmallEncoder().encode_passages(plain("Thing7: Thing number 7 weighs 7 grams."))[0]
    assert np.allclose(stored[:1], expected[:1], atol=1e-3)


def test_an_interrupted_build_loses_at_most_what_was_not_committed(catalogue, monkeypatch, tmp_path, steady):
    monkeypatch.setattr(index_building, "COMMIT_PASSAGES", 20)
    fill(catalogue, monkeypatch, articles=many(100))
    path = index_path(tmp_path, "things", "mini", "small-1")

    def interrupt(done, total):
        if done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(catalogue, "things", SmallEncoder(), path, progress=interrupt)
    with open_index(path, SmallEncoder()) as index:
        assert 20 <= len(index) < 100
    assert build_index(catalogue, "things", SmallEncoder(), path) < 80  # and the lock was given back


def test_passages_that_left_the_corpus_leave_the_index(catalogue, monkeypatch, tmp_path):
    fill(catalogue, monkeypatch)
    path = index_path(tmp_path, "things", "mini", "small-1")
    encoder = SmallEncoder()
    assert build_index(catalogue, "things", encoder, path) == len(ARTICLES)
    with open_index(path, encoder, write=True) as index:
        index.add(["things:Gone#0"], encoder.encode_passages(plain("Gone: a thing of the past.")))
    told = []
    assert build_index(catalogue, "things", encoder, path, committed=lambda: told.append(1)) == 0 and told
    with open_index(path, encoder) as index:
        assert "things:Gone#0" not in index and len(index) == len(ARTICLES)


def test_passages_without_a_token_are_left_out(catalogue, monkeypatch, tmp_path):
    class Picky(SmallEncoder):
        def encode_passages(self, passages, pictures=()):
            return [
                rows[:0] if "green" in passage.text else rows
                for passage, rows in zip(passages, super().encode_passages(passages), strict=True)
            ]

    fill(catalogue, monkeypatch)
    path = index_path(tmp_path, "things", "mini", "small-1")
    build_index(catalogue, "things", Picky(), path)
    with open_index(path, Picky()) as index:
        assert len(index) == 3


def test_batches_become_as_large_as_a_question_can_wait_for():
    def settle(seconds_a_passage: float) -> int:
        size = index_building.BATCH
        for _ in range(20):
            size = index_building._next_size(size, size * seconds_a_passage)
        return size

    assert settle(0.0001) == 1024 and settle(1.0) == 2
    assert all(0.1 < settle(each) * each <= 2 * index_building.BATCH_SECONDS for each in (0.002, 0.01, 0.03, 0.1))


def test_the_time_that_is_left_is_told(catalogue, monkeypatch, tmp_path, steady):
    fill(catalogue, monkeypatch, articles=many(64))
    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr(index_building.time, "monotonic", lambda: float(next(clock)))
    told = []
    place = index_path(tmp_path, "things", "mini", "small-1")
    encoder = SmallEncoder()
    indexer = Indexer(catalogue, "things", lambda progress: encoder, lambda *_: place, lambda progress: None)
    assert indexer.run(told.append).state == "ready"
    messages = [status.message for status in told if status.state == "indexing"]
    assert "a second" not in messages[0] and "a second, about" in messages[1]
    assert [status.state for status in told] == ["fetching"] + ["indexing"] * 5 + ["ready"]
    indexer.stop()


def test_stopping_ends_the_thread_and_keeps_what_was_done(make, catalogue, monkeypatch, tmp_path):
    fill(catalogue, monkeypatch, articles=many(100))
    encoder = SmallEncoder()
    one = make(encoder)
    held_after(monkeypatch, 1, lambda: one.indexes._indexer("things")._job.stopping)
    one.start()
    wait_for(lambda: one.status().done > 0)
    one.close()
    assert not one.indexes._indexer("things").busy()
    count = len(encoder.encoded)
    assert 0 < count < 100
    with open_index(index_path(tmp_path, "things", "mini", "small-1"), encoder) as index:
        assert len(index) == count


class Endless:
    """Something that is fetched until its progress callback raises or the test has seen enough."""

    def __init__(self) -> None:
        self.enough = threading.Event()

    def __call__(self, *args) -> None:
        progress = args[-1]
        while not self.enough.wait(0.01):
            progress(1, 2)
        raise Problem("Nobody stopped it.")

    def stopped(self, stop, *args) -> bool:
        """Whether a call that stops it comes to its end."""
        thread = threading.Thread(target=stop, args=args)
        thread.start()
        came = ended(thread)
        self.enough.set()
        thread.join()
        return came


def test_closing_ends_the_download_of_a_model(make, caplog):
    endless = Endless()
    one = make(endless)
    one.start()
    wait_for(lambda: one.status().total == 2)
    assert endless.stopped(one.close)
    assert one.status().state == "starting" and not caplog.records


def test_deleting_ends_the_fetching_of_a_corpus(make, caplog):
    endless = Endless()
    one = make(fetch=endless)
    one.start()
    wait_for(lambda: one.status().total == 2)
    indexer = one.indexes._indexer("things")
    assert endless.stopped(one.indexes.forget, "things")
    assert indexer.status().state == "fetching" and not caplog.records


def test_deleting_does_not_wait_for_a_model_that_is_fetched_for_another_corpus(make, tmp_path):
    endless = Endless()
    one = make(endless)
    one.start()
    wait_for(lambda: one.status().total == 2)
    one.start("more")
    more = one.indexes._indexer("more")
    assert more.busy() and endless.stopped(one.indexes.forget, "more")
    assert not more.busy() and not (tmp_path / "index").exists()


def test_corpus_names_cannot_leave_the_data_folder(tmp_path):
    with pytest.raises(Problem, match="folder"):
        index_path(tmp_path, "../../elsewhere", "mini", "small-1")
