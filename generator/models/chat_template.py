"""A checkpoint's chat template, and the form in which it takes messages, found by trying it.

Knows nothing of tensors. Templates are written for one form of content each: lists of parts, or plain strings, or lists
for the user and strings for the assistant; some take no system messages, and some no earlier turns. Which one does what
is told nowhere, so that a conversation with words that are looked for is tried in every way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from PIL import Image

from generator.models.chat import Message, rules_first

# Whose messages are lists of parts; those of the others are strings.
_FORMS = (
    frozenset(("system", "user", "assistant")),
    frozenset(("system", "user")),
    frozenset(("user",)),
    frozenset(("user", "assistant")),
    frozenset(),
)
_RULES, _BEFORE, _SAID, _ASKED = "rules-of-the-chat", "asked-of-it-before", "said-by-the-model", "asked-of-the-model"
_ROLE = re.compile(r"\b[A-Za-z]{2,20}:")


class ChatTemplate:
    """Makes prompts of chats. `roles` are the words in plain text, "USER:" for one, that begin a turn."""

    def __init__(self, tokenizer: Any, template: str, image_token: str) -> None:
        self._tokenizer, self._template, self._image_token = tokenizer, template, image_token
        self._parts: frozenset[str] = _FORMS[0]
        self._takes_system = self._takes_turns = False
        self.usable = self._found()
        self.roles = self._role_words() if self.usable else ()

    def rendered(self, chat: Sequence[Message], thinking: bool = True) -> str:
        """The prompt that ends where the reply begins. thinking: whether the model may think first."""
        if not self._takes_turns:
            chat = _in_one_message(chat)
        if not self._takes_system:
            chat = rules_first(chat)
        return self._rendered(chat, thinking)

    def _rendered(self, chat: Sequence[Message], thinking: bool = True) -> str:
        more = {} if thinking else {"enable_thinking": False}
        return self._tokenizer.apply_chat_template(
            [{"role": message.role, "content": self._content(message)} for message in chat],
            chat_template=self._template, tokenize=False, add_generation_prompt=True, **more,
        )  # fmt: skip

    def _content(self, message: Message) -> list[dict[str, str]] | str:
        shown = message.image is not None
        if message.role in self._parts:
            return [{"type": "image"}] * shown + [{"type": "text", "text": message.text}]
        return f"{self._image_token}\n{message.text}" if shown else message.text

    def _found(self) -> bool:
        for self._takes_turns in (True, False):
            for self._takes_system in (True, False):
                for self._parts in _FORMS:
                    if self._works():
                        return True
        return False

    def _works(self) -> bool:
        """Whether the template shows all that is said, and tells a chat with a photo from one without."""
        chat = _conversation(self._takes_system, self._takes_turns)
        try:
            with_photo, without = (self._rendered(_with_photo(chat, shown)) for shown in (True, False))
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError):
            return False
        told = all(with_photo.count(message.text) == 1 for message in chat)
        turns = [with_photo.find(message.text) for message in chat if message.role != "system"]
        # As a list that was printed has it.
        return told and turns == sorted(turns) and with_photo != without and "'type'" not in with_photo

    def _role_words(self) -> tuple[str, ...]:
        text = self._rendered(_with_photo(_conversation(self._takes_system, self._takes_turns), True))
        return tuple(dict.fromkeys(_ROLE.findall(text)))


def _conversation(system: bool, turns: bool) -> list[Message]:
    rules = [Message("system", _RULES)] if system else []
    before = [Message("user", _BEFORE), Message("assistant", _SAID)] if turns else []
    return [*rules, *before, Message("user", _ASKED)]


def _with_photo(chat: Sequence[Message], shown: bool) -> list[Message]:
    """The chat with a photo in the first message of the user, where there is to be one."""
    first = next(number for number, message in enumerate(chat) if message.role == "user")
    photo = Image.new("RGB", (1, 1)) if shown else None
    return [Message(m.role, m.text, photo if number == first else None) for number, m in enumerate(chat)]


def _in_one_message(chat: Sequence[Message]) -> list[Message]:
    """The chat with the earlier turns told in the last message of the user, and the photo in that."""
    rules = [message for message in chat if message.role == "system"]
    turns = [message for message in chat if message.role != "system"]
    words = {"user": "Question", "assistant": "Answer"}
    told = [f"{words.get(message.role, message.role)}: {message.text}" for message in turns[:-1]]
    photo = next((message.image for message in turns if message.image is not None), None)
    return [*rules, Message("user", "\n".join([*told, turns[-1].text]), photo)]
