"""What is to be known of what an ingestion took, apart from what it could not take."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("ingestion_run", sa.Column("noted", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "note",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("ingestion_run.id", ondelete="CASCADE"), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
    )
    op.create_index("ix_note_run_id", "note", ["run_id"])


def downgrade() -> None:
    op.drop_table("note")
    op.drop_column("ingestion_run", "noted")
