"""Versions and counts of corpora, hashes of passages, what is indexed, passages that repeat others, pausing."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_AT_ONCE = 2_000  # passages hashed at a time
_COLUMNS = {
    "corpus": (
        ("called", sa.String(64), ""),
        ("version", sa.Integer, "1"),
        ("served", sa.Boolean, sa.true()),
        ("cutting", sa.String(32), ""),
        ("documents", sa.Integer, "0"),
        ("passages", sa.Integer, "0"),
        ("text_bytes", sa.BigInteger, "0"),
    ),
    "document": (("images", sa.Text, ""), ("run_id", sa.Integer, None)),
    "passage": (("content_hash", sa.String(32), ""),),
    "ingestion_run": (
        ("request", sa.Text, ""),
        ("total", sa.Integer, None),
        ("alive", sa.DateTime(timezone=True), None),
        ("pausing", sa.Boolean, sa.false()),
        ("removed", sa.Integer, "0"),
    ),
}


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    if on_postgresql:  # SQLite keeps to no length
        op.alter_column("corpus", "name", type_=sa.String(80))
    for table, columns in _COLUMNS.items():
        for name, kind, default in columns:
            op.add_column(table, sa.Column(name, kind, nullable=default is None, server_default=default))
    op.execute("UPDATE corpus SET called = name")
    inside = "FROM passage JOIN document ON document.id = passage.document_id WHERE document.corpus_id = corpus.id"
    op.execute(
        "UPDATE corpus SET documents = (SELECT count(*) FROM document WHERE document.corpus_id = corpus.id),"
        f" passages = (SELECT count(*) {inside}),"
        f" text_bytes = (SELECT coalesce(sum(passage.text_bytes), 0) {inside})"
    )
    op.create_index("ix_corpus_called", "corpus", ["called"])
    op.create_table(
        "passage_index",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("corpus", sa.String(80), nullable=False),
    )
    op.create_table(
        "indexed",
        sa.Column(
            "index_id", sa.Integer, sa.ForeignKey("passage_index.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("passage", sa.String(512), primary_key=True),
        sa.Column("content_hash", sa.String(32), nullable=False),
    )
    op.create_table(
        "twin",
        sa.Column("passage_id", sa.Integer, sa.ForeignKey("passage.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("of_id", sa.Integer, sa.ForeignKey("passage.id", ondelete="CASCADE"), nullable=False),
        sa.Column("similarity", sa.Float, nullable=False),
    )
    op.create_index("ix_twin_of_id", "twin", ["of_id"])
    _hash_passages(op.get_bind())


def _hash_passages(connection: sa.Connection) -> None:
    # As kb.records.passage_hash did when this was written.
    passage = sa.table("passage", *(sa.column(c) for c in ("id", "title", "section", "text", "content_hash")))
    change = sa.update(passage).where(passage.c.id == sa.bindparam("number")).values(content_hash=sa.bindparam("hash"))
    last = 0
    while True:
        some = (
            sa.select(passage.c.id, passage.c.title, passage.c.section, passage.c.text)
            .where(passage.c.id > last).order_by(passage.c.id).limit(_AT_ONCE)
        )  # fmt: skip
        rows = connection.execute(some).all()
        if not rows:
            return
        last = rows[-1][0]
        hashes = [
            {"number": number, "hash": hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]}
            for number, *said in rows
        ]
        connection.execute(change, hashes)


def downgrade() -> None:
    # The older program knows one version of each corpus.
    op.execute("DELETE FROM corpus WHERE NOT served")
    op.drop_table("twin")
    op.drop_table("indexed")
    op.drop_table("passage_index")
    op.drop_index("ix_corpus_called", "corpus")
    op.execute("UPDATE corpus SET name = called")
    for table, columns in _COLUMNS.items():
        for name, _, _ in reversed(columns):
            op.drop_column(table, name)
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("corpus", "name", type_=sa.String(64))
