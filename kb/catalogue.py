"""The catalogue: what corpora, documents and passages there are, read from an SQL database.

Safe to use from several threads, also while an ingestion writes: every call is a short transaction of its
own. It only reads; kb/ingest.py writes. Every method raises CatalogueProblem when the database fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, func, select, tuple_

from kb import textsearch
from kb.database import Database
from kb.models import CorpusRow, DocumentRow, IngestionRunRow, PassageRow, SkipRow
from kb.records import CorpusInfo, Document, Passage, TextHit

_IDS_AT_ONCE = 500


class Catalogue:
    """The catalogue at an SQLAlchemy URL, made or brought to the newest schema on opening."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def close(self) -> None:
        """Let the connections go; the catalogue is not to be used after."""
        self.database.close()

    def corpora(self) -> list[CorpusInfo]:
        """All corpora by name, with their counts."""
        with self.database.reading() as session:
            return [
                CorpusInfo(row.name, row.title, row.licence, row.language, documents, passages)
                for row, documents, passages, _ in session.execute(_corpora_counted())
            ]

    def count(self, corpus: str) -> int:
        """The number of passages of `corpus`; 0 when there is no such corpus."""
        counting = (
            select(func.count(PassageRow.id))
            .join(DocumentRow, DocumentRow.id == PassageRow.document_id)
            .join(CorpusRow, CorpusRow.id == DocumentRow.corpus_id)
            .where(CorpusRow.name == corpus)
        )
        with self.database.reading() as session:
            return session.execute(counting).scalar_one()

    def passages(self, ids: Sequence[str]) -> list[Passage]:
        """The passages called `ids`, in the order asked; unknown ids are left out."""
        found: dict[str, Passage] = {}
        wanted = list(dict.fromkeys(ids))
        with self.database.reading() as session:
            for start in range(0, len(wanted), _IDS_AT_ONCE):
                names = wanted[start : start + _IDS_AT_ONCE]
                for row in session.execute(_passages().where(PassageRow.name.in_(names))):
                    found[row[0].name] = _passage(*row)
        return [found[name] for name in ids if name in found]

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """The documents called `ids` (`Passage.document_id`), in the order asked, without unknown ones."""
        found: dict[str, Document] = {}
        wanted = list(dict.fromkeys(ids))
        with self.database.reading() as session:
            for start in range(0, len(wanted), _IDS_AT_ONCE):
                names = wanted[start : start + _IDS_AT_ONCE]
                chosen = select(DocumentRow, CorpusRow.name).join(DocumentRow.corpus)
                for row, corpus in session.execute(chosen.where(DocumentRow.name.in_(names))):
                    found[row.name] = _document(row, corpus)
        return [found[name] for name in ids if name in found]

    def stream(self, corpus: str, batch: int = 512) -> Iterator[list[Passage]]:
        """All passages of `corpus` in lists of at most `batch`, by document as ingested, then position.

        No transaction stays open between two lists, so a slow consumer holds up nobody; passages added
        meanwhile may still come.
        """
        if batch < 1:
            raise ValueError("batch must be at least 1")
        place = tuple_(PassageRow.document_id, PassageRow.position)
        after = (0, 0)
        while True:
            following = (
                _passages()
                .where(CorpusRow.name == corpus, place > after)
                .order_by(*place.clauses)
                .limit(batch)
            )
            with self.database.reading() as session:
                rows = session.execute(following).all()
            if rows:
                yield [_passage(*row) for row in rows]
            if len(rows) < batch:
                return
            after = (rows[-1][0].document_id, rows[-1][0].position)

    def search_text(self, words: str, limit: int = 10, corpus: str | None = None) -> list[TextHit]:
        """The at most `limit` passages that best match any of `words`, best first; [] without a word."""
        if limit < 1:
            raise ValueError("limit must be at least 1")
        terms = textsearch.split_words(words)
        if not terms:
            return []
        match = textsearch.ranked(self.database.dialect, terms).subquery("match")
        chosen = _passages().add_columns(match.c.score).join(match, match.c.id == PassageRow.id)
        if corpus is not None:
            chosen = chosen.where(CorpusRow.name == corpus)
        chosen = chosen.order_by(match.c.score.desc(), PassageRow.id).limit(limit)
        with self.database.reading() as session:
            return [TextHit(_passage(*row[:-1]), float(row[-1])) for row in session.execute(chosen)]

    def stats(self) -> dict[str, Any]:
        """What is in the catalogue, as JSON values: dialect, and the counts and last run of each corpus."""
        with self.database.reading() as session:
            corpora = []
            for row, documents, passages, octets in session.execute(_corpora_counted()).all():
                last = session.scalars(
                    select(IngestionRunRow)
                    .where(IngestionRunRow.corpus_id == row.id)
                    .order_by(IngestionRunRow.id.desc())
                    .limit(1)
                ).first()
                corpora.append(
                    {
                        "name": row.name,
                        "title": row.title,
                        "licence": row.licence,
                        "language": row.language,
                        "homepage": row.homepage,
                        "documents": documents,
                        "passages": passages,
                        "text_bytes": int(octets),  # MySQL sums to a Decimal
                        "last_run": None if last is None else _run(last),
                    }
                )
        return {"dialect": self.database.dialect, "corpora": corpora}

    def runs(self, corpus: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs of ingestions, newest first, as JSON values: what `stats` says of one, the corpus, and the
        first of what it skipped."""
        newest = (
            select(IngestionRunRow, CorpusRow.name)
            .join(CorpusRow, CorpusRow.id == IngestionRunRow.corpus_id)
            .order_by(IngestionRunRow.id.desc())
            .limit(limit)
        )
        if corpus is not None:
            newest = newest.where(CorpusRow.name == corpus)
        with self.database.reading() as session:
            runs = session.execute(newest).all()
            wanted = select(SkipRow).where(SkipRow.run_id.in_([run.id for run, _ in runs])).order_by(SkipRow.id)
            skips: dict[int, list[dict[str, str]]] = {}
            for skip in session.scalars(wanted):
                skips.setdefault(skip.run_id, []).append({"where": skip.place, "why": skip.reason})
        return [{"corpus": name, **_run(run), "skips": skips.get(run.id, [])} for run, name in runs]


def _corpora_counted() -> Select[tuple[CorpusRow, int, int, int]]:
    documents = select(func.count(DocumentRow.id)).where(DocumentRow.corpus_id == CorpusRow.id)
    in_corpus = (
        select(func.count(PassageRow.id))
        .join(DocumentRow, DocumentRow.id == PassageRow.document_id)
        .where(DocumentRow.corpus_id == CorpusRow.id)
    )
    octets = in_corpus.with_only_columns(func.coalesce(func.sum(PassageRow.text_bytes), 0))
    return select(
        CorpusRow, documents.scalar_subquery(), in_corpus.scalar_subquery(), octets.scalar_subquery()
    ).order_by(CorpusRow.name)


def _passages() -> Select[tuple[PassageRow, DocumentRow, str]]:
    return select(PassageRow, DocumentRow, CorpusRow.name).join(PassageRow.document).join(DocumentRow.corpus)


def _passage(row: PassageRow, document: DocumentRow, corpus: str) -> Passage:
    return Passage(
        id=row.name,
        document_id=document.name,
        corpus=corpus,
        title=row.title,
        text=row.text,
        url=document.url,
        language=document.language,
        licence=document.licence,
        position=row.position,
        section=row.section,
    )


def _document(row: DocumentRow, corpus: str) -> Document:
    return Document(
        id=row.name,
        corpus=corpus,
        title=row.title,
        url=row.url,
        language=row.language,
        licence=row.licence,
        description=row.description,
        topic=row.topic,
        content_hash=row.content_hash,
    )


def _run(row: IngestionRunRow) -> dict[str, Any]:
    return {
        "state": row.state,
        "started": row.started.isoformat(timespec="seconds"),
        "finished": None if row.finished is None else row.finished.isoformat(timespec="seconds"),
        "limit": row.asked,
        "seen": row.seen,
        "new": row.added,
        "updated": row.updated,
        "unchanged": row.unchanged,
        "skipped": row.skipped,
        "error": row.error,
    }
