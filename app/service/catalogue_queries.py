"""Reading in the catalogue, for a page: documents in order, passages by their words, a document with what it holds.

Knows the catalogue; nothing of pages, of SQL or of ingestions. Every function raises Problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.passage import Passage
from common.problems import BadRequest
from kb.catalogue import Catalogue
from kb.records import Document, TextHit


@dataclass(frozen=True)
class Opened:
    """A document and the first of its passages. twins: by a passage's id those that say the same, and how nearly."""

    document: Document
    passages: Sequence[Passage]
    twins: Mapping[str, Sequence[tuple[Passage, float]]]


def documents(catalogue: Catalogue, corpus: str, after: str, most: int) -> list[Document]:
    """Those of a corpus that came after the document with an id; from the first for ""."""
    return catalogue.browse(corpus, after, most)


def found(catalogue: Catalogue, words: str, corpus: str, most: int) -> list[TextHit]:
    """The passages of a corpus that best match any of the words."""
    return catalogue.search_text(words, most, corpus)


def opened(catalogue: Catalogue, document_id: str, most: int) -> Opened:
    """A document with its first `most` passages."""
    there = catalogue.documents([document_id])
    if not there:
        raise BadRequest("This document is not in the catalogue any more.")
    passages = catalogue.passages_of(document_id, most)
    twins = catalogue.twins([passage.id for passage in passages])
    known = {each.id: each for each in catalogue.passages([id for pairs in twins.values() for id, _ in pairs])}
    return Opened(
        there[0],
        passages,
        {id: [(known[twin], how) for twin, how in pairs if twin in known] for id, pairs in twins.items()},
    )
