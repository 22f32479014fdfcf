"""A chat server's reply, in whatever form it comes, as pieces of text, of thought and of refusal, and how it ended.

Knows nothing of connections or of bytes. Takes the events of a stream and the one object of a reply that is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from generator.models.server_errors import ServerError, error_in
from generator.models.server_events import DONE, BrokenStream

LEAST_LOG = -10_000.0  # what servers write for a token that cannot be; minus infinity would be no number to sum
MAX_REFUSAL = 1_000  # characters kept of one
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
# How servers say why a reply ended, other than that it is whole.
_SHORT = frozenset("length max_tokens max_output_tokens model_length model_context_window_exceeded".split())
_FILTERED = frozenset("content_filter safety sensitive recitation prohibited_content blocklist spii".split())
_FAILED = frozenset("error abort aborted cancelled network_error insufficient_system_resource timeout".split())


@dataclass(frozen=True)
class Piece:
    """Some text. tokens: those of the text with their log probabilities, where the server tells of all of them.
    thought: the model only thought meanwhile. instead: what its first word could have been, that included, with log
    probabilities, where the server tells."""

    text: str = ""
    tokens: tuple[tuple[str, float], ...] = ()
    thought: bool = False
    instead: tuple[tuple[str, float], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.tokens or self.thought)


class Failed(Exception):
    """The server tells of an error in place of the rest of a reply."""

    def __init__(self, error: ServerError) -> None:
        self.error = error


class Reply:
    """One reply, read once. Beside what `pieces` gives: `refusal`, the model's words where it refuses; and once it has
    ended whether it is `cut` for its length, or `filtered`, and how many `tokens` were read and written for it, None
    where the server does not tell."""

    def __init__(self) -> None:
        self.refusal = ""
        self.tokens: int | None = None
        self._finish = ""

    @property
    def cut(self) -> bool:
        return self._finish in _SHORT

    @property
    def filtered(self) -> bool:
        return self._finish in _FILTERED

    def pieces(self, events: Iterable[dict[str, Any] | None]) -> Iterator[Piece]:
        """The pieces, and one that is empty for an event that holds none.

        Raises Failed where the server tells of an error, BrokenStream where the events end before the reply does."""
        for event in events:
            if event is DONE:
                break
            yield Piece() if event is None else self._read(event)
        else:
            if not self._finish:
                raise BrokenStream("the connection ended in the middle")
        if self._finish in _FAILED:
            raise Failed(ServerError("", ""))

    def _read(self, event: dict[str, Any]) -> Piece:
        if error := error_in(event):
            raise Failed(error)
        usage = event.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("total_tokens"), int):
            self.tokens = max(0, usage["total_tokens"])
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):  # counts of tokens, for one
            return Piece(thought=_counts_thoughts(event))
        if isinstance(finish := choice.get("finish_reason"), str):
            self._finish = finish.lower()
        said = next((choice[key] for key in ("delta", "message") if isinstance(choice.get(key), dict)), {})
        text, thought = self._content(said.get("content", choice.get("text")))
        self._refused(said.get("refusal"))
        thought = thought or any(said.get(key) for key in _THOUGHTS) or _counts_thoughts(event)
        if thought and not text:  # its tokens are no tokens of an answer
            return Piece(thought=True)
        told = choice.get("logprobs")
        return Piece(text, _tokens(told, text if "message" in choice else ""), thought, _instead(told))

    def _content(self, content: object) -> tuple[str, bool]:
        """The text in the content of a message, which may come in parts, and whether there is thought in it."""
        text, thought = "", False
        for part in content if isinstance(content, list) else [content]:
            kind = part.get("type", "text") if isinstance(part, dict) else "text"
            if isinstance(part, str):
                text += part
            elif kind in ("thinking", "reasoning"):
                thought = True
            elif kind == "refusal":
                self._refused(part.get("refusal"))
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                text += part["text"]
        return text, thought

    def _refused(self, words: object) -> None:
        if isinstance(words, str):
            self.refusal = (self.refusal + words)[:MAX_REFUSAL]


def _counts_thoughts(event: dict[str, Any]) -> bool:
    """Whether the server says that it made tokens of thought, which it does not show."""
    usage = event.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    return isinstance(details, dict) and bool(details.get("reasoning_tokens"))


def _tokens(logprobs: object, whole: str) -> tuple[tuple[str, float], ...]:
    """The tokens of a piece with their log probabilities; none when one of them has no number. Of a reply that came
    whole, those from where its text begins: what stands before was thought."""
    tokens = _listed(logprobs.get("content") if isinstance(logprobs, dict) else None)
    start = max(0, "".join(token for token, _ in tokens).rfind(whole)) if whole else 0
    ends = list(accumulate(len(token) for token, _ in tokens))
    return tuple(each for each, end in zip(tokens, ends, strict=True) if end > start or not whole)


def _instead(logprobs: object) -> tuple[tuple[str, float], ...]:
    """What a server tells of the first token that is not blank."""
    listed = logprobs.get("content") if isinstance(logprobs, dict) else None
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and str(each.get("token", "")).strip():
            return tuple(_listed(each.get("top_logprobs")))
    return ()


def _listed(listed: object) -> list[tuple[str, float]]:
    """Tokens with their log probabilities; none when one of them has no number."""
    if not isinstance(listed, list):
        return []
    found = [(each.get("token"), each.get("logprob")) if isinstance(each, dict) else (None, None) for each in listed]
    if not all(isinstance(value, int | float) and value == value for _, value in found):  # NaN is not itself
        return []
    return [(str(token), min(0.0, max(LEAST_LOG, value))) for token, value in found]
