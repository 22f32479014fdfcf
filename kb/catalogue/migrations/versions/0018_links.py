"""Answers that people keep under links."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "link",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("deletion", sa.String(64), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("photo", sa.LargeBinary, nullable=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
    )
    op.create_index("ix_link_person", "link", ["person"])
    op.create_index("ix_link_until", "link", ["until"])


def downgrade() -> None:
    op.drop_table("link")
