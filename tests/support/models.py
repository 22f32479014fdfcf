"""A chat model for tests that reads the messages it gets, and what tests of several answerers share.

Its replies are made by a function from the messages, so that nothing is said that was not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce

from generator.answers import Anew, said_with
from generator.models.chat import Message, Scored, Short


class ReadingModel:
    """`write` makes a reply's text from its messages; `probable` its log probability, `yes` the probability of a yes.
    `asked` holds the chats asked, `closed` says how many replies were stopped before their end."""

    name = "reading"
    context = None

    def __init__(
        self,
        write: Callable[[Sequence[Message]], str],
        probable: Callable[[Sequence[Message]], float] = lambda chat: -1.0,
        size: int = 5,
        yes: Callable[[Sequence[Message]], float | None] = lambda chat: None,
    ) -> None:
        self.write, self.probable, self.size, self.yes = write, probable, size, yes
        self.asked: list[list[Message]] = []
        self.limits: list[int] = []
        self.closed = 0

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        self.asked.append(list(messages))
        self.limits.append(max_tokens)
        text = self.write(messages)
        try:
            for at in range(0, len(text), self.size):
                yield text[at : at + self.size]
        except GeneratorExit:
            self.closed += 1
            raise

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        self.asked += [list(chat) for chat in chats]
        self.limits.append(max_tokens)
        return [Scored(self.write(chat), self.probable(chat)) for chat in chats]

    def short_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int, yes: bool = False) -> list[Short]:
        self.asked += [list(chat) for chat in chats]
        self.limits.append(max_tokens)
        return [Short(self.write(chat), self.yes(chat) if yes else None, 7) for chat in chats]


def said_by(pieces: Iterable[str | Anew]) -> str:
    """All that pieces say, once what was only thought is taken back."""
    return reduce(said_with, pieces, "")


def sentence_with(chat: Sequence[Message], word: str) -> tuple[str, str]:
    """The number of the passage of the last message that holds a word and its sentence with that word; "" and ""
    where none does."""
    number = ""
    for line in chat[-1].text.splitlines():
        if line.startswith("<passage "):
            number = line.removeprefix("<passage ").rstrip(">")
        elif number and not line.startswith("</passage"):
            for sentence in line.split(". "):
                if word in sentence:
                    return number, sentence.rstrip(".") + "."
    return "", ""
