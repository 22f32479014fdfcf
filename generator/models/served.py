"""A vision-language model that a server offers through OpenAI's chat protocol: vLLM, Ollama, llama.cpp or a
hosted one.

Knows nothing of passages, prompts or answers. The key goes into one header of requests to one address, and nowhere
else: no redirect is followed, no message holds it.
"""

from __future__ import annotations

import base64
import io
import json
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import httpx

from common.addresses import below
from common.cancellation import Cancellation, current
from common.problems import Problem
from common.text import shown
from generator.models.chat import Message, Scored
from generator.models.server_events import CUT, BrokenStream, Piece, text_pieces

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_ANSWER = 8_000  # characters taken of a reply, whatever is sent
MAX_SIDE = 1024  # pixels of a photo sent; more only makes the model slower
AT_ONCE = 4  # requests, when several chats are scored
MAX_ERROR = 64 * 1024  # bytes of an error's page that are read
MAX_SAID = 200  # characters of a server's own words in a message
CONNECT_SECONDS = 10.0
ATTEMPTS = 4
FIRST_WAIT = 0.5  # seconds before the second attempt; doubles with each
LONGEST_WAIT = 20.0  # a person is waiting
LONGEST_REPLY = 5  # times the timeout, for all of a reply, however steadily it drips


class _TryAgain(Exception):
    """An attempt that failed before any text came; `wait` is what the server asked for, in seconds."""

    def __init__(self, problem: Problem, wait: float | None = None) -> None:
        self.problem, self.wait = problem, wait


class _Connection:
    """The socket of one request, which another thread may end: closing one does not wake who reads from it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._ended = False

    def opened(self, event: str, info: dict[str, Any]) -> None:
        """Told by httpx of each step of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._ended:
                self.end()

    def end(self) -> None:
        self._ended = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                # The socket's own method: that of an encrypted one first takes away what its reader uses.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class ServedModel:
    """A ChatModel (chat.py) behind a server.

    `base_url` is the address that /chat/completions is appended to, mostly ending in /v1. `timeout` is how many
    seconds the server may send no text; a whole reply may take LONGEST_REPLY times that. `called` stands for the
    server's host and port in what is said, where those who read it are not to know them. Raises Problem for an
    address or a key that cannot be used.
    """

    context = None  # the protocol does not tell; the server says so when a prompt is too long

    def __init__(
        self, base_url: str, model: str, key: str | None = None, timeout: float = 120.0, called: str | None = None
    ) -> None:
        url = below(base_url, "/chat/completions")
        if url is None:
            raise Problem(
                "The model server's address must look like http://localhost:8000/v1, with no user and no question mark."
            )
        key = (key or "").strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise Problem("The key holds spaces or characters that no key has; copy it again.")
        self.timeout = timeout
        self._model = model
        self._url = url
        self._host = called or url.netloc.decode("ascii")
        self._key = key
        self.name = model if called else f"{model} at {self._host}"

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """The reply in pieces as they come, not empty; closing this ends the connection at once, and so does what stops
        this thread's work (common/cancellation.py), while it waits. " …" ends a reply that was cut. Raises Problem
        with a sentence when there is no reply to be had."""
        with closing(self._pieces(self._request(messages, max_tokens, _urls()), current())) as pieces:
            for piece in pieces:
                if piece.text:
                    yield piece.text

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        """Each chat's reply with its probability over the tokens that the server tells of, some requests at once.

        Stops as `reply` does. Raises Problem as that does, and when the server gives no probabilities or a
        reply takes longer than the timeout altogether."""
        url, stop = _urls(), current()  # chats about one photo share its JPEG
        requests = [self._request(chat, max_tokens, url, logprobs=True) for chat in chats]
        with ThreadPoolExecutor(AT_ONCE, "score") as pool:
            # A problem cancels those not begun.
            return list(pool.map(lambda request: self._scored(request, stop), requests))

    def close(self) -> None:
        """Nothing to give back: each request has a connection of its own."""

    def _request(
        self, messages: Sequence[Message], max_tokens: int, url: Callable[[Image], str], **more: Any
    ) -> str:
        request = {
            "model": self._model,
            "messages": [_json(message, url) for message in messages],
            "stream": True,
            "max_tokens": max_tokens,
            "temperature": 0,
            **more,
        }
        return json.dumps(request)

    def _scored(self, request: str, stop: Cancellation) -> Scored:
        text, total, told = "", 0.0, False
        ends = monotonic() + self.timeout
        with closing(self._pieces(request, stop)) as pieces:
            for piece in pieces:
                text += piece.text
                if piece.log_probability is not None:
                    total, told = total + piece.log_probability, True
                if monotonic() > ends:
                    raise Problem(self._slow(self.timeout, "a short answer"))
        if text and not told:
            problem = "gives no probabilities of its tokens; ask for one answer from all passages instead"
            raise Problem(f"The model server at {self._host} {problem}.")
        return Scored(text, total)

    def _pieces(self, request: str, stop: Cancellation) -> Iterator[Piece]:
        """The model's text, after as many attempts as it takes to get the first of it. Once stopped there is none, and
        what is raised then nobody waits for."""
        for attempt in range(1, ATTEMPTS + 1):
            begun = False
            try:
                with closing(self._attempt(request, stop)) as pieces:
                    for piece in pieces:
                        begun = True
                        yield piece
                return
            except _TryAgain as failed:
                wait = failed.wait
                if wait is None:
                    # Jitter, so that those turned away together do not come back together.
                    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                if begun or attempt == ATTEMPTS or wait > LONGEST_WAIT or stop.wait(wait):
                    raise failed.problem from None

    def _attempt(self, request: str, stop: Cancellation) -> Iterator[Piece]:
        """The pieces of one request that hold something. Raises _TryAgain for what may go better the next time."""
        host, length = self._host, 0
        heard = monotonic()
        ends = heard + LONGEST_REPLY * self.timeout
        connection = _Connection()
        try:
            with (
                stop.calling(connection.end),
                self._client() as client,
                client.stream(
                    "POST", self._url, content=request, extensions={"trace": connection.opened}
                ) as response,
            ):
                self._check(response)
                for piece in text_pieces(response.iter_raw()):
                    if piece.text or piece.log_probability is not None:
                        heard = monotonic()
                        yield Piece(piece.text[: MAX_ANSWER - length], piece.log_probability)
                        length += max(1, len(piece.text))
                    elif monotonic() - heard > self.timeout:
                        raise Problem(self._silent())
                    if monotonic() > ends:
                        raise Problem(self._slow(LONGEST_REPLY * self.timeout, "an answer"))
                    if length > MAX_ANSWER:
                        yield Piece(CUT)
                        return
        except (httpx.ConnectError, httpx.ConnectTimeout):
            problem = f"Nothing answers at {host}; check the address and that the model server runs."
            raise _TryAgain(Problem(problem)) from None
        except httpx.TimeoutException:  # not tried again: a server that is too slow gets no faster by more work
            raise Problem(self._silent()) from None
        except httpx.TransportError:
            problem = f"The connection to {host} broke off; ask again, and look at the server's log if it stays so."
            raise _TryAgain(Problem(problem)) from None
        except BrokenStream as problem:
            raise Problem(f"The answer of {host} cannot be read: {problem}; ask again.") from None

    def _silent(self) -> str:
        problem = f"said nothing for {self.timeout:g} seconds; ask again or choose a smaller model"
        return f"The model at {self._host} {problem}."

    def _slow(self, seconds: float, what: str) -> str:
        return f"The model at {self._host} needs more than {seconds:g} seconds for {what}; choose a smaller model."

    def _client(self) -> httpx.Client:
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # so that nothing small unpacks to something huge
            "Content-Type": "application/json",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # A proxy from the environment may carry https, which it cannot read, and not a key in the clear.
        encrypted = self._url.scheme == "https"
        timeout = httpx.Timeout(self.timeout, connect=min(CONNECT_SECONDS, self.timeout))
        # Without encryption there is nothing to verify, and loading the certificates takes its time.
        return httpx.Client(
            headers=headers, timeout=timeout, follow_redirects=False, trust_env=encrypted, verify=encrypted
        )

    def _check(self, response: httpx.Response) -> None:
        """Raises Problem or _TryAgain unless a stream of events has begun."""
        host, status = self._host, response.status_code
        if status == 429 or status >= 500:
            what = "is too busy" if status in (429, 503) else "has failed"
            problem = f"The model server at {host} {what} (status {status}); try again later."
            raise _TryAgain(Problem(problem), _retry_after(response.headers.get("Retry-After", "")))
        if status in (401, 403):
            what = "refuses the key" if self._key else "asks for a key"
            raise Problem(f"The model server at {host} {what} (status {status}); check the key.")
        if status == 404:
            problem = "has no such model or no chat at this address (status 404); check both"
            raise Problem(f"The model server at {host} {problem}.")
        if 300 <= status < 400:
            problem = "points to another address, which is not followed; give the final address"
            raise Problem(f"The model server at {host} {problem}.")
        if status != 200:
            problem = f"refuses the request (status {status}){self._words(response)}"
            raise Problem(f"The model server at {host} {problem}.")
        if "event-stream" not in response.headers.get("Content-Type", ""):
            problem = "does not answer as a chat server does; check the address, which mostly ends in /v1"
            raise Problem(f"What runs at {host} {problem}.")

    def _words(self, response: httpx.Response) -> str:
        """What the server itself says about a refusal, unless a piece of the key is in it."""
        page, end = b"", monotonic() + CONNECT_SECONDS
        for chunk in response.iter_raw():
            page += chunk
            if len(page) > MAX_ERROR or monotonic() > end:
                return ""
        try:
            said = json.loads(page)["error"]["message"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        said = shown(said, MAX_SAID).rstrip(".")
        told = self._key and any(self._key[i : i + 6] in said for i in range(max(1, len(self._key) - 5)))
        return "" if told or not said or "\ufffd" in said else f": {said}"


def _urls() -> Callable[[Image], str]:
    """data_url that makes each photo's once."""
    made: dict[int, str] = {}

    def url(image: Image) -> str:
        if id(image) not in made:
            made[id(image)] = data_url(image)
        return made[id(image)]

    return url


def _json(message: Message, url: Callable[[Image], str]) -> dict[str, Any]:
    """A message as the protocol has it."""
    content: Any = message.text
    if message.image is not None:
        content = [
            {"type": "image_url", "image_url": {"url": url(message.image)}},
            {"type": "text", "text": message.text},
        ]
    return {"role": message.role, "content": content}


def data_url(image: Image) -> str:
    """The photo as a JPEG in a data: URL, its long side at most MAX_SIDE pixels. The argument stays."""
    photo = image.convert("RGB")
    photo.thumbnail((MAX_SIDE, MAX_SIDE))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date; None when it holds neither."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return None
