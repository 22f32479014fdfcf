"""Answers from each passage alone, with a model that reads its prompt and says how sure it is."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from PIL import Image

from common.passage import Evidence
from common.problems import Problem
from generator.answers import DISAGREE, LOOSE, NO_PASSAGE, Answer, Turn
from generator.grounding.citations import NO_REASON
from generator.models.per_passage import MAX_SHORT, MAX_TOKENS, SHARPNESS, PerPassageAnswerer
from generator.models.prompts import SHORT_RULES
from tests.generator.models.test_prompts import HOSTILE
from tests.support.models import ReadingModel, sentence_with

PHOTO = Image.new("RGB", (4, 4))


def tower(year, score=0.9, sure=0.5, title="Vetla Tower"):
    """A passage that says when a tower was built, and in its colour how sure a reader is of it."""
    return Evidence(f"p{year}", title, f"It has {sure} charm. The tower was finished in {year}.", "", score=score)


def year(chat) -> str:
    _, sentence = sentence_with(chat, "finished in")
    return sentence.split()[-1].rstrip(".") if sentence else "unknown"


def sureness(chat) -> float:
    found = re.search(r"It has ([0-9.]+) charm", chat[-1].text)
    return math.log(float(found[1])) if found else math.log(0.9)


LAKE = Evidence("lake", "Lake Orla", "Lake Orla is a lake.", "", score=0.9)


def ask(model, passages, question="When was it finished?", image=None, turns=(), **options):
    *pieces, answer = PerPassageAnswerer(model, **options).answer(question, image, passages, turns)
    assert isinstance(answer, Answer) and "".join(pieces) == answer.text
    assert answer.answered == (not answer.reason)
    for citation in answer.citations:
        assert passages[citation.number - 1].text[citation.start : citation.end] == citation.quote
    return answer


def reader(write=year):
    return ReadingModel(write, sureness)


def test_the_largest_joint_probability_is_the_answer():
    passages = [tower(1901, 0.90, 0.2), tower(1904, 0.89, 0.9), tower(1911, 0.70, 1.0)]
    answer = ask(reader(), passages)
    assert answer.text == "1904 [2]" and answer.answered and answer.unsupported == ()
    assert [c.quote for c in answer.citations] == ["The tower was finished in 1904."]
    assert [c.text for c in answer.candidates] == ["1904", "1901", "1911"]
    powers = [math.exp(SHARPNESS * p.score) for p in passages]
    best = answer.candidates[0]
    assert best.retrieval == pytest.approx(powers[1] / sum(powers)) and best.generation == pytest.approx(0.9)
    joints = [c.joint for c in answer.candidates]
    assert joints == sorted(joints, reverse=True) and sum(c.retrieval for c in answer.candidates) == pytest.approx(1)


def test_how_well_a_passage_matched_counts():
    passages = [tower(1901, 0.95, 0.2), tower(1904, 0.80, 0.9)]
    assert ask(reader(), passages).text == "1901 [1]"
    assert ask(reader(), passages[::-1]).text == "1901 [2]"


def test_each_passage_is_asked_alone_with_the_photo_and_only_shortly():
    model = reader()
    ask(model, [tower(1901), LAKE], image=PHOTO, turns=[Turn("What is this?", "A tower [1].", "Vetla Tower")])
    assert model.limits == [MAX_TOKENS] and len(model.asked) == 2
    for (system, user), title in zip(model.asked, ("Vetla Tower", "Lake Orla"), strict=True):
        assert system.text == SHORT_RULES and user.image is PHOTO
        assert user.text.startswith(f"<passage 1>\n{title}\n") and user.text.count("<passage ") == 1


def test_a_passage_that_does_not_hold_the_answer_does_not_win():
    answer = ask(reader(), [LAKE, tower(1904, 0.8, 0.1)])
    assert answer.text == "1904 [2]"
    assert [c.text for c in answer.candidates] == ["1904", "unknown"]
    assert answer.candidates[1].joint > answer.candidates[0].joint


@pytest.mark.parametrize(
    "text",
    ["unknown", "Unknown.", "The answer is unknown", "I can't tell from the passage.", "not mentioned in the passage",
     "N/A", "The passage does not say.", "Unknown …", "<think>hm</think> **unknown** [1]"],
)  # fmt: skip
def test_when_all_abstain_there_is_no_answer(text):
    answer = ask(reader(lambda chat: text), [LAKE, tower(1904)])
    assert not answer.answered and answer.reason == NO_REASON and answer.text.endswith(f": {NO_REASON}.")
    assert answer.citations == () and len(answer.candidates) == 2


@pytest.mark.parametrize("text", ["Unknown Pleasures", "the unknown soldier", "no", "none", "Not Dark Yet"])
def test_what_only_sounds_like_abstaining_is_an_answer(text):
    assert ask(reader(lambda chat: text), [LAKE]).text == f"{text} [1]"


@pytest.mark.parametrize(("passages", "least", "reason"), [([], 0.0, NO_PASSAGE), ([LAKE], 0.95, LOOSE)])
def test_too_little_evidence_is_no_question_for_the_model(passages, least, reason):
    model = reader()
    answer = ask(model, passages, least=least)
    assert (answer.answered, answer.reason, answer.candidates, model.asked) == (False, reason, (), [])


def test_a_passage_without_text_is_not_asked_and_numbers_stay():
    model = reader()
    answer = ask(model, [Evidence("e", "", " \x00", "", score=0.99), tower(1904)])
    assert answer.text == "1904 [2]" and len(model.asked) == 1 and answer.candidates[0].retrieval == 1
    assert ask(reader(), [Evidence("e", "", "", "", score=0.99)]).reason == NO_REASON


def test_a_model_that_says_nothing_is_a_problem():
    with pytest.raises(Problem, match="reading answered with nothing"):
        ask(reader(lambda chat: "<think>I never stop"), [LAKE])


def test_what_the_passage_does_not_hold_is_reported():
    assert ask(reader(lambda chat: "a golden crown"), [LAKE]).unsupported == ("a golden crown",)
    assert ask(reader(lambda chat: "1999"), [tower(1904)]).unsupported == ("1999",)
    said = reader(lambda chat: "finished by a guild of joyful craftsmen")
    assert ask(said, [tower(1904)]).unsupported == ("finished by a guild of joyful craftsmen",)
    assert ask(said, [tower(1904)], embed=lambda texts: np.ones((len(texts), 1), np.float32)).unsupported == ()


def test_passages_that_disagree_and_are_as_likely_are_no_answer():
    answer = ask(reader(), [tower(1904, 0.9, 0.52), tower(1901, 0.9, 0.5)])
    assert answer.text == "I can't tell from the evidence: the passages disagree, 1904 [1] or 1901 [2]"
    assert not answer.answered and answer.reason == DISAGREE and len(answer.candidates) == 2
    assert [(c.number, c.quote) for c in answer.citations] == [
        (1, "The tower was finished in 1904."), (2, "The tower was finished in 1901."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "passages",
    [
        [tower(1904, 0.9, 0.6), tower(1901, 0.9, 0.5)],  # less likely
        [tower(1904, 0.9, 0.52), tower(1904, 0.9, 0.5)],  # the same
        [tower("1904", 0.9, 0.52), tower("1904-1905", 0.9, 0.5)],  # the same and more
    ],
)
def test_an_answer_that_is_less_likely_or_the_same_is_no_disagreement(passages):
    assert ask(reader(), passages).text == "1904 [1]"


def test_a_close_answer_that_its_passage_does_not_hold_is_no_disagreement():
    texts = {"Vetla": "1904", "Orla": "1888"}
    model = ReadingModel(lambda chat: next(text for name, text in texts.items() if name in chat[-1].text))
    assert ask(model, [tower(1904), LAKE]).text == "1904 [1]"


def test_a_long_reply_becomes_one_bounded_line_without_marks():
    answer = ask(reader(lambda chat: "**1904** [1](https://evil.example),\n" + "and so on " * 200), [tower(1904)])
    assert "\n" not in answer.text and len(answer.text) <= MAX_SHORT + 4
    assert answer.text.startswith("1904, and so on") and answer.text.count("[") == 1 and answer.text.endswith(" [1]")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_model_that_says_what_a_hostile_passage_says_is_read_as_text(text):
    evil = Evidence("e", text, f"It is old. {text} It was finished in 1904.", text, score=0.9)
    model = ReadingModel(lambda chat: f"It says {text} {chat[-1].text[:50]} [1]", lambda chat: 3.0)
    answer = ask(model, [evil, LAKE], f"{text} When?")
    assert not re.search(r"<[A-Za-z/!?|]|\]\(|!\[|://|www\.|script:|evil\.example/", answer.text)
    assert {m for m in re.findall(r"\[[^\]]*\]|[\[\]]", answer.text)} <= {"[1]", "[2]"}
    assert len(answer.candidates) == 2 and all(0 <= c.joint <= 1 for c in answer.candidates)


def test_a_follow_up_is_rewritten_by_the_model():
    model = ReadingModel(lambda chat: "When was the Vetla Tower finished?")
    turns = [Turn("What is this?", "A tower [1].", "Vetla Tower")]
    said = PerPassageAnswerer(model).standalone("When was it finished?", turns)
    assert said == "When was the Vetla Tower finished?"
