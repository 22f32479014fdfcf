"""What a vision-language model is to the rest of the generator: messages in, text out.

Knows nothing of passages or of any particular model. Two things are of this kind: a model behind a server
(served.py) and one in this process (local.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from common.problems import Problem

if TYPE_CHECKING:
    from PIL.Image import Image


CUT = " …"  # ends a text that was ended for its length, or broke off


@dataclass(frozen=True)
class Message:
    """One message of a chat. `role` is system, user or assistant; an image stands before the text."""

    role: str
    text: str
    image: Image | None = None


@dataclass(frozen=True)
class Scored:
    """A short text and how probable it was: the sum of the natural logarithms of its tokens' probabilities. Text and
    tokens are those that are said: what the model only thinks is no part of either.

    thought, cut: whether it thought, and was ended for its length."""

    text: str
    log_probability: float
    thought: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Short:
    """A short reply. yes: how probable "yes" is as its first word rather than "no", by the model's own numbers; None
    where these are not told. tokens: that were read and written for it; None where that is not told."""

    text: str
    yes: float | None = None
    tokens: int | None = None


def rules_first(chat: Sequence[Message]) -> list[Message]:
    """The chat without system messages; their text stands in front of the first user's."""
    rules = [m.text for m in chat if m.role == "system"]
    rest = [m for m in chat if m.role != "system"]
    if rules and rest:
        rest[0] = Message(rest[0].role, "\n\n".join([*rules, rest[0].text]), rest[0].image)
    return rest


def nothing_said(name: str, thought: bool, cut: bool) -> Problem:
    """What a person is told of a reply in which nothing is said. thought, cut: as of Scored."""
    if cut:
        how = "thinking" if thought else "before it said anything"
        return Problem(
            f"The model {name} used up its length {how}; give it more room with CITESIGHT_THINKING_TOKENS, or choose "
            "one that thinks less."
        )
    what = "thought and said nothing" if thought else "answered with nothing"
    return Problem(f"The model {name} {what}; ask again or choose a model that thinks less.")


class ChatModel(Protocol):
    """Every method may be called from any thread and raise Problem with a sentence for the person. While they
    wait, what stops the work of their thread (common/cancellation.py) stops the model."""

    name: str  # tells this model from others, in the cache and on the page

    @property
    def context(self) -> int | None:
        """How many tokens prompt and reply may have together; None where that is not known."""
        ...

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """The reply in raw pieces as they come, thoughts among them, most probable words first (no sampling). Closing
        it stops the model. Raises Problem after the last piece too: for a reply that broke off, and where nothing was
        said (nothing_said)."""
        ...

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        """The most probable reply to each chat, decoded greedily, with its probability; in batches where it can."""
        ...

    def short_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int, yes: bool = False) -> list[Short]:
        """The most probable reply to each chat, without thought where the model can do without, in batches where it
        can; "" for one that is empty. yes: whether the probability of that word is wanted."""
        ...
