"""A span must be what is asked for, and not only of its kind: else another one, or silence."""

from __future__ import annotations

import pytest

from generator.extractive.question_kinds import read_question
from tests.generator.extractive.test_answerer import PHOTO, ask, evidence

BAIKAL = ("Lake Orla", "Lake Orla is a lake in Norland. It is 636 km long and 79 km wide. Its surface lies at an "
          "elevation of 456 m, and its bottom is 1,186 m below sea level. It has a maximum depth of "
          "1,642 m (5,387 ft).")
RIVER = ("Vetla River", "The Vetla River is 1,849 km (1,149 mi) long and drains Lake Orla. It flows north.")
LEMUR = ("Marsh lemur", "The marsh lemur is a primate. It has a body length of 60–85 cm (24–33 in) and a tail of 50 "
         "cm. Females reach maturity after 3 years. Gestation lasts about 135 days. It eats leaves.")
SLEEPER = ("Marsh bat", "The marsh bat is a mammal. It has a wingspan of 35 cm and is 9 cm long. It sleeps for 19 "
           "hours a day and hibernates for 6 months. It lives for up to 30 years.")
LATHE = ("Steam lathe", "The steam lathe is a machine tool. It was in wide use in the 20th and 21st century, after the "
         "Industrial Revolution. The firm of Ada Holm sold it in 1912.")
PRESS = ("Steam press", "The steam press is a machine. It was invented by the Norland engineer Ada Holm in 1791. It "
         "was used until the 20th century. Orla Vetla sold it in 1801.")
TOWER = ("Vetla Tower", "The Vetla Tower is a tower in Vetlaby. It was painted red in 1950. It is visited by 9,000 "
         "people a year. It stands at an elevation of 800 m.")
HOLM = ("Ada Holm", "Ada Holm (4 March 1678 – 28 July 1741) was an engineer. She moved to Vetlaby in 1703 and "
        "published her first work in 1711.")
VETLA = ("Orla Vetla", "Orla Vetla was a poet. She moved to Vetlaby in 1703 and published her first work in 1711.")
BATTLE = ("Battle of Orla", "The Battle of Orla was fought by 9,000 people. It killed 412 people.")
SIEGE = ("Siege of Orla", "The Siege of Orla was fought by 9,000 people. It ended in May 1712.")


@pytest.mark.parametrize(
    ("question", "passage", "phrase"),
    [
        # Dimensions
        ("How deep is Lake Orla?", BAIKAL, "1,642 m (5,387 ft)"),
        ("How long is Lake Orla?", BAIKAL, "636 km"),
        ("How wide is Lake Orla?", BAIKAL, "79 km"),
        ("How high does Lake Orla lie?", BAIKAL, "456 m"),
        ("How thick is the ice of Lake Orla?", BAIKAL, None),
        ("How far is Lake Orla?", BAIKAL, None),
        ("How deep is the Vetla River?", RIVER, None),
        ("How wide is the Vetla River?", RIVER, None),
        ("How long is the Vetla River?", RIVER, "1,849 km (1,149 mi)"),
        ("What is the wingspan of this?", SLEEPER, "35 cm"),
        ("How long is this?", SLEEPER, "9 cm"),
        ("How tall is this?", SLEEPER, None),
        ("How wide is this animal?", LEMUR, None),
        # Durations
        ("How long does it sleep?", LEMUR, None),
        ("How long does it live?", LEMUR, None),
        ("How long does it hibernate?", LEMUR, None),
        ("How long is it pregnant?", LEMUR, "about 135 days"),
        ("How long does it sleep?", SLEEPER, "19 hours"),
        ("How long does it hibernate?", SLEEPER, "6 months"),
        ("How long does it live?", SLEEPER, "up to 30 years"),
        ("How old can it get?", SLEEPER, "up to 30 years"),
        ("How long can it get?", LEMUR, "60–85 cm (24–33 in)"),
        # Invented, built, born
        ("When was it invented?", LATHE, None),
        ("Who invented it?", LATHE, None),
        ("When was it invented?", PRESS, "1791"),
        ("Who invented it?", PRESS, "Ada Holm"),
        ("When was it discovered?", PRESS, None),
        ("When was it built?", TOWER, None),
        ("Who built it?", TOWER, None),
        ("When was Ada Holm born?", HOLM, "4 March 1678"),
        ("When did Ada Holm die?", HOLM, "28 July 1741"),
        ("When was Orla Vetla born?", VETLA, None),
        ("When did Orla Vetla die?", VETLA, None),
        # Counted
        ("How many people were killed?", BATTLE, "412 people"),
        ("How many people died in the Siege of Orla?", SIEGE, None),
    ],
)  # fmt: skip
def test_a_span_is_what_is_asked_for_or_there_is_silence(question, passage, phrase):
    photo = PHOTO if read_question(question).deictic else None
    answer = ask(question, evidence(passage), photo, typed=0.0)
    assert answer.answered == (phrase is not None), answer.text
    if phrase is not None:
        assert answer.text.split("\n")[0] == f"{passage[0]}: {phrase} [1]"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How long does it sleep?", "duration"),
        ("How long did the war last?", "duration"),
        ("How long is it pregnant?", "duration"),
        ("How long is a day there?", "length"),
        ("How long is its day?", "duration"),
        ("How long is the bridge?", "length"),
        ("How long can it get?", "length"),
        ("How long does this snake grow?", "length"),
        ("Which metal is liquid at room temperature?", "any"),
        ("At what temperature does it melt?", "temperature"),
    ],
)
def test_how_long_and_how_hot_are_read(question, kind):
    assert read_question(question).kind == kind


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("When did the Vetla Bridge open?", False),
        ("How long is the Vetla Bridge?", False),
        ("When did the Orla Bridge open?", True),
        ("When did the bridge open?", True),
        ("How long is the bridge over the Norl?", True),  # which the sentence names, if not the title
    ],
)
def test_what_holds_of_one_thing_is_no_answer_about_another(question, answered):
    bridge = ("Orla Bridge", "The Orla Bridge opened on 4 May 1903. It crosses the Norl and is 912 m long.")
    assert ask(question, evidence(bridge), typed=0.0).answered == answered


KINGDOM = ("Norland", "Norland is a kingdom in Vetlania. It is governed by Orla Vetla. It covers 9,412 km2. It has "
           "five royal palaces, one from 1712.")
OTHER = ("Sudland", "Sudland borders Norland. It was founded in 1403 by Ada Holm, who is buried in Vetlaby.")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Who governs Norland?", "Orla Vetla"),
        ("Who discovered Norland?", None),  # no sentence tells of that
        ("Where is the first king of Norland buried?", None),
        ("When was Norland founded?", None),  # another land was
        ("How large is Norland?", "9,412 km2"),
        ("How many royal palaces does Norland have?", "five royal palaces"),
        ("How many royal guards does Norland have?", None),
    ],
)
def test_what_is_asked_of_a_subject_must_be_told_of_it(question, said):
    answer = ask(question, evidence(KINGDOM, OTHER), typed=0.0, close_span=0.0)
    assert answer.answered == (said is not None) and (said or "") in answer.text


def test_numbers_that_are_no_answers_of_their_kind():
    film = evidence(("Marsh Film", "Marsh Film is a 1968 film. At the age of 30, Orla saw it 66 million years ago."))
    assert not ask("How many films did Marsh Film make?", film, typed=0.0, close_span=0.0).answered
    assert "age of 30" in ask("How old was Orla in the Marsh Film?", film, typed=0.0, close_span=0.0).text


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("How much water does it hold?", False),  # a sentence without an amount
        ("Where does this animal live?", True),
        ("Is this animal venomous?", False),
        ("How many species of this animal are there?", True),
    ],
)
def test_of_what_a_photo_shows_is_told_what_is_asked(question, answers):
    crab = evidence(("Marsh crab", "Marsh crabs are animals that hold water. They live in burrows under the shore. "
                     "There are nine species."))  # fmt: skip
    assert ask(question, crab, PHOTO, typed=0.0, untyped=0.0).answered == answers


def test_the_second_is_not_the_first():
    lakes = evidence(("Lake Orla", "Lake Orla is the second-largest lake in Norland."))
    limits = {"untyped": 0.9, "closer": 2.0, "close": 0.0}
    assert ask("What is the second-largest lake of Norland?", lakes, **limits).answered
    assert not ask("What is the largest lake of Norland?", lakes, **limits).answered


@pytest.mark.parametrize(
    ("limits", "answered"),
    [
        ({"untyped": 0.0, "close": 0.0, "closer": 2.0}, True),
        ({"untyped": 0.0, "close": 1.5, "closer": 2.0}, False),
        ({"untyped": 2.0, "close": 1.5, "closer": 0.0, "untyped_closer": 0.0}, True),
        ({"untyped": 0.0, "close": 0.0, "closer": 0.0, "untyped_closer": 2.0}, False),
    ],
)
def test_a_sentence_must_be_like_enough_to_the_question(limits, answered):
    fox = evidence(("Marsh fox", "The marsh fox eats frogs and mice of the wetlands."))
    assert ask("What does the marsh fox eat?", fox, **limits).answered == answered


def test_about_a_photo_that_is_not_asked():
    fox = evidence(("Marsh fox", "The marsh fox eats frogs and mice of the wetlands."))
    assert ask("What does it eat?", fox, PHOTO, untyped=0.0, close=2.0, closer=2.0).answered
