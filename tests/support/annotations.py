"""What the tests of annotation share: small projects, photographs, all that is kept of a project to compare."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from PIL import Image
from sqlalchemy import event, or_, select, true

from common.problems import BadRequest
from kb.annotations import passwords, tables
from kb.annotations.asking import item_for, next_item
from kb.annotations.items import add_items
from kb.annotations.judging import judge, undo
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project
from kb.annotations.records import NewItem, PooledAnswer, PooledPassage, Project
from kb.catalogue.database import Database


def passage(number: int, found: dict[str, int] | None = None, text: str = "") -> PooledPassage:
    return PooledPassage(
        text or f"Passage {number} speaks of cats.", found or {"mini": number}, f"Title {number}",
        passage_id=f"notes:{number}#0", document_id=f"notes:{number}", corpus="notes",
    )  # fmt: skip


def answer(text: str = "A cat [1].", answerer: str = "quotes") -> PooledAnswer:
    return PooledAnswer(text, answerer, ({"number": 1, "passage": "notes:1#0"},))


def project(
    database: Database, items: int = 3, passages: int = 2, people: tuple[str, ...] = ("ann", "bob"), judges: int = 2,
    name: str = "cats", **also: object,
) -> None:  # fmt: skip
    """A project of questions with passages, and the people who are not there yet."""
    create_project(database, Project(name, judges=judges, **also))
    for person in people:
        try:
            add_person(database, person)
        except BadRequest:
            pass
    asked = [NewItem(f"What is number {n}?", key=f"q{n}", kind=f"kind {n % 2}") for n in range(items)]
    add_items(database, name, asked)
    for n in range(items):
        if passages:
            add_pool(database, name, f"q{n}", [passage(p) for p in range(1, passages + 1)])


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    asked: list[str] = []

    def note(connection, cursor, statement, *rest) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def photo_bytes(colour: str = "red", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, kind)
    return file.getvalue()


def three_colours() -> bytes:
    """A photo that is red on the left, white in the middle and green on the right."""
    photo = Image.new("RGB", (600, 400), "white")
    photo.paste((255, 0, 0), (0, 0, 200, 400))
    photo.paste((0, 255, 0), (400, 0, 600, 400))
    file = io.BytesIO()
    photo.save(file, "PNG")
    return file.getvalue()


def check(data: bytes) -> None:
    """As the image loader does: a sentence for what is no photo."""
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:
        raise BadRequest("The file is not a photo.") from None


def write_photo(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo_bytes(colour))
    return path


def _says_something(row: type) -> object:
    """Who only looked leaves rows that say nothing."""
    if row is tables.WorkerRow:
        return row.number > 0
    return or_(row.judged > 0, row.skipped, row.until.is_not(None)) if row is tables.AssignmentRow else true()


def derived(database: Database) -> dict[str, list[tuple]]:
    """What follows from the log, so that two ways to it can be compared."""
    kept: dict[str, list[tuple]] = {}
    for row in (tables.VerdictRow, tables.AdjudicationRow, tables.AssignmentRow, tables.WorkerRow, tables.ItemRow):
        columns = row.__table__.columns
        with database.reading() as session:
            kept[row.__tablename__] = sorted(map(repr, session.execute(select(*columns).where(_says_something(row)))))
    with database.reading() as session:
        matters = select(tables.CandidateRow.id, tables.CandidateRow.matters)
        kept["matters"] = sorted(map(repr, session.execute(matters)))
        counted: dict[tuple, int] = {}
        for row in session.scalars(select(tables.TallyRow)):
            key = (row.project_id, row.what, row.kind, row.of_id, row.pattern)
            counted[key] = counted.get(key, 0) + row.units
        kept["tallies"] = sorted((*key, units) for key, units in counted.items() if units)
    return kept


def judge_on(url: str, person: str, telling: Connection) -> None:
    """Judge in the project without end, in a process of its own; what was saved is told after it was."""
    database = Database(url)
    for turn, grade in enumerate(cycle(("answers", "subject", "wrong", "unclear"))):
        item = next_item(database, "cats", person) or item_for(database, "cats", person, 1 + turn % 8)
        for candidate in item.candidates:
            comment = f"{grade} in turn {turn} at {time.monotonic()}"
            saved = judge(database, "cats", person, item.id, candidate.id, grade=grade, comment=comment).judged
            telling.send((item.id, candidate.id, saved.number, grade, comment))
        if turn % 7 == 3:
            undo(database, "cats", person)


def hash_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed in a millisecond."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: quick)
    passwords.nobodys_hash.cache_clear()
