"""How a text ColBERT writes questions and passages as token ids: a marker after the beginning, questions filled up.

Knows nothing of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from retriever.encoders.base import PassageToken
from retriever.encoders.batching import padded
from retriever.encoders.colbert.layout import Style
from retriever.encoders.named_pieces import FILL_UP, named_pieces

QUERY_MARKER, PASSAGE_MARKER = "[Q]", "[D]"  # what they are called, whatever token each is


class ColbertTexts:
    """tokenizer: a fast one. Raises ValueError where it lacks what the style writes with."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, style: Style) -> None:
        self.tokenizer = tokenizer
        self.style = style
        known = tokenizer.get_vocab()
        for marker in (style.query_marker, style.passage_marker):
            if marker and marker not in known:
                raise ValueError(f"its tokenizer has no token {marker[:40]!r}, which marks a question or a passage")
        fillers = (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
        self.filler = next((number for number in fillers if number is not None), None)
        if self.filler is None:
            raise ValueError("its tokenizer has no [MASK], end or padding token to fill questions up with")
        # A word without a token of its own has that of unknown words, as in PyLate.
        skips = [known.get(word, tokenizer.unk_token_id) for word in style.skips]
        self.skips = torch.tensor(sorted({number for number in skips if number is not None}), dtype=torch.long)
        self._markers = [known[marker] if marker else None for marker in (style.query_marker, style.passage_marker)]

    def queries(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and attention mask, both (B, L) int64; L is the full length where questions are filled up."""
        style = self.style
        ids, mask = padded(self._ids(texts, True), self.filler, style.query_length if style.fills_up else 0)
        return ids, torch.ones_like(mask) if style.attends else mask

    def passage_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each, not padded."""
        return self._ids(texts, False)

    def query_tokens(self, text: str) -> list[str]:
        """What the rows of a question are called, those that fill it up among them."""
        names = [token.text for _, token in self._tokens(text, True)]
        lacking = self.style.query_length - len(names) if self.style.fills_up else 0
        return names + [FILL_UP] * lacking

    def passage_tokens(self, text: str) -> list[PassageToken]:
        """What those rows of a passage stand for that are kept."""
        skipped = set(self.skips.tolist())
        return [token for number, token in self._tokens(text, False) if number not in skipped]

    def _ids(self, texts: Sequence[str], of_query: bool) -> list[list[int]]:
        if not texts:  # which the tokenizer does not take
            return []
        marker, most = self._limits(of_query)
        rows = self.tokenizer([self._written(text) for text in texts], truncation=True, max_length=most)["input_ids"]
        return rows if marker is None else [[*row[:1], marker, *row[1:]] for row in rows]

    def _tokens(self, text: str, of_query: bool) -> list[tuple[int, PassageToken]]:
        """With places in the text as it was given."""
        marker, most = self._limits(of_query)
        shift = len(self.style.prompt) - (len(text) - len(text.lstrip()) if self.style.strips else 0)
        tokens = []
        for number, token in named_pieces(self.tokenizer, self._written(text), most):
            if token.start < token.end:
                start, end = (min(max(0, place - shift), len(text)) for place in (token.start, token.end))
                token = PassageToken(token.text, start, end)
            tokens.append((number, token))
        if marker is None:
            return tokens
        return [*tokens[:1], (marker, PassageToken(QUERY_MARKER if of_query else PASSAGE_MARKER, 0, 0)), *tokens[1:]]

    def _limits(self, of_query: bool) -> tuple[int | None, int]:
        """The marker's number, and how many tokens the text may have beside it."""
        marker = self._markers[not of_query]
        length = self.style.query_length if of_query else self.style.passage_length
        return marker, length - (marker is not None)

    def _written(self, text: str) -> str:
        text = self.style.prompt + text
        text = text.strip() if self.style.strips else text
        return text.lower() if self.style.lowers else text
