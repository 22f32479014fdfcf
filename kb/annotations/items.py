"""Items put into a project: the same ones again change nothing. Knows nothing of files but hashes of photographs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.gold import checked_gold, put_gold
from kb.annotations.photos import checked_hash
from kb.annotations.projects import NoItem, project_in, project_of
from kb.annotations.records import NewItem
from kb.annotations.tables import ItemRow, ProjectRow
from kb.annotations.texts import MAX_TEXT, checked_key, checked_question, kept
from kb.catalogue import clock
from kb.catalogue.bulk import insert_many
from kb.catalogue.database import Database
from kb.records import clean_text

MAX_KINDS = 100  # of question in a project: agreement is counted for each
_MAX_KIND = 64  # characters
_MAX_REFERENCES = 100
_AT_ONCE = 500


@dataclass(frozen=True)
class Added:
    """What came of items given: how many are new, how many were there; `refused` are the places of those whose key
    belongs to another item, `kept` those of items that were there with other reference answers, which they keep."""

    added: int
    unchanged: int
    refused: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


def checked_item(item: NewItem) -> NewItem:
    """The item as it is kept, with a key. Raises BadRequest."""
    question = checked_question(item.question)
    kind = clean_text(kept(item.kind, "The kind of question", _MAX_KIND))
    if len(item.references) > _MAX_REFERENCES:
        raise BadRequest(f"An item has more than {_MAX_REFERENCES} reference answers; leave some out.")
    references = tuple(clean_text(kept(answer, "A reference answer", MAX_TEXT)) for answer in item.references)
    said = "\0".join((item.photo or "", question))
    if item.photo is not None:
        checked_hash(item.photo)
    key = item.key or f"q-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    return replace(
        item, question=question, kind=kind, references=tuple(filter(None, references)), key=checked_key(key)
    )


def add_items(database: Database, project: str, items: Sequence[NewItem], logged: bool = False) -> Added:
    """Put items into a project, after those that are there; they wait for candidates before anybody gets one. Gold
    grades are put to those that are there too.

    logged: by the question log, which keeps them for a while (kb/annotations/retention.py). What it put there is kept
    for longer when it does so again, and for good when somebody else does. Raises BadRequest for what can be no item,
    and keeps none then."""
    checked = [checked_item(item) for item in items]
    added, refused, kept_there = 0, [], []
    for start in range(0, len(checked), _AT_ONCE):
        with database.writing() as session:
            _keep_longer(session, project, checked[start : start + _AT_ONCE], logged)
        with database.writing() as session:
            fresh, others, same = _add(session, project, checked[start : start + _AT_ONCE], logged)
        added += fresh
        refused += [start + place for place in others]
        kept_there += [start + place for place in same]
    return Added(added, len(items) - added - len(refused), tuple(refused), tuple(kept_there))


def _keep_longer(session: Session, project: str, items: list[NewItem], logged: bool) -> None:
    """Of those among them that the question log has put there. Before they are added, so that none goes meanwhile; and
    by itself, since who judges an item waits for its project with the item locked."""
    said = {item.key: (item.photo, item.question) for item in items}
    chosen = select(ItemRow.id, ItemRow.key, ItemRow.photo, ItemRow.question).where(
        ItemRow.project_id == project_in(session, project).id, ItemRow.key.in_(said), ItemRow.logged.is_not(None)
    )
    found = session.execute(chosen.order_by(ItemRow.id).with_for_update()).all()
    same = [row.id for row in found if said[row.key] == (row.photo, row.question)]
    if same:
        when = clock.now(session) if logged else None
        session.execute(update(ItemRow).where(ItemRow.id.in_(same)).values(logged=when))


def _add(session: Session, project: str, items: list[NewItem], logged: bool) -> tuple[int, list[int], list[int]]:
    """How many were new, the places of those refused, and of those there with other reference answers."""
    row = project_in(session, project, lock=True)
    chosen = select(ItemRow.key, ItemRow.photo, ItemRow.question, ItemRow.reference_answers)
    mine = chosen.where(ItemRow.project_id == row.id, ItemRow.key.in_([item.key for item in items]))
    found = session.execute(mine).all()
    said = {key: (photo, question) for key, photo, question, _ in found}
    known = {key: tuple(json.loads(references or "[]")) for key, _, _, references in found}
    fresh, refused, kept_there = [], [], []
    for place, item in enumerate(items):
        if item.key not in said:
            said[item.key], known[item.key] = (item.photo, item.question), item.references
            fresh.append(item)
        elif said[item.key] != (item.photo, item.question):
            refused.append(place)
        elif item.references and item.references != known[item.key]:
            kept_there.append(place)
    _check_kinds(session, row.id, {item.kind for item in fresh})
    last = session.scalar(select(func.max(ItemRow.position)).where(ItemRow.project_id == row.id))
    insert_items(session, row.id, last or 0, fresh, clock.now(session) if logged else None)
    _put_gold(session, row, [item for place, item in enumerate(items) if place not in refused])
    return len(fresh), refused, kept_there


def _put_gold(session: Session, row: ProjectRow, items: Sequence[NewItem]) -> None:
    gold = {item.key: checked_gold(project_of(row), item.gold) for item in items if item.gold}
    chosen = select(ItemRow.id, ItemRow.key).where(ItemRow.project_id == row.id, ItemRow.key.in_(gold))
    put_gold(session, {number: gold[key] for number, key in session.execute(chosen)} if gold else {})


def insert_items(
    session: Session, project: int, last: int, items: Sequence[NewItem], logged: datetime | None = None
) -> None:
    """Insert checked items into the project of this number, after the position `last`. logged: when the question log
    has put them there."""
    rows = [
        {
            "project_id": project,
            "position": last + place,
            "key": item.key,
            "photo": item.photo,
            "question": item.question,
            "kind": item.kind,
            "reference_answers": json.dumps(item.references, ensure_ascii=False) if item.references else "",
            "logged": logged,
        }
        for place, item in enumerate(items, 1)
    ]
    insert_many(session, ItemRow.__table__, rows)
    more = {"items": ProjectRow.items + len(rows)}
    session.execute(update(ProjectRow).where(ProjectRow.id == project).values(**more))


def _check_kinds(session: Session, project: int, new: set[str]) -> None:
    if not new - {""}:
        return
    kinds = set(session.scalars(select(ItemRow.kind).where(ItemRow.project_id == project).distinct()))
    if len((kinds | new) - {""}) > MAX_KINDS:
        raise BadRequest(f"A project has at most {MAX_KINDS} kinds of question; put some together.")


def items_after(project: int, after: int, limit: int, of: Any = ItemRow) -> Select:
    """Selects the items of the project of this number behind a position, in order; of: ItemRow, or its table, which
    gives plain rows."""
    chosen = select(of).where(ItemRow.project_id == project, ItemRow.position > after)
    return chosen.order_by(ItemRow.position).limit(limit)


def item_number(session: Session, project: int, key: str) -> int | None:
    return session.scalar(select(ItemRow.id).where(ItemRow.project_id == project, ItemRow.key == key))


def position_of(database: Database, project: str, key: str) -> int:
    """Of the item with this key, by which people know it. Raises BadRequest where there is none."""
    return _with_key(database, project, key).position


def number_of(database: Database, project: str, key: str) -> int:
    """Of the item with this key. Raises BadRequest where there is none."""
    return _with_key(database, project, key).id


def _with_key(database: Database, project: str, key: str) -> Row:
    with database.reading() as session:
        there = project_in(session, project)
        chosen = select(ItemRow.id, ItemRow.position).where(ItemRow.project_id == there.id, ItemRow.key == key)
        found = session.execute(chosen).one_or_none()
    if found is None:
        raise NoItem(f"The project {project} has no item {shown(key, 80)}.")
    return found
