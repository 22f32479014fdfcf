"""What pages show and what can be sent to annotation, kept in the database so that any process goes on with it.

Writing is done behind whoever answers, the last of several changes at a time: an answer that comes word by word is not
written word by word, and a database that is not reachable for a while holds nobody up. Knows nothing of how anything
came about.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from app.service.shown_answers import ShownAnswer
from app.web.conversations import Kept, is_id
from common.problems import Problem
from common.recently_used import RecentlyUsed
from generator.answers import Turn
from kb.catalogue.database import Database
from kb.processes import kept as stored

AGAIN = 1.0  # seconds until a database that failed is tried again
PACE = 0.5  # seconds between two writings of what changes all the time

log = logging.getLogger(__name__)


class Keeper:
    """Parts by keys, as kb/processes/kept.py has them, written soon in a thread of its own. From any thread.

    seconds: for how long they are kept after they changed last. most: keys that wait to be written at most, while the
    database is not there."""

    def __init__(self, database: Callable[[], Database], seconds: float, most: int) -> None:
        self._database, self._seconds, self._most = database, seconds, most
        self._waiting: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._let_go: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="keeping", daemon=True)
        self._thread.start()

    def put(self, key: str, parts: Mapping[str, str]) -> None:
        with self._changed:
            self._waiting.setdefault(key, {}).update(parts)
            self._waiting.move_to_end(key)
            if len(self._waiting) > self._most:
                self._waiting.popitem(last=False)
            self._changed.notify()

    def get(self, key: str) -> dict[str, str]:
        """Raises Problem."""
        with self._writing:  # what is being written is neither here nor there
            with self._changed:
                here = dict(self._waiting.get(key, {}))
            return stored.kept(self._database(), key) | here

    def hold(self, key: str, process: str, may: Callable[[Mapping[str, str]], bool]) -> bool:
        """As kb.processes.kept.hold, of what is kept by now. Raises Problem."""
        self._write(key)
        self._end_holding()
        return stored.hold(self._database(), key, process, self._seconds, may)

    def let_go(self, key: str, process: str) -> None:
        with self._changed:
            self._let_go.append((key, process))
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(2 * AGAIN)

    def _write(self, key: str) -> None:
        with self._writing:
            with self._changed:
                parts = self._waiting.pop(key, None)
            if parts is None:
                return
            try:
                stored.keep(self._database(), key, parts, self._seconds)
            except Problem:
                with self._changed:  # what came meanwhile is newer
                    self._waiting[key] = parts | self._waiting.get(key, {})
                raise

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._let_go or self._closed)
                keys, ended = list(self._waiting), self._closed
            try:
                for key in keys:
                    self._write(key)
                self._end_holding()
            except Problem as problem:
                log.warning("what pages show cannot be kept just now: %s", problem)
                if ended:
                    return
                self._pause(AGAIN)
                continue
            if ended:
                return
            self._pause(PACE)

    def _end_holding(self) -> None:
        with self._writing:
            while True:
                with self._changed:
                    if not self._let_go:
                        return
                    key, process = self._let_go[0]
                stored.let_go(self._database(), key, process)
                with self._changed:
                    self._let_go.pop(0)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)


class KeptConversations:
    """As app.web.conversations.Keeping, for all processes. process: the id of this one; may raise Problem.

    What this process has seen it knows too while the database is not there."""

    def __init__(self, keeper: Keeper, process: Callable[[], str], most: int) -> None:
        self._keeper, self._process = keeper, process
        self._seen: RecentlyUsed[Kept | None] = RecentlyUsed(most)

    def keep(self, conversation: str | None, kept: Kept) -> None:
        if not is_id(conversation):
            return
        before = self._seen.get(conversation)
        values = {each.name: getattr(kept, each.name) for each in fields(kept)}
        changed = {
            name: _text(name, value)
            for name, value in values.items()
            if before is None or getattr(before, name) != value
        }
        self._keeper.put(conversation, changed)
        self._seen.put(conversation, kept)

    def of(self, conversation: str | None) -> Kept | None:
        if not is_id(conversation):
            return None
        try:
            parts = self._keeper.get(conversation)
        except Problem:
            kept = self._seen.get(conversation)
            if kept is None:
                raise
            return kept
        kept = _kept(parts) if parts else None
        self._seen.put(conversation, kept)
        return kept

    def hold(self, conversation: str, turns: Sequence[Turn]) -> bool:
        asked = _text("turns", tuple(turns))

        def may(parts: Mapping[str, str]) -> bool:
            return parts.get("turns", asked) == asked

        try:
            return self._keeper.hold(conversation, self._process(), may)
        except Problem:  # two pages of one conversation may both write then
            return True

    def let_go(self, conversation: str) -> None:
        try:
            self._keeper.let_go(conversation, self._process())
        except Problem as problem:  # it was never held then
            log.warning("a conversation is not let go: %s", problem)


class KeptAnswers:
    """As app.web.ask.shown.ShownAnswers, for all processes."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def put(self, key: str, shown: ShownAnswer) -> None:
        self._keeper.put(key, {"shown": shown.as_text()})

    def get(self, key: str) -> ShownAnswer | None:
        text = self._keeper.get(key).get("shown")
        return None if text is None else ShownAnswer.of_text(text)


def _text(name: str, value: Any) -> str:
    return json.dumps([asdict(turn) for turn in value] if name == "turns" else value)


def _kept(parts: Mapping[str, str]) -> Kept:
    values = {each.name: json.loads(parts[each.name]) for each in fields(Kept) if each.name in parts}
    return Kept(**values | {"turns": tuple(Turn(**turn) for turn in values.get("turns", ()))})
