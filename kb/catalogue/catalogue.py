"""The catalogue: what corpora, documents and passages there are, read from an SQL database.

Safe to use from several threads, also while an ingestion writes: every call is a short transaction of its own. It only
reads; kb/catalogue/writing.py writes documents, kb/catalogue/corpora.py changes whole corpora and
kb/catalogue/indexed.py keeps what is indexed. Every method raises Problem when the database fails.

A corpus may have a newer version, cut in another way, that is still being ingested or indexed. Only the one that is
served is found here, unless a version is named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from common.passage import Passage, Picture
from kb.catalogue import rarity, text_search
from kb.catalogue.alive import is_lost
from kb.catalogue.bulk import at_once
from kb.catalogue.database import Database
from kb.catalogue.tables import (
    CorpusRow,
    DocumentRow,
    IngestionRunRow,
    NoteRow,
    PassageRow,
    PictureRow,
    SkipRow,
    TwinRow,
)
from kb.records import CorpusInfo, Document, RunState, TextHit


class Catalogue:
    """The catalogue at an SQLAlchemy URL or in a file of SQLite's, made or brought to the newest schema on opening."""

    def __init__(self, place: str | Path) -> None:
        self.database = Database(place)

    def close(self) -> None:
        """Let the connections go; the catalogue is not to be used after."""
        self.database.close()

    def corpora(self) -> list[CorpusInfo]:
        """All corpora by name, with their counts."""
        with self.database.reading() as session:
            return [_corpus(row) for row in session.scalars(_served().order_by(CorpusRow.called))]

    def versions(self, corpus: str) -> list[CorpusInfo]:
        """The one that is served and newer ones whose last ingestion went through, oldest first."""
        served = select(CorpusRow.version).where(*_is(corpus, None)).scalar_subquery()
        chosen = select(CorpusRow).where(CorpusRow.called == corpus, CorpusRow.version >= served)
        with self.database.reading() as session:
            rows = session.scalars(chosen.order_by(CorpusRow.version))
            return [_corpus(row) for row in rows if row.served or _finished(_last_run(session, row.id))]

    def cutting(self, corpus: str) -> tuple[int, int] | None:
        """How the newest version of `corpus` was cut: the most tokens of a passage and those shared; None where nobody
        cut it."""
        newest = select(CorpusRow.cutting).where(CorpusRow.called == corpus).order_by(CorpusRow.version.desc())
        with self.database.reading() as session:
            label = session.scalar(newest.limit(1))
        most, _, overlap = (label or "").partition("+")
        return (int(most), int(overlap)) if label else None

    def count(self, corpus: str, version: int | None = None) -> int:
        """The number of passages of `corpus`; 0 when there is no such corpus."""
        with self.database.reading() as session:
            return session.scalar(select(CorpusRow.passages).where(*_is(corpus, version))) or 0

    def holds(self, corpus: str) -> bool:
        """Whether any version of a corpus has a document."""
        theirs = select(DocumentRow.id).join(CorpusRow, CorpusRow.id == DocumentRow.corpus_id)
        with self.database.reading() as session:
            return session.scalar(theirs.where(CorpusRow.called == corpus).limit(1)) is not None

    def passages(self, ids: Sequence[str]) -> list[Passage]:
        """The passages called `ids`, in the order asked; unknown ids are left out."""
        found: dict[str, Passage] = {}
        wanted = list(dict.fromkeys(ids))
        with self.database.reading() as session:
            for names in at_once(wanted):
                for passage in _read(session, _passages().where(PassageRow.name.in_(names))):
                    found[passage.id] = passage
        return [found[name] for name in ids if name in found]

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """The documents called `ids` (`Passage.document_id`), in the order asked, without unknown ones."""
        found: dict[str, Document] = {}
        wanted = list(dict.fromkeys(ids))
        with self.database.reading() as session:
            for names in at_once(wanted):
                chosen = select(DocumentRow, CorpusRow.called).join(DocumentRow.corpus)
                for document in _read_documents(session, chosen.where(DocumentRow.name.in_(names))):
                    found[document.id] = document
        return [found[name] for name in ids if name in found]

    def stream(self, corpus: str, batch: int = 512, version: int | None = None) -> Iterator[list[Passage]]:
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
                .where(*_is(corpus, version), place > after)
                .order_by(*place.clauses)
                .limit(batch)
            )
            with self.database.reading() as session:
                rows = session.execute(following).all()
                passages = _with_pictures(session, rows)
            if rows:
                yield passages
            if len(rows) < batch:
                return
            after = (rows[-1][0].document_id, rows[-1][0].position)

    def search_text(self, words: str, limit: int = 10, corpus: str | None = None) -> list[TextHit]:
        """The at most `limit` passages that best match any of `words`, best first; [] without a word."""
        if limit < 1:
            raise ValueError("limit must be at least 1")
        terms = text_search.split_words(words)
        if not terms:
            return []
        served = (CorpusRow.served,) if corpus is None else _is(corpus, None)
        found: dict[int, TextHit] = {}
        with self.database.reading() as session:
            if self.database.dialect == "postgresql":
                searches = rarity.searches(session, terms, served, limit)
            else:
                searches = text_search.searches(self.database.dialect, terms)
            for scores in searches:
                match = scores.subquery("match")
                chosen = _passages().add_columns(match.c.score).join(match, match.c.id == PassageRow.id).where(*served)
                rows = session.execute(chosen.order_by(match.c.score.desc(), PassageRow.id).limit(limit)).all()
                passages = _with_pictures(session, [row[:3] for row in rows])
                for (row, *_, score), passage in zip(rows, passages, strict=True):
                    if row.id not in found or score > found[row.id].score:
                        found[row.id] = TextHit(passage, float(score))
        return [hit for _, hit in sorted(found.items(), key=lambda each: (-each[1].score, each[0]))[:limit]]

    def browse(self, corpus: str, after: str = "", limit: int = 20) -> list[Document]:
        """Documents of `corpus` in the order they came: those after the document of that id, from the first for ""."""
        chosen = select(DocumentRow, CorpusRow.called).join(DocumentRow.corpus).where(*_is(corpus, None))
        if after:
            place = select(DocumentRow.id).where(DocumentRow.name == after).scalar_subquery()
            chosen = chosen.where(DocumentRow.id > place)
        with self.database.reading() as session:
            return _read_documents(session, chosen.order_by(DocumentRow.id).limit(limit))

    def passages_of(self, document_id: str, limit: int = 1000) -> list[Passage]:
        """The first passages of a document, in order; [] when there is no such document."""
        theirs = _passages().where(DocumentRow.name == document_id).order_by(PassageRow.position).limit(limit)
        with self.database.reading() as session:
            return _read(session, theirs)

    def titled(self, titles: Sequence[str], corpora: Sequence[str], limit: int = 2000) -> dict[str, list[str]]:
        """The ids of the passages of documents with exactly these titles in those corpora, by title; titles of no
        document are left out. At most `limit` ids in all, in the order in which they came."""
        found: dict[str, list[str]] = {}
        chosen = (
            select(PassageRow.name, DocumentRow.title)
            .join(PassageRow.document)
            .join(DocumentRow.corpus)
            .where(CorpusRow.served, CorpusRow.called.in_(list(corpora)))
            .order_by(PassageRow.document_id, PassageRow.position)
        )
        wanted = list(dict.fromkeys(titles))
        with self.database.reading() as session:
            for some in at_once(wanted):
                theirs = chosen.where(DocumentRow.title.in_(some)).limit(limit)
                for passage, title in session.execute(theirs):
                    found.setdefault(title, []).append(passage)
        return found

    def illustrated(self, corpora: Sequence[str]) -> bool:
        """Whether documents of those corpora have pictures that are kept."""
        some = (
            select(PictureRow.document_id)
            .join(DocumentRow, DocumentRow.id == PictureRow.document_id)
            .join(CorpusRow, CorpusRow.id == DocumentRow.corpus_id)
            .where(CorpusRow.served, CorpusRow.called.in_(list(corpora)), PictureRow.content_hash != "")
            .limit(1)
        )
        with self.database.reading() as session:
            return session.scalar(some) is not None

    def twins(self, ids: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
        """The ids of the passages that say what each of `ids` says, found by kb/catalogue/twins.py, and how nearly (1
        is the same); a passage that has none is left out."""
        found: dict[str, list[tuple[str, float]]] = {}
        if not ids:
            return found
        later, first = aliased(PassageRow), aliased(PassageRow)
        pairs = (
            select(later.name, first.name, TwinRow.similarity)
            .join(later, later.id == TwinRow.passage_id)
            .join(first, first.id == TwinRow.of_id)
            .order_by(TwinRow.similarity.desc(), later.id)
        )
        with self.database.reading() as session:
            for names in at_once(list(ids)):
                for one, other, similarity in session.execute(pairs.where(later.name.in_(names))):
                    found.setdefault(one, []).append((other, similarity))
                for one, other, similarity in session.execute(pairs.where(first.name.in_(names))):
                    found.setdefault(other, []).append((one, similarity))
        return found

    def stats(self) -> dict[str, Any]:
        """What is in the catalogue, as JSON values: dialect, and the counts and last run of each corpus, with those of
        its newer version, where there is one."""
        with self.database.reading() as session:
            corpora = []
            for row in session.scalars(_served().order_by(CorpusRow.called)).all():
                newer = select(CorpusRow).where(CorpusRow.called == row.called, CorpusRow.version > row.version)
                following = session.scalars(newer.order_by(CorpusRow.version.desc()).limit(1)).first()
                corpora.append(
                    {
                        "name": row.called,
                        "title": row.title,
                        "licence": row.licence,
                        "language": row.language,
                        "homepage": row.homepage,
                        **_held(session, row),
                        "newer": None if following is None else _held(session, following),
                    }
                )
        return {"dialect": self.database.dialect, "corpora": corpora}

    def runs(self, corpus: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs of ingestions, newest first, as JSON values: what `stats` says of one, the corpus, and the
        first of what it skipped and of its notes."""
        newest = (
            select(IngestionRunRow, CorpusRow.called)
            .join(CorpusRow, CorpusRow.id == IngestionRunRow.corpus_id)
            .order_by(IngestionRunRow.id.desc())
            .limit(limit)
        )
        if corpus is not None:
            newest = newest.where(CorpusRow.called == corpus)
        with self.database.reading() as session:
            runs = session.execute(newest).all()
            numbers = [run.id for run, _ in runs]
            skips = _told(session, numbers, SkipRow.reason, "why")
            notes = _told(session, numbers, NoteRow.said, "said")
        return [{"corpus": name, **_run(run), "skips": skips[run.id], "notes": notes[run.id]} for run, name in runs]


def _served() -> Select[tuple[CorpusRow]]:
    return select(CorpusRow).where(CorpusRow.served)


def _is(corpus: str, version: int | None) -> tuple[ColumnElement[bool], ...]:
    """That a CorpusRow is this version of a corpus; None: the one that is served."""
    return (CorpusRow.called == corpus, CorpusRow.served if version is None else CorpusRow.version == version)


def _corpus(row: CorpusRow) -> CorpusInfo:
    return CorpusInfo(row.called, row.title, row.licence, row.language, row.documents, row.passages, row.version)


def _last_run(session: Session, corpus_id: int) -> IngestionRunRow | None:
    theirs = select(IngestionRunRow).where(IngestionRunRow.corpus_id == corpus_id)
    return session.scalars(theirs.order_by(IngestionRunRow.id.desc()).limit(1)).first()


def _told(
    session: Session, runs: Sequence[int], sentence: InstrumentedAttribute[str], called: str
) -> dict[int, list[dict[str, str]]]:
    """What is told of runs, by their numbers: where, and a sentence, a column of the table, under the name it gets."""
    table = sentence.class_
    told: dict[int, list[dict[str, str]]] = {run: [] for run in runs}
    rows = select(table.run_id, table.place, sentence).where(table.run_id.in_(runs)).order_by(table.id)
    for run, place, said in session.execute(rows):
        told[run].append({"where": place, called: said})
    return told


def _finished(run: IngestionRunRow | None) -> bool:
    return run is not None and run.state == RunState.FINISHED and run.asked is None


def _held(session: Session, row: CorpusRow) -> dict[str, Any]:
    last = _last_run(session, row.id)
    return {
        "version": row.version,
        "cutting": row.cutting,
        "documents": row.documents,
        "passages": row.passages,
        "text_bytes": row.text_bytes,
        "last_run": None if last is None else _run(last),
    }


def _passages() -> Select[tuple[PassageRow, DocumentRow, str]]:
    return select(PassageRow, DocumentRow, CorpusRow.called).join(PassageRow.document).join(DocumentRow.corpus)


def _read(session: Session, chosen: Select[tuple[PassageRow, DocumentRow, str]]) -> list[Passage]:
    return _with_pictures(session, session.execute(chosen).all())


def _with_pictures(session: Session, rows: Sequence[tuple[PassageRow, DocumentRow, str]]) -> list[Passage]:
    """The passages in these rows. Most corpora have no pictures, and then nothing more is read."""
    theirs = _pictures(session, {row.document_id for row, _, _ in rows if row.pictures})
    passages = []
    for row, document, corpus in rows:
        wanted = row.pictures.splitlines()
        by_hash = {each.content_hash: each for each in reversed(theirs.get(row.document_id, ()))} if wanted else {}
        pictures = tuple(by_hash[each] for each in wanted if each in by_hash)
        passages.append(_passage(row, document, corpus, pictures))
    return passages


def _read_documents(session: Session, chosen: Select[tuple[DocumentRow, str]]) -> list[Document]:
    rows = session.execute(chosen).all()
    theirs = _pictures(session, {row.id for row, _ in rows})
    return [_document(row, corpus, tuple(theirs.get(row.id, ()))) for row, corpus in rows]


def _pictures(session: Session, documents: Collection[int]) -> dict[int, list[Picture]]:
    """The pictures of documents by their numbers, in order."""
    found: dict[int, list[Picture]] = {}
    for numbers in at_once(sorted(documents)):
        theirs = select(PictureRow).where(PictureRow.document_id.in_(numbers))
        for row in session.scalars(theirs.order_by(PictureRow.document_id, PictureRow.position)):
            picture = Picture(**{each.name: getattr(row, each.name) for each in fields(Picture)})
            found.setdefault(row.document_id, []).append(picture)
    return found


def _passage(row: PassageRow, document: DocumentRow, corpus: str, pictures: tuple[Picture, ...]) -> Passage:
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
        description=document.description,
        content_hash=row.content_hash,
        tokens=row.tokens,
        pictures=pictures,
    )


def _document(row: DocumentRow, corpus: str, pictures: tuple[Picture, ...]) -> Document:
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
        pictures=pictures,
    )


def _run(row: IngestionRunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "started": row.started.isoformat(timespec="seconds"),
        "finished": None if row.finished is None else row.finished.isoformat(timespec="seconds"),
        "limit": row.asked,
        "total": row.total,
        "alive": None if row.alive is None else row.alive.isoformat(timespec="seconds"),
        "lost": is_lost(row),
        "pausing": row.pausing,
        "request": row.request,
        "seen": row.seen,
        "new": row.added,
        "updated": row.updated,
        "unchanged": row.unchanged,
        "skipped": row.skipped,
        "noted": row.noted,
        "removed": row.removed,
        "error": row.error,
    }
