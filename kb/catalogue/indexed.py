"""What each index keeps: which passages, and what they said when they were indexed.

The index itself is elsewhere and nothing is known of it but its name. Whoever changes one keeps to an order, so that a
stop at any point is seen: a passage is forgotten here before it leaves the index or changes in it, and remembered here
after it is in the index. So what is remembered is in the index as it is remembered; what is in the index and not
remembered may be anything. Every method raises Problem when the database fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Delete, delete, func, or_, select

from kb.catalogue.bulk import at_once, insert_many
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.tables import IndexedRow, IndexRow, PassageRow

_READ_AT_ONCE = 5_000


class IndexRecord:
    """The record of the index called `name`, of passages of `corpus` (of a later version: `corpus@2`)."""

    def __init__(self, catalogue: Catalogue, name: str, corpus: str) -> None:
        self._database = catalogue.database
        self.name, self.corpus = name, corpus

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, content hash) of every passage remembered, by id, read some thousand at a time."""
        last = ""
        while True:
            some = (
                select(IndexedRow.passage, IndexedRow.content_hash)
                .join(IndexRow, IndexRow.id == IndexedRow.index_id)
                .where(IndexRow.name == self.name, IndexedRow.passage > last)
                .order_by(IndexedRow.passage)
                .limit(_READ_AT_ONCE)
            )
            with self._database.reading() as session:
                rows = session.execute(some).all()
            yield from ((passage, content_hash) for passage, content_hash in rows)
            if len(rows) < _READ_AT_ONCE:
                return
            last = rows[-1][0]

    def count(self) -> int:
        """How many passages are remembered."""
        theirs = select(func.count()).select_from(IndexedRow).join(IndexRow, IndexRow.id == IndexedRow.index_id)
        with self._database.reading() as session:
            return session.scalar(theirs.where(IndexRow.name == self.name)) or 0

    def remembered(self, ids: Sequence[str]) -> dict[str, str]:
        """The content hash of each of these that is remembered."""
        found: dict[str, str] = {}
        with self._database.reading() as session:
            for some in at_once(ids):
                theirs = (
                    select(IndexedRow.passage, IndexedRow.content_hash)
                    .join(IndexRow, IndexRow.id == IndexedRow.index_id)
                    .where(IndexRow.name == self.name, IndexedRow.passage.in_(some))
                )
                found.update((passage, content_hash) for passage, content_hash in session.execute(theirs))
        return found

    def outdated(self) -> list[str]:
        """The ids remembered of passages that are not in the catalogue any more or say something else now."""
        theirs = (
            select(IndexedRow.passage)
            .join(IndexRow, IndexRow.id == IndexedRow.index_id)
            .outerjoin(PassageRow, PassageRow.name == IndexedRow.passage)
            .where(
                IndexRow.name == self.name,
                or_(PassageRow.id.is_(None), PassageRow.content_hash != IndexedRow.content_hash),
            )
            .order_by(IndexedRow.passage)
        )
        with self._database.reading() as session:
            return list(session.scalars(theirs))

    def remember(self, passages: Sequence[tuple[str, str]]) -> None:
        """That the index keeps these (id, content hash), all or none of them, as they are now."""
        with self._database.writing() as session:
            number = session.scalar(select(IndexRow.id).where(IndexRow.name == self.name))
            if number is None:
                row = IndexRow(name=self.name, corpus=self.corpus)
                session.add(row)
                session.flush()
                number = row.id
            ids = [passage for passage, _ in passages]
            for some in at_once(ids):
                session.execute(_of(number, some))
            rows = [{"index_id": number, "passage": p, "content_hash": h} for p, h in passages]
            insert_many(session, IndexedRow.__table__, rows)

    def forget(self, ids: Iterable[str]) -> None:
        """That the index keeps these; it may go on keeping them."""
        with self._database.writing() as session:
            number = session.scalar(select(IndexRow.id).where(IndexRow.name == self.name))
            for some in at_once(list(ids)) if number is not None else ():
                session.execute(_of(number, some))

    def forget_all(self) -> None:
        """The whole index."""
        with self._database.writing() as session:
            session.execute(delete(IndexRow).where(IndexRow.name == self.name))


def records(catalogue: Catalogue) -> list[IndexRecord]:
    """The record of every index, by name."""
    with catalogue.database.reading() as session:
        found = session.execute(select(IndexRow.name, IndexRow.corpus).order_by(IndexRow.name))
        return [IndexRecord(catalogue, name, corpus) for name, corpus in found]


def _of(number: int, ids: Sequence[str]) -> Delete:
    return delete(IndexedRow.__table__).where(IndexedRow.index_id == number, IndexedRow.passage.in_(ids))
