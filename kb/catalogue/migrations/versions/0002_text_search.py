"""Full-text search over passages: FTS5 kept by triggers in SQLite, a generated tsvector in PostgreSQL.

Other databases get nothing here; kb/catalogue/text_search.py then compares words itself.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_FORGET = (
    "INSERT INTO passage_words(passage_words, rowid, title, text)"
    " VALUES ('delete', old.id, old.title, old.text);"
)
_LEARN = "INSERT INTO passage_words(rowid, title, text) VALUES (new.id, new.title, new.text);"

UP = {
    "sqlite": (
        "CREATE VIRTUAL TABLE passage_words USING fts5(title, text, content='passage', content_rowid='id',"
        " tokenize='porter unicode61 remove_diacritics 2')",
        f"CREATE TRIGGER passage_words_insert AFTER INSERT ON passage BEGIN {_LEARN} END",
        f"CREATE TRIGGER passage_words_delete AFTER DELETE ON passage BEGIN {_FORGET} END",
        f"CREATE TRIGGER passage_words_update AFTER UPDATE ON passage BEGIN {_FORGET} {_LEARN} END",
        "INSERT INTO passage_words(passage_words) VALUES ('rebuild')",
    ),
    "postgresql": (
        "ALTER TABLE passage ADD COLUMN words tsvector GENERATED ALWAYS AS"
        " (setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('simple', title), 'A') ||"
        " setweight(to_tsvector('english', text), 'B')) STORED",
        "CREATE INDEX ix_passage_words ON passage USING gin (words)",
    ),
}
DOWN = {
    "sqlite": (
        "DROP TRIGGER passage_words_insert",
        "DROP TRIGGER passage_words_delete",
        "DROP TRIGGER passage_words_update",
        "DROP TABLE passage_words",
    ),
    "postgresql": (
        "DROP INDEX ix_passage_words",
        "ALTER TABLE passage DROP COLUMN words",
    ),
}


def upgrade() -> None:
    for statement in UP.get(op.get_bind().dialect.name, ()):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN.get(op.get_bind().dialect.name, ()):
        op.execute(statement)
