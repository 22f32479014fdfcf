"""Links the passages of a corpus that say what an earlier one says, in the catalogue. Nothing is deleted.

How they are found is in kb/catalogue/duplicates.py. Links of passages that change or leave go with them; new passages
have none until this is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sqlalchemy import delete, select

from kb.catalogue.bulk import insert_many
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.duplicates import Progress, Twin, twins
from kb.catalogue.tables import CorpusRow, DocumentRow, PassageRow, TwinRow

_AT_ONCE = 5_000  # passages read at a time
_LINKED_AT_ONCE = 1_000


def link_twins(
    catalogue: Catalogue, corpus: str, progress: Progress = lambda stage, done, total: None
) -> int:
    """Find the twins among the passages of `corpus`, in its newest version, in place of those found before; how many.

    progress: as twins() calls it. Raises Problem."""
    newest = max((info.version for info in catalogue.versions(corpus)), default=1)
    mine = (
        select(PassageRow.id)
        .join(DocumentRow)
        .join(CorpusRow, CorpusRow.id == DocumentRow.corpus_id)
        .where(CorpusRow.called == corpus, CorpusRow.version == newest)
    )

    def fetch(numbers: Sequence[int]) -> Mapping[int, str]:
        with catalogue.database.reading() as session:
            chosen = select(PassageRow.id, PassageRow.text).where(PassageRow.id.in_(numbers))
            return {number: text for number, text in session.execute(chosen)}

    def texts() -> Iterator[tuple[int, str]]:
        last = 0
        while True:
            some = mine.with_only_columns(PassageRow.id, PassageRow.text).where(PassageRow.id > last)
            with catalogue.database.reading() as session:
                rows = session.execute(some.order_by(PassageRow.id).limit(_AT_ONCE)).all()
            yield from ((number, text) for number, text in rows)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1][0]

    found = twins(texts(), fetch, progress=progress)
    first = list(islice(found, _LINKED_AT_ONCE))  # the texts are read now
    with catalogue.database.writing() as session:
        session.execute(delete(TwinRow.__table__).where(TwinRow.passage_id.in_(mine)))
    linked = 0
    while first:
        linked += _link(catalogue, first)
        first = list(islice(found, _LINKED_AT_ONCE))
    return linked


def _link(catalogue: Catalogue, found: list[Twin]) -> int:
    """Write the links whose passages are still there; how many."""
    with catalogue.database.writing() as session:
        numbers = {number for twin in found for number in (twin.number, twin.of)}
        there = set(session.scalars(select(PassageRow.id).where(PassageRow.id.in_(numbers))))
        rows = [
            {"passage_id": twin.number, "of_id": twin.of, "similarity": twin.similarity}
            for twin in found
            if twin.number in there and twin.of in there
        ]
        insert_many(session, TwinRow.__table__, rows)
        return len(rows)
