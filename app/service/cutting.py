"""How kb/chunking.py cuts documents into passages here: it counts tokens as the encoder does and ends sentences as the
answerer does.

So a passage is never longer than what is encoded of it, and what is quoted of it is whole. Knows nothing of sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.sentences import MAX_TEXT, split_sentences
from kb.chunking import CHUNK_OVERLAP, CHUNK_TOKENS, Cutting

if TYPE_CHECKING:  # what cuts alone need not wait for model libraries
    from app.service.encoder_lock import SharedEncoder
    from retriever.encoders.base import Encoder
    from retriever.encoders.word_pieces import WordPieces


def cutting_for(
    counter: WordPieces | Encoder | SharedEncoder, most: int = CHUNK_TOKENS, overlap: int = CHUNK_OVERLAP
) -> Cutting:
    """For passages of at most so many tokens, which the counter counts as the encoder of the passages does."""
    return Cutting(counter.count_tokens, _sentences, most, overlap)


def _sentences(text: str) -> list[str]:
    """The sentences of a text of any length."""
    found: list[str] = []
    rest = text
    while len(rest) > MAX_TEXT:
        some = split_sentences(rest)
        # The last may go on after what was looked at.
        end = some[-2].end if len(some) > 1 else MAX_TEXT
        found += [s.text for s in some if s.end <= end]
        rest = rest[end:]
    return found + [s.text for s in split_sentences(rest)]

