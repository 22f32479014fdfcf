"""The tables of the catalogue as typed SQLAlchemy models: corpus, document, passage, ingestion run.

The migrations create them; a test holds the two equal. Knows nothing of what is done with the rows.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, ForeignKey, String, Text, TypeDecorator, UniqueConstraint
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
    __tablename__ = "corpus"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(255))
    licence: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(16))
    homepage: Mapped[str] = mapped_column(Text)


class DocumentRow(Base):
    """`name` is the public id, `<corpus>:<key>`; `id` only gives the order in which documents came."""

    __tablename__ = "document"

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

    corpus: Mapped[CorpusRow] = relationship()


class PassageRow(Base):
    """`name` is the public id; `title` repeats the document's because full-text search reads one table.

    `section` is the titles of the sections it lies in, joined as readers see them; `text_bytes` is the size of `text`
    in UTF-8, kept because databases count it each in its own way; `tokens` those of the tokenizer it was cut with,
    None where its source said what the passages are.
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

    document: Mapped[DocumentRow] = relationship()


class IngestionRunRow(Base):
    """`state` is running, finished, failed (see `error`) or interrupted; counters are true at every batch."""

    __tablename__ = "ingestion_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpus.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    started: Mapped[datetime]
    finished: Mapped[datetime | None]
    asked: Mapped[int | None]
    seen: Mapped[int]
    added: Mapped[int]
    updated: Mapped[int]
    unchanged: Mapped[int]
    skipped: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str] = mapped_column(Text)


class SkipRow(Base):
    """Something that a run could not take: the first of them only, `IngestionRunRow.skipped` counts all."""

    __tablename__ = "skip"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("ingestion_run.id", ondelete="CASCADE"), index=True)
    place: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
