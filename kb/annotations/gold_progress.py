"""How many candidates with a gold grade each person judged, and how many of them rightly. Knows nothing of how gold
grades come to be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb.annotations.agreement import Measured
from kb.annotations.gold import matched
from kb.annotations.projects import project_in
from kb.annotations.settled import AT_ONCE, by_item
from kb.annotations.tables import CandidateRow, GoldRow, ItemRow, PersonRow, VerdictRow
from kb.catalogue.database import Database

_Z = 1.959963984540054  # of a 95 % interval
_GOLD, _CANDIDATE, _VERDICT = GoldRow.__table__, CandidateRow.__table__, VerdictRow.__table__


@dataclass(frozen=True)
class Tested:
    """Somebody who judged: candidates with a gold grade that they graded, how many with that grade, and the share with
    Wilson's 95 % interval."""

    name: str
    judged: int
    right: int
    share: Measured


@dataclass(frozen=True)
class GoldProgress:
    """How many candidates have a gold grade; `waiting` are gold grades of what no item has as a candidate yet."""

    candidates: int
    waiting: int
    people: tuple[Tested, ...]


def gold_progress(database: Database, project: str) -> GoldProgress:
    """For everybody who judged a candidate with a gold grade, by name. Raises BadRequest when there is no such
    project."""
    judged: Counter[int] = Counter()
    right: Counter[int] = Counter()
    candidates = waiting = last = 0
    with database.reading() as session:
        there = project_in(session, project)
        gold = select(GoldRow.item_id).join(ItemRow, ItemRow.id == GoldRow.item_id)
        items = gold.where(ItemRow.project_id == there.id).distinct().order_by(GoldRow.item_id).limit(AT_ONCE)
        while some := session.scalars(items.where(GoldRow.item_id > last)).all():
            known, unmatched = _known(session, some)
            given = by_item(session, select(_VERDICT).where(_VERDICT.c.grade.is_not(None)), _VERDICT, some)
            for verdict in (row for rows in given.values() for row in rows if row.candidate_id in known):
                judged[verdict.person_id] += 1
                right[verdict.person_id] += verdict.grade == known[verdict.candidate_id]
            candidates, waiting, last = candidates + len(known), waiting + unmatched, some[-1]
        named = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(judged)).order_by(PersonRow.name)
        people = tuple(
            Tested(name, judged[one], right[one], wilson(right[one], judged[one]))
            for one, name in session.execute(named)
        )
    return GoldProgress(candidates, waiting, people)


def wilson(right: int, judged: int) -> Measured:
    """The share with the 95 % interval of Wilson, Journal of the American Statistical Association 22 (1927)."""
    if not judged:
        return Measured(None)
    share, square = right / judged, _Z * _Z / judged
    middle = share + square / 2
    reach = _Z * math.sqrt(share * (1 - share) / judged + square / judged / 4)
    return Measured(share, max((middle - reach) / (1 + square), 0.0), min((middle + reach) / (1 + square), 1.0))


def _known(session: Session, items: Sequence[int]) -> tuple[dict[int, str], int]:
    """The gold grade of each candidate that has one; how many gold grades are of no candidate."""
    gold = by_item(session, select(_GOLD).order_by(_GOLD.c.what, _GOLD.c.mark), _GOLD, list(items))
    candidates = by_item(session, select(_CANDIDATE), _CANDIDATE, list(gold))
    known, unmatched = {}, 0
    for item, rows in gold.items():
        grades, met = matched(rows, candidates.get(item, []))
        known |= grades
        unmatched += len(rows) - len(met)
    return known, unmatched
