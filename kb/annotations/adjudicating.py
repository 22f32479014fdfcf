"""Where people differ, by how much that matters, and the final judgments that settle it.

Knows nothing of agreement as a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.asking import candidate_of, judged_of
from kb.annotations.judging import KEEP, log_entry
from kb.annotations.people import person_in
from kb.annotations.projects import project_in
from kb.annotations.records import Act, Candidate, Judged, Role, Said, Scale
from kb.annotations.saying import changed, checked_grade
from kb.annotations.seats import locked_item, sit_down
from kb.annotations.tables import AdjudicationRow, CandidateRow, ItemRow, PersonRow, VerdictRow
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import put

_CANDIDATE, _VERDICT, _FINAL = CandidateRow.__table__, VerdictRow.__table__, AdjudicationRow.__table__


@dataclass(frozen=True)
class Disagreement:
    """A candidate on which people differ, with everybody's judgments; `matters` is the difference of gain, discounted
    by the best rank as nDCG does; `final` is what settled it."""

    item: int
    key: str
    position: int
    question: str
    kind: str
    photo: str | None
    references: tuple[str, ...]
    candidate: Candidate
    judged: tuple[Judged, ...]
    matters: float
    final: Judged | None = None


def disagreements(database: Database, project: str, person: str, limit: int = 50) -> list[Disagreement]:
    """What is not settled, what matters most first. Raises Problem unless the person may see others' judgments."""
    with database.reading() as session:
        there = project_in(session, project)
        _check_role(session, person)
        chosen = select(_CANDIDATE).where(_CANDIDATE.c.project_id == there.id, _CANDIDATE.c.matters > 0)
        most = chosen.order_by(_CANDIDATE.c.matters.desc(), _CANDIDATE.c.id).limit(limit)
        return [_side_by_side(session, row) for row in session.execute(most).all()]


def settled(database: Database, project: str, person: str, after: int = 0, limit: int = 50) -> list[Disagreement]:
    """What was settled, newest first, behind the first so many. Raises Problem as disagreements() does."""
    with database.reading() as session:
        there = project_in(session, project)
        _check_role(session, person)
        mine = (_FINAL.c.project_id == there.id, _CANDIDATE.c.project_id == there.id)
        chosen = select(_CANDIDATE).join(_FINAL, _FINAL.c.candidate_id == _CANDIDATE.c.id).where(*mine)
        newest = chosen.order_by(_FINAL.c.at.desc(), _CANDIDATE.c.id).offset(after).limit(limit)
        return [_side_by_side(session, row) for row in session.execute(newest).all()]


def settled_of(database: Database, project: str, person: str, item: int) -> dict[int, Disagreement]:
    """What was settled of one item, by candidate. Raises Problem as disagreements() does."""
    with database.reading() as session:
        there = project_in(session, project)
        _check_role(session, person)
        of_it = (_CANDIDATE.c.item_id == item, _CANDIDATE.c.project_id == there.id)
        chosen = select(_CANDIDATE).join(_FINAL, _FINAL.c.candidate_id == _CANDIDATE.c.id).where(*of_it)
        return {row.id: _side_by_side(session, row) for row in session.execute(chosen).all()}


def side_by_side(database: Database, project: str, person: str, item: int, candidate: int) -> Disagreement:
    """One candidate with everybody's judgments, agreed or not. Raises Problem as disagreements() does."""
    with database.reading() as session:
        there = project_in(session, project)
        _check_role(session, person)
        return _side_by_side(session, _row(session, there.id, item, candidate))


def adjudicate(
    database: Database,
    project: str,
    person: str,
    item: int,
    candidate: int,
    grade: str,
    *,
    comment: str = KEEP,
    correction: str = KEEP,
) -> Judged:
    """Give the final judgment of a candidate, in place of an earlier one; the log keeps all. Raises Problem unless the
    person is an adjudicator or owner."""
    given = {"comment": comment, "correction": correction}
    with database.writing(durable=True) as session:
        _check_role(session, person)
        desk = sit_down(session, project, person)
        locked_item(session, desk.project, item)
        row = _row(session, desk.project.id, item, candidate)
        scale = desk.scale(row.what)
        before = _final(session, item, candidate)
        said = changed(
            Said.of(before.said if before else ""),
            {name: value for name, value in given.items() if value is not KEEP},
            row,
        )
        at, told, grade = clock.now(session), said.as_json(), checked_grade(scale, grade)
        number = log_entry(
            session, desk, item, candidate, at, Act.FINAL, grade=grade, said=told, before=None,
            earlier=desk.top,
        )  # fmt: skip
        values = {"project_id": desk.project.id, "person_id": desk.person, "number": number, "at": at}
        put(session, _FINAL, [{"item_id": item, "candidate_id": candidate, "grade": grade, "said": told} | values])
        session.execute(update(_CANDIDATE).where(_CANDIDATE.c.id == candidate).values(matters=0.0))
        desk.keep(session)
        return Judged(item, candidate, person, number, at, grade, said, Act.FINAL)


def settled_grade(scale: Scale, final: str | None, grades: Iterable[str]) -> str | None:
    """The grade that holds of a candidate: the final one, else what most say; of as many for each, the one of less
    gain, and last one that has none."""
    if final is not None:
        return final
    given = list(grades)
    worth = {grade.key: (grade.gain is None, grade.gain or 0) for grade in scale}
    return min(set(given), key=lambda grade: (-given.count(grade), worth[grade], grade), default=None)


def _side_by_side(session: Session, row) -> Disagreement:
    item = session.scalar(select(ItemRow).where(ItemRow.id == row.item_id))
    judged = (
        select(_VERDICT, PersonRow.name)
        .join(PersonRow, PersonRow.id == _VERDICT.c.person_id)
        .where(_VERDICT.c.item_id == row.item_id, _VERDICT.c.candidate_id == row.id)
        .order_by(PersonRow.name)
    )
    everybody = tuple(judged_of(one, one.name) for one in session.execute(judged))
    final = _final(session, row.item_id, row.id)
    return Disagreement(
        item.id, item.key, item.position, item.question, item.kind, item.photo,
        tuple(json.loads(item.reference_answers or "[]")), candidate_of(row, blind=False), everybody, row.matters,
        judged_of(final, final.name) if final else None,
    )  # fmt: skip


def _final(session: Session, item: int, candidate: int):
    of_it = (_FINAL.c.item_id == item, _FINAL.c.candidate_id == candidate)
    chosen = select(_FINAL, PersonRow.name).join(PersonRow, PersonRow.id == _FINAL.c.person_id).where(*of_it)
    return session.execute(chosen).first()


def _row(session: Session, project: int, item: int, candidate: int):
    chosen = select(_CANDIDATE).where(
        _CANDIDATE.c.id == candidate, _CANDIDATE.c.item_id == item, _CANDIDATE.c.project_id == project
    )
    row = session.execute(chosen).first()
    if row is None:
        raise BadRequest(f"The item has no candidate {shown(candidate, 40)}; load it anew.")
    return row


def _check_role(session: Session, person: str) -> None:
    role = person_in(session, person).role
    if role == Role.ANNOTATOR:
        raise BadRequest(f"{person} is an annotator; only adjudicators and owners see and settle others' judgments.")
