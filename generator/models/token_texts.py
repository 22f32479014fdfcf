"""The text of a model's tokens, without its control tokens but for those that begin and end a thought.

Knows nothing of models. Some tokenizers count the marks of thoughts as control tokens, and what is thought would be
taken for said without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase, TextStreamer

from generator.grounding.thoughts import MARKS


class TokenTexts:
    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.items()
        self.marks = {n: token.content for n, token in added if token.special and token.content.lower() in MARKS}

    def text(self, tokens: Sequence[int]) -> str:
        """Of several tokens, which may hold parts of a character each."""
        found, begin = "", 0
        for at, token in enumerate(tokens):
            if token in self.marks:
                found += self.tokenizer.decode(tokens[begin:at], skip_special_tokens=True) + self.marks[token]
                begin = at + 1
        return found + self.tokenizer.decode(tokens[begin:], skip_special_tokens=True)


class TokenStream(TextStreamer):
    """Gives the text of a reply to `told`, word by word. count: how many tokens it has by now."""

    def __init__(self, texts: TokenTexts, told: Callable[[str], object]) -> None:
        super().__init__(
            texts.tokenizer, skip_prompt=True, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        self.count = 0
        self._marks, self._told = texts.marks, told

    def put(self, value: Any) -> None:
        if self.next_tokens_are_prompt:
            super().put(value)
            return
        self.count += 1
        mark = self._marks.get(int(value.reshape(-1)[0]))
        if mark is None:
            super().put(value)
            return
        self.end()
        self.next_tokens_are_prompt = False  # which is how the end of one reply leaves it
        self._told(mark)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self._told(text)
