"""How candidates are called before those who judge them: by what they are and their content hash. Their numbers were
given as retrievers found them, one pool after another, and would tell who judges blind what ranks and runs they are of.

Knows nothing of what is said of them.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from common.problems import BadRequest
from common.text import shown
from kb.annotations.projects import check_item, project_in
from kb.annotations.tables import CandidateRow
from kb.catalogue.database import Database

_CANDIDATE = CandidateRow.__table__


def called(what: str, content_hash: str) -> str:
    """Within its item nothing else is called so."""
    return f"{what}-{content_hash}"


def candidate_called(database: Database, project: str, item: int, name: str) -> int:
    """The number of a candidate of an item. Raises Problem."""
    what, _, mark = name.partition("-")
    with database.reading() as session:
        check_item(session, project_in(session, project), item)
        ours = select(_CANDIDATE.c.id).where(_CANDIDATE.c.item_id == item)
        number = session.scalar(ours.where(_CANDIDATE.c.what == what, _CANDIDATE.c.content_hash == mark))
    if number is None:
        raise BadRequest(f"The item has no candidate {shown(name, 60)}; load it anew.")
    return number


def names_of(database: Database, numbers: Collection[int | None]) -> dict[int | None, str | None]:
    """What candidates are called; None, which is the item itself, by nothing."""
    asked = select(_CANDIDATE.c.id, _CANDIDATE.c.what, _CANDIDATE.c.content_hash)
    with database.reading() as session:
        rows = session.execute(asked.where(_CANDIDATE.c.id.in_(set(numbers) - {None})))
        return {None: None} | {row.id: called(row.what, row.content_hash) for row in rows}
