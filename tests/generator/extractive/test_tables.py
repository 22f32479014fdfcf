"""Passages that are rows of a table: a row is read by itself, quoted whole, and never says what a photo shows."""

from __future__ import annotations

import pytest

from common.passage import Evidence, Passage
from generator.models.prompts import messages
from generator.sentences import MAX_SENTENCE, passage_sentences
from tests.generator.extractive.test_answerer import FOX, PHOTO, ask, evidence

ROWS = (
    "Year: 1928; Film: St. Anna Mill. A tale; Winner: Ada Holm\n"
    "Year: 1929; Film: Marsh wings; Winner: Bo Lund\n"
    "Year: 1930; Film: Vetla bells; Winner: Cai Moe"
)


def table(title: str, section: str = "Winners › Table: By year", score: float = 0.8) -> Evidence:
    return Evidence("t", title, ROWS, section=section, score=score)


@pytest.mark.parametrize(
    ("section", "tabular"),
    [("Table", True), ("Films › Table", True), ("Table: The first", True), ("Facts", True), ("Table manners", False),
     ("Table › Use", False), ("", False)],
)  # fmt: skip
def test_which_passages_are_rows(section, tabular):
    assert Passage("p", "Mill", "A mill.", section=section).tabular is tabular


def test_rows_are_the_sentences_of_a_table():
    passage = table("Mill prize")
    found = passage_sentences(passage)
    assert [sentence.text for sentence in found] == ROWS.split("\n")
    assert all(passage.text[s.start : s.end] == s.text for s in found)
    prose = Evidence("p", "Mill", "It is old. It\nis big.")
    assert [s.text for s in passage_sentences(prose)] == ["It is old.", "It\nis big."]
    long = Evidence("p", "Mill", "a: b\n" + "word. And " * 200, section="Table")
    assert max(len(s.text) for s in passage_sentences(long)) <= MAX_SENTENCE


def test_a_model_is_told_whole_rows():
    rows = "\n".join(f"Year: {year}; Film: The mill of the marsh" for year in range(1900, 1990))
    *_, told = messages("Which film?", None, [Evidence("p", "Mill", rows, section="Table")], budget=200)
    lines = [line for line in told.text.split("\n") if line.startswith("Year: ")]
    assert 2 < len(lines) < 30 and all(line.endswith("The mill of the marsh") for line in lines)


def test_a_row_is_quoted_whole():
    answer = ask("Who was the winner of the Mill prize in 1929?", [table("Mill prize")])
    assert answer.answered and ROWS.split("\n")[1] in answer.text and "1928" not in answer.text


def test_a_photo_s_subject_is_told_by_prose():
    passages = [table("Marsh fox"), *evidence(FOX, scores=[0.79])]
    answer = ask("What is this?", passages, PHOTO)
    assert answer.text == "Marsh fox [1]\n“The marsh fox is a small mammal in the family Canidae.” [2]"
    alone = ask("What is this?", passages[:1], PHOTO)
    assert alone.text.strip() == "Marsh fox [1]"
