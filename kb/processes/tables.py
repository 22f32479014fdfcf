"""The tables of what processes know of one another as typed SQLAlchemy models, beside the catalogue's in the same
database. The migrations create them. Knows nothing of what is done with the rows.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from kb.catalogue.tables import Base


class ProcessRow(Base):
    """A process of the program that is at work on the database: `address` is where others reach it, "" where it serves
    nobody; `lock` and `alive` are as those of a run."""

    __tablename__ = "process"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    address: Mapped[str] = mapped_column(Text)
    lock: Mapped[str] = mapped_column(Text)
    alive: Mapped[datetime]


class SecretRow(Base):
    """What the processes know together and nobody else does."""

    __tablename__ = "secret"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class PageSessionRow(Base):
    """Which process holds what a browser's page, or a program that asks, has under way; `key` is a hash of its name."""

    __tablename__ = "page_session"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    process_id: Mapped[str] = mapped_column(String(32))
    since: Mapped[datetime] = mapped_column(index=True)


class KeptRow(Base):
    """A part of what is kept for a while by a key that nobody can guess; `key` is a hash of it."""

    __tablename__ = "kept"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    part: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime] = mapped_column(index=True)


class RateRow(Base):
    """What is left of the questions that somebody may ask within a minute and a day, as of `since`, and whether the
    last one was `taken`; `key` is a hash of who it is."""

    __tablename__ = "rate"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[float] = mapped_column(Float)
    day: Mapped[float] = mapped_column(Float)
    taken: Mapped[bool]
    since: Mapped[datetime] = mapped_column(index=True)


class CorpusJobRow(Base):
    """What a process does to a corpus, beside the run that IngestionRunRow tells of, while it is `at_work`; or why it
    failed. `gone`: the corpus is deleted, or about to be, so that no question is to bring it back."""

    __tablename__ = "corpus_job"

    corpus: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    process_id: Mapped[str] = mapped_column(String(32))
    at_work: Mapped[bool]
    gone: Mapped[bool] = mapped_column(server_default=false())
    pausing: Mapped[bool] = mapped_column(server_default=false())
    title: Mapped[str] = mapped_column(Text, server_default="")
    request: Mapped[str] = mapped_column(Text, server_default="")
    error: Mapped[str] = mapped_column(Text, server_default="")


class PoolingJobRow(Base):
    """How far a process is with pooling for an annotation project, by its name, and how it ended. `remaining` is in
    seconds, `added` how many candidates were new when it last came to its end."""

    __tablename__ = "pooling_job"

    project: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    process_id: Mapped[str] = mapped_column(String(32))
    at_work: Mapped[bool]
    stopping: Mapped[bool] = mapped_column(server_default=false())
    done: Mapped[int] = mapped_column(server_default="0")
    total: Mapped[int] = mapped_column(server_default="0")
    remaining: Mapped[float | None] = mapped_column(Float)
    added: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str] = mapped_column(Text, server_default="")
