"""Full-text search in writings without spaces: their passages once more, spelt in pairs of letters.

FTS5 kept by triggers in SQLite, a generated tsvector in PostgreSQL, as for other passages.
"""

import sqlalchemy as sa
from alembic import op

from kb.catalogue.spaceless import spelt

revision = "0012"
down_revision = "0011"

_AT_ONCE = 2_000  # passages read at a time
_FORGET = (
    "INSERT INTO pair_words(pair_words, rowid, title, text)"
    " VALUES ('delete', old.passage_id, old.title, old.text);"
)
_LEARN = "INSERT INTO pair_words(rowid, title, text) VALUES (new.passage_id, new.title, new.text);"

UP = {
    "sqlite": (
        "CREATE VIRTUAL TABLE pair_words USING fts5(title, text, content='passage_pairs', content_rowid='passage_id',"
        " tokenize='porter unicode61 remove_diacritics 2')",
        f"CREATE TRIGGER pair_words_insert AFTER INSERT ON passage_pairs BEGIN {_LEARN} END",
        f"CREATE TRIGGER pair_words_delete AFTER DELETE ON passage_pairs BEGIN {_FORGET} END",
        f"CREATE TRIGGER pair_words_update AFTER UPDATE ON passage_pairs BEGIN {_FORGET} {_LEARN} END",
    ),
    "postgresql": (
        "ALTER TABLE passage_pairs ADD COLUMN words tsvector GENERATED ALWAYS AS"
        " (setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('simple', title), 'A') ||"
        " setweight(to_tsvector('english', text), 'B')) STORED",
        "CREATE INDEX ix_pair_words ON passage_pairs USING gin (words)",
    ),
}


def upgrade() -> None:
    op.create_table(
        "passage_pairs",
        sa.Column("passage_id", sa.Integer, sa.ForeignKey("passage.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    for statement in UP.get(op.get_bind().dialect.name, ()):
        op.execute(statement)
    _spell(op.get_bind())


def _spell(connection: sa.Connection) -> None:
    # As the program spells what it looks for, whenever that is.
    passage = sa.table("passage", *(sa.column(name) for name in ("id", "title", "text")))
    pairs = sa.table("passage_pairs", *(sa.column(name) for name in ("passage_id", "title", "text")))
    last = 0
    while True:
        some = sa.select(passage).where(passage.c.id > last).order_by(passage.c.id).limit(_AT_ONCE)
        rows = connection.execute(some).all()
        if not rows:
            return
        last = rows[-1][0]
        found = [
            {"passage_id": number, "title": said[0], "text": said[1]}
            for number, title, text in rows
            if (said := spelt(title, text))
        ]
        if found:
            connection.execute(sa.insert(pairs), found)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE pair_words")
    op.drop_table("passage_pairs")
