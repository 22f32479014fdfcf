"""A thin client of CiteSight's HTTP API, for programs and notebooks. It needs httpx alone, and nothing else of this
project: the file can be copied to where it is used. Who judges takes app/judging_client.py as well.

    from app.client import Client

    with Client("http://127.0.0.1:7860", key="cs_...") as citesight:
        answer = citesight.ask("Where does this animal live?", "lion.jpg")
        print(answer.text, [answer.passages[each.number - 1].title for each in answer.citations])
        more = citesight.ask("How heavy is it?", "lion.jpg", earlier=[answer.turn])

Everything that goes wrong is a CiteSightError, whose text is one sentence. Knows nothing of how questions are answered.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

Photo = str | Path | bytes | None  # a path, or what is in the file
Region = tuple[float, float, float, float]  # left, top, right, bottom as fractions of the photo
T = TypeVar("T")

_SECONDS = 900.0  # for an answer; the server ends what takes longer


class CiteSightError(Exception):
    """What went wrong, as a sentence. status: of HTTP, 0 where the server was not reached."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Picture:
    """A picture that stands beside a passage; Client.picture gets it by its `content_hash`."""

    content_hash: str
    caption: str = ""
    licence: str = ""
    author: str = ""
    url: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Passage:
    """A piece of text with where it is from. Of one that was found for a question, rank (from 1) and score are set."""

    id: str
    title: str
    text: str
    url: str = ""
    licence: str = ""
    corpus: str = ""
    section: str = ""
    rank: int = 0
    score: float = 0.0
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Citation:
    """A place that an answer rests on: the text from `start` to `end` of the passage with the rank `number`."""

    number: int
    passage_id: str
    quote: str
    start: int
    end: int


@dataclass(frozen=True)
class Evidence:
    """What was found for a question, best first. subject: the title of what the photo shows, "" where that is not
    known. told: all that the server said."""

    question: str
    searched: str
    passages: tuple[Passage, ...]
    subject: str = ""
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answer(Evidence):
    """text: the answer, with [rank] of the passages it cites. answered: False when the evidence does not say, and
    `reason` then why not. turn: to be given as one of `earlier` with the next question."""

    text: str = ""
    answered: bool = False
    reason: str = ""
    broken: str = ""
    citations: tuple[Citation, ...] = ()
    own: str | None = None
    turn: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Stage:
    """What happens: waiting for its turn, after `before` others, or working. said: what is waited for, a sentence."""

    stage: str
    before: int = 0
    said: str = ""


@dataclass(frozen=True)
class Piece:
    """The next piece of the answer. text: all of it so far. own: whether it is what the model says without passages."""

    piece: str
    text: str
    own: bool = False


@dataclass(frozen=True)
class Corpus:
    """A collection; the `usual` one is asked where a question names none."""

    name: str
    title: str
    licence: str
    language: str
    documents: int
    passages: int
    usual: bool


@dataclass(frozen=True)
class Status:
    """Whether questions can be answered now, and else what is waited for."""

    ready: bool
    waiting_for: tuple[str, ...]
    state: str
    indexed: int
    total: int
    message: str


class Client:
    """One server. key: what `python -m app keys add` told, None where none is needed. Use it from one thread."""

    def __init__(
        self, address: str = "http://127.0.0.1:7860", key: str | None = None, seconds: float = _SECONDS
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {_checked_key(key)}"}
        timeout = httpx.Timeout(seconds, connect=10.0)
        self._address = address.strip().rstrip("/")
        with _sendable():
            self._http = httpx.Client(base_url=f"{self._address}/api/v1/", headers=headers, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ask(
        self, question: str, photo: Photo = None, *, corpora: Sequence[str] | None = None, passages: int | None = None,
        region: Region | None = None, earlier: Sequence[Mapping[str, str]] = (), text: str | None = None,
        each: bool = False, own: bool = False,
    ) -> Answer:  # fmt: skip
        """Answer a question. corpora: names, None for the usual one. passages: how many to find. region: the part of
        the photo that is asked about. earlier: the `turn` of earlier answers, oldest first. text: what is written in
        the photo. each: ask the model of each passage alone. own: say too what the model answers without passages."""
        sent = _question(question, photo, corpora, passages, region, earlier, text) | {"each": each, "own": own}
        return understood(self._post("ask", sent), _answer)

    def stream(
        self, question: str, photo: Photo = None, *, corpora: Sequence[str] | None = None, passages: int | None = None,
        region: Region | None = None, earlier: Sequence[Mapping[str, str]] = (), text: str | None = None,
        each: bool = False, own: bool = False,
    ) -> Iterator[Stage | Evidence | Piece | Answer]:  # fmt: skip
        """The same as it comes: Stage, Evidence and Piece, last the Answer. Closing the iterator ends the question."""
        sent = _question(question, photo, corpora, passages, region, earlier, text) | {"each": each, "own": own}
        said = {"piece": "", "own": ""}
        try:
            with closing(self._reply("POST", "ask", stream=True, json={**sent, "stream": True})) as reply:
                for kind, data in _events(_lines(check(reply, "text/event-stream").iter_text())):
                    step = understood(reply, partial(_step, kind, said), data)
                    if step is not None:
                        yield step
                    if isinstance(step, Answer):
                        return
            raise CiteSightError("The answer broke off; ask again.")
        except httpx.HTTPError as problem:
            raise self._unreached(problem) from problem

    def evidence(
        self, question: str, photo: Photo = None, *, corpora: Sequence[str] | None = None, passages: int | None = None,
        region: Region | None = None, earlier: Sequence[Mapping[str, str]] = (), text: str | None = None,
    ) -> Evidence:  # fmt: skip
        """The passages for a question, without an answer; with what `ask` takes."""
        sent = _question(question, photo, corpora, passages, region, earlier, text)
        return understood(self._post("evidence", sent), _evidence)

    def passage(self, id: str) -> Passage:
        return understood(self._get("passage", id=id), _passage)

    def picture(self, content_hash: str, small: bool = False) -> bytes:
        """A picture of a document, as a JPEG."""
        return check(self._get(f"pictures/{content_hash}{'.small' if small else ''}.jpg"), "image/").content

    def corpora(self) -> list[Corpus]:
        return understood(self._get("corpora"), partial(all_made, Corpus))

    def status(self) -> Status:
        return understood(self._get("status"), _status)

    def _get(self, path: str, **values: str | int) -> httpx.Response:
        return self._reply("GET", path, params=values)

    def _post(self, path: str, sent: Mapping[str, Any]) -> httpx.Response:
        return self._reply("POST", path, json=sent)

    def _reply(self, method: str, path: str, *, stream: bool = False, **sent: Any) -> httpx.Response:
        """A good one. stream: it is still to be read, and to be closed."""
        with _sendable():
            request = self._http.build_request(method, path, **sent)
        try:
            return check(self._http.send(request, stream=stream))
        except httpx.HTTPError as problem:
            raise self._unreached(problem) from problem

    def _unreached(self, problem: Exception) -> CiteSightError:
        if isinstance(problem, httpx.ReadTimeout):
            return CiteSightError("The answer took too long; ask again, or give the client more seconds.")
        quotes = isinstance(problem, httpx.LocalProtocolError)  # what was sent, and with it the key
        reason = ("" if quotes else str(problem)) or type(problem).__name__
        return CiteSightError(f"CiteSight at {self._address} was not reached ({reason}); start it, or try again.")


def _question(
    question: str,
    photo: Photo,
    corpora: Sequence[str] | None,
    passages: int | None,
    region: Region | None,
    earlier: Sequence[Mapping[str, str]],
    text: str | None,
) -> dict[str, Any]:
    given = {
        "question": question, "photo": _encoded(photo), "corpora": None if corpora is None else list(corpora),
        "passages": passages, "region": region, "earlier": [dict(turn) for turn in earlier], "text": text,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _encoded(photo: Photo) -> str | None:
    if photo is None:
        return None
    try:
        data = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: of a name that no file can have
        why = getattr(problem, "strerror", problem)
        raise CiteSightError(f"The photo {photo!s:.200} cannot be read ({why}); check its name.") from None
    return base64.b64encode(data).decode()


def _checked_key(key: str) -> str:
    """What is told of a wrong key does not hold it."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise CiteSightError("The key is empty or has characters that no key has; give it as it was printed.")
    return key


@contextmanager
def _sendable() -> Iterator[None]:
    """What cannot be sent is told in a sentence: a number that is none, half a character, an address that is none."""
    try:
        yield
    except (httpx.InvalidURL, ValueError, TypeError, RecursionError) as problem:
        raise CiteSightError(f"This cannot be sent ({str(problem).rstrip('.')}); give something else.") from None


def understood(reply: httpx.Response, make: Callable[[Any], T], data: str | None = None) -> T:
    """What is made of the JSON of a reply, or of that of an event in it. Where that fails it is another server's."""
    try:
        return make(json.loads(reply.content if data is None else data))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise _another(reply) from problem


def check(reply: httpx.Response, kind: str = "") -> httpx.Response:
    """The reply, if it is a good one. kind: what its content type begins with."""
    if not reply.is_success:
        reply.read()
        raise _problem_in(reply)
    if not reply.headers.get("content-type", "").startswith(kind):
        raise _another(reply)
    return reply


def _another(reply: httpx.Response) -> CiteSightError:
    sentence = f"What answers at {reply.url.host} is no CiteSight that this client knows; check the address."
    return CiteSightError(sentence, reply.status_code)


def _problem_in(reply: httpx.Response) -> CiteSightError:
    if reply.has_redirect_location:
        sentence = f"The server is elsewhere ({reply.headers['location'][:200]}); give the client that address."
    else:
        try:
            sentence = f"{reply.json()['problem']}"
        except (ValueError, LookupError, TypeError, RecursionError):  # of what stands before the API, such as a proxy
            sentence = f"The server said {reply.status_code}: {' '.join(reply.text.split())[:200] or 'nothing'}."
    return CiteSightError(sentence, reply.status_code)


def _step(kind: str, said: dict[str, str], told: Any) -> Stage | Evidence | Piece | Answer | None:
    """What an event tells. said: the texts so far, by kind."""
    if kind == "problem":
        raise CiteSightError(told["problem"], told["status"])
    if kind == "stage":
        return made(Stage, told)
    if kind == "evidence":
        return _evidence(told)
    if kind == "result":
        return _answer(told)
    if kind not in said:  # of a newer server
        return None
    said[kind] = said[kind][: told["at"]] + told["text"]
    return Piece(told["text"], said[kind], kind == "own")


def _lines(texts: Iterator[str]) -> Iterator[str]:
    """Line feeds alone end them: what else ends lines for Python, and httpx, may stand within the texts of an event."""
    rest = ""
    for text in texts:
        *lines, rest = (rest + text).split("\n")
        yield from (line.removesuffix("\r") for line in lines)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """The server-sent events: the kind and the data of each."""
    kind = data = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data += value
        elif not line and data:
            yield kind, data
            kind = data = ""


def made(kind: type[T], told: Mapping[str, Any]) -> T:
    """Of a newer server's answer what this client knows."""
    return kind(**{each.name: told[each.name] for each in fields(kind) if each.name in told})


def all_made(kind: type[T], told: Any) -> list[T]:
    if not isinstance(told, list):
        raise TypeError("this is no list")
    return [made(kind, each) for each in told]


def _status(told: Mapping[str, Any]) -> Status:
    return made(Status, {**told, "waiting_for": tuple(told["waiting_for"])})


def _passage(told: Mapping[str, Any]) -> Passage:
    pictures = tuple(made(Picture, each) for each in told.get("pictures", ()))
    return made(Passage, {**told, "pictures": pictures})


def _evidence(told: Mapping[str, Any], kind: type[Evidence] = Evidence, **more: Any) -> Any:
    subject = (told.get("subject") or {}).get("title", "")
    passages = tuple(_passage(each) for each in told["passages"])
    return made(kind, {**told, "passages": passages, "subject": subject, "told": told, **more})


def _answer(told: Mapping[str, Any]) -> Answer:
    citations = tuple(made(Citation, each) for each in told["citations"])
    return _evidence(told, Answer, citations=citations, text=told["answer"])
