"""All that follows from the log made anew: verdicts, assignments, workers, tallies, the counters of items.

After an import, of which the log is all there is. In transactions of bounded size, of a project that nobody finds
meanwhile (projects.hide). Knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from kb.annotations.projects import project_of
from kb.annotations.records import Act, Project, Said
from kb.annotations.tables import (
    AdjudicationRow,
    AssignmentRow,
    CandidateRow,
    ItemRow,
    JudgmentRow,
    ProjectRow,
    TallyRow,
    VerdictRow,
    WorkerRow,
)
from kb.annotations.tallies import add_tallies, matters, patterns
from kb.catalogue.bulk import insert_many
from kb.catalogue.database import Database

_AT_ONCE = 500  # items
_RECOUNTED = 0  # TallyRow.writer_id of what no person counted

_LOG, _ITEM, _CANDIDATE = JudgmentRow.__table__, ItemRow.__table__, CandidateRow.__table__
_ASSIGNMENT, _WORKER = AssignmentRow.__table__, WorkerRow.__table__


def recount(database: Database, number: int) -> None:
    """Make anew what follows from the log of the project with this number. Items that are held stay so."""
    with database.reading() as session:
        row = session.scalar(select(ProjectRow).where(ProjectRow.id == number))
        project = project_of(row)
    tallies: Counter[tuple[str, str, int, str]] = Counter()
    judged: Counter[int] = Counter()
    last = 0
    while True:
        with database.writing() as session:
            some = select(_ITEM.c.id, _ITEM.c.kind).where(_ITEM.c.project_id == number, _ITEM.c.id > last)
            items = dict(session.execute(some.order_by(_ITEM.c.id).limit(_AT_ONCE)).all())
            if not items:
                break
            last = max(items)
            _items(session, number, project, items, tallies, judged)
    with database.writing() as session:
        session.execute(delete(TallyRow.__table__).where(TallyRow.project_id == number))
        add_tallies(session, number, _RECOUNTED, tallies)
        _workers(session, number, judged)


def what_holds(log: Iterable[Row]) -> tuple[dict[tuple[int, int, int], Row], dict[tuple[int, int], Row]]:
    """The entries of a log, in its order, that hold: by item, candidate and person; and the final ones, by item and
    candidate."""
    newest: dict[tuple[int, int, int], Row] = {}
    finals: dict[tuple[int, int], Row] = {}
    for entry in log:
        if entry.act == Act.FINAL:
            finals[entry.item_id, entry.candidate_id] = entry
            continue
        place = (entry.item_id, entry.candidate_id, entry.person_id)
        if place not in newest or newest[place].number < entry.number:
            newest[place] = entry
    return newest, finals


def _items(
    session: Session,
    number: int,
    project: Project,
    items: dict[int, str],
    tallies: Counter[tuple[str, str, int, str]],
    judged: Counter[int],
) -> None:
    """Make anew what belongs to some items, and count what belongs to all."""
    entries = session.execute(select(_LOG).where(_LOG.c.item_id.in_(items)).order_by(_LOG.c.id)).all()
    newest, finals = what_holds(entries)
    for table, rows in ((VerdictRow.__table__, newest), (AdjudicationRow.__table__, finals)):
        session.execute(delete(table).where(table.c.item_id.in_(items)))
        names = [column.name for column in table.columns]
        insert_many(session, table, [{name: getattr(row, name) for name in names} for row in rows.values()])
    grades: dict[tuple[int, int], dict[int, str]] = {}
    for (item, candidate, person), entry in newest.items():
        if candidate and entry.grade is not None:
            grades.setdefault((item, candidate), {})[person] = entry.grade
            judged[person] += 1
    candidates: Counter[int] = Counter()
    columns = (_CANDIDATE.c.id, _CANDIDATE.c.item_id, _CANDIDATE.c.what, _CANDIDATE.c.weight, _CANDIDATE.c.matters)
    apart = []
    for row in session.execute(select(*columns).where(_CANDIDATE.c.item_id.in_(items))).all():
        candidates[row.item_id] += 1
        given = grades.get((row.item_id, row.id), {})
        scale = project.scale(row.what)
        for (whose, pattern), units in patterns(scale, given).items():
            tallies[row.what, items[row.item_id], whose, pattern] += units
        worth = 0.0 if (row.item_id, row.id) in finals else matters(scale, given.values(), row.weight)
        if worth != row.matters:
            apart.append({"candidate": row.id, "worth": worth})
    if apart:
        change = update(_CANDIDATE).where(_CANDIDATE.c.id == bindparam("candidate")).values(matters=bindparam("worth"))
        session.connection().execute(change, apart)
    _seats(session, number, project, list(items), newest, grades, candidates)


def _seats(
    session: Session,
    number: int,
    project: Project,
    items: Sequence[int],
    newest: dict[tuple[int, int, int], Any],
    grades: dict[tuple[int, int], dict[int, str]],
    candidates: Counter[int],
) -> None:
    held = select(_ASSIGNMENT).where(_ASSIGNMENT.c.item_id.in_(items), _ASSIGNMENT.c.until.is_not(None))
    until = {(row.item_id, row.person_id): row.until for row in session.execute(held)}
    graded = Counter((item, person) for (item, _), given in grades.items() for person in given)
    aside = {
        (item, person)
        for (item, candidate, person), entry in newest.items()
        if not candidate and entry.said and Said.of(entry.said).skipped
    }
    begun = sorted({(item, person) for item, _, person in newest} | set(until))
    rows, taken, done = [], Counter(), Counter()
    for item, person in begun:
        ended = graded[item, person] >= candidates[item] > 0
        skipped = (item, person) in aside
        still = None if ended or skipped else until.get((item, person))
        rows.append({
            "item_id": item, "person_id": person, "project_id": number, "judged": graded[item, person],
            "done": ended, "skipped": skipped, "until": still,
        })  # fmt: skip
        taken[item] += ended or still is not None
        done[item] += ended
    session.execute(delete(_ASSIGNMENT).where(_ASSIGNMENT.c.item_id.in_(items)))
    insert_many(session, _ASSIGNMENT, rows)
    change = update(_ITEM).where(_ITEM.c.id == bindparam("item"))
    counters = {name: bindparam(f"new_{name}") for name in ("candidates", "taken", "done", "wanting")}
    session.connection().execute(change.values(**counters), [
        {
            "item": item, "new_candidates": candidates[item], "new_taken": taken[item], "new_done": done[item],
            "new_wanting": candidates[item] > 0 and taken[item] < project.judges,
        }
        for item in items
    ])  # fmt: skip


def _workers(session: Session, number: int, judged: Counter[int]) -> None:
    there = select(_WORKER.c.person_id, _WORKER.c.position).where(_WORKER.c.project_id == number)
    positions = dict(session.execute(there).all())
    last = (
        select(_LOG.c.person_id, func.max(_LOG.c.number).label("number"))
        .where(_LOG.c.project_id == number)
        .group_by(_LOG.c.person_id)
        .subquery()
    )
    entries = select(_LOG.c.person_id, _LOG.c.number, _LOG.c.act, _LOG.c.earlier).join(
        last, (last.c.person_id == _LOG.c.person_id) & (last.c.number == _LOG.c.number)
    )
    rows = [
        {
            "project_id": number, "person_id": entry.person_id, "number": entry.number,
            # What was undone and what was final is not undone again.
            "top": entry.number if entry.act in (Act.JUDGE, Act.SKIP) else entry.earlier,
            "judged": judged[entry.person_id], "position": positions.get(entry.person_id, 0),
        }
        for entry in session.execute(entries.where(_LOG.c.project_id == number)).all()
    ]  # fmt: skip
    session.execute(delete(_WORKER).where(_WORKER.c.project_id == number))
    insert_many(session, _WORKER, rows)
