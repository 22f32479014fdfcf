"""Answers from all passages at once, with a model that reads its prompt."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from common.passage import Evidence
from common.problems import Problem
from generator.answers import DISAGREE, LOOSE, NO_PASSAGE, Anew, Answer, Turn
from generator.models.in_context import MAX_TOKENS, InContextAnswerer, own_answer
from generator.models.prompts import OWN_RULES, RULES
from tests.generator.models.test_prompts import HOSTILE
from tests.support.models import ReadingModel, said_by, sentence_with

FOX = Evidence(
    "fox", "Marsh fox", "The marsh fox is small. It can run at 40 km/h.", "https://example.org/fox", score=0.9
)
LAKE = Evidence("lake", "Lake Orla", "Lake Orla is a lake. Boats may go at 9 km/h.", "", score=0.8)
PHOTO = Image.new("RGB", (4, 4))


def says_speed(chat) -> str:
    number, sentence = sentence_with(chat, "km/h")
    return f"{sentence} [{number}]" if number else "I can't tell from the evidence: no passage names a speed."


def ask(model, passages=(FOX, LAKE), question="How fast can it run?", image=None, turns=(), **options):
    *pieces, answer = InContextAnswerer(model, **options).answer(question, image, passages, turns)
    assert isinstance(answer, Answer) and said_by(pieces) == answer.text
    assert answer.answered == (not answer.reason)
    return answer, pieces


def test_an_answer_comes_in_pieces_and_cites_what_was_read():
    model = ReadingModel(says_speed)
    answer, pieces = ask(model, image=PHOTO)
    assert answer.text == "It can run at 40 km/h. [1]" and len(pieces) > 2
    assert answer.answered and answer.unsupported == () == answer.candidates
    (citation,) = answer.citations
    assert (citation.number, citation.passage_id, citation.quote) == (1, "fox", "It can run at 40 km/h.")
    ((system, user),) = model.asked
    assert system.text == RULES and user.image is PHOTO and user.text.endswith("Question: How fast can it run?")
    assert model.limits == [MAX_TOKENS]


def test_the_passages_decide_what_is_said():
    assert "[1]" in ask(ReadingModel(says_speed), [LAKE])[0].text
    silent, _ = ask(ReadingModel(says_speed), [Evidence("t", "Tower", "It is old.", "", score=0.9)])
    assert not silent.answered and silent.reason == "no passage names a speed"


def test_the_turns_are_told():
    model = ReadingModel(says_speed)
    ask(model, turns=[Turn("What is this?", "A marsh fox [3].", "Marsh fox")], image=PHOTO)
    assert [(m.role, m.text) for m in model.asked[0][1:3]] == [("user", "What is this?"), ("assistant", "A marsh fox.")]
    assert model.asked[0][1].image is PHOTO and model.asked[0][-1].image is None


@pytest.mark.parametrize(("passages", "least", "reason"), [((), 0.0, NO_PASSAGE), ((LAKE, FOX), 0.91, LOOSE)])
def test_too_little_evidence_is_no_question_for_the_model(passages, least, reason):
    model = ReadingModel(says_speed)
    answer, _ = ask(model, passages, least=least)
    assert not answer.answered and answer.reason == reason and answer.text.endswith(f": {reason}.")
    assert answer.citations == () and model.asked == []
    assert ask(model, (LAKE, FOX), least=0.9)[0].answered


def test_what_is_made_up_is_reported_unless_the_embedding_finds_it():
    model = ReadingModel(lambda chat: "It dashes along with enormous velocity and runs away from everyone [1].")
    assert ask(model)[0].unsupported == ("It dashes along with enormous velocity and runs away from everyone.",)
    assert ask(model, embed=lambda texts: np.ones((len(texts), 1), np.float32))[0].unsupported == ()


def test_passages_that_disagree_are_told_of_and_are_no_answer():
    tower = [Evidence(str(n), "Vetla Tower", f"The tower is {n} m high.", "", score=0.9) for n in (71, 72)]
    model = ReadingModel(lambda chat: "The passages disagree. The tower is 71 m high [1]. The tower is 72 m high [2].")
    answer, _ = ask(model, tower, "How high is it?")
    assert not answer.answered and answer.reason == DISAGREE
    assert answer.unsupported == () and [c.number for c in answer.citations] == [1, 2]
    same = ReadingModel(lambda chat: "The passages do not agree: the tower is 71 m high [1] or 72 m high [2].")
    assert ask(same, tower, "How high is it?")[0].reason == DISAGREE


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_thoughts_are_not_said(size):
    thought = "<think>The user <b>asks</b> [9] how\nfast.</think>\n\n"
    answer, pieces = ask(ReadingModel(lambda chat: thought + says_speed(chat), size=size))
    assert answer.text == "It can run at 40 km/h. [1]" and not any("user" in piece for piece in pieces)


def test_a_thought_that_began_in_the_prompt_is_taken_back():
    thought = "The user asks how fast. [2]\n</think>\n\n"
    model = ReadingModel(lambda chat: thought + says_speed(chat))
    answer, pieces = ask(model)
    assert answer.text == "It can run at 40 km/h. [1]" and pieces[0] == "The" and Anew() in pieces
    assert said_by(own_answer(ReadingModel(lambda chat: thought + "At 60 km/h."), "How fast?", None)) == "At 60 km/h."


@pytest.mark.parametrize("text", ["", " \n", "<think>I never stop", "<think></think>", "So it is.</think>", "\x00"])
def test_a_model_that_says_nothing_is_a_problem(text):
    with pytest.raises(Problem, match="reading answered with nothing; ask again or choose"):
        ask(ReadingModel(lambda chat: text))


def test_closing_stops_the_model():
    model = ReadingModel(lambda chat: "on and " * 500)
    answering = InContextAnswerer(model).answer("How fast?", None, [FOX])
    next(answering)
    answering.close()
    assert model.closed == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_a_model_that_says_what_a_hostile_passage_or_answer_says_is_read_as_text(text):
    """The model repeats its last message, so that all that came in from outside comes out."""
    evil = Evidence("e", text, f"It is old. {text} It can run at 40 km/h.", text, score=0.9)
    turns = [Turn(text, f"{text} [1]", text)]
    model = ReadingModel(lambda chat: f"{text} {chat[-1].text} {chat[1].text} [1]", size=7)
    answer, _ = ask(model, [evil, LAKE], f"{text} How fast?", turns=turns)
    assert not re.search(r"<[A-Za-z/!?|]|\]\(|!\[|://|www\.|script:|evil\.example/", answer.text)
    assert {m for m in re.findall(r"\[[^\]]*\]|[\[\]]", answer.text)} <= {"[1]", "[2]"}
    for citation in answer.citations:
        assert (evil, LAKE)[citation.number - 1].text[citation.start : citation.end] == citation.quote
    own = said_by(own_answer(model, f"{text} How fast?", None, turns))
    assert not re.search(r"<[A-Za-z/!?|]|[\[\]]|://|www\.|script:|evil\.example/", own)


def test_the_own_answer_knows_no_passage_and_cites_none():
    model = ReadingModel(lambda chat: "I think 60 km/h [1], see [x](https://evil.example).")
    pieces = list(own_answer(model, "How fast?", PHOTO, [Turn("What is it?", "A fox [1].")]))
    assert "".join(pieces) == "I think 60 km/h, see x." and len(pieces) > 2
    (chat,) = model.asked
    assert chat[0].text == OWN_RULES and chat[1].image is PHOTO and [m.text for m in chat[1:]] == [
        "What is it?", "A fox.", "How fast?",
    ]  # fmt: skip


def test_a_follow_up_is_rewritten_by_the_model():
    model = ReadingModel(lambda chat: "How fast can the marsh fox run?")
    turns = [Turn("What is this?", "A marsh fox [1].", "Marsh fox")]
    assert InContextAnswerer(model).standalone("How fast can it run?", turns) == "How fast can the marsh fox run?"
    assert len(model.asked) == 1


def test_passages_are_cut_to_what_a_small_model_has_room_for():
    model = ReadingModel(lambda chat: "It is so. [1]")
    long = [Evidence(str(n), f"Thing {n}", "It stands by the sea and is old. " * 80, "", score=0.9) for n in range(3)]
    lengths = []
    for context in (None, 4_096, 2_048):
        model.context = context
        list(InContextAnswerer(model).answer("How old is it?", None, long))
        lengths.append(len(model.asked[-1][-1].text))
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) == 3
    model.context = 600
    with pytest.raises(Problem, match="holds 600 tokens, too few"):
        list(InContextAnswerer(model).answer("How old is it?", None, long))
