"""What answers, by the settings: through the whole service, with a model server of the test's and tiny checkpoints."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os.path import commonprefix
from pathlib import Path

import pytest
from PIL import Image

from app.service import assembly as service
from app.service.answerers import answerers_for
from app.service.ask import AnswerService
from app.service.assembly import build_service
from app.service.results import PartialOwn, PartialText
from app.settings import load_settings
from common.problems import Problem
from generator.answers import Turn
from generator.extractive.answerer import ExtractiveAnswerer
from generator.models.in_context import MAX_TOKENS
from generator.models.prompts import OWN_RULES, REWRITING_RULES, RULES, SHORT_RULES, TRANSLATING_RULES
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests.fakes import small_encoder
from tests.fakes.chat_server import ChatServer, Reply, delta, scored_stream, sent, stream
from tests.fakes.hub_server import HubServer
from tests.fakes.small_encoder import ARTICLES, SmallEncoder, embed_sentences, source
from tests.support.page import HOSTILE
from tests.support.service import photo
from tests.support.waiting import LONG

KEY = "sk-secret-0123456789"
CHERRY = Turn("What is this?", "Cherry [1].", "Cherry")


@pytest.fixture(autouse=True)
def things(plain_surroundings, monkeypatch):
    monkeypatch.setitem(KINDS, "things", fixed_collection(source()))
    monkeypatch.setattr(service, "load_encoder", lambda profile, cache_dir, progress: SmallEncoder())
    monkeypatch.setattr(service, "load_sentence_encoder", lambda cache_dir: small_encoder)


@contextmanager
def answering(**overrides) -> Iterator[AnswerService]:
    """The real service but for its encoder and corpus, with everything indexed that can be."""
    one = build_service(load_settings(data_dir="data", corpus="things", **overrides))
    try:
        one.prepare(lambda status: None)
        yield one
    finally:
        one.close()


def number_of(title: str, body: dict) -> int:
    """The number under which a passage is in a request."""
    lines = text_of(body).splitlines()
    return int(lines[lines.index(title) - 1].removeprefix("<passage ").rstrip(">"))


def text_of(body: dict) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


class Chat:
    """A model of the test's behind the protocol: it reads which prompt it got and answers to it."""

    def __call__(self, body: dict) -> Reply:
        rules = body["messages"][0]["content"]
        if rules == RULES:
            number = number_of("Cherry", body)
            return stream(f"It weighs about 8 grams [{number}].", " It ", f"sleeps in winter [{number}].")
        if rules == OWN_RULES:
            return stream("I would ", "say 5 grams [1].")
        if rules == REWRITING_RULES:
            return stream("How heavy is a cherry in June?")
        if rules == TRANSLATING_RULES.format(language="English"):
            return stream("How heavy is this thing?")
        assert rules == SHORT_RULES
        if "\nCherry\n" in text_of(body):
            return scored_stream(("8", [-0.1]), (" grams", [-0.2, -0.05]))
        return scored_stream(("unknown", [-0.01]))


# --- without a model


def test_without_a_model_answers_are_quotes():
    found = answerers_for(load_settings(), embed_sentences, 0.4, lambda done, total: None)
    assert found.name == "extractive" and isinstance(found.together, ExtractiveAnswerer)
    assert found.each is None and found.own is None and found.together.limits.passage_score == 0.4
    found.close()
    with answering() as one:
        result = one.ask_once(photo("red"), "How heavy is it?")
    assert result.answerer == "extractive" and "8 grams" in result.answer.text
    assert result.answer.unsupported == result.answer.candidates == ()


# --- questions in another language than the passages


def test_a_question_in_another_language_is_told_why_it_has_no_answer(monkeypatch):
    with answering() as one:
        result = one.ask_once(photo("red"), "Wie schwer ist das?")
        assert not result.answer.answered and result.subject.title == "Cherry"
        assert result.answer.text.endswith(
            "in another language than the passages, which are in English: ask in English."
        )
        assert result.answer.text.startswith("The evidence I found does not say") and "Cherry [1]" in result.answer.text
        # Nor is it answered by words that both languages have.
        shared = one.ask_once(photo("red"), "Quel est le chromium de cet Emerald ?").answer
        assert not shared.answered and "another language than the passages" in shared.text
        unsaid = one.ask_once(photo("red"), "Who painted it?")
        assert not unsaid.answer.answered and "language" not in unsaid.answer.text
        monkeypatch.setattr("generator.grounding.language._CODES", {"en": "German"})
        assert "language" not in one.ask_once(photo("red"), "Wie alt ist das hier?").answer.text


def test_a_model_is_asked_in_the_persons_words_and_searches_in_those_of_the_passages():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url) as one:
        result = one.ask_once(photo("red"), "Wie schwer ist das?", own=True)
    translating, answer, own = (asked.body for asked in server.asked)
    assert text_of(translating) == "Question to translate: Wie schwer ist das?"
    assert text_of(answer).endswith("Question: Wie schwer ist das?") and text_of(own) == "Wie schwer ist das?"
    assert result.searched == "How heavy is this thing?" and result.answer.answered
    assert result.turn().question == "Wie schwer ist das?" and "rewrite" in result.timings


def test_a_follow_up_in_another_language_is_made_to_stand_alone_first():
    def rewritten(body: dict) -> Reply:
        if body["messages"][0]["content"] == REWRITING_RULES:
            return stream("Wie schwer ist eine Cherry?")
        return Chat()(body)

    with ChatServer(rewritten) as server, answering(model="small", served_url=server.url) as one:
        result = one.ask_once(photo("red"), "Wie schwer ist sie?", turns=[CHERRY])
    assert result.searched == "How heavy is this thing?" and result.turn().question == "Wie schwer ist eine Cherry?"
    assert text_of(server.asked[1].body) == "Question to translate: Wie schwer ist eine Cherry?"


# --- a model behind a server


def test_a_served_model_answers_from_the_passages():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url) as one:
        steps = list(one.ask(photo("red"), "How heavy is it?"))
    result = steps[-1]
    assert result.answerer == f"small at {server.url.removeprefix('http://').removesuffix('/v1')}"
    assert [step.text for step in steps if isinstance(step, PartialText)][-1] == result.answer.text
    assert result.answer.text == "It weighs about 8 grams [1]. It sleeps in winter [1]."
    assert result.answer.unsupported == ("It sleeps in winter.",) and result.answer.answered
    citation = result.answer.citations[0]
    assert citation.quote == "It ripens in June and weighs about 8 grams."
    assert ARTICLES["Cherry"][citation.start : citation.end] == citation.quote
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions" and asked.body["model"] == "small" and asked.body["stream"] is True
    assert "authorization" not in asked.headers and "logprobs" not in asked.body
    picture, text = asked.body["messages"][-1]["content"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert all(each in text["text"] for each in ARTICLES.values()) and text["text"].endswith("How heavy is it?")


def test_a_served_model_rewrites_answers_and_says_what_it_knows_itself():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url) as one:
        steps = list(one.ask(photo("red"), "How heavy is it?", turns=[CHERRY], own=True))
    result = steps[-1]
    assert result.searched == "How heavy is a cherry in June?"
    assert result.own == "I would say 5 grams."  # there is no passage that it could mark
    assert [step.text for step in steps if isinstance(step, PartialOwn)][-1] == result.own
    rewriting, answer, own = (asked.body for asked in server.asked)
    assert [body["messages"][0]["content"] for body in (rewriting, answer, own)] == [REWRITING_RULES, RULES, OWN_RULES]
    assert text_of(answer).endswith("Question: How heavy is a cherry in June?")
    assert "<passage" not in json.dumps(own) and text_of(own) == "How heavy is a cherry in June?"


def test_a_photo_s_questions_share_what_stands_first_and_the_server_that_has_it():
    with ChatServer(Chat()) as first, ChatServer(Chat()) as second:
        with answering(model="small", served_url=f"{first.url}, {second.url}") as one:
            assert one.ask_once(photo("red"), "How heavy is it?").answerer.endswith(" and 1 more")
            one.ask_once(photo("red"), "How heavy is this?")
            one.ask_once(photo("blue"), "How heavy is it?")
            assert one.loading() == ""
    [one_text, other_text], [elsewhere] = ([asked.text for asked in server.asked] for server in (first, second))
    shared = commonprefix([one_text, other_text])
    assert "data:image/jpeg;base64," in shared and '"type": "text", "text": "<passage 1>' in shared
    rules = {"role": "system", "content": RULES}
    assert commonprefix([one_text, elsewhere]).startswith(json.dumps({"model": "small", "messages": [rules]})[:-2])


def test_a_served_model_asked_of_each_passage_alone():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url) as one:
        result = one.ask_once(photo("red"), "How heavy is it?", each=True)
    assert result.answer.text == "8 grams [1]" and result.answer.unsupported == ()
    assert result.answer.citations[0].quote == "It ripens in June and weighs about 8 grams."
    best, *others = result.answer.candidates
    assert (best.number, best.text) == (1, "8 grams") and best.generation == pytest.approx(math.exp(-0.35))
    assert sum(each.retrieval for each in result.answer.candidates) == pytest.approx(1)
    assert best.retrieval == max(each.retrieval for each in result.answer.candidates)
    assert [each.text for each in others] == ["unknown"] * 3
    assert len(server.asked) == 4 and all(asked.body["logprobs"] is True for asked in server.asked)


def test_answers_of_a_model_are_known_from_before_too():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url) as one:
        first = one.ask_once(photo("red"), "How heavy is it?", own=True)
        again = one.ask_once(photo("red"), "How heavy is it?", own=True)
        assert again.cached and again.own == first.own and len(server.asked) == 2


def test_an_answer_that_broke_off_is_told_as_far_as_it_came_and_asked_for_again():
    whole = Chat()
    broken = sent(delta(content="It weighs 8 g "), {"error": {"message": "gone"}})
    with ChatServer(broken, whole) as server, answering(model="small", served_url=server.url) as one:
        *_, last, first = one.ask(photo("red"), "How heavy is it?")
        again = one.ask_once(photo("red"), "How heavy is it?")
    assert last.text == first.answer.text == "It weighs 8 g …" and not first.answer.answered
    assert first.as_dict()["broken"].endswith("ask again: gone.")
    assert not again.cached and not again.answer.broken and len(server.asked) == 2


def test_room_for_thinking_is_a_setting():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url, thinking_tokens=1000) as one:
        one.ask_once(photo("red"), "How heavy is it?")
    assert server.asked[0].body["max_tokens"] == MAX_TOKENS + 1000


def test_another_model_does_not_know_what_one_said():
    with ChatServer(Chat()) as server:
        for model in ("small", "large"):
            with answering(model=model, served_url=server.url) as one:
                assert not one.ask_once(photo("red"), "How heavy is it?").cached
        assert [asked.body["model"] for asked in server.asked] == ["small", "large"]


def test_too_weak_evidence_is_not_given_to_a_model():
    with ChatServer(Chat()) as server, answering(model="small", served_url=server.url, min_score=0.99) as one:
        result = one.ask_once(photo("red"), "How heavy is it?")
        assert not result.answer.answered and result.answer.reason and server.asked == []


def test_a_hostile_reply_is_plain_text():
    with ChatServer(stream(HOSTILE)) as server, answering(model="small", served_url=server.url) as one:
        said = one.ask_once(photo("red"), "How heavy is it?").answer.text
    assert "<script" not in said and "javascript:" not in said and "\u202e" not in said and "](" not in said


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=404), "has no such model"),
        (Reply(status=401), "key"),
        (stream(), "answered with nothing"),
        (Reply([b"<html>"], headers={"Content-Type": "text/html"}), "does not answer as a chat server does"),
    ],
)
def test_a_server_that_fails_is_told_with_the_evidence(reply, told):
    with ChatServer(reply) as server, answering(model="small", served_url=server.url) as one:
        steps = one.ask(photo("red"), "How heavy is it?")
        assert next(steps).passages[0].title == "Cherry"
        with pytest.raises(Problem) as caught:
            list(steps)
    assert told in str(caught.value) and str(caught.value).endswith(".")


def test_stopping_closes_the_connection_to_the_server():
    slow = Reply(stream("It weighs about 8", " grams ").chunks[:3], hold=True)
    with ChatServer(slow) as server, answering(model="small", served_url=server.url) as one:
        steps = one.ask(photo("red"), "How heavy is it?")
        while not isinstance(next(steps), PartialText):
            pass
        assert not server.closed.is_set()
        steps.close()
        assert server.closed.wait(LONG)


def test_the_key_is_sent_and_shown_nowhere(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    refused = Reply([json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode()], status=400)
    told: list[str] = []
    with ChatServer(Chat(), refused) as server:
        settings = load_settings(data_dir="data", corpus="things", model="small", served_url=server.url, served_key=KEY)
        found = answerers_for(settings, embed_sentences, 0.0, lambda done, total: None)
        told += [repr(settings), str(settings), settings.model_dump_json(), repr(found), found.name]
        with answering(model="small", served_url=server.url, served_key=KEY) as one:
            result = one.ask_once(photo("red"), "How heavy is it?")
            told += [repr(result), json.dumps(result.as_dict()), repr(one.status())]
            with pytest.raises(Problem) as caught:
                one.ask_once(photo("red"), "How heavy is a cherry?")
            told += [str(caught.value), repr(caught.value.__cause__)]
        assert [asked.headers["authorization"] for asked in server.asked] == [f"Bearer {KEY}"] * 2
    told += [caplog.text, *capsys.readouterr()]
    assert "refuses the request (status 400)" in told[8]
    for text in told:
        assert KEY[:9] not in text and "0123456789" not in text


@pytest.mark.parametrize("key", [KEY + " and more", KEY + "\u2013", KEY + "\nX-Other: 1"])
def test_a_key_that_is_none_is_not_repeated(key):
    settings = load_settings(model="small", served_url="http://127.0.0.1:1/v1", served_key=key)
    with pytest.raises(Problem) as caught:
        answerers_for(settings, embed_sentences, 0.0, lambda done, total: None)
    assert "key" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://here/v1", "http://me:secret@here/v1", "http://here/v1?a=b"])
def test_an_address_that_is_none_is_a_sentence_in_the_status(url):
    with answering(model="small", served_url=url) as one:
        status = one.status()
        assert status.state == "failed" and "http://localhost:8000/v1" in status.message
        assert "secret" not in status.message
        with pytest.raises(Problem, match="http://localhost:8000/v1"):
            one.ask_once(photo("red"), "What is this?")


# --- a model in this process


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Iterator[Path]:
    """A tiny model with room for a few passages."""
    import torch

    from tests.fakes.tiny_models import build

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = build("qwen2_5_vl", tmp_path_factory.mktemp("models") / "tiny")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 4096
    (folder / "config.json").write_text(json.dumps(config))
    yield folder
    torch.set_num_threads(threads)


def test_a_model_of_ones_own_answers(checkpoint):
    """Its weights are random, so nothing is known of what it says but that it is one reply to this photo, question
    and these passages."""
    seen = {}
    with answering(model=str(checkpoint)) as one:
        for colour in ("red", "blue"):
            *steps, result = one.ask(photo(colour), "What is this?", k=2, own=True)
            assert result.answerer == checkpoint.name and result.answer.text and result.own
            said = [step.text for step in steps if isinstance(step, PartialText)]
            assert said[-1] == result.answer.text and all(b.startswith(a) for a, b in zip(said, said[1:], strict=False))
            for citation in result.answer.citations:
                assert citation.quote in result.passages[citation.number - 1].text
            seen[colour] = (result.answer.text, result.own)
            each = one.ask_once(photo(colour), "What is this?", k=2, each=True)
            assert [0 < c.joint < 1 for c in each.answer.candidates] == [True, True]
        assert one.ask_once(photo("blue"), "What is this?", k=2, own=True).cached
        assert seen["red"] != seen["blue"]
        model = one._answerers.together.model
        assert model._loaded is not None
    assert model._loaded is None  # closed with the service


def test_stopping_stops_a_model_of_ones_own(checkpoint):
    with answering(model=str(checkpoint)) as one:
        steps = one.ask(photo("red"), "What is this?", own=True)
        while not isinstance(next(steps), PartialText):
            pass
        steps.close()
        assert one._answerers.together.model._running is None
        assert one.ask_once(photo("red"), "What is this?").answer.text


@pytest.mark.parametrize("holds", ["nothing", "an encoder", "code"])
def test_a_folder_without_such_a_checkpoint_is_a_sentence_in_the_status(checkpoint, tmp_path, holds):
    folder = tmp_path / "folder"
    folder.mkdir()
    if holds == "an encoder":
        (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    elif holds == "code":
        for file in checkpoint.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        config = json.loads((folder / "config.json").read_text())
        config["auto_map"] = {"AutoModelForImageTextToText": "evil.Model"}
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil"}))
        (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with answering(model=str(folder)) as one:
        status = one.status()
        assert status.state == "failed" and "\n" not in status.message and status.message.endswith(".")
        assert "folder" in status.message or "model" in status.message
        with pytest.raises(Problem) as caught:
            one.ask_once(photo("red"), "What is this?")
        assert str(caught.value) == status.message
    assert not (tmp_path / "ran").exists()


def test_a_model_is_fetched_by_its_id(checkpoint, monkeypatch):
    for name in [name for name in os.environ if name.startswith("HF_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    told: list[str] = []
    with HubServer({"owner/tiny": checkpoint}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        one = build_service(load_settings(data_dir="data", corpus="things", model="owner/tiny"))
        try:
            assert one.prepare(lambda status: told.append(status.message)).state == "ready"
            result = one.ask_once(photo("red"), "What is this?", k=2)
        finally:
            one.close()
        asked = len(hub.requests)
        assert any("Fetching the model" in message for message in told)
        with answering(model="owner/none") as missing:
            assert missing.status().state == "failed" and "owner/none" in missing.status().message
    assert asked and result.answerer == "owner/tiny"
    with answering(model=str(checkpoint)) as local:
        assert local.ask_once(photo("red"), "What is this?", k=2).answer == result.answer


def test_a_model_too_large_for_this_machine_is_not_fetched(checkpoint, monkeypatch):
    for name in [name for name in os.environ if name.startswith("HF_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("generator.models.loading.free_bytes", lambda device: 1 << 30)
    with HubServer({"owner/tiny": checkpoint}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        with answering(model="owner/tiny") as one:
            assert "owner/tiny needs at least 1.1 GB of memory, where 1.1 GB are free" in one.status().message
        assert not hub.served("model.safetensors")


def test_a_photo_larger_than_a_model_takes_is_made_smaller(checkpoint):
    with answering(model=str(checkpoint)) as one:
        large = Image.new("RGB", (3000, 2000), (255, 0, 0))
        assert one.ask_once(large, "What is this?", k=1).answer.text
