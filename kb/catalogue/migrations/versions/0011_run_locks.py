"""The lock by which a run of an ingestion is known to be at work."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("ingestion_run", sa.Column("lock", sa.Text, server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("ingestion_run", "lock")
