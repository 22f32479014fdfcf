"""Corpora are listed under the names that people gave them, and no longer under that of the file or folder read."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    connection = op.get_bind()
    corpus = sa.table("corpus", *(sa.column(name) for name in ("id", "called", "title")))
    run = sa.table("ingestion_run", *(sa.column(name) for name in ("corpus_id", "request")))
    asked = sa.select(corpus.c.id, corpus.c.called, run.c.request).join(run, run.c.corpus_id == corpus.c.id).distinct()
    named = {number: called for number, called, request in connection.execute(asked).all() if _names(request, called)}
    for number, called in named.items():
        connection.execute(sa.update(corpus).where(corpus.c.id == number).values(title=called))


def _names(request: str, called: str) -> bool:
    """Whether who asked for a run gave the corpus its name."""
    try:
        told = json.loads(request)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("corpus") == called


def downgrade() -> None:
    pass  # the next run of a source says its title anew
