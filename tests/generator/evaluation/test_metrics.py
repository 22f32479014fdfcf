"""The measures of answers, against cases worked by hand; the steps are in the comments."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from generator.evaluation import metrics

# --- VQA


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("Yes.", "yes"),  # lower case; a full stop not before a digit goes
        ("The cat", "cat"),  # articles go
        ("a man and an apple", "man and apple"),
        ("Two dogs", "2 dogs"),  # number words up to ten
        ("eleven", "eleven"),
        ("none", "0"),
        ("3.5 m.", "3.5 m"),  # the point before a 5 stays, the last goes
        (".5", ".5"),
        ("red/blue", "red blue"),  # no space beside it: becomes one
        ("red / blue", "red blue"),  # a space beside it: goes, and two spaces become one
        ("black-and-white", "black and white"),
        ("well -known", "well known"),  # " -" stands in it, so every dash goes, not only that one
        ("x-ray -film", "xray film"),
        ("1,000", "1000"),  # a comma between digits: goes
        ("1,000 km/h", "1000 kmh"),  # and then so does every mark
        ("10 km/h", "10 km h"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),  # one of two apostrophes missing
        ("couldntve", "couldntve"),  # two are missing: not known
        ("wont", "won't"),
        ("ill", "ill"),  # a word of its own
        ("don't", "don't"),  # apostrophes are no punctuation here
        ("What?!", "what"),  # "?" and "!" become spaces
        ("one\ttwo\nthree", "1 2 3"),
        ("a.m.", "am"),  # not an article once the stops are gone
        ("the", ""),
        ("", ""),
    ],
)
def test_vqa_normalisation(text, normalised):
    assert metrics.normalise_vqa(text) == normalised


@pytest.mark.parametrize(
    ("agreeing", "score"),
    [
        (0, 0.0),
        # One of ten agrees. Left out (1 of 10 ways): 0 others agree, 0. Else (9 ways): 1 / 3. 9/10 x 1/3.
        (1, 0.3),
        # Left out one of the two (2 ways): 1/3. Else (8 ways): 2/3. (2/3 + 16/3) / 10.
        (2, 0.6),
        # 3 ways: 2/3; 7 ways: 1. (2 + 7) / 10.
        (3, 0.9),
        # 4 ways: 3 others, 1; 6 ways: 1.
        (4, 1.0),
        (10, 1.0),
    ],
)
def test_vqa_accuracy_of_ten(agreeing, score):
    annotated = ["race", "Race."][:agreeing] + ["the race"] * (agreeing - 2) + ["motocross"] * (10 - agreeing)
    assert len(annotated) == 10
    assert metrics.vqa_accuracy("Race", annotated) == pytest.approx(score)


def test_vqa_accuracy_of_fewer_than_ten():
    assert metrics.vqa_accuracy("red", ["red"]) == 0  # left out, nobody remains
    assert metrics.vqa_accuracy("red", ["red", "red"]) == pytest.approx(1 / 3)  # 2 ways, one other agrees
    assert metrics.vqa_accuracy("red", ["red"] * 3) == pytest.approx(2 / 3)
    assert metrics.vqa_accuracy("red", ["red"] * 4) == 1
    # 5 annotators, 2 agree: 2 ways 1/3, 3 ways 2/3: (2/3 + 2) / 5 = 8/15
    assert metrics.vqa_accuracy("red", ["red", "red", "a", "blue", "green"]) == pytest.approx(8 / 15)
    with pytest.raises(ValueError):
        metrics.vqa_accuracy("red", [])


def left_out_one_by_one(answer, annotated):
    """The definition, word for word."""
    ways = []
    for i in range(len(annotated)):
        others = annotated[:i] + annotated[i + 1 :]
        agreeing = [o for o in others if metrics.normalise_vqa(o) == metrics.normalise_vqa(answer)]
        ways.append(min(1, len(agreeing) / 3))
    return sum(ways) / len(ways)


ANSWERS = st.lists(st.sampled_from(["red", "Red.", "a red", "blue", "two", "2", ""]), min_size=1, max_size=12)


@given(ANSWERS, st.sampled_from(["red", "blue", "2", "green"]), st.randoms())
def test_vqa_accuracy_is_the_mean_over_annotators_left_out_in_any_order(annotated, answer, chance):
    score = metrics.vqa_accuracy(answer, annotated)
    assert 0 <= score <= 1 and score == pytest.approx(left_out_one_by_one(answer, annotated))
    chance.shuffle(annotated)
    assert metrics.vqa_accuracy(answer, annotated) == score


# Text with the marks, words and cases that the normalisations look at.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*metrics._VQA_PUNCTUATION, *". '1", "a", "the", "one", "none", "dont", "wont", "true"]),
        st.text(max_size=3),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=300)
@given(TEXTS)
def test_normalising_twice_changes_nothing(text):
    for normalise in (metrics.normalise_vqa, metrics.normalise_squad):
        once = normalise(text)
        assert normalise(once) == once and once == " ".join(once.split())


# --- SQuAD


@pytest.mark.parametrize(
    ("answer", "accepted", "exact", "f1"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1, 1),
        # said: denver broncos of colorado (4), wanted: denver broncos (2), shared 2: 2 x 2 / (4 + 2)
        ("the Denver Broncos of Colorado", ["Denver Broncos"], 0, 2 / 3),
        # the better of two: against "broncos" 2 x 1 / (2 + 1), against "denver broncos" 1
        ("Denver Broncos", ["Broncos", "Denver Broncos"], 1, 1),
        # repeats count once for each: said big big cat (3), wanted big cat (2), shared 2: 4 / 5
        ("big big cat", ["big cat"], 0, 0.8),
        ("93-104", ["93104"], 1, 1),  # punctuation goes and leaves no space
        ("anthem", ["them"], 0, 0),  # articles are whole words
        ("red", ["blue"], 0, 0),
        ("the", ["an"], 1, 1),  # nothing is left of either
        ("the", ["cat"], 0, 0),
        ("red", [], 0, 0),
    ],
)
def test_squad(answer, accepted, exact, f1):
    assert metrics.exact_match(answer, accepted) == exact
    assert metrics.token_f1(answer, accepted) == pytest.approx(f1)


WORDS = st.lists(st.sampled_from(["red", "the", "Blue", "cat.", "cat"]), max_size=6).map(" ".join)


@given(WORDS, WORDS, st.lists(WORDS, max_size=3))
def test_f1_is_symmetric_bounded_and_1_for_an_exact_match(one, other, more):
    assert metrics.token_f1(one, [other]) == metrics.token_f1(other, [one])
    accepted = [other, *more]
    exact, f1 = metrics.exact_match(one, accepted), metrics.token_f1(one, accepted)
    assert 0 <= exact <= f1 <= 1
    assert metrics.token_f1(one, accepted[::-1]) == f1 and metrics.exact_match(one, accepted[::-1]) == exact
    assert f1 == max(metrics.token_f1(one, [each]) for each in accepted)


# --- Encyclopedic VQA


@pytest.mark.parametrize(
    ("answer", "accepted", "score"),
    [
        ("The answer is: the Nile.", ["Nile"], 1),  # punctuation first, then "the answer is" and "the"
        ("True", ["yes"], 1),
        ("two", ["2"], 1),
        ("don't", ["dont"], 1),
        ("93–104", ["93–104"], 1),
        ("the blue Nile", ["Nile"], 0),
        ("the Nile", ["Amazon", "nile"], 1),
        ("", ["The"], 0),  # nothing is left of the accepted answer
        ("Nile", [], 0),
    ],
)
def test_evqa_single(answer, accepted, score):
    assert metrics.evqa_without_bem(answer, accepted) == score


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("fish, crabs and shrimp", 1),
        ("Crabs & the fish", 1),  # 2 of 3: 0.67
        ("fish, worms", 0),  # 1 shared of fish, crabs, shrimp, worms: 0.25
        ("fish, crabs, worms, snails", 0),  # 2 of 5: 0.4
        ("fish, crabs, worms", 1),  # 2 of 4: 0.5 is enough
        ("fish crabs shrimp", 0),  # one part
        ("", 0),
    ],
)
def test_evqa_lists(answer, score):
    assert metrics.evqa_without_bem(answer, ["fish&&crabs&&shrimp"], is_list=True) == score


def test_evqa_takes_the_best_of_several_lists():
    assert metrics.evqa_without_bem("red", ["blue&&green", "red&&white"], is_list=True) == 1  # 1 of 2
    assert metrics.evqa_without_bem("red", ["&&"], is_list=True) == 0


@given(st.permutations(["fish", "crabs", "worms", "Two snails"]), st.permutations(["fish", "crabs", "2 snails"]))
def test_evqa_lists_have_no_order(said, wanted):
    # 3 shared of 4
    assert metrics.evqa_without_bem(", ".join(said), ["&&".join(wanted)], is_list=True) == 1


# --- Infoseek


@pytest.mark.parametrize(
    ("answer", "accepted", "score"),
    [
        ("104 km/h", ["100"], 1),  # within 90 to 110
        ("110", ["100"], 1),
        ("111", ["100"], 0),
        ("89.9", ["100"], 0),
        ("1,050 m", ["1000"], 1),
        ("95", ["93 - 104"], 1),
        ("92", ["93 - 104"], 0),  # an accepted range has no tolerance of its own
        ("93–104 km/h", ["93–104"], 1),
        ("93-104", ["93 - 104"], 1),  # the dash after a digit is no sign
        ("95-100", ["93 - 104"], 1),  # inside
        ("90 to 104", ["93 - 104"], 1),  # 11 shared of 14: 0.79
        ("80 to 104", ["93 - 104"], 0),  # 11 of 24: 0.46
        ("82-104", ["93 - 104"], 1),  # 11 of 22: 0.5
        ("104 to 93", ["100"], 1),  # not in order: the first number alone
        ("104 to 93", ["60"], 0),
        ("between 95 and 105, mostly 300", ["100"], 1),  # the first two numbers
        ("80-120", ["100"], 1),  # 20 shared of 40
        ("79-120", ["100"], 0),  # 20 of 41: 0.49
        ("-21", ["-20"], 1),  # -22 to -18
        ("-23", ["-20"], 0),
        ("0", ["0"], 1),
        ("1", ["0"], 0),
        ("about a hundred", ["100"], 0),  # no number
        ("nothing", ["0"], 0),
        ("5", ["one", "5.2"], 1),  # 4.68 to 5.72
        ("1e3", ["1000"], 1),
        (".5 kg", ["0.52"], 1),
        ("9" * 400, ["100"], 0),  # too large to be a number
        ("100", [], 0),
    ],
)
def test_infoseek_numbers(answer, accepted, score):
    assert metrics.infoseek_match(answer, accepted, "number") == score


@pytest.mark.parametrize(
    ("answer", "low", "high", "score"),
    [
        ("104 km/h", 90.0, 110.0, 1),
        ("110", 90.0, 110.0, 1),
        ("110.1", 90.0, 110.0, 0),
        ("5", 5.0, 5.0, 1),
        ("5.2", 5.0, 5.0, 0),  # the range is what the data says, without more tolerance
        ("93-104", 90.0, 110.0, 1),
        ("80-120", 90.0, 110.0, 1),  # 20 shared of 40
        ("79-120", 90.0, 110.0, 0),
        ("104 to 5", 90.0, 110.0, 1),  # not in order: the first alone
        ("-21", -22.0, -18.0, 1),
        ("no idea", -1.0, 1.0, 1),  # the range 0 to 0
        ("no idea", 0.0, 0.0, 1),
        ("no idea", 1.0, 2.0, 0),
        (".5", 5.0, 5.0, 1),
        (".5.2", 5.2, 5.2, 1),
        ("7 m²-9", 8.0, 9.5, 0),  # 7 to 9: a dash after a raised digit parts two numbers
        ("1e999", 1.0, 2.0, 0),
        ("٤٢", 41.0, 43.0, 1),
    ],
)
def test_infoseek_numbers_as_its_script_scores_them(answer, low, high, score):
    assert metrics.infoseek_scored(answer, (low, high)) == score


def test_infoseek_texts_as_its_script_scores_them():
    assert metrics.infoseek_scored("The Nile.", ("Blue Nile", "Nile")) == 1
    assert metrics.infoseek_scored("1889 ", ("1888", "1889")) == 1
    assert metrics.infoseek_scored("in 1889", ("1889",)) == 0


def test_infoseek_texts_and_times():
    assert metrics.infoseek_match("The Nile.", ["Blue Nile", "Nile"]) == 1
    assert metrics.infoseek_match("the blue river Nile", ["Blue Nile", "Nile"]) == 0
    assert metrics.infoseek_match("1889", ["1888", "1889", "1890"], "time") == 1
    assert metrics.infoseek_match("in 1889", ["1889"], "time") == 0


@given(st.floats(-1e9, 1e9, allow_nan=False), st.floats(0.91, 1.09))
@example(0.0, 1.0)
def test_a_number_within_the_tolerance_is_right(number, factor):
    assume(not 0 < abs(number) < 1e-6)  # of which twelve decimals say too little
    assert metrics.infoseek_match(f"{number * factor:.12f}", [f"{number:.12f}"], "number") == 1


@settings(max_examples=300)
@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_every_measure_of_any_text_is_between_0_and_1(answer, accepted):
    for score in (
        metrics.exact_match(answer, accepted),
        metrics.token_f1(answer, accepted),
        metrics.evqa_without_bem(answer, accepted),
        metrics.evqa_without_bem(answer, accepted, is_list=True),
        metrics.infoseek_match(answer, accepted, "number"),
        metrics.infoseek_scored(answer, accepted),
        metrics.infoseek_scored(answer, (-1.0, 5.5)),
        metrics.contained(answer, accepted),
        metrics.vqa_accuracy(answer, accepted or [answer]),
    ):
        assert 0 <= score <= 1


# --- Holding the right words


def test_contained_looks_for_a_part_and_passages_for_words():
    assert metrics.contained("The Cheetah runs at 93–104\u00a0KM/h.", ["93–104 km/h"]) == 1
    assert metrics.contained("It is covered.", ["red"]) == 1
    assert metrics.contained("It is blue.", ["red", "green"]) == 0
    assert not metrics.holds_words("It is covered.", ["red"])
    assert metrics.holds_words("It is\nRED.", ["blue", "red"])
    assert metrics.holds_words("It weighs 1.5 (3) kg", ["(3)"])
    assert not metrics.holds_words("It is red.", ["", " "])


def test_cited_passages_are_judged_once_each():
    assert metrics.judged_citations([2, 1, 2, 3], {2, 3}) == [1, 0, 1]
    assert metrics.judged_citations([], {1}) == []
