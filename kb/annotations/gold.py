"""Gold: candidates of which the right grade is known. What it is is never shown to those who judge.

A mark says which candidate of an item is meant: its content hash, or the hash of its text alone, so that a grade may be
known before the passage is pooled. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Row, delete, func, select
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.people import person_in
from kb.annotations.projects import check_item, project_in, project_of
from kb.annotations.records import Gold, Project, Role, What
from kb.annotations.saying import checked_grade
from kb.annotations.tables import CandidateRow, GoldRow, ProjectRow
from kb.annotations.texts import checked_mark, kept
from kb.catalogue.database import Database
from kb.catalogue.upserts import put
from kb.records import passage_hash

MAX_GOLD = 100  # of an item

_GOLD, _CANDIDATE = GoldRow.__table__, CandidateRow.__table__


@dataclass(frozen=True)
class KnownGold:
    """The gold of an item: the grade of each of its candidates that has one, by number; and what is of no candidate
    yet."""

    grades: Mapping[int, str]
    waiting: tuple[Gold, ...]


def mark_of(text: str) -> str:
    """The mark of a candidate with this text, whatever its title."""
    return passage_hash("", "", kept(text, "The text of a gold passage"))


def checked_gold(project: Project, gold: Iterable[Gold]) -> tuple[Gold, ...]:
    """Raises BadRequest for grades that are not on the project's scales, and for too many."""
    checked = tuple(
        Gold(checked_mark(each.mark), checked_grade(project.scale(_what(each.what)), each.grade), _what(each.what))
        for each in gold
    )
    if len(checked) > MAX_GOLD:
        raise _too_many()
    return checked


def put_gold(session: Session, gold: Mapping[int, Iterable[Gold]]) -> None:
    """Put checked gold grades to items, by their numbers, in place of those of the same marks."""
    rows = {
        (item, each.what, each.mark): {"item_id": item, "what": each.what, "mark": each.mark, "grade": each.grade}
        for item, some in gold.items()
        for each in some
    }
    put(session, _GOLD, list(rows.values()))


def set_gold(database: Database, project: str, person: str, item: int, candidate: int, grade: str | None) -> None:
    """Say which grade of a candidate is known to be right; None: that none is. Raises Problem unless the person is an
    owner."""
    with database.writing() as session:
        there = _owned(session, project, person)
        of_it = (_CANDIDATE.c.id == candidate, _CANDIDATE.c.item_id == item, _CANDIDATE.c.project_id == there.id)
        row = session.execute(select(_CANDIDATE).where(*of_it)).first()
        if row is None:
            raise BadRequest(f"The item has no candidate {shown(candidate, 40)}; load it anew.")
        mine = (GoldRow.item_id == item, GoldRow.what == row.what, GoldRow.mark.in_(marks_of(row)))
        session.execute(delete(GoldRow).where(*mine))
        if grade is not None:
            put_gold(session, {item: checked_gold(project_of(there), [Gold(row.content_hash, grade, What(row.what))])})


def give_gold(database: Database, project: str, person: str, item: int, gold: Gold) -> None:
    """Give a grade to a candidate of an item that need not be there yet, in place of an earlier one. Raises as set_gold
    does, and for too many."""
    with database.writing() as session:
        there = _owned(session, project, person)
        check_item(session, there, item)
        put_gold(session, {item: checked_gold(project_of(there), [gold])})
        if session.scalar(select(func.count()).select_from(GoldRow).where(GoldRow.item_id == item)) > MAX_GOLD:
            raise _too_many()


def take_gold(database: Database, project: str, person: str, item: int, what: What, mark: str) -> None:
    """Take away the grade with this mark; where there is none, nothing. Raises as set_gold does."""
    with database.writing() as session:
        check_item(session, _owned(session, project, person), item)
        mine = (GoldRow.item_id == item, GoldRow.what == what, GoldRow.mark == mark)
        session.execute(delete(GoldRow).where(*mine))


def known_gold(database: Database, project: str, person: str, item: int) -> KnownGold:
    """Raises as set_gold does."""
    with database.reading() as session:
        check_item(session, _owned(session, project, person), item)
        rows = session.execute(select(_GOLD).where(_GOLD.c.item_id == item).order_by(_GOLD.c.what, _GOLD.c.mark)).all()
        candidates = session.execute(select(_CANDIDATE).where(_CANDIDATE.c.item_id == item)).all()
    grades, met = matched(rows, candidates)
    waiting = (Gold(row.mark, row.grade, What(row.what)) for row in rows if (row.what, row.mark) not in met)
    return KnownGold(grades, tuple(waiting))


def matched(gold: Iterable[Row], candidates: Iterable[Row]) -> tuple[dict[int, str], set[tuple[str, str]]]:
    """Of rows of one item: the gold grade of each candidate that has one, by number; and which (what, mark) are of
    one."""
    grades = {(row.what, row.mark): row.grade for row in gold}
    known: dict[int, str] = {}
    met: set[tuple[str, str]] = set()
    for each in candidates:
        marks = [(each.what, mark) for mark in marks_of(each) if (each.what, mark) in grades]
        met.update(marks)
        if marks:
            known[each.id] = grades[marks[0]]
    return known, met


def _owned(session: Session, project: str, person: str) -> ProjectRow:
    """The project's row. Raises Problem unless the person is an owner."""
    there = project_in(session, project)
    if person_in(session, person).role != Role.OWNER:
        raise BadRequest(f"{person} is no owner, and only owners see and set gold grades.")
    return there


def _too_many() -> BadRequest:
    return BadRequest(f"An item has at most {MAX_GOLD} gold grades; leave some out.")


def marks_of(candidate: Row | CandidateRow) -> tuple[str, str]:
    """Both marks of a candidate; the first goes before the other."""
    return candidate.content_hash, passage_hash("", "", candidate.text)


def _what(what: object) -> What:
    if what not in list(What):
        raise BadRequest(f"A gold grade is of a passage or an answer; {shown(what, 40)!r} is neither.")
    return What(what)
