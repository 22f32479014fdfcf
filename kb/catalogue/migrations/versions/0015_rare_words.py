"""Searching among many passages in PostgreSQL: the words of titles by themselves, and how common more words are."""

from alembic import op

revision = "0015"
down_revision = "0014"

_COMMON = 400  # of which PostgreSQL keeps ten times as many words with their shares of the rows
_INDEXES = (("passage", "ix_passage_title_words"), ("passage_pairs", "ix_pair_title_words"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, index in _INDEXES:
            op.execute(f"CREATE INDEX {index} ON {table} USING gin (ts_filter(words, '{{a}}'))")
            op.execute(f"ALTER TABLE {table} ALTER COLUMN words SET STATISTICS {_COMMON}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, index in _INDEXES:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN words SET STATISTICS -1")
            op.execute(f"DROP INDEX {index}")
