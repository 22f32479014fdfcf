"""A model in this process whose GPU is lent call by call (common/lent_gpu.py). Knows nothing of how it is lent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from common.lent_gpu import on_lent_gpu
from generator.models.chat import Message, Scored, Short
from generator.models.local import LocalModel

REPLY_SECONDS = 90.0  # that a reply is expected to take at most, with bringing the weights to the GPU


class LentModel:
    """As ChatModel. The weights are read here, without a GPU, before the first call that has one."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.name = model.name
        self._reply = on_lent_gpu(model.reply, REPLY_SECONDS)
        self._score = on_lent_gpu(model.score_replies, REPLY_SECONDS)
        self._short = on_lent_gpu(model.short_replies, REPLY_SECONDS)

    @property
    def loading(self) -> str:
        return self._model.loading

    @property
    def context(self) -> int | None:
        return self._model.context

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        self._model.load()
        yield from self._reply(messages, max_tokens)

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        self._model.load()
        return self._score(chats, max_tokens)

    def short_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int, yes: bool = False) -> list[Short]:
        self._model.load()
        return self._short(chats, max_tokens, yes)

    def close(self) -> None:
        self._model.close()
