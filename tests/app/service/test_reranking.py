"""Reranking through the whole service: what it moves, what stands when it fails, what is said of it."""

from __future__ import annotations

import json
import re
import threading
import time

import pytest

from app.commands import retriever as retriever_command
from app.service import assembly as services_of
from app.service import reranking
from app.service.answerers import Answerers, answerers_for
from app.service.assembly import build_service
from app.service.results import IDENTIFIED, LIKELY, NAMED, READ, UNKNOWN
from app.settings import load_settings
from common.cancellation import current
from common.problems import Problem
from common.reranking import Order
from common.worker_thread import cancellable
from generator.extractive.answerer import ExtractiveAnswerer
from generator.extractive.scoring import Limits
from generator.models.chat import Message
from generator.models.prompts import RULES
from generator.reranking.identifying import Identifying
from generator.reranking.prompts import HELPS_RULES, ORDER_RULES
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests.app.service.test_photo_subject import Recogniser
from tests.fakes import small_encoder
from tests.fakes.chat_server import ChatServer, Reply, page, stream
from tests.fakes.small_encoder import ARTICLES, FAR, SmallEncoder, embed_sentences, source
from tests.retriever.search.test_cross_encoder import write
from tests.support.models import ReadingModel
from tests.support.service import fill, photo, services
from tests.support.waiting import wait_for

GEMS = "Which gem is hard?"


class Backwards:
    """A reranker that turns the first `most` around; what it is asked is in `asked`."""

    name, sees = "backwards", True

    def __init__(self, most: int = 20, said: str = "", sees: bool = True) -> None:
        self.most, self.said, self.sees = most, said, sees
        self.asked: list = []

    def ready(self) -> None:
        """It is."""

    def order(self, question, photo, passages):
        self.asked.append((question, photo, [passage.title for passage in passages]))
        return Order(tuple(reversed(range(len(passages)))), self.said, 11)


class Failing(Backwards):
    def __init__(self, problem: Exception | Order) -> None:
        super().__init__()
        self.problem = problem

    def order(self, question, photo, passages):
        self.asked.append(question)
        if isinstance(self.problem, Exception):
            raise self.problem
        return self.problem


class Slow(Backwards):
    """Waits until it is told to stop."""

    begun = stopped = False

    def order(self, question, photo, passages):
        self.begun, stop = True, current()
        while not stop.is_set():
            time.sleep(0.01)
        self.stopped = True
        raise Problem("It was stopped.")


@pytest.fixture
def build(tmp_path, catalogue, monkeypatch):
    """Makes a service with a reranker, or with none."""
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:

        def ready(reranker=None, encoder=None, **overrides):
            answerer = ExtractiveAnswerer(embed_sentences, Limits(passage_score=0.1, **FAR))
            one = make(
                encoder or SmallEncoder(), Answerers("extractive", answerer, reranker=reranker), passages=4, **overrides
            )
            one.start()
            wait_for(lambda: one.status().state == "ready")
            return one

        yield ready


def titles(result) -> list[str]:
    return [passage.title for passage in result.passages]


def test_without_a_reranker_nothing_is_said_of_one(build):
    result = build().ask_once(None, GEMS)
    assert result.reranked is None and {passage.was for passage in result.passages} == {None}
    assert result.as_dict()["reranked"] is None and "rerank" not in result.timings


def test_passages_are_put_in_order_and_say_where_they_were(build):
    before = build().ask_once(None, GEMS)
    reranker = Backwards()
    service = build(reranker)
    steps = list(service.ask(None, GEMS))
    result = steps[-1]
    assert titles(result) == titles(before)[::-1] == [passage.title for passage in steps[0].passages]
    assert [(passage.rank, passage.was) for passage in result.passages] == [(1, 4), (2, 3), (3, 2), (4, 1)]
    assert [passage.score for passage in result.passages] == [passage.score for passage in before.passages][::-1]
    assert reranker.asked == [(GEMS, None, titles(before))]
    assert (result.reranked.by, result.reranked.said, result.reranked.tokens) == ("backwards", "", 11)
    assert result.timings["rerank"] >= 0 and steps[0].reranked == result.reranked
    assert len(result.alignments) == 4 and None not in result.alignments
    said = json.loads(json.dumps(result.as_dict()))
    assert said["passages"][0]["was"] == 4 and said["reranked"]["by"] == "backwards"
    again = list(service.ask(None, GEMS))
    assert again[-1].cached and len(reranker.asked) == 1 and again[0].reranked == result.reranked
    found = service.find(None, GEMS, 2)
    assert titles(found) == titles(result)[:2] and [each.was for each in found.passages] == [4, 3]
    assert len(reranker.asked) == 1 and found.reranked.tokens == 0  # the same passages, known from before


def test_only_so_many_are_put_in_order_and_that_is_said(build):
    before = build().ask_once(None, GEMS)
    result = build(Backwards(most=2)).ask_once(None, GEMS)
    first, second, *rest = titles(before)
    assert titles(result) == [second, first, *rest] and [each.was for each in result.passages] == [2, 1, 3, 4]
    assert "put the first 2 passages in order" in result.reranked.said
    assert build(Backwards(most=2)).ask_once(None, GEMS, k=2).reranked.said == ""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (Problem("Nothing answers at host."), "Nothing answers at host. The passages stand as they were found."),
        (RuntimeError("CUDA"), "backwards failed; the passages stand as they were found."),
        (Order((9, -3, 0, 0)), ""),
        (Order(()), ""),
    ],
)
def test_whatever_goes_wrong_the_retrievers_order_stands(build, what, said):
    before = build().ask_once(None, GEMS)
    service = build(reranker := Failing(what))
    result = service.ask_once(None, GEMS)
    assert titles(result) == titles(before) and result.reranked.said == said
    assert [each.was for each in result.passages] == [1, 2, 3, 4]
    assert service.ask_once(None, GEMS).cached != bool(said)  # what failed is tried again
    assert len(reranker.asked) == (2 if said else 1)


def test_one_that_is_too_slow_is_stopped_and_the_retrievers_order_stands(build):
    before = build().ask_once(None, GEMS)
    service = build(slow := Slow())
    service._reranking._seconds = 0.2
    result = service.ask_once(None, GEMS)
    assert titles(result) == titles(before)
    assert result.reranked.said == "backwards was not done after 0.2 seconds; the passages stand as they were found."
    wait_for(lambda: slow.stopped)


def test_loading_a_model_does_not_count(build, monkeypatch):
    reranker, steps, within = Backwards(), [], reranking._within
    monkeypatch.setattr(reranker, "ready", lambda: steps.append("ready"))
    monkeypatch.setattr(reranking, "_within", lambda *how: (steps.append("limited"), within(*how))[1])
    result = build(reranker).ask_once(None, GEMS)
    assert steps == ["ready", "limited"] and result.reranked.said == "" and result.passages[0].was == 4


def test_a_model_that_cannot_be_loaded_leaves_the_order(build, monkeypatch):
    reranker = Backwards()

    def fails() -> None:
        raise Problem("It is damaged.")

    monkeypatch.setattr(reranker, "ready", fails)
    result = build(reranker).ask_once(None, GEMS)
    assert result.reranked.said == "It is damaged. The passages stand as they were found." and reranker.asked == []


def test_who_goes_away_stops_it(build):
    service = build(slow := Slow())
    steps = cancellable(service.ask(None, GEMS), 0.05)
    while not slow.begun:
        next(steps)
    steps.close()
    wait_for(lambda: slow.stopped)


def test_who_does_not_see_the_photo_does_not_choose_what_it_shows(build):
    before = build(encoder=Recogniser()).ask_once(photo("red"), "How heavy is it?")
    blind = build(Backwards(sees=False), Recogniser()).ask_once(photo("red"), "How heavy is it?")
    assert titles(blind) == titles(before) and blind.answer.text == before.answer.text


def test_what_the_photo_shows_stays_first_where_it_is_known(build):
    before = build(encoder=Recogniser()).ask_once(photo("red"), "How heavy is it?")
    seeing = build(Backwards(), Recogniser()).ask_once(photo("red"), "How heavy is it?")
    assert before.subject.word == LIKELY and titles(seeing) == ["Cherry", *titles(before)[:0:-1]]
    unsure = build(Backwards(), Recogniser()).ask_once(photo("green"), "How old is it?")
    assert unsure.subject.word not in (LIKELY, NAMED, READ) and unsure.passages[0].was == 4


# --- identify, then answer


def choosing(title: str | None):
    """A model that says which of the titles is this one."""

    def write(chat: list[Message]) -> str:
        numbers = dict(re.findall(r"^(\d+)\. (.*)$", chat[-1].text, re.MULTILINE))
        return next((number for number, each in numbers.items() if each == title), "0")

    return ReadingModel(write)


def test_the_model_chooses_what_the_photo_shows_and_others_step_back(build):
    before = build(encoder=Recogniser()).ask_once(photo("green"), "What is this?")
    assert before.subject.word == UNKNOWN and before.passages[0].title != "Sapphire"
    model = choosing("Sapphire")
    service = build(Identifying(model), Recogniser())
    result = service.ask_once(photo("green"), "When was it found?")
    assert (result.subject.title, result.subject.word) == ("Sapphire", IDENTIFIED)
    assert result.passages[0].title == "Sapphire" and result.passages[0].was > 1
    assert [each.shown for each in result.passages] == [True, False, False, False]
    assert result.answer.answered and "1870" in result.answer.text
    assert result.subject.said() == "Sapphire, by what the model sees"
    assert service.ask_once(photo("green"), "Where was it found?").subject.title == "Sapphire"
    assert len(model.asked) == 1  # once for a photo


def test_where_the_photo_shows_none_of_them_nothing_is_answered_of_them(build):
    result = build(Identifying(choosing(None)), Recogniser()).ask_once(photo("blue"), "When was it found?")
    assert result.subject.word == UNKNOWN and not result.answer.answered
    assert {each.shown for each in result.passages} == {False}


@pytest.mark.parametrize("said", ["", "a gem", "77"])
def test_a_model_that_does_not_say_changes_nothing(build, said):
    before = build(encoder=Recogniser()).ask_once(photo("red"), "How heavy is it?")
    model = ReadingModel(lambda chat: said)
    result = build(Identifying(model), Recogniser()).ask_once(photo("red"), "How heavy is it?")
    assert (result.subject, titles(result)) == (before.subject, titles(before))
    assert "did not say which title" in result.reranked.said


def test_what_the_question_names_and_questions_without_photo_need_no_model(build):
    model = choosing("Cherry")
    service = build(Identifying(model), Recogniser())
    assert service.ask_once(None, GEMS).reranked is None
    named = service.ask_once(photo("green"), "How old is the sapphire?")
    assert named.subject.word == NAMED and named.reranked is None and model.asked == []


# --- by the settings, with a model behind a server and a cross-encoder in a folder


@pytest.fixture
def things(plain_surroundings, monkeypatch):
    monkeypatch.setitem(KINDS, "things", fixed_collection(source()))
    monkeypatch.setattr(services_of, "load_encoder", lambda profile, cache_dir, progress: SmallEncoder())
    monkeypatch.setattr(services_of, "load_sentence_encoder", lambda cache_dir: small_encoder)


def asked_for_real(**overrides):
    """The real service but for its encoder and corpus."""
    one = build_service(load_settings(data_dir="data", corpus="things", passages=4, **overrides))
    try:
        one.prepare(lambda status: None)
        return one.ask_once(None, GEMS)
    finally:
        one.close()


@pytest.fixture
def measured(build, monkeypatch, capsys):
    """What the retriever's commands say over a service with a reranker."""

    def run(reranker, *arguments: str) -> str:
        service = build(reranker, Recogniser())
        monkeypatch.setattr(retriever_command, "_ready", lambda settings: service)
        assert retriever_command.main(list(arguments)) == 0
        return capsys.readouterr().out

    return run


def test_the_commands_measure_without_and_with_a_reranker(measured, tmp_path):
    asked = tmp_path / "questions.json"
    entries = [{"question": GEMS, "title": "Sapphire"}, {"question": "Which bird?", "title": "Swan"}]
    asked.write_text(json.dumps(entries))
    plain = json.loads(measured(None, "eval-questions", str(asked), "--json"))
    assert plain["recall@1"] == 1 and not {"reranking", "without_reranking"} & set(plain)
    found = json.loads(measured(Backwards(), "eval-questions", str(asked), "--json"))
    assert found["without_reranking"] == plain and found["recall@1"] == 0 and found["mrr"] == 0.25
    cost = found["reranking"]
    assert (cost["by"], cost["asked"], cost["tokens"], cost["stood"]) == ("backwards", 2, 11, 0)
    failing = measured(Failing(Problem("It is not there.")), "eval-questions", str(asked))
    assert "without reranking  questions 2  recall@1 1.0" in failing
    assert "for 2 not all passages were put in order: It is not there." in failing
    searched = json.loads(measured(Backwards(), "search", "--question", GEMS, "-k", "2", "--json"))
    assert [each["was"] for each in searched] == [4, 3]


def test_photographs_are_measured_with_what_the_model_sees_in_them(measured, tmp_path):
    photo("green").save(tmp_path / "green.png")
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps([{"file": "green.png", "title": "Sapphire"}]))
    found = json.loads(measured(Identifying(choosing("Sapphire")), "eval-photos", str(labels), "--json"))
    assert found["recall@1"] == 1 and found["without_reranking"]["recall@1"] == 0
    assert found["reranking"]["tokens"] == 7 and found["reranking"]["by"] == "reading (identifying)"


class Chat:
    """Prefers the swan, whichever way it is asked."""

    def __call__(self, body: dict) -> Reply:
        rules, text = body["messages"][0]["content"], body["messages"][-1]["content"]
        text = text if isinstance(text, str) else text[-1]["text"]
        if rules == HELPS_RULES:
            return stream("yes" if "\nSwan\n" in text else "no")
        if rules == ORDER_RULES:
            return stream(re.search(r"<passage (\d)>\nSwan", text)[1])
        assert rules == RULES
        return stream("I can't tell from the evidence: it does not say.")


@pytest.mark.parametrize("how", ["pointwise", "listwise"])
def test_a_served_model_reranks(things, how):
    with ChatServer(Chat()) as server:
        result = asked_for_real(model="small", served_url=server.url, rerank=how)
    assert titles(result)[0] == "Swan" and result.passages[0].was > 1 and how in result.reranked.by
    assert len(server.asked) == (5 if how == "pointwise" else 2) and result.reranked.tokens in (9, 36)


@pytest.mark.parametrize("reply", [page({"error": "quota"}, 402), page("<html>", 404), Reply(status=0)])
def test_a_server_that_fails_is_told_of(things, reply, monkeypatch):
    monkeypatch.setattr("generator.models.served.FIRST_WAIT", 0.0)
    plain = asked_for_real()
    chat = Chat()
    with ChatServer(lambda body: chat(body) if body["messages"][0]["content"] == RULES else reply) as server:
        result = asked_for_real(model="small", served_url=server.url, rerank="listwise")
    assert titles(result) == titles(plain) and "The passages stand as they were found." in result.reranked.said


def test_a_cross_encoder_of_a_folder_reranks_in_the_thread_of_models(things, tmp_path):
    folder = write(tmp_path / "tiny", "bert", 1)
    result = asked_for_real(rerank=str(folder))
    assert result.reranked.by == "tiny" and result.reranked.said == "" and result.reranked.tokens > 20
    assert sorted(titles(result)) == sorted(ARTICLES)
    threads = []

    def run(work, *args):
        threads.append(threading.current_thread().name)
        return work(*args)

    settings = load_settings(data_dir="data", rerank=str(folder))
    found = answerers_for(settings, embed_sentences, 0.4, lambda done, total: None, run)
    found.reranker.order(GEMS, None, result.passages)
    assert threads


@pytest.mark.parametrize("how", ["pointwise", "listwise", "identify"])
def test_reranking_by_a_model_needs_one(plain_surroundings, how):
    with pytest.raises(Problem, match="only with a vision-language model"):
        load_settings(rerank=how)
    with pytest.raises(Problem, match="needs a vision-language model"):
        reranking.reranker_for(how, None, load_settings().cache_dir)


def test_what_is_no_reranker_is_told_at_the_start(plain_surroundings, tmp_path):
    with pytest.raises(Problem, match="no config.json"):
        reranking.reranker_for(str(tmp_path), None, tmp_path)




def test_a_word_that_is_no_way_to_rerank_is_told_which_there_are(tmp_path):
    with pytest.raises(Problem, match="'nonsense' is no way to rerank; give off, pointwise, listwise, identify, or"):
        reranking.reranker_for("nonsense", None, tmp_path)
