"""Somebody who asks a server of the page by HTTP: as a program does (docs/programs.md), or as the page does.

Knows nothing of how many others there are, or of what is measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

PATIENCE = 900.0  # seconds for one answer
UPLOADS = 150  # photos that are sent from one address; the page takes some more of one in an hour
_API = "gradio_api/"
_BEFORE_IT = re.compile(r"Waiting for its turn: (?:one|\d+) questions? (?:is|are) before it")


class Failed(Exception):
    """The server gave no answer; str() is what it said instead."""


@dataclass
class User:
    """One user of a server, with an address of their own within 127.0.0.0/8, as far as this machine has such."""

    server: str
    number: int
    _sent: int = field(default=0, init=False)
    _client: httpx.Client | None = field(default=None, init=False)

    def __enter__(self) -> User:
        return self

    def __exit__(self, kind: type | None, problem: BaseException | None, where: TracebackType | None) -> None:
        if self._client is not None:
            self._client.close()

    def ask(self, photo: Path, question: str) -> dict[str, Any]:
        """What a program is answered. Raises Failed."""
        client = self._connected()
        with photo.open("rb") as file:
            sent = client.post("api/v1/ask", data={"question": question}, files={"photo": (photo.name, file)})
        return self._checked(sent).json()

    def index_state(self) -> str:
        """How far the index of the usual collection is, in a word. Raises Failed."""
        return self._checked(self._connected().get("api/v1/status")).json()["state"]

    def ask_on_the_page(self, photo: Path, question: str) -> int:
        """Asks as the button of the page does and reads the answer to its end. Returns how often it was told its place
        in the queue. Raises Failed."""
        client = self._connected()
        inputs = {"cs-photo": self._uploaded(client, photo), "cs-question": question}
        number, given = _button(client.get("config").json(), inputs)
        session = f"user{self.number}-{self._sent}"
        asked = {"data": given, "fn_index": number, "session_hash": session, "trigger_id": None}
        self._checked(client.post(f"{_API}queue/join", json=asked))
        told = 0
        with client.stream("GET", f"{_API}queue/data?session_hash={session}") as events:
            for line in events.iter_lines():
                told += _BEFORE_IT.search(line) is not None
                if '"process_completed"' in line:
                    if '"success":true' not in line.replace(" ", ""):
                        raise Failed(line)
                    return told
        raise Failed("the page's stream ended without an answer")

    def _connected(self) -> httpx.Client:
        if self._client is None or self._sent % UPLOADS == 0:
            self.__exit__(None, None, None)
            again, home = divmod(self.number, 250)
            own = f"127.{again + 1}.{self._sent // UPLOADS}.{home + 1}"
            transport = httpx.HTTPTransport(local_address=own, retries=1)
            self._client = httpx.Client(base_url=self.server, transport=transport, timeout=PATIENCE, trust_env=False)
        self._sent += 1
        return self._client

    def _uploaded(self, client: httpx.Client, photo: Path) -> dict[str, Any]:
        with photo.open("rb") as file:
            sent = self._checked(client.post(f"{_API}upload", files={"files": (photo.name, file)}))
        return {"path": sent.json()[0], "orig_name": photo.name, "meta": {"_type": "gradio.FileData"}}

    @staticmethod
    def _checked(reply: httpx.Response) -> httpx.Response:
        if reply.status_code != 200:
            raise Failed(f"{reply.status_code}: {reply.text[:300]}")
        return reply


def _button(config: dict[str, Any], inputs: dict[str, Any]) -> tuple[int, list[Any]]:
    """The page's handler that answers, and what it is given: these by the ids of components, the others as they are."""
    parts = {each["id"]: each["props"] for each in config["components"]}
    places = [
        number
        for number, one in enumerate(config["dependencies"])
        for target, event in one["targets"]
        if event == "click" and parts.get(target, {}).get("elem_id") == "cs-ask"
    ]
    one = config["dependencies"][places[-1]]
    given = [inputs.get(parts[each].get("elem_id"), parts[each].get("value")) for each in one["inputs"]]
    return places[-1], given
