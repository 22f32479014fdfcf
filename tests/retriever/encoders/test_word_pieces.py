"""Counting pieces word by word is counting those of the whole text, whatever kind of tokenizer makes them."""

from __future__ import annotations

import pytest

from retriever.encoders.word_pieces import WordPieces, read_tokenizer
from tests.support.checkpoints import write_clip_files
from tests.support.colbert_checkpoints import write_pylate_checkpoint

TEXTS = ["the cat", "  the cat\n\nis  this ", "thecat", "", "the 日本 cat"]


@pytest.mark.parametrize("kind", ["bert", "modern", "clip"])
def test_pieces_that_begin_with_white_space_are_counted_too(kind, tmp_path):
    folder = tmp_path / "model"
    if kind == "clip":
        write_clip_files(folder)
    else:
        write_pylate_checkpoint(folder, kind)
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    expected = [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in TEXTS]
    assert WordPieces.read(folder / "tokenizer.json").count_tokens(TEXTS) == expected
