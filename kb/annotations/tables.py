"""The tables of annotation as typed SQLAlchemy models, beside the catalogue's in the same database.

The log, JudgmentRow, only grows. The verdicts, assignments, workers, tallies and counters are what follows from it,
kept by every change so that nobody has to count; kb/annotations/recounting.py makes them anew. The migrations create
the tables. Knows nothing of what is done with the rows.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from kb.catalogue.tables import Base


def _of_item(**also: object) -> Mapped[int]:
    return mapped_column(ForeignKey("annotation_item.id", ondelete="CASCADE"), **also)


def _of_person(**also: object) -> Mapped[int]:
    return mapped_column(ForeignKey("annotation_person.id"), **also)


class PersonRow(Base):
    """Nobody is deleted, so that the log keeps saying who: `removed` is when one was taken off."""

    __tablename__ = "annotation_person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(Text)
    added: Mapped[datetime]
    removed: Mapped[datetime | None]


class SessionRow(Base):
    """Somebody signed in, in one browser: the SHA-256 of the token, and when it was last used, give or take a day."""

    __tablename__ = "annotation_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[int] = _of_person(index=True)
    used: Mapped[datetime]


class InvitationRow(Base):
    """The one invitation of a person that nobody used: the SHA-256 of its code, and until when it can be."""

    __tablename__ = "annotation_invitation"

    person_id: Mapped[int] = _of_person(primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    until: Mapped[datetime]


class IdentityRow(Base):
    """Whose account at another service, such as Hugging Face, is whose here: `subject` is the account's own number,
    which stays when its name is changed or given to somebody else."""

    __tablename__ = "annotation_identity"

    person_id: Mapped[int] = _of_person(primary_key=True)
    subject: Mapped[str] = mapped_column(String(200), unique=True)


class AttemptRow(Base):
    """How many passwords in a row were wrong for a name, whether anybody has it or not, or from an address, and when
    one was last tried. Either is kept as its SHA-256, since people type passwords into the wrong field."""

    __tablename__ = "annotation_attempt"

    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last: Mapped[datetime] = mapped_column(index=True)


class ProjectRow(Base):
    """`deleted` is when its deletion began; its name is free from then on. Scales are JSON. `items` is how
    many there are, whose positions count from 1 and leave out those that were removed."""

    __tablename__ = "annotation_project"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    guidelines: Mapped[str] = mapped_column(Text)
    passage_scale: Mapped[str] = mapped_column(Text)
    answer_scale: Mapped[str] = mapped_column(Text)
    judges: Mapped[int]
    blind: Mapped[bool] = mapped_column(server_default=true())
    made: Mapped[datetime]
    deleted: Mapped[datetime | None]
    items: Mapped[int] = mapped_column(server_default="0")


class ItemRow(Base):
    """`photo` is the SHA-256 of a file; `reference_answers` are a JSON list. Of people, `taken` counts those who hold
    the item or are done with it, `done` the latter; `wanting` says that it has candidates and room for another.
    `logged` is when the question log last put it there; None of an item that somebody put there."""

    __tablename__ = "annotation_item"
    __table_args__ = (
        UniqueConstraint("project_id", "key"),
        UniqueConstraint("project_id", "position"),
        Index("ix_annotation_item_wanting", "project_id", "wanting", "position"),
        Index("ix_annotation_item_done", "project_id", "done"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("annotation_project.id", ondelete="CASCADE"))
    position: Mapped[int]
    key: Mapped[str] = mapped_column(String(200))
    photo: Mapped[str | None] = mapped_column(String(64), index=True)
    question: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(64), server_default="")
    reference_answers: Mapped[str] = mapped_column(Text, server_default="")
    candidates: Mapped[int] = mapped_column(server_default="0")
    taken: Mapped[int] = mapped_column(server_default="0")
    done: Mapped[int] = mapped_column(server_default="0")
    wanting: Mapped[bool] = mapped_column(server_default=false())
    logged: Mapped[datetime | None]


class CandidateRow(Base):
    """A passage or an answer with its text as it was pooled. `found` is a JSON object, from who found it to the rank;
    `weight` the discount of the best of them; `matters` how much those who judged it differ, by that weight, 0 once it
    is settled."""

    __tablename__ = "annotation_candidate"
    __table_args__ = (
        UniqueConstraint("item_id", "what", "content_hash"),
        Index(
            "ix_annotation_candidate_matters", "project_id", "matters",
            sqlite_where=text("matters > 0"), postgresql_where=text("matters > 0"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = _of_item()
    project_id: Mapped[int]
    what: Mapped[str] = mapped_column(String(8))
    content_hash: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(Text)
    section: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    passage_id: Mapped[str] = mapped_column(Text)
    document_id: Mapped[str] = mapped_column(Text)
    corpus: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    citations: Mapped[str] = mapped_column(Text)
    found: Mapped[str] = mapped_column(Text)
    weight: Mapped[float] = mapped_column(Float)
    matters: Mapped[float] = mapped_column(Float, server_default="0")


class GoldRow(Base):
    """The grade that is known to be right of a candidate of an item, whether it is there yet or not. `mark` is its
    content hash, or that of its text alone."""

    __tablename__ = "annotation_gold"

    item_id: Mapped[int] = _of_item(primary_key=True)
    what: Mapped[str] = mapped_column(String(8), primary_key=True)
    mark: Mapped[str] = mapped_column(String(32), primary_key=True)
    grade: Mapped[str] = mapped_column(String(32))


class AssignmentRow(Base):
    """A person and an item they began: how many candidates they graded, whether that is all of them, whether they put
    it aside, and until when nobody else gets it in their place (None: nobody waits)."""

    __tablename__ = "annotation_assignment"
    __table_args__ = (
        Index("ix_annotation_assignment_person", "project_id", "person_id", "done", "skipped"),
        Index(
            "ix_annotation_assignment_until", "project_id", "until",
            sqlite_where=text("until IS NOT NULL"), postgresql_where=text("until IS NOT NULL"),
        ),
    )  # fmt: skip

    item_id: Mapped[int] = _of_item(primary_key=True)
    person_id: Mapped[int] = _of_person(primary_key=True)
    project_id: Mapped[int]
    judged: Mapped[int] = mapped_column(server_default="0")
    done: Mapped[bool] = mapped_column(server_default=false())
    skipped: Mapped[bool] = mapped_column(server_default=false())
    until: Mapped[datetime | None]


class JudgmentRow(Base):
    """An entry of the log: everything that holds of a candidate (0: of the item itself) from then on, by one person.

    `number` counts a person's entries in a project. `before` is the number of the entry that held until then, of an
    Act.UNDO the one undone; `earlier` that of what the person did before, leaving out what was undone. `said` is a
    Said as JSON."""

    __tablename__ = "annotation_judgment"
    __table_args__ = (UniqueConstraint("project_id", "person_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int]
    item_id: Mapped[int] = _of_item(index=True)
    candidate_id: Mapped[int]
    person_id: Mapped[int] = _of_person()
    number: Mapped[int]
    at: Mapped[datetime]
    act: Mapped[str] = mapped_column(String(8))
    grade: Mapped[str | None] = mapped_column(String(32))
    said: Mapped[str] = mapped_column(Text)
    before: Mapped[int | None]
    earlier: Mapped[int | None]


class VerdictRow(Base):
    """What a person's newest entry says of a candidate (0: of the item)."""

    __tablename__ = "annotation_verdict"
    __table_args__ = (Index("ix_annotation_verdict_person", "project_id", "person_id", "number"),)

    item_id: Mapped[int] = _of_item(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[int] = _of_person(primary_key=True)
    project_id: Mapped[int]
    number: Mapped[int]
    at: Mapped[datetime]
    grade: Mapped[str | None] = mapped_column(String(32))
    said: Mapped[str] = mapped_column(Text)


class AdjudicationRow(Base):
    """The final judgment of a candidate: the newest Act.FINAL of whoever gave it."""

    __tablename__ = "annotation_adjudication"

    item_id: Mapped[int] = _of_item(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int]
    person_id: Mapped[int] = _of_person()
    number: Mapped[int]
    at: Mapped[datetime]
    grade: Mapped[str] = mapped_column(String(32))
    said: Mapped[str] = mapped_column(Text)


class WorkerRow(Base):
    """A person in a project: the number of their newest entry, that of what `undo` would undo, how many grades hold,
    and the position of the item they last got."""

    __tablename__ = "annotation_worker"

    project_id: Mapped[int] = mapped_column(
        ForeignKey("annotation_project.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[int] = _of_person(primary_key=True)
    number: Mapped[int] = mapped_column(server_default="0")
    top: Mapped[int | None]
    judged: Mapped[int] = mapped_column(server_default="0")
    position: Mapped[int] = mapped_column(server_default="0")


class TallyRow(Base):
    """How many candidates have grades in a pattern: how often each grade of the scale was given, as "1.0.1.0".

    `of_id` 0 counts the grades of all people of a candidate; else, for each pair of people on it, those two, once for
    each of them. Each writer counts what their own changes changed in rows of their own, up or down, so that nobody
    waits for another: the sum over writers is the number."""

    __tablename__ = "annotation_tally"

    project_id: Mapped[int] = mapped_column(
        ForeignKey("annotation_project.id", ondelete="CASCADE"), primary_key=True
    )
    writer_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    what: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    of_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    pattern: Mapped[str] = mapped_column(String(80), primary_key=True)
    units: Mapped[int]
