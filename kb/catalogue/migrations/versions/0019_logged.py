"""When an item of annotation was last put there by the question log, which is kept for a while.

Of items that are there nobody knows whether the log put them there: those that look like it count from now on.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_KEY = "q-" + 16 * "_"  # of an item that was given none


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("annotation_item", sa.Column("logged", moment, nullable=True))
    names = ("key", "kind", "reference_answers")
    item = sa.table("annotation_item", *(sa.column(name) for name in names), sa.column("logged", moment))
    # The log gave neither. In the bin, what an item was stands before its key.
    plain = (item.c.kind == "", item.c.reference_answers == "")
    keyed = sa.or_(item.c.key.like(_KEY), item.c.key.like(f"% {_KEY}"))
    op.execute(item.update().where(*plain, keyed).values(logged=_now(op.get_bind())))


def _now(connection: sa.Connection) -> datetime:
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    return connection.scalar(sa.select(sa.func.clock_timestamp()))


def downgrade() -> None:
    op.drop_column("annotation_item", "logged")
