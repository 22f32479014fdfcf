"""Which processes of the program are at work on a database, where they are reached, and whether they still live.

A process that ended is known by a lock that the system takes from it, at once on its machine, and elsewhere by its
silence. Knows nothing of what processes do.
"""

from __future__ import annotations

import logging
import secrets
import threading
from contextlib import ExitStack
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from common.problems import Problem
from kb.catalogue import alive, clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure, put
from kb.processes.peer import Peer
from kb.processes.tables import ProcessRow, SecretRow

_ALIVE_SECONDS = 5.0  # between two signs of life
SILENT = timedelta(seconds=60)  # without a sign of life a process has ended whose lock cannot be seen

log = logging.getLogger(__name__)


class ThisProcess:
    """This process as others know it, from when its id is first asked for until it is closed. From any thread."""

    def __init__(self, database: Database, address: str = "") -> None:
        self.database = database
        self._address = address
        self._id = ""
        self._lock = alive.Lock("")
        self._held = ExitStack()
        self._beginning = threading.Lock()
        self._ended = threading.Event()

    @property
    def id(self) -> str:
        """Raises Problem where the database fails."""
        with self._beginning:
            if not self._id:
                self._begin()
            return self._id

    @property
    def known(self) -> str:
        """The id, "" as long as nobody knows it."""
        return self._id

    @property
    def peer(self) -> Peer:
        return Peer(self.id, self._address)

    def close(self) -> None:
        """What it still says that it does, it does not do any more."""
        self._ended.set()
        with self._beginning:
            if self._id:
                try:
                    with self.database.writing() as session:
                        session.execute(delete(ProcessRow).where(ProcessRow.id == self._id))
                except Problem as problem:
                    log.warning("this process could not sign off: %s", problem)
            self._held.close()

    def _begin(self) -> None:
        self._lock = self._held.enter_context(alive.held(self.database.folder))
        called = secrets.token_hex(16)
        with self.database.writing() as session:
            for row in session.scalars(select(ProcessRow)).all():
                # Who had this address before has ended, since this process listens there.
                if is_lost(session, row) or (row.address == self._address and self._address):
                    session.delete(row)
            session.flush()
            self._say(session, called)
        self._id = called
        if self.database.folder is None or not self._lock.path:  # else its lock says it
            threading.Thread(target=self._live, name="alive", daemon=True).start()

    def _live(self) -> None:
        while not self._ended.wait(_ALIVE_SECONDS):
            try:
                with self.database.writing() as session:
                    self._say(session, self._id)
            except Problem:
                pass  # it passes, or whatever else asks the database says so

    def _say(self, session: Session, called: str) -> None:
        row = {"id": called, "address": self._address, "lock": self._lock.path, "alive": clock.now(session)}
        put(session, ProcessRow.__table__, [row])


def is_lost(session: Session, row: ProcessRow | None) -> bool:
    """Whether a process has ended without a word, or is not known any more."""
    if row is None:
        return True
    let_go = alive.is_let_go(row.lock)
    return clock.now(session) - row.alive > SILENT if let_go is None else let_go


def lives(session: Session, process: str) -> bool:
    return not is_lost(session, session.get(ProcessRow, process))


def secret(database: Database, name: str) -> str:
    """What all processes know by this name and nobody else does: 256 random bits, made by whoever asks first."""
    with database.writing() as session:
        make_sure(session, SecretRow.__table__, {"name": name, "value": secrets.token_hex(32)})
        return session.scalar(select(SecretRow.value).where(SecretRow.name == name))
