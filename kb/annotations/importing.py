"""A project made again from an export (exporting.py): the same items, candidates and log, and all that follows.

Nobody finds it before it is whole. The file is untrusted: everything in it is checked as if it were given anew. People
it names who are not there are added as annotators, whatever it calls them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from common.text import shown
from kb.annotations.exporting import FORMAT
from kb.annotations.gold import checked_gold, put_gold
from kb.annotations.item_files import gold_of, json_rows
from kb.annotations.items import checked_item, insert_items
from kb.annotations.people import checked_new_name
from kb.annotations.photos import Check, Photos, checked_hash, read_photo
from kb.annotations.pools import candidate_row
from kb.annotations.projects import delete_hidden, hide, insert_project, scale_of, show
from kb.annotations.records import (
    Act,
    NewItem,
    PooledAnswer,
    PooledPassage,
    Project,
    Role,
    Said,
    What,
    discount,
)
from kb.annotations.recounting import recount
from kb.annotations.saying import changed, checked_grade
from kb.annotations.tables import CandidateRow, ItemRow, JudgmentRow, PersonRow, ProjectRow
from kb.annotations.texts import MAX_COMMENT, checked_name, kept, named
from kb.catalogue import clock
from kb.catalogue.bulk import insert_many
from kb.catalogue.database import Database
from kb.records import Note

_AT_ONCE = 100  # items
_NOT_ONE = "it is not as an export writes it"


def import_project(
    database: Database, path: Path, photos: Photos, check: Check, name: str = "", folder: Path | None = None
) -> str:
    """Make the project of an exported file, under its own name or another; the name. Photographs that are not kept
    here are taken from the folder, in which the export put them. All of it or nothing; raises Problem."""
    rows = json_rows(path)
    project = _project(path, next(rows, (named(path), "It is empty.")), name)
    with database.writing() as session:
        number = insert_project(session, project)
        row = session.scalar(select(ProjectRow).where(ProjectRow.id == number))
        hide(session, row)
    try:
        items = 0
        while some := list(islice(rows, _AT_ONCE)):
            with photos.changing():
                made = [_checked(where, row, project) for where, row in some]
                for item, _, _ in made:
                    _take_photo(item, photos, folder, check)
                with database.writing() as session:
                    _insert(session, number, items, made, path)
            items += len(made)
        recount(database, number)
        database.count_rows(*(row.__tablename__ for row in (ItemRow, CandidateRow, JudgmentRow)))
        with database.writing() as session:
            show(session, number, project.name)
    except BaseException:
        delete_hidden(database, number, photos)
        raise
    return project.name


def _project(path: Path, first: tuple[str, Mapping[str, Any] | str] | Note, name: str) -> Project:
    where, row = (first.where, first.said) if isinstance(first, Note) else first  # exports are in UTF-8
    if isinstance(row, str) or row.get("type") != "project":
        raise BadRequest(f"{named(path)} is not an export of a project: its first line is none.")
    if row.get("format") != FORMAT:
        raise BadRequest(f"{named(path)} was written by another version of this program; export the project again.")
    try:
        return Project(
            checked_name(name or row["name"], "A project"), row["guidelines"], scale_of(row["passage_scale"]),
            scale_of(row["answer_scale"]), row["judges"], row["blind"],
        )  # fmt: skip
    except KeyError as problem:
        raise BadRequest(f"{where} cannot be taken: there is no {problem.args[0]}.") from None


Checked = tuple[NewItem, list[dict[str, Any]], list[dict[str, Any]]]  # an item, its candidates, its log


def _checked(where: str, row: Mapping[str, Any] | str, project: Project) -> Checked:
    try:
        if isinstance(row, str):
            raise BadRequest(row)
        if row["type"] != "item" or not isinstance(row["references"], list):
            raise ValueError
        if row["photo"] is not None:
            checked_hash(row["photo"])
        gold = checked_gold(project, gold_of(row.get("gold", [])))
        item = checked_item(
            NewItem(row["question"], row["photo"], row["id"], row["kind"], tuple(row["references"]), gold)
        )
        candidates = [_candidate(each) for each in row["candidates"]]
        log = [_entry(each, candidates, project) for each in row["log"]]
    except Problem as problem:
        raise BadRequest(f"{where} cannot be taken: {problem}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise BadRequest(f"{where} cannot be taken: {_NOT_ONE}.") from None
    return item, candidates, log


def _candidate(told: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: told.get(name, "") for name in ("title", "section", "passage_id", "document_id", "corpus", "url")}
    if told["what"] == What.PASSAGE:
        row = candidate_row(PooledPassage(told["text"], told["found"], **texts))
    else:
        found = told["found"]
        answer = PooledAnswer(told["text"], next(iter(found), ""), tuple(told.get("citations", ())))
        row = candidate_row(answer) | {"found": candidate_row(PooledPassage(told["text"], found))["found"]}
    found = row["found"]
    return row | {
        "found": json.dumps(found, ensure_ascii=False, sort_keys=True), "weight": discount(found.values())
    }


def _entry(told: Mapping[str, Any], candidates: list[dict[str, Any]], project: Project) -> dict[str, Any]:
    place, grade, act = told["candidate"], told["grade"], Act(told["act"])
    candidate = None if place is None else candidates[_whole(place)]
    if grade is not None:
        grade = checked_grade(project.scale(candidate["what"]), grade)
    number, before, earlier = (_whole(told[name]) for name in ("number", "before", "earlier"))
    if not number or any(other is not None and not 0 < other < number for other in (before, earlier)):
        raise ValueError
    if act == Act.REMOVE or (act == Act.FINAL and grade is None) or (act == Act.UNDO and before is None):
        raise ValueError
    at = datetime.fromisoformat(told["at"])
    if not 1970 <= at.year <= 9000:
        raise ValueError
    return {
        "person": checked_name(told["person"], "A person"), "number": number, "act": act, "candidate": place,
        "at": at if at.tzinfo else at.replace(tzinfo=UTC), "grade": grade,
        "said": _said(told.get("said", {}), candidate), "before": before, "earlier": earlier,
    }  # fmt: skip


def _said(told: Mapping[str, Any], candidate: dict[str, Any] | None) -> str:
    if not isinstance(told, dict):
        raise ValueError
    said = Said.of(told)
    skipped = kept(said.skipped, "The reason", MAX_COMMENT)
    row = None if candidate is None else CandidateRow(text=candidate["text"], citations=candidate["citations"])
    rest = {"comment": said.comment, "span": said.span, "correction": said.correction, "region": said.region}
    return changed(Said(skipped=skipped), rest | {"citations": dict(said.citations)}, row).as_json()


def _whole(number: object) -> int | None:
    if number is not None and (type(number) is not int or not 0 <= number < 1 << 31):
        raise ValueError
    return number


def _take_photo(item: NewItem, photos: Photos, folder: Path | None, check: Check) -> None:
    if item.photo is None or photos.there(item.photo):
        return
    if folder is None or not folder.is_dir():
        raise BadRequest(f"The photo {item.photo} is not kept here, and there is no folder to take it from.")
    if photos.keep(read_photo(folder, item.photo), check) != item.photo:
        raise BadRequest(f"The photo {item.photo} in {shown(folder)} is another one; export the project again.")


def _insert(session: Session, number: int, last: int, made: list[Checked], path: Path) -> None:
    try:
        insert_items(session, number, last, [item for item, _, _ in made])
        of_them = select(ItemRow.id).where(ItemRow.project_id == number, ItemRow.position > last)
        ids = session.scalars(of_them.order_by(ItemRow.position)).all()
        rows = [
            row | {"item_id": item, "project_id": number}
            for item, (_, own, _) in zip(ids, made, strict=True)
            for row in own
        ]
        insert_many(session, CandidateRow.__table__, rows)
        put_gold(session, {item: new.gold for item, (new, _, _) in zip(ids, made, strict=True)})
        chosen = select(CandidateRow.item_id, CandidateRow.what, CandidateRow.content_hash, CandidateRow.id)
        there = {
            (item, what, mark): candidate
            for item, what, mark, candidate in session.execute(chosen.where(CandidateRow.item_id.in_(ids)))
        }
        people = _people(session, {entry["person"] for _, _, log in made for entry in log}, path)
        entries = list(_entries(number, ids, made, there, people))
        insert_many(session, JudgmentRow.__table__, entries)
    except DBAPIError as problem:
        if not isinstance(problem, IntegrityError) and type(problem.orig).__name__ != "UniqueViolation":
            raise
        raise BadRequest(f"{named(path)} has an item, a candidate or an entry of the log twice.") from None


def _entries(
    project: int, ids: list[int], made: list[Checked], there: Mapping[tuple[int, str, str], int],
    people: Mapping[str, int],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    for item, (_, candidates, log) in zip(ids, made, strict=True):
        for entry in log:
            values = dict(entry)
            person, place = values.pop("person"), values.pop("candidate")
            row = None if place is None else candidates[place]
            candidate = 0 if row is None else there[item, row["what"], row["content_hash"]]
            own = {"project_id": project, "item_id": item, "candidate_id": candidate, "person_id": people[person]}
            yield values | own


def _people(session: Session, names: set[str], path: Path) -> dict[str, int]:
    chosen = select(PersonRow.name, PersonRow.id).where(PersonRow.name.in_(names))
    new = names - set(dict(session.execute(chosen).all()))
    for name in sorted(new):
        try:
            checked_new_name(session, name)
        except BadRequest as problem:
            raise BadRequest(f"{named(path)} cannot be taken: {problem}") from None
        session.execute(insert(PersonRow).values(name=name, role=Role.ANNOTATOR, added=clock.now(session)))
    return dict(session.execute(chosen).all())

