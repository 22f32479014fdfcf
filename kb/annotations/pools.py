"""Pools: the passages and answers to be judged for an item, put together from what retrievers and answerers gave.

A candidate is known again by its text, so a later pool adds what is new, and what was judged stays. Knows nothing of
how anything was found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.items import item_number, items_after
from kb.annotations.projects import NoItem, project_in
from kb.annotations.records import NewItem, PooledAnswer, PooledPassage, discount
from kb.annotations.seats import reopen
from kb.annotations.tables import CandidateRow, ItemRow, ProjectRow
from kb.annotations.texts import kept, title
from kb.catalogue.bulk import insert_many
from kb.catalogue.database import Database
from kb.records import passage_hash

Pooled = PooledPassage | PooledAnswer

MAX_CANDIDATES = 1_000  # of an item
_MAX_CITATIONS = 100
_AT_ONCE = 200  # items looked through
_MAX_FOUND = 100  # retrievers or answerers that gave one candidate


@dataclass(frozen=True)
class PoolReport:
    """Candidates that are new, and those given that were there already, or twice."""

    added: int
    merged: int


def add_pool(database: Database, project: str, key: str, pool: Sequence[Pooled]) -> PoolReport:
    """Put candidates to the item with this key, all or none. The same text again is one candidate, which remembers
    everybody who found it, with the newest rank. An item with new candidates is open again for those who were done
    with it. Raises BadRequest."""
    rows = [candidate_row(each) for each in pool]
    with database.writing() as session:
        there = project_in(session, project)
        number = item_number(session, there.id, key)
        if number is None:
            raise _none(project, key)
        return _merge(session, there, number, rows, key)


def _none(project: str, key: str) -> NoItem:
    return NoItem(f"The project {project} has no item {shown(key, 80)}, or not any more.")


def unpooled(
    database: Database, project: str, wanted: Mapping[str, int]
) -> tuple[int, Iterator[tuple[NewItem, set[str]]]]:
    """How many items a project has, and those, in order, that want more: each with the names of the retrievers and
    answerers of `wanted` that gave nothing for it of the rank wanted of them, or behind it. Raises BadRequest."""
    with database.reading() as session:
        there = project_in(session, project)
        number, count = there.id, there.items
    return count, _unpooled(database, number, wanted)


def _unpooled(database: Database, project: int, wanted: Mapping[str, int]) -> Iterator[tuple[NewItem, set[str]]]:
    last = 0
    while True:
        with database.reading() as session:
            items = session.scalars(items_after(project, last, _AT_ONCE)).all()
            given: dict[int, dict[str, int]] = {item.id: {} for item in items}
            found = select(CandidateRow.item_id, CandidateRow.found).where(CandidateRow.item_id.in_(given))
            for item, ranks in session.execute(found):
                for name, rank in json.loads(ranks).items():
                    given[item][name] = max(rank, given[item].get(name, 0))
            waiting = [
                (NewItem(each.question, each.photo, each.key), _lacking(given[each.id], wanted)) for each in items
            ]
        if not items:
            return
        yield from ((item, lacking) for item, lacking in waiting if lacking)
        last = items[-1].position


def _lacking(given: Mapping[str, int], wanted: Mapping[str, int]) -> set[str]:
    return {name for name, rank in wanted.items() if given.get(name, 0) < rank}


def content_hash(pooled: Pooled) -> str:
    """By what it is known again, in a pool or not. Raises BadRequest for what cannot be kept."""
    return candidate_row(pooled)["content_hash"]


def candidate_row(pooled: Pooled) -> dict[str, Any]:
    """The columns of a candidate that say what it is. Raises BadRequest for what cannot be kept."""
    text = kept(pooled.text, f"The text of a candidate {pooled.what}")
    if not text.strip():
        raise BadRequest(f"A candidate {pooled.what} has no text; leave it out.")
    if len(pooled.citations) > _MAX_CITATIONS or len(pooled.found) > _MAX_FOUND:
        raise BadRequest(f"A candidate has more than {_MAX_CITATIONS} citations or ways it was found; leave some out.")
    if not all(isinstance(cited, dict) and type(cited.get("number")) is int for cited in pooled.citations):
        raise BadRequest("A citation of an answer has no number; give each the number that its text marks it by.")
    found = {title(name, "The name of a retriever or answerer"): rank for name, rank in pooled.found.items()}
    for rank in found.values():
        if type(rank) is not int or rank < 1:
            raise BadRequest(f"The rank of a candidate is a whole number from 1; {shown(rank, 40)} is not.")
    said = {
        name: kept(getattr(pooled, name), f"The {name.replace('_', ' ')} of a candidate")
        for name in ("title", "section", "passage_id", "document_id", "corpus", "url")
    }
    cited = json.dumps(pooled.citations, sort_keys=True) if pooled.citations else ""
    return said | {
        "what": str(pooled.what),
        # Of a passage that of the catalogue; by it a candidate is known again, whatever becomes of the corpus.
        "content_hash": passage_hash(said["title"], said["section"] or cited, text),
        "text": text,
        "citations": kept(cited, "The citations of an answer"),
        "found": found,
    }


def _merge(
    session: Session, project: ProjectRow, number: int, rows: list[dict[str, Any]], key: str
) -> PoolReport:
    mine = (ItemRow.id == number, ItemRow.project_id == project.id)
    candidates = session.scalar(select(ItemRow.candidates).where(*mine).with_for_update())
    if candidates is None:  # it was removed just now
        raise _none(project.name, key)
    chosen = select(CandidateRow.what, CandidateRow.content_hash, CandidateRow.id, CandidateRow.found)
    kept_now = session.execute(chosen.where(CandidateRow.item_id == number))
    there = {(what, hash): (id, found) for what, hash, id, found in kept_now}
    found = {mark: json.loads(said) for mark, (_, said) in there.items()}
    new: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        mark = (row["what"], row["content_hash"])
        if mark not in found:
            new[mark] = row
        found.setdefault(mark, {}).update(row["found"])
    if len(found) > MAX_CANDIDATES:
        raise BadRequest(f"An item has at most {MAX_CANDIDATES:,} candidates; pool fewer.")
    for mark, (id, said) in there.items():
        values = _found(found[mark])
        if values["found"] != said:
            session.execute(update(CandidateRow).where(CandidateRow.id == id).values(**values))
    also = {"item_id": number, "project_id": project.id}
    insert_many(session, CandidateRow.__table__, [row | also | _found(found[mark]) for mark, row in new.items()])
    if new:
        values = {"candidates": candidates + len(new)}
        session.execute(update(ItemRow).where(ItemRow.id == number).values(**values))
        reopen(session, project, number)
    return PoolReport(len(new), len(rows) - len(new))


def _found(found: Mapping[str, int]) -> dict[str, Any]:
    return {"found": json.dumps(found, ensure_ascii=False, sort_keys=True), "weight": discount(found.values())}
