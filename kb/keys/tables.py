"""The table of keys as a typed SQLAlchemy model, which the migrations create. Knows nothing of what they are for."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from kb.catalogue.tables import Base


class KeyRow(Base):
    """A key: `token_hash` is its SHA-256, `prefix` how it begins, by which people know it again; `rights` are words
    with spaces between; `person` whose judgments it gives, "" for nobody's. It ends at `until`, None for never; `used`
    is the day it was used last, `revoked` when it was taken back."""

    __tablename__ = "api_key"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    rights: Mapped[str] = mapped_column(Text)
    person: Mapped[str] = mapped_column(String(64))
    made: Mapped[datetime]
    until: Mapped[datetime | None]
    used: Mapped[date | None]
    revoked: Mapped[datetime | None]
