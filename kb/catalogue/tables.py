"""The tables of the catalogue as typed SQLAlchemy models: corpora, documents, passages, runs, what is indexed.

The migrations create them; a test holds the two equal. Knows nothing of what is done with the rows.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone, also in databases that keep none (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: UtcDateTime()}


class CorpusRow(Base):
    """A version of a corpus: its documents cut in one way. Readers are given the one that is `served`.

    `called` is what people call the corpus, `name` the same and, from the second version on, `@` and its number: what
    the ids of its documents begin with. `cutting` says how passages were cut, "" where the source said what they are.
    The counts are kept by every change, so that nobody has to count.
    """

    __tablename__ = "corpus"

    id: Mapped[int] = mapped_column(primary_key=True)
    # A column of SQLite does not change its type, nor keep to it.
    name: Mapped[str] = mapped_column(String(80).with_variant(String(64), "sqlite"), unique=True)
    called: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int] = mapped_column(server_default="1")
    served: Mapped[bool] = mapped_column(server_default=true())
    cutting: Mapped[str] = mapped_column(String(32), server_default="")
    documents: Mapped[int] = mapped_column(server_default="0")
    passages: Mapped[int] = mapped_column(server_default="0")
    text_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    title: Mapped[str] = mapped_column(String(255))
    licence: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(16))
    homepage: Mapped[str] = mapped_column(Text)


class DocumentRow(Base):
    """`name` is the public id, `<corpus>:<key>`; `id` only gives the order in which documents came; `run_id` is the run
    that wrote it as it is now."""

    __tablename__ = "document"
    __table_args__ = (Index("ix_document_title", "title", postgresql_using="hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpus.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(512), unique=True)
    title: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(16))
    licence: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[int | None]

    corpus: Mapped[CorpusRow] = relationship()


class PassageRow(Base):
    """`name` is the public id; `title` repeats the document's because full-text search reads one table.

    `section` is the titles of the sections it lies in, joined as readers see them; `text_bytes` is the size of `text`
    in UTF-8, kept because databases count it each in its own way; `tokens` those of the tokenizer it was cut with,
    None where its source said what the passages are; `pictures` the hashes of those that stand beside it, a line each;
    `content_hash` is passage_hash of what an index keeps of it.
    """

    __tablename__ = "passage"
    __table_args__ = (UniqueConstraint("document_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(512), unique=True)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    text_bytes: Mapped[int]
    section: Mapped[str] = mapped_column(Text, server_default="")
    tokens: Mapped[int | None]
    pictures: Mapped[str] = mapped_column(Text, server_default="")
    content_hash: Mapped[str] = mapped_column(String(32), server_default="")

    document: Mapped[DocumentRow] = relationship()


class PictureRow(Base):
    """A picture of a document: `content_hash` is the name under which kb/pictures.py keeps it, "" where only its own
    name is known."""

    __tablename__ = "picture"

    document_id: Mapped[int] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    caption: Mapped[str] = mapped_column(Text)
    licence: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64), index=True)
    width: Mapped[int]
    height: Mapped[int]


class PairsRow(Base):
    """What full-text search reads of a passage in a writing without spaces, as kb/catalogue/spaceless.py spells it;
    others have no such row."""

    __tablename__ = "passage_pairs"

    passage_id: Mapped[int] = mapped_column(ForeignKey("passage.id", ondelete="CASCADE"), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)


class IngestionRunRow(Base):
    """`state` is a RunState (of one that failed or was paused, `error` says why); counters are true at every batch.

    `request` is what was asked for, as JSON, so that it can be asked for again; `total` the number of documents, where
    it is known; `alive` when the run last said that it goes on, and `lock` the path of what it holds as long as it does
    (kb/catalogue/alive.py); `pausing` asks it to stop after the batch under way.
    """

    __tablename__ = "ingestion_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpus.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    started: Mapped[datetime]
    finished: Mapped[datetime | None]
    asked: Mapped[int | None]
    request: Mapped[str] = mapped_column(Text, server_default="")
    total: Mapped[int | None]
    alive: Mapped[datetime | None]
    lock: Mapped[str] = mapped_column(Text, server_default="")
    pausing: Mapped[bool] = mapped_column(server_default=false())
    seen: Mapped[int]
    added: Mapped[int]
    updated: Mapped[int]
    unchanged: Mapped[int]
    skipped: Mapped[int] = mapped_column(server_default="0")
    noted: Mapped[int] = mapped_column(server_default="0")
    removed: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str] = mapped_column(Text)


class SkipRow(Base):
    """Something that a run could not take: the first of them only, `IngestionRunRow.skipped` counts all."""

    __tablename__ = "skip"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("ingestion_run.id", ondelete="CASCADE"), index=True)
    place: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)


class NoteRow(Base):
    """What is to be known of something that a run took: the first of them, and what sums up all of the source;
    `IngestionRunRow.noted` counts all."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("ingestion_run.id", ondelete="CASCADE"), index=True)
    place: Mapped[str] = mapped_column(Text)
    said: Mapped[str] = mapped_column(Text)


class IndexRow(Base):
    """An index that keeps passages of a corpus; `name` tells it from others, `corpus` is CorpusRow.name."""

    __tablename__ = "passage_index"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    corpus: Mapped[str] = mapped_column(String(80))


class IndexedRow(Base):
    """A passage that an index keeps, by its public id, since it may have left the catalogue; and its hash then."""

    __tablename__ = "indexed"

    index_id: Mapped[int] = mapped_column(ForeignKey("passage_index.id", ondelete="CASCADE"), primary_key=True)
    passage: Mapped[str] = mapped_column(String(512), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(32))


class TwinRow(Base):
    """A passage that says what an earlier one, `of_id`, says; `similarity` is 1 for equal texts."""

    __tablename__ = "twin"

    passage_id: Mapped[int] = mapped_column(ForeignKey("passage.id", ondelete="CASCADE"), primary_key=True)
    of_id: Mapped[int] = mapped_column(ForeignKey("passage.id", ondelete="CASCADE"), index=True)
    similarity: Mapped[float] = mapped_column(Float)
