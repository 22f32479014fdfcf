"""Requests to one model of one server: what they say, and what is left out of them because the server refused it.

Knows nothing of connections. Servers of one protocol take different parameters; what one of them refuses is known
from its words alone, so that these are searched for the names of what was sent.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from generator.models.chat import Message, rules_first
from generator.models.server_errors import ServerError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 1024  # pixels of a photo sent; more only makes the model slower
EFFORTS = ("none", "minimal", "low")  # how little a model can be told to think, the least first
# Parameters that a server may refuse, each by the names it may be refused by.
_LENGTH, _NEW_LENGTH, _SYSTEM, _STREAM, _EFFORT = "max_tokens", "max_completion_tokens", "system", "stream", "effort"
LOGPROBS = "logprobs"
_TOP, _USAGE = "top_logprobs", "stream_options"
TOLD_OF = 5  # tokens that the first word could be: as many as all servers tell of
_REFUSED = {
    _LENGTH: re.compile(r"\bmax_tokens\b"),
    _NEW_LENGTH: re.compile(r"\bmax_completion_tokens\b"),
    "temperature": re.compile(r"\btemperature\b"),
    LOGPROBS: re.compile(r"\blogprobs\b|\blog ?prob(?:abilitie)?s\b"),
    _TOP: re.compile(r"\btop_logprobs\b"),
    _USAGE: re.compile(r"\bstream_options\b|\binclude_usage\b"),
    _EFFORT: re.compile(r"\breasoning[_.]effort\b|\breasoning effort\b"),
    "chat_template_kwargs": re.compile(r"\bchat_template_kwargs\b|\benable_thinking\b"),
    _STREAM: re.compile(r"['\"`]stream['\"`]|\bstream:|verified to stream|\bstreaming\b"),
    _SYSTEM: re.compile(
        r"\bsystem (?:messages?|roles?|prompts?|instructions?)\b|\bdeveloper instruction\b|['\"`]system['\"`]"
        r"|\broles? must alternate\b"
    ),
}


@dataclass(frozen=True)
class Request:
    """What is asked. scored: a short answer whose probability is wanted. short: a short answer, without that. yes: of
    a short one, how probable its first word is. Both kinds are asked for without thought. url: makes a photo's URL."""

    messages: tuple[Message, ...]
    max_tokens: int
    scored: bool = False
    short: bool = False
    yes: bool = False
    url: Callable[[Image], str] = field(default_factory=lambda: photo_urls())

    @property
    def brief(self) -> bool:
        """Whether nothing of the reply is shown before it is whole."""
        return self.scored or self.short

    def prefix(self) -> int | None:
        """Tells how the prompt begins, as far as the photo; None where it has none."""
        for number, message in enumerate(self.messages):
            if message.image is not None:
                return hash((*(before.text for before in self.messages[:number]), self.url(message.image)))
        return None


class Requests:
    """From any thread. thinking: tokens that a reply may have beside what is asked for."""

    def __init__(self, model: str, thinking: int = 0) -> None:
        self._model, self._thinking = model, thinking
        self._without: frozenset[str] = frozenset()
        self._changing = threading.Lock()

    def refused(self, parameter: str) -> bool:
        return parameter in self._without

    def body(self, request: Request) -> tuple[str, frozenset[str]]:
        """The request as JSON, and what was known to be refused when it was made, which `learn` wants back."""
        without = self._without
        messages = rules_first(request.messages) if _SYSTEM in without else request.messages
        length = request.max_tokens + self._thinking
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [_json(message, request.url) for message in messages],
            _STREAM: _STREAM not in without,
            "temperature": 0,
            _LENGTH: length,
        }
        if _LENGTH in without:
            body[_NEW_LENGTH] = length
        if request.scored or (request.yes and LOGPROBS not in without):
            body |= {LOGPROBS: True} | ({_TOP: TOLD_OF} if request.yes else {})
        if request.short and _STREAM not in without:
            body |= {_USAGE: {"include_usage": True}}
        if request.scored or request.short:
            body |= {"chat_template_kwargs": {"enable_thinking": False}}
            efforts = [effort for effort in EFFORTS if f"{_EFFORT} {effort}" not in without]
            if efforts and _EFFORT not in without:
                body["reasoning_effort"] = efforts[0]
        body = {name: value for name, value in body.items() if name not in without or name == _STREAM}
        return json.dumps(body), without

    def learn(self, body: str, before: frozenset[str], error: ServerError) -> bool:
        """Note what the server refuses of the body it was sent; whether to send the request again without that."""
        if error.too_long:  # which is told with the names of parameters too
            return False
        sent, said = json.loads(body), error.read.lower()
        there = {name for name in _REFUSED if name in sent and (name != _STREAM or sent[name])}
        there |= {_SYSTEM} if any(message["role"] == "system" for message in sent["messages"]) else set()
        effort = sent.get("reasoning_effort")
        there |= {_EFFORT} if effort else set()
        refused = {name for name in there if _REFUSED[name].search(said)}
        if _LENGTH in refused and _REFUSED[_NEW_LENGTH].search(said):
            refused.add("temperature")  # as all models do that want the new name
        if _EFFORT in refused:
            lesser = EFFORTS[EFFORTS.index(effort) + 1 :]
            if any(re.search(rf"['\"`]{other}['\"`]", said) for other in lesser):
                refused.remove(_EFFORT)
                refused.add(f"{_EFFORT} {effort}")
        with self._changing:
            self._without |= refused
            return self._without != before  # another thread may have learned it meanwhile


def _json(message: Message, url: Callable[[Image], str]) -> dict[str, Any]:
    """A message as the protocol has it."""
    content: Any = message.text
    if message.image is not None:
        content = [
            {"type": "image_url", "image_url": {"url": url(message.image)}},
            {"type": "text", "text": message.text},
        ]
    return {"role": message.role, "content": content}


def photo_urls() -> Callable[[Image], str]:
    """data_url that makes each photo's once."""
    made: dict[int, str] = {}

    def url(image: Image) -> str:
        if id(image) not in made:
            made[id(image)] = data_url(image)
        return made[id(image)]

    return url


def data_url(image: Image) -> str:
    """The photo as a JPEG in a data: URL, its long side at most MAX_SIDE pixels. The argument stays."""
    photo = image.convert("RGB")
    photo.thumbnail((MAX_SIDE, MAX_SIDE))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
