"""A vision-language model that servers offer through OpenAI's chat protocol: vLLM, Ollama, llama.cpp or a hosted one.

Knows nothing of passages, prompts or answers, and leaves to others which server a request goes to (servers.py), what it
holds (server_requests.py), how a reply is read (server_events.py, replies.py) and what an error says
(server_errors.py). The key goes into one header of requests to the addresses that are set, and nowhere else: no
redirect is followed, no message holds it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from time import monotonic
from typing import NoReturn

import httpx

from common.addresses import below, each
from common.cancellation import Cancellation, current
from common.problems import Problem
from generator.answers import Anew
from generator.grounding.thoughts import SaidTokens, Thoughts
from generator.models.chat import CUT, Message, Scored, Short, nothing_said
from generator.models.replies import Failed, Piece, Reply
from generator.models.server_connection import CONNECT_SECONDS, Connection, answers, client_for, retry_after
from generator.models.server_errors import ServerError, error_page
from generator.models.server_events import BrokenStream, NoChat, events
from generator.models.server_requests import LOGPROBS, Request, Requests, photo_urls
from generator.models.servers import Server, Servers
from generator.models.yes_or_no import first_word

MAX_ANSWER = 8_000  # characters taken of what is said in a reply, whatever is sent
MAX_THOUGHT = 400_000  # characters taken of a reply with its thoughts
AT_ONCE = 4  # requests for each server, when several chats are scored
MAX_ERROR = 64 * 1024  # bytes of an error's page that are read
ATTEMPTS = 4  # at one server; each further one gives one more
FIRST_WAIT = 0.5  # seconds before the second attempt; doubles with each
LONGEST_WAIT = 20.0  # a person is waiting
SUSPECT = 15.0  # seconds of silence after which a server whose request is stopped counts as one that failed
LONGEST_REPLY = 5  # times the timeout, for all of a reply, however steadily it drips
_AGAIN = (408, 425, 429)  # with all from 500 on; what may go better the next time


class _TryAgain(Exception):
    """An attempt that failed in a way that another need not. wait: what the server asked for, in seconds. here: whether
    it may go better at the same server too. fault: whether the server is to be left out for a while."""

    def __init__(self, problem: Problem, wait: float | None = None, here: bool = True, fault: bool = True) -> None:
        self.problem, self.wait, self.here, self.fault = problem, wait, here, fault


class _NobodyThere(_TryAgain):
    """Nothing answers at a server's address."""

    def __init__(self, *hosts: str) -> None:
        where = " or ".join(hosts)
        super().__init__(Problem(f"Nothing answers at {where}; check the address and that the model server runs."))


class _Otherwise(Exception):
    """The server refused something of a request that can be left out."""


class _Tries:
    """What one request has met so far. without: the servers that it is not to go to next."""

    def __init__(self, servers: int) -> None:
        self.without: set[Server] = set()
        self._servers = servers
        self._never: set[Server] = set()
        self._wishes: dict[Server, float | None] = {}
        self._nobody: dict[str, None] = {}
        self._count = self._waits = 0

    def wait(self, server: Server, failed: _TryAgain) -> float | None:
        """Seconds before the next attempt: none while there is a server that was not tried. None where there is no use
        in another."""
        self._count += 1
        self.without.add(server)
        self._wishes[server] = failed.wait
        if isinstance(failed, _NobodyThere):
            self._nobody[server.host] = None
        if not failed.here:
            self._never.add(server)
        if self._count == ATTEMPTS - 1 + self._servers or len(self._never) == self._servers:
            return None
        if len(self.without) < self._servers:
            return 0.0
        self.without = set(self._never)
        # Jitter, so that those turned away together do not come back together.
        own = min(LONGEST_WAIT, FIRST_WAIT * 2**self._waits) * random.uniform(0.5, 1.0)
        self._waits += 1
        wishes = [wish for server, wish in self._wishes.items() if server not in self._never]
        wait = min(own if wish is None else wish for wish in wishes)
        return wait if wait <= LONGEST_WAIT else None

    def problem(self, failed: _TryAgain) -> Problem:
        """What is told when there is no further attempt."""
        return _NobodyThere(*self._nobody).problem if isinstance(failed, _NobodyThere) else failed.problem


class _Heard:
    """A reply as far as it came: how much of it is said, how much is thought, and how it ended."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Of a reply that begins, whatever was heard of another before."""
        self.reply = Reply()
        self.thoughts = Thoughts()
        self.said = 0  # characters
        self.taken = 0  # characters, with those of thoughts
        self._since = 0  # characters since the latest thought
        self.thought = False
        self.too_long = False

    def take(self, piece: Piece) -> Piece:
        """The piece, as far as there is room for it."""
        room = MAX_THOUGHT - self.taken
        text = piece.text[: room if self.thoughts.thinking else min(room, MAX_ANSWER - self._since)]
        parts = self.thoughts.said(text)
        self._count(parts)
        thought = self.thoughts.thinking or any(isinstance(part, Anew) for part in parts)
        self._since = 0 if thought else self._since + len(text)
        self.taken += max(1, len(text))
        self.thought = self.thought or piece.thought or self.thoughts.thought
        self.too_long = self._since >= MAX_ANSWER or self.taken >= MAX_THOUGHT
        return replace(piece, text=text)

    def _count(self, parts: Sequence[str | Anew]) -> None:
        for part in parts:
            self.said = 0 if isinstance(part, Anew) else self.said + len(part)

    def end(self) -> None:
        self._count(self.thoughts.rest())

    @property
    def cut(self) -> bool:
        return self.too_long or self.reply.cut


class ServedModel:
    """A ChatModel (chat.py) behind one server, or several that share the requests.

    `addresses` are those that /chat/completions is appended to, mostly ending in /v1, with spaces or commas between.
    `timeout` is how many seconds a server may send neither text nor thought; a whole reply may take LONGEST_REPLY times
    that, a short one that. `called` stands for a server's host and port in what is said, where those who read it are
    not to know them. `thinking` is how many tokens a reply may have for thought, beside those for the answer. Raises
    Problem for an address or a key that cannot be used.
    """

    context = None  # the protocol does not tell; the server says so when a prompt is too long

    def __init__(
        self, addresses: str, model: str, key: str | None = None, timeout: float = 120.0, called: str | None = None,
        thinking: int = 0,
    ) -> None:  # fmt: skip
        key = (key or "").strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise Problem("The key holds spaces or characters that no key has; copy it again.")
        found = [_server(address, called, Requests(model, thinking)) for address in each(addresses) or [""]]
        self.timeout = timeout
        self._key = key
        self._servers = Servers(found, lambda server: answers(server.look, key))
        more = f" and {len(found) - 1} more" if len(found) > 1 and not called else ""
        self._where = found[0].host + more
        self.name = model if called else f"{model} at {self._where}"

    @property
    def loading(self) -> str:
        """What a question may wait for, as a sentence; "" for nothing."""
        waiting = self._servers.waiting
        return f"The model server is busy; requests that wait for their turn: {waiting}." if waiting else ""

    @property
    def failures(self) -> int:
        """How often a server has failed since the beginning."""
        return self._servers.failures

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """The reply in pieces as they come, not empty; closing this ends the connection at once, and so does what stops
        this thread's work (common/cancellation.py), while it waits. " …" ends a reply that was cut. Raises Problem
        with a sentence when there is no reply to be had, and after the last piece for one that broke off."""
        heard = _Heard()
        with closing(self._pieces(Request(tuple(messages), max_tokens), heard, current())) as pieces:
            for piece in pieces:
                if piece.text:
                    yield piece.text
        if not heard.said:
            raise nothing_said(self.name, heard.thought, heard.cut)
        if heard.cut:
            yield CUT

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        """Each chat's reply with its probability over the tokens that the server tells of, some requests at once. They
        are asked for without thought, where the server allows that.

        Stops as `reply` does. Raises Problem as that does, and when a server gives no probabilities or a reply takes
        longer than the timeout altogether."""
        url, stop = photo_urls(), current()  # chats about one photo share its JPEG
        requests = [Request(tuple(chat), max_tokens, scored=True, url=url) for chat in chats]
        with ThreadPoolExecutor(AT_ONCE * len(self._servers.all), "score") as pool:
            # A problem cancels those not begun.
            return list(pool.map(lambda request: self._scored(request, stop), requests))

    def short_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int, yes: bool = False) -> list[Short]:
        """As score_replies, of whatever the server tells."""
        url, stop = photo_urls(), current()
        requests = [Request(tuple(chat), max_tokens, short=True, yes=yes, url=url) for chat in chats]
        with ThreadPoolExecutor(AT_ONCE * len(self._servers.all), "short") as pool:
            return list(pool.map(lambda request: self._short(request, stop), requests))

    def close(self) -> None:
        """Nothing to give back: each request has a connection of its own."""

    def _scored(self, request: Request, stop: Cancellation) -> Scored:
        heard, scored, _ = self._briefly(request, stop)
        text = scored.text()
        if text and not scored.told:
            raise _without_probabilities(self._where)
        return Scored(text + (CUT if text and heard.cut else ""), scored.log_probability, heard.thought, heard.cut)

    def _short(self, request: Request, stop: Cancellation) -> Short:
        heard, said, instead = self._briefly(request, stop)
        text = said.text()
        known = math.exp(said.log_probability) if said.told else None
        yes = None if heard.thought or not request.yes else first_word(text, instead, known)
        return Short(text, yes, heard.reply.tokens)

    def _briefly(
        self, request: Request, stop: Cancellation
    ) -> tuple[_Heard, SaidTokens, tuple[tuple[str, float], ...]]:
        """All of a short reply, with what its first word could have been."""
        heard, said, instead = _Heard(), SaidTokens(), ()
        with closing(self._pieces(request, heard, stop)) as pieces:
            for piece in pieces:
                said.add(piece.text, piece.tokens)
                instead = instead or piece.instead
        return heard, said, instead

    def _pieces(self, request: Request, heard: _Heard, stop: Cancellation) -> Iterator[Piece]:
        """The reply, after as many attempts as it takes, at whichever servers, to get the first that is shown of it.
        Once stopped there is none, and what is raised then nobody waits for."""
        tries, shown = _Tries(len(self._servers.all)), False
        while True:
            with self._servers.one(stop, tries.without, request.prefix()) as server:
                heard.begin()
                began = monotonic()
                try:
                    with closing(self._attempt(server, request, heard, stop)) as pieces:
                        for piece in list(pieces) if request.brief else pieces:
                            shown = shown or bool(piece.text)
                            yield piece
                    self._servers.answered(server, whole=True)
                    return
                except _Otherwise:  # at most once for each thing that can be left out
                    continue
                except _TryAgain as failed:
                    problem = failed
                    # Whoever stops after a long silence, such as a reranker that has no more time, was let down.
                    silent = not heard.taken and monotonic() - began >= SUSPECT
                    if failed.fault and (silent or not stop.is_set()):
                        self._servers.failed(server, failed.wait)
            wait = None if shown else tries.wait(server, problem)
            if wait is None or stop.wait(wait):
                raise tries.problem(problem) from None

    def _attempt(self, server: Server, request: Request, heard: _Heard, stop: Cancellation) -> Iterator[Piece]:
        """The pieces of one request that hold something. Raises _TryAgain for what may go better the next time, and
        _Otherwise for what goes better without something."""
        if request.scored and server.requests.refused(LOGPROBS):
            raise _TryAgain(_without_probabilities(server.host), here=False, fault=False)
        latest = monotonic()
        within = self.timeout * (1 if request.brief else LONGEST_REPLY)
        ends = latest + within
        body, known = server.requests.body(request)
        with self._asked(server, body, known, stop) as response:
            streamed = "event-stream" in response.headers.get("Content-Type", "")
            for piece in heard.reply.pieces(events(response.iter_raw(), streamed)):
                if piece:
                    latest = monotonic()
                    yield heard.take(piece)
                elif monotonic() - latest > self.timeout:
                    raise _TryAgain(self._silent(server), here=False)
                if monotonic() > ends:
                    what = "a short answer" if request.brief else "an answer"
                    problem = f"needs more than {within:g} seconds for {what}; choose a smaller model"
                    raise Problem(f"The model at {server.host} {problem}.")
                if heard.too_long:
                    return
        heard.end()
        if heard.reply.refusal:
            said = ServerError(heard.reply.refusal, "").told(self._key)
            raise Problem(f"The model {self.name} refuses to answer{said}.")
        if heard.reply.filtered:
            raise Problem(f"The filter of the model server at {server.host} cut the answer off; ask in other words.")

    @contextmanager
    def _asked(self, server: Server, body: str, known: frozenset[str], stop: Cancellation) -> Iterator[httpx.Response]:
        """The response in which a reply has begun; what goes wrong while it is read becomes a Problem or _TryAgain."""
        host, connection = server.host, Connection()
        try:
            with (
                stop.calling(connection.end),
                client_for(server.url, self._key, self.timeout) as client,
                client.stream("POST", server.url, content=body, extensions={"trace": connection.opened}) as response,
            ):
                if response.status_code != 200:
                    self._refused(server, response, body, known)
                self._servers.answered(server)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise _NobodyThere(host) from None
        except httpx.TimeoutException:  # not there again: a server that is too slow gets no faster by more work
            raise _TryAgain(self._silent(server), here=False) from None
        except httpx.TransportError:
            problem = f"The connection to {host} broke off; ask again, and look at the server's log if it stays so."
            raise _TryAgain(Problem(problem)) from None
        except BrokenStream as problem:
            problem = Problem(f"The answer of {host} cannot be read: {problem}; ask again.")
            raise _TryAgain(problem, here=False) from None
        except Failed as failed:
            meaning = failed.error.meaning()
            what, todo = meaning or ("ended the answer with an error", "ask again")
            problem = self._problem(server, what, todo, failed.error)
            raise problem if meaning else _TryAgain(problem, here=False) from None
        except NoChat:
            problem = "does not answer as a chat server does; check the address, which mostly ends in /v1"
            raise Problem(f"What runs at {host} {problem}.") from None

    def _silent(self, server: Server) -> Problem:
        problem = f"said nothing for {self.timeout:g} seconds; ask again or choose a smaller model"
        return Problem(f"The model at {server.host} {problem}.")

    def _problem(self, server: Server, what: str, todo: str, error: ServerError) -> Problem:
        """What the server does and what to do, with the server's own words."""
        return Problem(f"The model server at {server.host} {what}{'; ' * bool(todo)}{todo}{error.told(self._key)}.")

    def _refused(self, server: Server, response: httpx.Response, body: str, known: frozenset[str]) -> NoReturn:
        """Raises what a response says that begins no reply."""
        status = response.status_code
        if 300 <= status < 400:
            problem = "points to another address, which is not followed; give the final address"
            raise Problem(f"The model server at {server.host} {problem}.")
        error = error_page(_page(response))
        again, todo = False, ""
        if status in (401, 403):
            what, todo = "refuses the key" if self._key else "asks for a key", "check the key"
        elif status not in (402, 429) and server.requests.learn(body, known, error):
            raise _Otherwise
        elif meaning := error.meaning(status):
            what, todo = meaning
        elif status in _AGAIN or status >= 500:
            again, what, todo = True, "is too busy" if status in (429, 503) else "has failed", "try again later"
        elif status == 404:
            what, todo = "has no such model or no chat at this address", "check both"
        else:
            what = "refuses the request"
        problem = self._problem(server, f"{what} (status {status})", todo, error)
        raise _TryAgain(problem, retry_after(response.headers.get("Retry-After", ""))) if again else problem


def _server(address: str, called: str | None, requests: Requests) -> Server:
    url, look = below(address, "/chat/completions"), below(address, "/models")
    if url is None or look is None:
        raise Problem(
            "The model server's address must look like http://localhost:8000/v1, with no user and no question mark; "
            "several have spaces or commas between."
        )
    return Server(url, look, called or url.netloc.decode("ascii"), requests)


def _without_probabilities(where: str) -> Problem:
    problem = "gives no probabilities of its tokens; ask for one answer from all passages instead"
    return Problem(f"The model server at {where} {problem}.")


def _page(response: httpx.Response) -> bytes:
    """The page of an error; nothing of one that is huge or drips."""
    page, end = b"", monotonic() + CONNECT_SECONDS
    for chunk in response.iter_raw():
        page += chunk
        if len(page) > MAX_ERROR or monotonic() > end:
            return b""
    return page
