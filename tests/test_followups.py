"""Follow-up questions made to stand alone by a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.answers import Turn
from generator.followups import standalone

TOWER = (Turn("What is this?", "It is the Vetla Tower [1].", "Vetla Tower"),)
RIVERS = (Turn("Who is this?", "Emmy Rivers [1].", "Emmy Rivers"),)


@pytest.mark.parametrize(
    ("question", "stands_alone"),
    [
        ("How tall is it?", "How tall is Vetla Tower?"),
        ("Where does it live?", "Where does Vetla Tower live?"),
        ("It was built when?", "Vetla Tower was built when?"),
        ("Who built them?", "Who built Vetla Tower?"),
        ("When was its top built?", "When was Vetla Tower’s top built?"),
        ("And where is it?", "Where is Vetla Tower?"),
        ("so, who made it?", "Who made Vetla Tower?"),
        ("and its cost", "Vetla Tower’s cost"),
        # The first pronoun alone: the others point back at it.
        ("When did it open and who owned it?", "When did Vetla Tower open and who owned it?"),
        # Pieces of a question
        ("Why?", "Vetla Tower: Why?"),
        ("And in winter?", "Vetla Tower: And in winter?"),
        ("What about the lifts?", "Vetla Tower: What about the lifts?"),
        ("  How many?  ", "Vetla Tower: How many?"),
    ],
)
def test_what_points_back_is_named(question, stands_alone):
    assert standalone(question, TOWER) == stands_alone


@pytest.mark.parametrize(
    ("question", "stands_alone"),
    [
        ("Where was she born?", "Where was Emmy Rivers born?"),
        ("What did her sister do?", "What did Emmy Rivers’ sister do?"),
        ("Who knew her?", "Who knew Emmy Rivers?"),
        ("Who knew her or wrote to her?", "Who knew Emmy Rivers or wrote to her?"),
        ("What are their names?", "What are Emmy Rivers’ names?"),
    ],
)
def test_people_and_possessives(question, stands_alone):
    assert standalone(question, RIVERS) == stands_alone


@pytest.mark.parametrize(
    "question",
    [
        "How fast is this animal?",  # points at the photo
        "What is that?",
        "Is it taller than those?",
        "How tall is the Vetla Tower?",  # names it already
        "How high is the tower?",
        "Who designed the Golden Gate Bridge?",
        "Why do some people like modern buildings of glass so much?",  # more than a piece
        "Why do cats purr?",
        "Who wrote Hamlet?",
        "And who wrote Hamlet and Macbeth?",
        "What time is it?",
        "Is it true that iron rusts in water?",
        "Does it rain there?",
        "Iteration or theory?",  # no pronoun, though it begins like one
        "Wie hoch ist er?",
        "",
        "   ",
        "?",
    ],
)
def test_other_questions_stay_as_they_are(question):
    assert standalone(question, TOWER) == question


def test_the_latest_answer_with_a_subject_is_meant():
    silent = Turn("Who painted it?", "I can't tell from the evidence: the passages do not say.", "")
    lion = Turn("What is this?", "A lion [2].", "Lion")
    assert standalone("Where does it live?", (*TOWER, silent)) == "Where does Vetla Tower live?"
    assert standalone("Where does it live?", (*TOWER, lion, silent)) == "Where does Lion live?"
    assert standalone("Where does it live?", (silent,)) == "Where does it live?"


@pytest.mark.parametrize("title", ["So What", "And,", "So,", "But I Do", r"\1 \g<0>"])
def test_a_title_is_put_in_as_it_is(title):
    assert standalone("it", (Turn("What?", "That.", title),)) == title
    assert standalone("And who made it?", (Turn("What?", "That.", title),)) == f"Who made {title}?"


def test_of_a_title_what_may_be_shown_is_put_in():
    turns = (Turn("What?", "That.", "Vetla\x1b Tower\n<script>"),)
    assert standalone("How tall is it?", turns) == "How tall is Vetla?"
    endless = standalone("How tall is it?", (Turn("What?", "That.", "word " * 10_000),))
    assert len(endless) < 1_000


ANYTHING = st.text() | st.sampled_from(["How tall is it?", "and her", "Why?", "So, its"])


@given(ANYTHING, st.lists(st.builds(Turn, ANYTHING, ANYTHING, ANYTHING), max_size=3))
def test_it_never_fails_and_says_nothing_without_a_subject(question, turns):
    said = standalone(question, turns)
    assert isinstance(said, str) and (said or not question)
    if not any(turn.subject.strip() for turn in turns):
        assert said == question
    assert standalone(question, ()) == question
