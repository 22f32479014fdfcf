"""How much those who ask have asked lately, counted by several processes together."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    # What is lost by a crash is counted anew; a server need not wait for its disk for it.
    how = {"prefixes": ["UNLOGGED"]} if op.get_bind().dialect.name == "postgresql" else {}
    op.create_table(
        "rate",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("minute", sa.Float, nullable=False),
        sa.Column("day", sa.Float, nullable=False),
        sa.Column("taken", sa.Boolean, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        **how,
    )
    op.create_index("ix_rate_since", "rate", ["since"])


def downgrade() -> None:
    op.drop_table("rate")
