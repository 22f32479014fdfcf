"""Counts the pieces that texts are encoded in, as documents are cut by their number. Knows nothing of models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import BertWordPieceTokenizer, Encoding, Tokenizer
from tokenizers.models import WordPiece

MOST_WORDS = 200_000  # whose word pieces are remembered
_JOINING = re.compile("[\x0b\x0c\x1c-\x1f\x85]")  # white space to Python, and nothing at all to the tokenizer


class WordPieces:
    """How many pieces a tokenizer makes of texts. Not for several threads at once.

    Those of BERT's or CLIP's kind never reach across white space, so what each word has is looked up once: ten times as
    fast.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._apart = word_pieces(tokenizer) or bool(getattr(tokenizer.model, "end_of_word_suffix", None))
        self._known: dict[str, int] = {}

    @classmethod
    def read(cls, vocabulary: Path) -> WordPieces:
        """With a `vocab.txt`, a piece a line, lower case, as all published checkpoints of FLMR, or a `tokenizer.json`.
        Raises OSError, ValueError."""
        if vocabulary.suffix == ".json":
            return cls(read_tokenizer(vocabulary))
        words = vocabulary.read_text(encoding="utf-8").splitlines()
        tokenizer = BertWordPieceTokenizer({word: i for i, word in enumerate(words)}, lowercase=True)
        return cls(Tokenizer.from_str(tokenizer.to_str()))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of pieces of each text, without marks, however many are encoded."""
        if not self._apart:
            return [len(each) for each in self._pieces(texts)]
        known = self._known
        split = [_JOINING.sub("", text).split() for text in texts]
        if len(known) > MOST_WORDS:
            known.clear()
        new = list({word for words in split for word in words if word not in known})
        if new:
            known.update(zip(new, map(len, self._pieces(new)), strict=True))
        return [sum(map(known.__getitem__, words)) for words in split]

    def _pieces(self, texts: Sequence[str]) -> list[Encoding]:
        self._tokenizer.no_truncation()  # what encoding passages has left set
        self._tokenizer.no_padding()
        return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)


def word_pieces(tokenizer: Tokenizer) -> bool:
    """Whether it is of BERT's kind, whose pieces say themselves that they go on ("##")."""
    return isinstance(tokenizer.model, WordPiece)


def read_tokenizer(file: Path) -> Tokenizer:
    """Of a `tokenizer.json`, which neither cuts nor fills up. Raises OSError, ValueError."""
    text = file.read_text(encoding="utf-8")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as problem:  # the library raises no narrower one
        raise ValueError(f"{file.name} describes no tokenizer ({problem})") from problem
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
