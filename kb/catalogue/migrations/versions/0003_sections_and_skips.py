"""The section and the number of tokens of a passage; what a run of an ingestion had to skip."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("passage", sa.Column("section", sa.Text, nullable=False, server_default=""))
    op.add_column("passage", sa.Column("tokens", sa.Integer))
    op.add_column("ingestion_run", sa.Column("skipped", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "skip",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("ingestion_run.id", ondelete="CASCADE"), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_skip_run_id", "skip", ["run_id"])


def downgrade() -> None:
    op.drop_table("skip")
    op.drop_column("ingestion_run", "skipped")
    op.drop_column("passage", "tokens")
    op.drop_column("passage", "section")
