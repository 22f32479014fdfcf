"""Which claims the passages they cite support: by words, and by the sentence embedding where words do not suffice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from common.passage import Evidence
from generator.answers import SUPPORTED, UNSUPPORTED
from generator.grounding.citations import cited_answer
from generator.grounding.quantities import quantities
from generator.grounding.support import _PARTS, COMPARED, MAX_CLAIMS, MAX_TEXTS, Checked, Claim, check
from tests import DATA

TABLE = json.loads((DATA / "support.json").read_text(encoding="utf-8"))
BEES = Evidence(
    "bees",
    "Honey bee",
    "Bees live in hives. Beekeepers smoke a hive, which calms them. Honey lasts 3 years.",
    "",
    score=0.9,
)
TOWER = Evidence("tower", "Vetla Tower", "The tower was built in 1904. It holds twelve bells of bronze.", "", score=0.8)


def supported(embed=None):
    """Precision and recall over the hand-written table."""
    wanted, found = [], []
    for row in TABLE["claims"]:
        passage = Evidence("p", row["title"], TABLE["passages"][row["title"]], "", score=1.0)
        (checked,) = check([Claim(row["claim"], (1,))], [passage], embed)
        assert all(passage.text[each.start : each.end] == each.quote for each in checked.citations)
        assert bool(checked.citations) == (checked.support == SUPPORTED)
        wanted.append(row["supported"])
        found.append(checked.support == SUPPORTED)
    right = np.array(wanted) & np.array(found)
    return right.sum() / sum(found), right.sum() / sum(wanted)


class Near:
    """An embedding by which texts that hold the same of the given words are the same, all others unlike."""

    def __init__(self, *words):
        self.words, self.calls = words, []

    def __call__(self, texts):
        self.calls.append(list(texts))
        rows = np.zeros((len(texts), len(self.words) + len(texts)), np.float32)
        for i, text in enumerate(texts):
            place = next((w for w, word in enumerate(self.words) if word in text), len(self.words) + i)
            rows[i, place] = 1
        return rows


def test_the_embedding_finds_paraphrases_and_lets_in_nothing_more(sentences):
    by_words, by_both = supported(), supported(sentences.embed_sentences)
    assert len(TABLE["claims"]) >= 100
    assert by_words[0] > 0.85 and by_words[1] < 0.5, by_words
    assert by_both[0] > 0.93 and by_both[1] > 0.87, by_both


def test_a_sentence_half_of_which_is_made_up_is_not_supported(sentences):
    for row in TABLE["half_true"]:
        passage = TABLE["passages"][row["title"]]
        assert verdict(row["claim"], passage, row["title"], sentences.embed_sentences) == UNSUPPORTED


def test_a_near_sentence_supports_and_is_the_one_quoted():
    claim = Claim("Smoking makes the insects of a hive tranquil", (2, 1))
    near = Near("mok")
    (alone,), (checked,) = check([claim], [BEES, TOWER]), check([claim], [BEES, TOWER], near)
    assert alone == Checked(UNSUPPORTED) and checked.support == SUPPORTED
    # The other passage it cites says nothing of the kind, and nothing of it is painted as cited.
    assert [(c.number, c.quote) for c in checked.citations] == [(1, "Beekeepers smoke a hive, which calms them.")]
    assert near.calls[0][0] == "Honey bee: " + claim.text


@pytest.mark.parametrize(
    "text",
    ["Beekeepers smoke 7 cigars near hives on windy mornings", "Fumes make all insects tranquil and very quiet"],
)
def test_another_number_or_no_shared_word_is_no_paraphrase(text):
    (checked,) = check([Claim(text, (1,))], [BEES], lambda texts: np.ones((len(texts), 1), np.float32))
    assert checked == Checked(UNSUPPORTED)


def test_what_words_support_is_not_embedded():
    near = Near()
    check([Claim("The tower was built in 1904", (1,)), Claim("It sings", ())], [TOWER], near)
    assert near.calls == []


def test_a_short_answer_is_quoted_from_the_sentence_that_its_question_is_about():
    text = "Ada Holm was born in Norland. The tower is 9 m high. Ada Holm designed it. Ada Holm died in 1950."
    passage = Evidence("p", "Vetla Tower", text, "", score=0.9)
    (checked,) = check([Claim("Ada Holm", (1,), "Who designed this tower?")], [passage])
    assert checked.support == SUPPORTED and [c.quote for c in checked.citations] == ["Ada Holm designed it."]


def test_one_bounded_call_for_an_answer():
    near = Near()
    long = Evidence(
        "p", "Hive", " ".join(f"Bees number {i} fly out of the hive at dawn." for i in range(400)), "", score=0.9
    )
    text = " ".join(f"At dawn they sleep under {moon} moons while dreaming [1][2]." for moon in ("red", "old") * 30)
    answer = cited_answer(text, [long, BEES], near)
    assert len(near.calls) == 1 and len(near.calls[0]) <= MAX_TEXTS
    assert max(t.startswith("Hive: Bees number") for t in near.calls[0]) and COMPARED + 1 <= len(near.calls[0])
    assert len(answer.unsupported) == 60 and answer.citations == ()


CAT = "The cheetah runs at 112 km/h. Cheetahs can climb trees. It lives in Africa for over 9 years, not in Norland."
FACTS = [
    # Nothing but stop words
    ("No.", False), ("It does not.", False), ("There are many.", False), ("…", False), ("", False), ("This.", False),
    # Numbers, units and what is said of them
    ("It runs at 112 km/h.", True), ("112 kilometres per hour.", True), ("It runs at 112.", True),
    ("112 mph.", False), ("It runs 112 m.", False), ("112 million km/h.", False), ("It runs at 1,112 km/h.", False),
    ("Under 112 km/h.", False), ("It runs at less than 112 km/h.", False), ("It runs at over 112 km/h.", False),
    ("It runs at nearly 112 km/h.", False), ("It runs at 112 km/h or more.", False), ("At least 112 km/h.", False),
    ("Twice as fast as 112 km/h.", False), ("It runs at half of 112 km/h.", False),
    ("It lives for more than 9 years.", True), ("It lives for nine years.", True), ("It lives for 9 years.", True),
    ("It lives for under 9 years.", False), ("It lives for nineteen years.", False), ("It lives for 9 months.", False),
    # Comparisons
    ("It runs faster than trees.", False), ("It is as fast as trees.", False),
    # What is denied
    ("Cheetahs can climb trees.", True), ("Cheetahs cannot climb trees.", False),
    ("Cheetahs never climb trees.", False), ("It does not live in Norland.", True),
    # Half of which is true
    ("It lives in Africa.", True), ("It lives in Africa and eats people.", False),
    ("It lives in Africa and climbs.", True), ("It lives in Africa, where it hunts.", False),
    ("It lives in Africa with Napoleon.", False), ("According to the passage, it lives in Africa’s trees.", True),
]  # fmt: skip


def verdict(claim, text, title="Cheetah", embed=None):
    (checked,) = check([Claim(claim, (1,))], [Evidence("p", title, text, "", score=1.0)], embed)
    return checked.support


@pytest.mark.parametrize(("claim", "supported"), FACTS)
def test_facts_are_held_to_the_passage(claim, supported):
    assert verdict(claim, CAT) == (SUPPORTED if supported else UNSUPPORTED)


@pytest.mark.parametrize("claim", [claim for claim, supported in FACTS if not supported])
def test_no_embedding_makes_up_for_a_fact(claim):
    parts = {part.strip() for part in _PARTS.split(claim)}

    def embed(texts):
        """All texts are the same, but for parts of a claim that no sentence says."""
        return np.array([[0.0, 1.0] if text.split(": ")[-1] in parts else [1.0, 0.0] for text in texts])

    assert verdict(claim, CAT, embed=embed) == UNSUPPORTED


GERMAN = "Der Gepard ist die schnellste Katze. Er läuft mit 112 km/h und lebt in den Savannen von Afrika."


@pytest.mark.parametrize(
    ("answer", "unchecked", "unsupported"),
    [
        ("Der Gepard läuft mit 112 km/h und lebt in Afrika [1].", 1, 0),
        ("Он живёт в Африке [1].", 1, 0),
        ("猎豹生活在非洲 [1]。", 1, 0),
        ("Gepardi elää Afrikassa sekä juoksee hyvin nopeasti puiden välissä [1].", 1, 0),
        # A short sentence is in the language of the whole.
        ("Er ist eine Katze und lebt in der Savanne [1]. Afrika [1].", 2, 0),
        ("It lives in Africa [1]. Er frisst Antilopen und schläft auf dem Baum [1].", 1, 0),
        # In the language of one of the passages: held to that one.
        ("Der Gepard läuft mit 112 km/h und lebt in Afrika [1][2].", 0, 0),
        ("Der Gepard ist ein Fisch und lebt in dem Meer [2].", 0, 1),
        ("Der Gepard ist ein Fisch und lebt in dem Meer [1][2].", 1, 0),
        ("Vincent van Gogh [1].", 0, 1),
        ("Der Gepard läuft mit 112 km/h und lebt in Afrika.", 0, 1),  # cites nothing
    ],
)
def test_what_is_in_another_language_than_its_passage_is_not_checked(answer, unchecked, unsupported):
    passages = [Evidence("en", "Cheetah", CAT, "", score=1.0), Evidence("de", "Gepard", GERMAN, "", score=0.9)]
    made = cited_answer(answer, passages)
    assert (len(made.unchecked), len(made.unsupported)) == (unchecked, unsupported)
    assert all(bool(each.citations) == (each.support == SUPPORTED) for each in made.statements)


def test_too_many_sentences_are_not_all_checked():
    made = cited_answer("It lives in Africa [1].\n" * (MAX_CLAIMS + 3), [Evidence("p", "Cheetah", CAT, "", score=1.0)])
    assert len(made.unchecked) == 3 and made.unsupported == () and len(made.citations) == 1


def test_a_statement_stands_in_the_text_with_its_marks():
    text = "It lives in Africa [1]. It flies [1] high [1]. The passages do not say why. It runs at 112 km/h. [1]"
    made = cited_answer(text, [Evidence("p", "Cheetah", CAT, "", score=1.0)])
    assert [(text[each.start : each.end], each.support) for each in made.statements] == [
        ("It lives in Africa [1].", SUPPORTED), ("It flies [1] high [1].", UNSUPPORTED),
        ("It runs at 112 km/h.", SUPPORTED),
    ]  # fmt: skip
    assert made.citations == tuple(each.citations[0] for each in made.statements if each.citations)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It runs at 40–52 km/h (25–32 mph).", "40 km/h, 52 km/h, 25 mph, 32 mph"),
        ("From 3 to 5 kg, over 2,300 km and at least 20%", "3 kg, 5 kg, more 2300 km, more 20 %"),
        ("In the 1860s, the 16th century, B52, 3.5 m. 12.", "1860s, 16th, b52, 3.5 m, 12"),
        ("Two of twelve took $5 million or more in under 9 days", "2, 12, more 5 million $, less 9 day"),
        ("112km/h 7kg 1,2345 1,1,1", "112 km/h, 7 kg, 1, 1"),
    ],
)
def test_quantities(text, found):
    assert ", ".join(" ".join(filter(None, (q.bound, q.value, q.unit))) for q in quantities(text)) == found
