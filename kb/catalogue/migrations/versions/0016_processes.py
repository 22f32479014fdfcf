"""What several processes of the program know of one another."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_TABLES = ("process", "secret", "page_session", "kept", "corpus_job", "pooling_job")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)

    def text(name: str) -> sa.Column:
        return sa.Column(name, sa.Text, nullable=False, server_default="")

    op.create_table(
        "process",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("lock", sa.Text, nullable=False),
        sa.Column("alive", moment, nullable=False),
    )
    op.create_table(
        "secret",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "page_session",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("process_id", sa.String(32), nullable=False),
        sa.Column("since", moment, nullable=False),
    )
    op.create_index("ix_page_session_since", "page_session", ["since"])
    op.create_table(
        "kept",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("part", sa.String(16), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("until", moment, nullable=False),
    )
    op.create_index("ix_kept_until", "kept", ["until"])
    op.create_table(
        "corpus_job",
        sa.Column("corpus", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("process_id", sa.String(32), nullable=False),
        sa.Column("at_work", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()) for name in ("gone", "pausing")),
        *map(text, ("title", "request", "error")),
    )
    op.create_table(
        "pooling_job",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("process_id", sa.String(32), nullable=False),
        sa.Column("at_work", sa.Boolean, nullable=False),
        sa.Column("stopping", sa.Boolean, nullable=False, server_default=sa.false()),
        *(sa.Column(name, sa.Integer, nullable=False, server_default="0") for name in ("done", "total", "added")),
        sa.Column("remaining", sa.Float),
        text("error"),
    )


def downgrade() -> None:
    for name in _TABLES:
        op.drop_table(name)
