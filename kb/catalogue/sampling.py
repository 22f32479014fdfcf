"""Passages from all over a corpus, without reading all of it. Knows nothing of what they are wanted for."""

from __future__ import annotations

import random

from sqlalchemy import func, select

from common.passage import Passage
from kb.catalogue.bulk import at_once
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.tables import CorpusRow, DocumentRow, PassageRow

SEED = 20250301
_DRAWN_AT_ONCE = 500  # numbers of documents
_ROUNDS = 400  # at most; where corpora were ingested in turns, many numbers belong to others


def sample(catalogue: Catalogue, corpus: str, count: int, version: int | None = None) -> list[Passage]:
    """At least `count` passages, those of whole documents drawn by chance, the same every time; all of them where there
    are no more than twice as many, and fewer where documents are hard to draw. version: as of Catalogue. Raises
    Problem."""
    if catalogue.count(corpus, version) <= 2 * count:
        return [passage for page in catalogue.stream(corpus, version=version) for passage in page]
    served = CorpusRow.served if version is None else CorpusRow.version == version
    theirs = (CorpusRow.called == corpus, served)
    first_and_last = select(func.min(DocumentRow.id), func.max(DocumentRow.id)).join(DocumentRow.corpus).where(*theirs)
    with catalogue.database.reading() as session:
        first, last = session.execute(first_and_last).one()
    rng, drawn, names = random.Random(SEED), set[int](), list[str]()
    for _ in range(_ROUNDS):
        new = {rng.randint(first, last) for _ in range(_DRAWN_AT_ONCE)} - drawn
        drawn |= new
        chosen = select(PassageRow.name).join(PassageRow.document).join(DocumentRow.corpus).where(*theirs)
        with catalogue.database.reading() as session:
            for some in at_once(sorted(new)):
                names += session.scalars(chosen.where(PassageRow.document_id.in_(some)).order_by(PassageRow.name))
        if len(names) >= count:
            break
    return catalogue.passages(names)
