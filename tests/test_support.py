"""Which claims the passages they cite support: by words, and by the sentence embedding where words do not suffice."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from generator.answers import Evidence
from generator.citations import cited_answer
from generator.support import COMPARED, MAX_TEXTS, Claim, check

TABLE = json.loads((Path(__file__).parent / "data" / "support.json").read_text(encoding="utf-8"))
BEES = Evidence(
    "bees", "Honey bee", "Bees live in hives. Beekeepers smoke a hive, which calms them. Honey lasts 3 years.", "", 0.9
)
TOWER = Evidence("tower", "Vetla Tower", "The tower was built in 1904. It holds twelve bells of bronze.", "", 0.8)


def supported(embed=None):
    """Precision and recall over the hand-written table."""
    wanted, found = [], []
    for row in TABLE["claims"]:
        passage = Evidence("p", row["title"], TABLE["passages"][row["title"]], "", 1.0)
        (checked,) = check([Claim(row["claim"], (1,))], [passage], embed)
        (citation,) = checked.citations
        assert passage.text[citation.start : citation.end] == citation.quote
        wanted.append(row["supported"])
        found.append(checked.supported)
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
    assert by_both[0] > 0.9 and by_both[1] > 0.8, by_both


def test_a_near_sentence_supports_and_is_the_one_quoted():
    claim = Claim("Smoking makes the insects of a hive tranquil", (2, 1))
    near = Near("mok")
    (alone,), (checked,) = check([claim], [BEES, TOWER]), check([claim], [BEES, TOWER], near)
    assert not alone.supported and checked.supported
    assert [c.number for c in checked.citations] == [2, 1]
    assert checked.citations[1].quote == "Beekeepers smoke a hive, which calms them."
    assert near.calls[0][0] == "Honey bee: " + claim.text


@pytest.mark.parametrize(
    "text",
    ["Beekeepers smoke 7 cigars near hives on windy mornings", "Fumes make all insects tranquil and very quiet"],
)
def test_another_number_or_no_shared_word_is_no_paraphrase(text):
    assert not check([Claim(text, (1,))], [BEES], lambda texts: np.ones((len(texts), 1), np.float32))[0].supported


def test_what_words_support_is_not_embedded():
    near = Near()
    check([Claim("The tower was built in 1904", (1,)), Claim("It sings", ())], [TOWER], near)
    assert near.calls == []


def test_a_short_answer_is_quoted_from_the_sentence_that_its_question_is_about():
    text = "Ada Holm was born in Norland. The tower is 9 m high. Ada Holm designed it. Ada Holm died in 1950."
    passage = Evidence("p", "Vetla Tower", text, "", 0.9)
    (checked,) = check([Claim("Ada Holm", (1,), "Who designed this tower?")], [passage])
    assert checked.supported and checked.citations[0].quote == "Ada Holm designed it."


def test_one_bounded_call_for_an_answer():
    near = Near()
    long = Evidence("p", "Hive", " ".join(f"Bees number {i} fly out of the hive at dawn." for i in range(400)), "", 0.9)
    text = " ".join(f"At dawn they sleep under {moon} moons while dreaming [1][2]." for moon in ("red", "old") * 30)
    started = time.perf_counter()
    answer = cited_answer(text, [long, BEES], near)
    assert len(near.calls) == 1 and len(near.calls[0]) <= MAX_TEXTS
    assert max(t.startswith("Hive: Bees number") for t in near.calls[0]) and COMPARED + 1 <= len(near.calls[0])
    assert len(answer.unsupported) == 60 and time.perf_counter() - started < 5
