"""Work on text that somebody else wrote grows with its length and not with the square of it: counted in steps."""

from __future__ import annotations

import importlib
import re
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.web.escaping import marked
from common.passage import Evidence
from generator.extractive.question_kinds import read_question
from generator.extractive.spans import candidates, pick
from generator.grounding.citations import cited_answer
from generator.grounding.plain_text import plain_pieces
from generator.sentences import split_sentences
from generator.words import plain
from kb.records import MAX_MARKS, clean_text
from tests.support.regex_steps import Steps

SHORT, TIMES = 100, 4
MOST = 6.0  # times the steps for four times the text; a quadratic pattern takes sixteen
READS_TEXT = (
    "extractive.fitting", "extractive.followups", "grounding.quantities", "extractive.spans", "extractive.subjects",
    "grounding.citations", "grounding.language", "grounding.plain_text", "grounding.support", "sentences",
)  # fmt: skip
# Tried at one place only, and on a bounded stretch.
BOUNDED = {"sentences._NEXT_WORD", "extractive.spans._NAMES_BEFORE"}
HOSTILE = [
    ".", "?!", "1,", "1", "1–", "a", "A", "a-", "Aa ", "A. ", "(", "[a](", " ", "\n ", "one ", "one-", "Aa of ", "in ",
    "12 km (", "genus ", "a.a/", "A a", "é", "1 to ", "and ",
]  # fmt: skip
PATTERNS = {
    f"{name}.{key}": value
    for name in READS_TEXT
    for key, value in vars(importlib.import_module(f"generator.{name}")).items()
    if isinstance(value, re.Pattern)
} | {"extractive.spans.length": importlib.import_module("generator.extractive.spans")._MEASURE["length"]}


@pytest.fixture(autouse=True)
def deep():
    """A repetition is as deep in the counter's stack as it is long."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


def run_of(piece: str, length: int) -> str:
    return (piece * length)[:length]


def test_the_counter_finds_what_re_finds_and_tells_linear_from_quadratic():
    text = "The Vetla Tower is 72.5 m (238 ft) tall, built 1901 to 1904. J. R. Holm drew it c. 1890 (see [1]).\n \nEnd"
    for name, pattern in PATTERNS.items():
        counter, at, found = Steps(pattern), 0, []
        counter.text = text
        while at <= len(text):
            if counter.whole(at, counter._ends) and counter.end > at:
                found.append((at, counter.end))
            at = max(at + 1, found[-1][1] if found else 0)
        assert found == [m.span() for m in pattern.finditer(text) if m.end() > m.start()], name
    few, many = ([Steps(re.compile(p)).search_all("a" * n) for p in ("a+b", "a++")] for n in (100, 400))
    assert many[0] > 12 * few[0] and many[1] < 5 * few[1]


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - BOUNDED))
def test_patterns_take_linear_time(name):
    counter = Steps(PATTERNS[name])
    for piece in HOSTILE:
        few, many = (counter.search_all(run_of(piece, n)) for n in (SHORT, TIMES * SHORT))
        assert many <= MOST * few + 500, (piece, few, many)


def events(work, text: str) -> int:
    """Lines and calls of this project's code that `work` takes for a text."""
    count = 0

    def tracer(frame, event, argument):
        nonlocal count
        ours = "/generator/" in frame.f_code.co_filename or frame.f_code.co_filename.endswith("web/escaping.py")
        count += ours
        return tracer if ours else None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        work(text)
    finally:
        sys.settrace(before)
    return count


WHO, WHEN, WHERE = (read_question(q) for q in ("Who built the aa?", "When was the aa built?", "Where is the aa?"))
PASSAGE = Evidence("p", "Fox", "A fox runs. It eats.", "", score=1.0)
WORK = {
    "sentences": lambda text: split_sentences(text),
    "people": lambda text: candidates(WHO, text),
    "places": lambda text: candidates(WHERE, text),
    "pick": lambda text: pick(WHEN, text, [m.span() for m in re.finditer("1", text)] or [(0, 1)], set()),
    "pieces": lambda text: list(plain_pieces([text[i : i + 8] for i in range(0, len(text), 8)], [PASSAGE])),
    "claims": lambda text: cited_answer(text, [PASSAGE]),
    "passage": lambda text: cited_answer("It runs [1].", [Evidence("p", "Fox", text, "", score=1.0)]),
    "marked": lambda text: marked(text, {"aa", "a"}, [(i, i + 2) for i in range(0, len(text), 5)]),
}


@pytest.mark.parametrize("name", WORK)
def test_loops_take_linear_time(name):
    for piece in [*HOSTILE, ") . (", "in Aa. ", "aa 1 ", "A fox. ", "[1]", "a [1] "]:
        few, many = (events(WORK[name], run_of(piece, n)) for n in (2 * SHORT, 2 * TIMES * SHORT))
        assert many <= MOST * few + 500, (piece, few, many)


def test_names_behind_initials_are_not_read_in_every_way():
    text = "A. B. C. D. E. F. G. H. I. J. K. L. M. N. O. P. Q. of River"
    counter = Steps(PATTERNS["extractive.spans._NAMES_BEFORE"])
    assert counter.search_all(text[:-5]) < 10_000


def test_accents_without_end_are_put_into_no_order():
    run = "\u0315\u0300" * 50
    assert plain(f"A{run}b É ﬁ") == "ab e fi"
    assert plain("é" + run) == "e"
    assert clean_text(f"A{run}b") == clean_text("A" + "\u0315\u0300" * (MAX_MARKS // 2) + "b")
    assert clean_text("\u0f73" * 100) == clean_text("\u0f73" * MAX_MARKS)
    assert clean_text("━" * 100 + "…" * 50 + " e\u0301") == "━" * 100 + "…" * 50 + " é"


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_a_text_is_made_plain_character_by_character_as_it_is_as_a_whole(text):
    whole = unicodedata.normalize("NFKD", text.casefold())
    assert plain(text) == "".join(c for c in whole if not unicodedata.combining(c))
