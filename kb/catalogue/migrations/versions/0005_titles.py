"""Finding documents by their titles, among millions."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # A hash in PostgreSQL, whose trees refuse long values; a title may have any length.
    op.create_index("ix_document_title", "document", ["title"], postgresql_using="hash")


def downgrade() -> None:
    op.drop_index("ix_document_title", "document")
