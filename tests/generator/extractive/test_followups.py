"""Follow-up questions made to stand alone by a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.answers import Turn
from generator.extractive.followups import standalone

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
        ("And what about the tiger? Where does it live?", "Where does the tiger live?"),
        ("What about the Hammerhead shark? How long is it?", "How long is the Hammerhead shark?"),
        ("but how about tigers, how heavy are they?", "How heavy are tigers?"),
        ("What about the tiger? And its cubs?", "The tiger’s cubs?"),
        ("What about the tiger? Why?", "the tiger: Why?"),
        ("What about the tiger? Where does the lion live?", "What about the tiger? Where does the lion live?"),
        ("What about its top? How high is it?", "What about Vetla Tower’s top? How high is it?"),
        ("What about the roof? When was it built?", "What about the roof? When was Vetla Tower built?"),
    ],
)
def test_a_new_subject_is_what_is_asked_of_in_the_same_breath(question, stands_alone):
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


PARIS = Turn("Who designed this tower in Paris?", "Eiffel Tower: Ada Holm [1]", "Eiffel Tower")
MONA = Turn("Who painted the Mona Lisa?", "Mona Lisa: Leonardo da Vinci [1]\n“It was painted by ...” [1]", "Mona Lisa")
MODELS = Turn("Who painted the Mona Lisa?", "It was painted by Leonardo da Vinci [1].", "Leonardo da Vinci")
TIGER = Turn("How fast is the tiger?", "Tiger: 9 [1]", "Tiger")
CHEETAH = Turn("What is this?", "Cheetah [1]", "Cheetah")
SILENT = Turn("How tall is the Eiffel Tower?", "The evidence I found does not say: no passage was found.", "")


@pytest.mark.parametrize(
    ("turns", "question", "stands_alone"),
    [
        # Who was asked for is a person and stays one; what was asked about is none.
        ([MONA], "Where did he die?", "Where did Leonardo da Vinci die?"),
        ([MODELS], "Where did he die?", "Where did Leonardo da Vinci die?"),
        ([MONA], "When was it painted?", "When was Mona Lisa painted?"),
        ([MODELS], "When was it painted?", "When was Mona Lisa painted?"),
        ([MONA, Turn("Where did Leonardo da Vinci die?", "Amboise [1]", "Leonardo da Vinci")],
         "When was it painted?", "When was Mona Lisa painted?"),
        ([MONA, Turn("How large is Mona Lisa?", "Mona Lisa: 77 cm [1]", "Mona Lisa")],
         "When was he born?", "When was Leonardo da Vinci born?"),
        ([MONA, Turn("Where is Ada Holm buried?", "Ada Holm: Vetlaby [1]", "Ada Holm")],
         "When did she die?", "When did Ada Holm die?"),
        ([MONA], "And his wife?", "Leonardo da Vinci’s wife?"),
        ([Turn("Who was Marie Curie?", "Marie Curie [1]\n“...” [1]", "Marie Curie")],
         "Where was she born?", "Where was Marie Curie born?"),
        # What it stands for comes before it in the same question.
        ([CHEETAH], "When did Shakespeare write his first play?", "When did Shakespeare write his first play?"),
        ([CHEETAH], "Does a whale feed its young?", "Does a whale feed its young?"),
        ([CHEETAH], "Do whales feed their young?", "Do whales feed their young?"),
        ([CHEETAH], "Does a whale sleep while it dives?", "Does a whale sleep while it dives?"),
        ([CHEETAH], "Does its mother feed a cub?", "Does Cheetah’s mother feed a cub?"),
        ([CHEETAH], "How many legs does it have?", "How many legs does Cheetah have?"),
        ([CHEETAH], "What is a group of them called?", "What is a group of Cheetah called?"),
        ([*TOWER], "Did Ada Holm build it?", "Did Ada Holm build Vetla Tower?"),
        # An unanswered question names what it is about.
        ([SILENT], "Who designed it?", "Who designed Eiffel Tower?"),
        ([CHEETAH, SILENT], "Who designed it?", "Who designed Eiffel Tower?"),
        ([Turn("how tall is the eiffel tower?", "No.", "")], "Who designed it?", "Who designed eiffel tower?"),
        # A new subject for the question before.
        ([MONA], "And the Starry Night?", "Who painted the Starry Night?"),
        ([Turn(MONA.question, MONA.answer, "Louvre")], "And the Starry Night?", "Who painted the Starry Night?"),
        # What is shown is what the question before was about, wherever it stands.
        ([PARIS], "And the Starry Night?", "Who designed the Starry Night?"),
        ([PARIS], "What about Big Ben?", "Who designed Big Ben?"),
        ([Turn("How fast can this animal run?", "9 [1]", "Cheetah")], "And a lion?", "How fast can a lion run?"),
        ([Turn("How tall is Vetla Tower?", "9 m [1]", "Vetla Tower")], "What about Big Ben?", "How tall is Big Ben?"),
        ([Turn("How fast is Cheetah?", "112 [1]", "Cheetah")], "and a sea lion?", "How fast is a sea lion?"),
        # In small letters too, where the subject before was said so; a part of it is none.
        ([TIGER], "what about the lion?", "How fast is the lion?"),
        ([TIGER], "And the lion?", "How fast is the lion?"),
        ([Turn("How fast is this animal?", "9 [1]", "Tiger")], "what about the lion?", "How fast is the lion?"),
        ([TIGER], "what about the tail?", "Tiger: what about the tail?"),
        ([TIGER], "what about the legs?", "Tiger: what about the legs?"),
        ([*TOWER], "what about the lift?", "Vetla Tower: what about the lift?"),
        ([MONA], "And why?", "Mona Lisa: And why?"),
        ([CHEETAH], "And in Norland?", "Cheetah: And in Norland?"),
    ],
)  # fmt: skip
def test_what_is_meant_is_told_from_the_conversation(turns, question, stands_alone):
    assert standalone(question, turns) == stands_alone


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
    if not any(turn.subject.strip() or turn.question.strip() for turn in turns):
        assert said == question
    assert standalone(question, ()) == question


def test_what_a_photo_shows_goes_before_where_it_is():
    turn = Turn("Who designed this tower in Paris?", "Eiffel Tower: Maurice Koechlin [1]", "Eiffel Tower")
    assert standalone("How tall is it?", (turn,)) == "How tall is Eiffel Tower?"
    assert standalone("Where did he die?", (turn,)) == "Where did Maurice Koechlin die?"
