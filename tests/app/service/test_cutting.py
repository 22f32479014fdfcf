"""Documents cut with the real encoder's words and the answerer's sentences."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.service.cutting import _sentences, cutting_for
from generator.sentences import MAX_TEXT
from kb.chunking import CHUNK_TOKENS, pieces_of
from kb.records import DocumentRecord, Section
from retriever.encoders.registry import load_encoder, load_word_pieces
from tests.fakes.small_encoder import plain

MILL = "The mill by the lake was built in 1871 by c. 40 people, e.g. J. R. Miller. It grinds rye. "


@pytest.fixture(scope="module")
def encoder(wheel_cache):
    return load_encoder("mini", wheel_cache)


def test_passages_are_as_long_as_the_encoder_says(encoder):
    long = DocumentRecord("mill", "Mill", "", "en", "CC0", (), sections=(Section(("History",), MILL * 80),))
    [pieces] = pieces_of([long], cutting_for(encoder))
    headed = [f"Mill › History {piece.text}" for piece in pieces]
    assert len(pieces) > 5 and max(encoder.count_tokens(headed)) <= CHUNK_TOKENS
    assert min(encoder.count_tokens(headed[:-1])) > CHUNK_TOKENS - 60  # a sentence more would not fit
    assert [piece.tokens for piece in pieces] == encoder.count_tokens([piece.text for piece in pieces])
    assert " ".join(piece.text for piece in pieces).split() == (MILL * 80).split()
    assert all(piece.text.endswith(("rye.", "Miller.")) for piece in pieces)
    assert encoder.count_tokens([]) == []


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=40), max_size=4))
def test_pieces_of_words_add_up(encoder, texts):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    assert encoder.count_tokens(texts) == [
        len(encoder.context_tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts
    ]


def test_the_words_remembered_are_bounded_and_the_count_needs_no_model(encoder, wheel_cache, monkeypatch):
    monkeypatch.setattr("retriever.encoders.word_pieces.MOST_WORDS", 3)
    counter = load_word_pieces("mini", wheel_cache)
    for text in ("one two three", "four five six seven", "unbelievably", "x" * 30):
        assert counter.count_tokens([text, text]) == encoder.count_tokens([text]) * 2
    assert len(counter._known) <= 4
    encoder.encode_passages(plain("one " * 600))  # which leaves truncation set
    assert encoder.count_tokens(["a" * 90 + " b", "字" * 700])[1] == 700


@settings(deadline=None, max_examples=30)
@given(st.text("ab. \n", max_size=60), st.integers(1, 3))
def test_no_word_is_lost_however_long_the_text(some, times):
    text = (some + " one two. ") * (times * MAX_TEXT // (2 * (len(some) + 10)))
    assert "".join(_sentences(text)).replace(" ", "").replace("\n", "") == text.replace(" ", "").replace("\n", "")
