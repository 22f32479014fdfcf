"""Sentences whose vectors are kept."""

from __future__ import annotations

import numpy as np

from app.service.sentence_rows import KeptRows
from tests.fakes.small_encoder import embed_sentences


def test_what_is_kept_is_not_computed_again():
    asked = []

    def embed(texts):
        asked.append(list(texts))
        return embed_sentences(texts) if texts else np.zeros((0, 128), np.float32)

    rows = KeptRows(embed, 3)
    for texts in (["a b", "c", "a b"], ["c", "d"], ["d", "e", "a b"], []):
        assert np.array_equal(rows(texts), embed_sentences(texts) if texts else np.zeros((0, 128), np.float32))
    assert asked == [["a b", "c"], ["d"], ["e"], []]
