"""Questions said in other words by a model: follow-ups made to stand alone, or by the rule where it does not help, and
questions in another language."""

from __future__ import annotations

import pytest

from common.problems import Problem
from generator.answers import Turn
from generator.models.prompts import REWRITING_RULES, TRANSLATING_RULES
from generator.models.rewriting import MAX_QUESTION, MAX_TOKENS, standalone_by, translated_by
from tests.generator.models.test_prompts import HOSTILE
from tests.support.models import ReadingModel

TURNS = [Turn("What is this?", "It is the Vetla Tower [1].", "Vetla Tower"), Turn("Who built it?", "Ada Holm [2].", "")]
RULE = "How tall is Vetla Tower?"  # what the rule makes of "How tall is it?"


def asked(text, question="How tall is it?", turns=TURNS):
    return standalone_by(ReadingModel(lambda chat: text), question, turns)


def test_the_model_is_told_the_conversation_and_its_question_taken():
    model = ReadingModel(lambda chat: "How old was Ada Holm when she built the Vetla Tower?")
    said = standalone_by(model, "How old was she?", TURNS)
    assert said == "How old was Ada Holm when she built the Vetla Tower?"
    ((system, user),) = model.asked
    assert system.text == REWRITING_RULES and model.limits == [MAX_TOKENS] and user.image is None
    assert user.text.splitlines() == [
        "Question: What is this?", "Answer: It is the Vetla Tower.", "Question: Who built it?", "Answer: Ada Holm.",
        "Question to rewrite: How old was she?",
    ]  # fmt: skip


def test_without_turns_no_model_is_asked():
    model = ReadingModel(lambda chat: "How tall is the tower?")
    assert standalone_by(model, "How tall is it?", []) == "How tall is it?" and model.asked == []


@pytest.mark.parametrize(
    "text",
    ["", " \n", "<think>hm", "How tall is it?\nHow old is it?", "How tall is the " + "high " * MAX_QUESTION + "tower?",
     "The tower is 72 m tall.", "Why do bananas bend?", "?", "How tall is the tower …"],
)  # fmt: skip
def test_nonsense_is_left_to_the_rule(text):
    assert asked(text) == RULE


def test_a_model_that_fails_is_left_to_the_rule():
    class Failing(ReadingModel):
        def reply(self, messages, max_tokens):
            raise Problem("Nothing answers.")
            yield

    assert standalone_by(Failing(lambda chat: ""), "How tall is it?", TURNS) == RULE


def test_a_model_that_does_not_stop_is_stopped():
    model = ReadingModel(lambda chat: "tower " * 10_000)
    assert standalone_by(model, "How tall is it?", TURNS) == RULE and model.closed == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('"How tall is the tower?"', "How tall is the tower?"),
        ("“How tall is the tower?”", "How tall is the tower?"),
        ("<think>it = tower</think> How tall is the **tower** [1]?", "How tall is the tower?"),
        ("How <b>tall</b> is the [tower](https://evil.example)?", "How tall is the tower?"),
        ('How tall is the "tower"?', 'How tall is the "tower"?'),
    ],
)
def test_the_question_is_plain_text(text, plain):
    assert asked(text) == plain


def test_what_asks_without_a_question_mark_may_stay_so():
    said = "Tell me more about the Vetla Tower."
    assert asked(said, "Tell me more about it.") == said


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_hostile_turn_makes_a_model_write_is_harmless(text):
    turns = [Turn(text, text, text)]
    model = ReadingModel(lambda chat: f"{text} How tall is the tower?")
    said = standalone_by(model, "How tall is it?", turns)
    assert said.endswith("?") and len(said) <= MAX_QUESTION and not set("<>[]") & set(said)


def test_a_question_is_translated():
    model = ReadingModel(lambda chat: '"How tall is the tower?"')
    assert translated_by(model, "Wie hoch ist der Turm?", "English") == "How tall is the tower?"
    ((system, user),) = model.asked
    assert system.text == TRANSLATING_RULES.format(language="English") and model.limits == [MAX_TOKENS]
    assert user.text == "Question to translate: Wie hoch ist der Turm?"


@pytest.mark.parametrize("text", ["", "Wie hoch ist sie?", "It is 72 m tall.", "How?\nWhy?", "how " * MAX_QUESTION])
def test_what_is_no_translation_leaves_the_question_as_it_is(text):
    question = "Wie hoch ist der Turm?"
    assert translated_by(ReadingModel(lambda chat: text), question, "English") == question
