"""The table of answers that are kept under links as a typed SQLAlchemy model, beside the catalogue's in the same
database. The migrations create it. Knows nothing of what is done with the rows.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from kb.catalogue.tables import Base


class LinkRow(Base):
    """`key`, `deletion` and `person` are hashes: of what stands in the link, of what deletes it, and of who made it.
    `told`: the answer as JSON. `size`: bytes of both."""

    __tablename__ = "link"
    __table_args__ = (Index("ix_link_person", "person"),)

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    deletion: Mapped[str] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(64))
    told: Mapped[str] = mapped_column(Text)
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)
    size: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime]
    until: Mapped[datetime] = mapped_column(index=True)
