"""Cutting documents into passages, with a counter and a splitter of the test's own: a token is a word."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kb.chunking import Cutting, pieces_of
from kb.records import DocumentRecord, Section


def count(texts):
    return [len(text.split()) for text in texts]


def split(text):
    return [s for s in re.split(r"(?<=[.])\s+", text) if s]


def document(*sections: Section, title: str = "Mill") -> DocumentRecord:
    return DocumentRecord("mill", title, "https://example.org/", "en", "CC0", (), sections=sections)


def cut(text: str, most: int, overlap: int = 0, path=()) -> list[str]:
    [pieces] = pieces_of([document(Section(path, text))], Cutting(count, split, most, overlap))
    assert [piece.tokens for piece in pieces] == count([piece.text for piece in pieces])
    assert {piece.path for piece in pieces} <= {path}
    return [piece.text for piece in pieces]


def test_sentences_stay_whole_and_fill_passages():
    text = "One two three. Four five. Six seven eight nine.\nTen eleven."
    assert cut(text, 100) == ["One two three. Four five. Six seven eight nine. Ten eleven."]
    # The title takes one of seven tokens.
    assert cut(text, 7) == ["One two three. Four five.", "Six seven eight nine. Ten eleven."]
    assert cut(text, 5) == ["One two three.", "Four five.", "Six seven eight nine.", "Ten eleven."]


def test_title_and_section_count():
    text = "One two three. Four five."
    assert cut(text, 6) == ["One two three. Four five."]
    assert cut(text, 6, path=("History",)) == ["One two three.", "Four five."]


def test_rows_of_a_table_stay_whole_and_are_lines():
    text = "Year: 1928; Film: St. Anna. Two\nYear: 1929; Film: Wings\nYear: 1930; Film: More"
    for path, words in (("Films", "Table"), 5), (("Table: The first. Years",), 6), (("Facts",), 3):
        assert cut(text, 100, path=path) == [text]
        assert cut(text, words + 8, path=path) == [text.split("\n")[0], "\n".join(text.split("\n")[1:])]
    assert cut("One.\nTwo.", 100, path=("Table manners",)) == ["One. Two."]


def test_sections_are_never_joined():
    sections = Section((), "One two."), Section(("Use",), "Three."), Section(("Use", "Now"), "  \n ")
    [pieces] = pieces_of([document(*sections)], Cutting(count, split, 100))
    assert [(piece.path, piece.text) for piece in pieces] == [((), "One two."), (("Use",), "Three.")]


def test_overlap_says_the_last_sentences_again():
    text = "A a. B b. C c. D d. E e."
    assert cut(text, 7, 2) == ["A a. B b. C c.", "C c. D d. E e."]
    assert cut(text, 7, 4) == ["A a. B b. C c.", "B b. C c. D d.", "C c. D d. E e."]
    assert cut(text, 7, 100) == cut(text, 7, 4)  # every passage says something new


def test_a_sentence_longer_than_a_passage_is_cut():
    assert cut("a b c d e f g h. I.", 5) == ["a b c d", "e f g h.", "I."]
    assert cut("x" * 50, 1) == ["x" * 50]  # one word cannot be cut


@given(st.lists(st.lists(st.integers(1, 12), max_size=12), max_size=4), st.integers(1, 30), st.integers(0, 40))
def test_nothing_is_lost_and_nothing_too_long(paragraphs, most, overlap):
    numbers = iter(range(10_000))
    text = "\n".join(
        " ".join(" ".join(str(next(numbers)) for _ in range(length)) + "." for length in lengths)
        for lengths in paragraphs
    )
    passages = [passage.split() for passage in cut(text, most, overlap)]
    assert all(len(passage) <= max(1, most - 1) for passage in passages)
    said = text.split()
    place = 0
    for passage in passages:  # each goes on where the one before ended, or a little before
        start = said.index(passage[0])
        assert said[start : start + len(passage)] == passage and start <= place < start + len(passage)
        assert place - start <= overlap
        place = start + len(passage)
    assert place == len(said)
