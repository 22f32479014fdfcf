"""Projects: made, listed, found, deleted. Knows nothing of judgments but that they go with their project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sqlalchemy import Row, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.problems import BadRequest, NotThere
from common.text import shown
from kb.annotations.names import in_other_letters
from kb.annotations.photos import Photos
from kb.annotations.records import Act, Grade, Project, Scale
from kb.annotations.tables import ItemRow, JudgmentRow, ProjectRow
from kb.annotations.texts import MAX_GUIDELINES, checked_name, kept, title
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure
from kb.processes import pooling_jobs

MAX_JUDGES = 20
_MAX_GRADES = 9  # one key of a keyboard each
_AT_ONCE = 200  # items deleted in one transaction
_BIN = "~removed"  # no project can be called so
THE_BIN = select(ProjectRow.id).where(ProjectRow.name == _BIN)
_NEVER = datetime(9000, 1, 1, tzinfo=UTC)
_STOPPED = timedelta(days=1)  # after which a project that nobody finds is neither being deleted nor imported


@dataclass(frozen=True)
class Listed:
    """A project in a list; `finished` items were judged by all who were to; `pooled`: for some item something was
    found to judge."""

    name: str
    items: int
    finished: int
    judges: int
    blind: bool
    made: datetime
    pooled: bool


def create_project(database: Database, project: Project) -> None:
    """Make a project. Its scales stay what they are for good, since judgments rest on them."""
    for scale in (project.passage_scale, project.answer_scale):
        checked_apart(checked_scale(scale))
    with database.writing() as session:
        insert_project(session, project)


def insert_project(session: Session, project: Project) -> int:
    """The new row's number. Raises BadRequest for what cannot be a project and for a name that is taken."""
    values = {
        "name": checked_name(project.name, "A project"),
        "guidelines": checked_guidelines(project.guidelines),
        "passage_scale": scale_json(checked_scale(project.passage_scale)),
        "answer_scale": scale_json(checked_scale(project.answer_scale)),
        "judges": checked_judges(project.judges),
        "blind": bool(project.blind),
        "made": clock.now(session),
    }
    with _named(session, project.name), session.begin_nested():
        return session.scalar(insert(ProjectRow).values(**values).returning(ProjectRow.id))


def change_guidelines(database: Database, project: str, guidelines: str) -> None:
    """Raises BadRequest for ones that are too long, and when there is no such project."""
    text = checked_guidelines(guidelines)
    with database.writing() as session:
        project_in(session, project, lock=True).guidelines = text


def checked_guidelines(guidelines: object) -> str:
    """As they are kept. Raises BadRequest."""
    return kept(guidelines, "The guidelines", MAX_GUIDELINES)


def checked_judges(judges: object) -> int:
    """How many people judge each item. Raises BadRequest."""
    if type(judges) is not int or not 1 <= judges <= MAX_JUDGES:
        raise BadRequest(f"Between 1 and {MAX_JUDGES} people judge each item; {shown(judges, 40)} cannot.")
    return judges


def checked_step(grade: Grade) -> Grade:
    """One grade of a scale. Raises BadRequest for what nobody can judge by."""
    if len(checked_name(grade.key, "A grade")) > 32:
        raise BadRequest(f"The grade {grade.key} has a name of more than 32 characters; shorten it.")
    title(grade.label, "The label of a grade")
    checked_gain(grade)
    return grade


def checked_gain(grade: Grade) -> int | None:
    """Raises BadRequest for what is none."""
    if grade.gain is not None and (type(grade.gain) is not int or not 0 <= grade.gain <= 100):
        raise BadRequest(f"The grade {grade.key} must have a whole number from 0 to 100 as its gain, or none.")
    return grade.gain


def checked_apart(scale: Scale) -> Scale:
    """A new scale, whose grades nobody takes for each other; scales that are there already stay. Raises BadRequest."""
    for what, names in (("names", [each.key for each in scale]), ("labels", [each.label for each in scale])):
        same = [each for each in names if [str(one).casefold() for one in names].count(str(each).casefold()) > 1]
        if same:
            raise BadRequest(
                f"Two grades of a scale have the {what} {same[0]} and {same[1]}, which people take for one; choose "
                "another for one."
            )
    return scale


def checked_scale(scale: Scale) -> Scale:
    """Raises BadRequest for what nobody can judge by."""
    if not 2 <= len(scale) <= _MAX_GRADES:
        raise BadRequest(f"A scale has between 2 and {_MAX_GRADES} grades; this has {len(scale)}.")
    for grade in scale:
        checked_step(grade)
    if len({grade.key for grade in scale}) < len(scale):
        raise BadRequest("Two grades of a scale have the same name; choose another for one.")
    return scale


def scale_json(scale: Scale) -> str:
    return json.dumps([asdict(grade) for grade in scale], ensure_ascii=False)


def scale_of(told: object) -> Scale:
    """A scale from a JSON list of objects with key, label and gain. Raises BadRequest."""
    try:
        return checked_scale(tuple(Grade(each["key"], each["label"], each["gain"]) for each in told))
    except (TypeError, KeyError):
        raise BadRequest(
            'A scale must be a list of grades such as {"key": "wrong", "label": "wrong subject", "gain": 0}.'
        ) from None


def project_in(session: Session, name: str, lock: bool = False) -> ProjectRow:
    """The row of a project. Raises BadRequest where there is none, or none any more."""
    chosen = select(ProjectRow).where(ProjectRow.name == name, ProjectRow.deleted.is_(None))
    found = session.scalar(chosen.with_for_update() if lock else chosen)
    if found is None:
        raise no_project(name)
    return found


class NoProject(NotThere):
    """There is no project of the name, or not any more."""


def no_project(name: str) -> NoProject:
    return NoProject(f"There is no project called {shown(name, 80)}, or it was deleted.")


class NoItem(NotThere):
    """An item is not in the project, or not any more."""


def no_item(session: Session, project: Row | ProjectRow, number: int) -> NoItem:
    """What is said where a project has no item of this number."""
    removed = select(JudgmentRow.id).where(
        JudgmentRow.item_id == number, JudgmentRow.project_id == project.id, JudgmentRow.act == Act.REMOVE
    )
    forgotten = select(ItemRow.id).where(ItemRow.id == number, ItemRow.question == "")
    if session.scalar(removed.limit(1)) is None and session.scalar(forgotten) is None:
        return NoItem(f"The project {project.name} has no item {number}.")
    return NoItem(
        f"This item was removed from {project.name}: nothing more is saved of it, and what was said of it counts no "
        "more. Go on with the next one."
    )


def check_item(session: Session, project: Row | ProjectRow, number: int) -> None:
    """Raises NoItem unless the project has an item of this number."""
    if not 0 <= number < 2**63:  # which no database would take
        raise NoItem(f"The project {project.name} has no item {shown(number, 40)}.")
    if session.scalar(select(ItemRow.project_id).where(ItemRow.id == number)) != project.id:
        raise no_item(session, project, number)


def bin_number(session: Session) -> int:
    """The number of the project in which the removed items of all projects lie, which nobody finds."""
    values = {"name": _BIN, "guidelines": "", "passage_scale": "[]", "answer_scale": "[]", "judges": 1}
    make_sure(session, ProjectRow.__table__, values | {"made": clock.now(session), "deleted": _NEVER})
    return session.scalar(THE_BIN)


@lru_cache
def scale_from(text: str) -> Scale:
    """A scale as it is kept."""
    return scale_of(json.loads(text))


def project_of(row: ProjectRow) -> Project:
    passages, answers = (scale_from(scale) for scale in (row.passage_scale, row.answer_scale))
    return Project(row.name, row.guidelines, passages, answers, row.judges, row.blind)


def project_called(database: Database, name: str) -> Project:
    with database.reading() as session:
        return project_of(project_in(session, name))


def projects(database: Database) -> list[Listed]:
    """All projects by name."""
    finished = (
        select(func.count())
        .where(ItemRow.project_id == ProjectRow.id, ItemRow.done >= ProjectRow.judges)
        .scalar_subquery()
    )
    pooled = exists().where(ItemRow.project_id == ProjectRow.id, ItemRow.candidates > 0)
    chosen = select(ProjectRow, finished, pooled).where(ProjectRow.deleted.is_(None)).order_by(ProjectRow.name)
    with database.reading() as session:
        return [
            Listed(row.name, row.items, done, row.judges, row.blind, row.made, bool(some))
            for row, done, some in session.execute(chosen)
        ]


def delete_project(database: Database, name: str, photos: Photos) -> None:
    """Delete a project with all that was judged in it, and the photographs that only it used.

    Whoever judges in it meanwhile is told that it is no more. One that was stopped is ended by a later one.
    """
    with database.writing() as session:
        row = project_in(session, name, lock=True)
        pooling_jobs.forget(session, row.name)
        hide(session, row)
        mine, old = row.id, clock.now(session) - _STOPPED
        left = select(ProjectRow.id).where(ProjectRow.deleted < old, ProjectRow.id != mine)
        gone = [mine, *session.scalars(left)]
    for number in gone:
        delete_hidden(database, number, photos)


def hide(session: Session, row: ProjectRow) -> None:
    """Have nobody find a project any more, or not yet; its name is free."""
    row.deleted, row.name = clock.now(session), f"~{row.id}"  # no project can be called so
    session.flush()


def show(session: Session, number: int, name: str) -> None:
    """Have a hidden project found under a name. Raises BadRequest when that is taken by now."""
    values = {"deleted": None, "name": name}
    with _named(session, name), session.begin_nested():
        session.execute(update(ProjectRow).where(ProjectRow.id == number).values(**values))


@contextmanager
def _named(session: Session, name: str) -> Iterator[None]:
    other = in_other_letters(session, ProjectRow.name, name)
    if other is not None:
        raise _taken(other)
    try:
        yield
    except IntegrityError:
        raise _taken(name) from None


def _taken(name: str) -> BadRequest:
    return BadRequest(f"There is a project called {name} already; choose another name.")


def delete_hidden(database: Database, number: int, photos: Photos) -> None:
    """Delete what is left of a project that nobody finds."""
    while _delete_some(database, number, photos):
        pass
    with database.writing() as session:
        removed = select(JudgmentRow.item_id).where(JudgmentRow.project_id == number, JudgmentRow.act == Act.REMOVE)
        session.execute(delete(ItemRow.__table__).where(ItemRow.id.in_(removed), ItemRow.project_id.in_(THE_BIN)))
        session.execute(delete(ProjectRow).where(ProjectRow.id == number))


def _delete_some(database: Database, number: int, photos: Photos) -> bool:
    with photos.changing():  # nobody keeps a photo anew between the look and the deletion
        with database.reading() as session:
            some = select(ItemRow.id, ItemRow.photo).where(ItemRow.project_id == number).limit(_AT_ONCE)
            found = session.execute(some).all()
            hashes = {photo for _, photo in found if photo}
            own = {item for item, _ in found}
            others = select(ItemRow.photo).where(ItemRow.photo.in_(hashes), ItemRow.id.not_in(own)).distinct()
            unused = hashes - set(session.scalars(others))
        if found:
            for photo in sorted(unused):  # first: a stop between leaves rows of a project that is no more
                photos.delete(photo)
            with database.writing() as session:
                session.execute(delete(ItemRow.__table__).where(ItemRow.id.in_(own)))
    return bool(found)
