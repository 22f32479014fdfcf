"""What a model says, apart from what it only thinks, however it marks that, read as its pieces come.

Knows nothing of servers or of what the text says. A model that marks its thoughts in another way is a row of a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from generator.answers import Anew, said_with

# How models begin and end what they think: DeepSeek's, Qwen's and most others'; EXAONE's; Seed's; OpenThinker's;
# Cohere's; Kimi's; Mistral's; Gemma's, before and since version 4.
_THOUGHTS = (
    ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"), ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<|start_thinking|>", "<|end_thinking|>"),
    ("◁think▷", "◁/think▷"), ("[think]", "[/think]"), ("<unused94>", "<unused95>"), ("<|channel>", "<channel|>"),
)  # fmt: skip
# What only ends where something is said: OpenAI's harmony, with its control tokens and without, and Apriel's steps.
_UNTIL_SAID = ("<|channel|>analysis", "<|channel|>commentary", "here are my reasoning steps:")
_BARE = "analysis"  # of harmony without its tokens, where a capital follows at once
_SAYS = (
    "<|channel|>final<|message|>", "[begin final response]", "<|start_response|>", "<|begin_of_solution|>",
    "<conclusion>",
)  # fmt: skip
_BARE_SAYS = "assistantfinal"
_NOTHING = ("<|start|>assistant", "[end final response]")  # neither thought nor said
_BEGINS = tuple(begin for begin, _ in _THOUGHTS)
_ENDS = tuple(end for _, end in _THOUGHTS)


def _any(marks: Iterable[str]) -> str:
    return "|".join(map(re.escape, marks))


_OPENS = re.compile(_any(_BEGINS), re.IGNORECASE)
_STARTS = re.compile(f"{_any((*_BEGINS, *_UNTIL_SAID))}|(?-i:{_BARE}(?=[A-Z]))", re.IGNORECASE)
_MARK = re.compile(_any((*_ENDS, *_SAYS, _BARE_SAYS, *_NOTHING)), re.IGNORECASE)
_ALL = (*_BEGINS, *_UNTIL_SAID, *_ENDS, *_SAYS, _BARE_SAYS, *_NOTHING)
_LONGEST = max(map(len, _ALL))
MARKS = frozenset(_ALL)  # in small letters


class Thoughts:
    """Takes a reply piece by piece. `thinking`: whether a thought is open; `thought`: whether there was any.

    A thought stands before what is said. Where its beginning was in the prompt only its end tells of it: what was said
    till then is taken back by `Anew`. A thought that never ends leaves nothing; in the middle of a text marks of both
    kinds mean nothing. It holds on to no more than the beginning of a mark.
    """

    def __init__(self) -> None:
        self.thinking = self.thought = False
        self._waiting = ""
        self._begun = self._opened = False  # something was said; a beginning stood in it

    def said(self, piece: str) -> list[str | Anew]:
        """What can be told of being said, now that this piece came."""
        self._waiting += piece
        told: list[str | Anew] = []
        while True:
            if not self._begun and not self.thinking:
                self._waiting = self._waiting.lstrip()
                if begins := _STARTS.match(self._waiting):
                    self.thinking = self.thought = True
                    self._waiting = self._waiting[begins.end() :]
            mark = _MARK.search(self._waiting)
            if mark is None:
                break
            self._at(mark, told)
        if self.thinking:
            self._waiting = self._waiting[-_LONGEST:]
        else:
            self._say(len(self._waiting) - self._half_a_mark(), told)
        return told

    def rest(self) -> list[str | Anew]:
        """What is left to say once no more pieces come."""
        told: list[str | Anew] = []
        if not self.thinking:
            self._say(len(self._waiting), told)
        return told

    def _at(self, mark: re.Match[str], told: list[str | Anew]) -> None:
        kind = mark[0].lower()
        if kind in _NOTHING:
            if not self.thinking:
                self._say(mark.start(), told)
                self._waiting = self._waiting[mark.end() - mark.start() :]
                return
        elif not self.thinking and (kind == _BARE_SAYS or (kind in _ENDS and self._has_opened(mark.start()))):
            self._say(mark.end(), told)
            self._opened = False
            return
        else:
            if self._begun:
                told.append(Anew())
            self.thought = True
            self.thinking = self._begun = self._opened = False
        self._waiting = self._waiting[mark.end() :]

    def _has_opened(self, end: int) -> bool:
        return self._opened or _OPENS.search(self._waiting, 0, end) is not None

    def _say(self, end: int, told: list[str | Anew]) -> None:
        if end:
            self._opened = self._has_opened(end)
            self._begun = True
            told.append(self._waiting[:end])
            self._waiting = self._waiting[end:]

    def _half_a_mark(self) -> int:
        """How many characters at the end of what waits may be the beginning of a mark."""
        if not self._begun and _BARE.startswith(self._waiting):
            return len(self._waiting)
        ending = self._waiting[1 - _LONGEST :].lower()
        halves = (n for mark in _ALL for n in range(1, len(mark)) if ending.endswith(mark[:n]))
        return max(halves, default=0)


def spoken(pieces: Iterable[str]) -> Iterator[str | Anew]:
    """The pieces without thoughts, and without white space before what is said."""
    thoughts = Thoughts()
    for piece in pieces:
        yield from thoughts.said(piece)
    yield from thoughts.rest()


class SaidTokens:
    """Sums up the log probabilities of the tokens that are said, in `log_probability`. told: whether there were any."""

    def __init__(self) -> None:
        self.log_probability, self.told = 0.0, False
        self._thoughts = Thoughts()
        self._said = ""

    def add(self, text: str, tokens: Sequence[tuple[str, float]]) -> None:
        """A piece of a reply with its tokens, as far as they are known."""
        spelled = tokens if "".join(token for token, _ in tokens) == text else [(text, sum(p for _, p in tokens))]
        for token, probability in spelled:
            before = self._thoughts.thinking
            parts = self._thoughts.said(token)
            ended = before or any(isinstance(part, Anew) for part in parts)
            if ended or self._thoughts.thinking:
                self.log_probability = 0.0
            # The mark alone that ends a thought says nothing.
            if not self._thoughts.thinking and (not ended or any(isinstance(part, str) for part in parts)):
                self.log_probability += probability
            self._take(parts)
        self.told = self.told or bool(tokens)

    @property
    def thought(self) -> bool:
        return self._thoughts.thought

    def text(self) -> str:
        """What was said, once there is no more."""
        self._take(self._thoughts.rest())
        return self._said.strip()

    def _take(self, parts: Sequence[str | Anew]) -> None:
        for part in parts:
            self._said = said_with(self._said, part)
