"""What a vision-language model is to the rest of the generator: messages in, text out.

Knows nothing of passages or of any particular model. Two things are of this kind: a model behind a server
(served.py) and one in this process (local.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Message:
    """One message of a chat. `role` is system, user or assistant; an image stands before the text."""

    role: str
    text: str
    image: Image | None = None


@dataclass(frozen=True)
class Scored:
    """A short text and how probable it was: the sum of the natural logarithms of its tokens' probabilities."""

    text: str
    log_probability: float


class ChatModel(Protocol):
    """Both methods may be called from any thread and raise Problem with a sentence for the person. While they
    wait, what stops the work of their thread (common/cancellation.py) stops the model."""

    name: str  # tells this model from others, in the cache and on the page

    @property
    def context(self) -> int | None:
        """How many tokens prompt and reply may have together; None where that is not known."""
        ...

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """The reply in raw pieces as they come, most probable words first (no sampling). Closing it stops the model."""
        ...

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        """The most probable reply to each chat, decoded greedily, with its probability; in batches where it can."""
        ...
