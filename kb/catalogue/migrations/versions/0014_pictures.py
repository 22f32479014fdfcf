"""Pictures of documents, a row each, where a document had their names in one text; those beside a passage."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_AT_ONCE = 1_000  # documents read at a time


def upgrade() -> None:
    words = ("name", "caption", "licence", "author", "url")
    op.create_table(
        "picture",
        sa.Column("document_id", sa.Integer, sa.ForeignKey("document.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in words),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
    )
    op.create_index("ix_picture_content_hash", "picture", ["content_hash"])
    op.add_column("passage", sa.Column("pictures", sa.Text, nullable=False, server_default=""))
    document = sa.table("document", sa.column("id"), sa.column("images"))
    columns = ("document_id", "position", *words, "content_hash", "width", "height")
    picture = sa.table("picture", *map(sa.column, columns))
    connection, last = op.get_bind(), 0
    while True:
        some = sa.select(document).where(document.c.id > last, document.c.images != "").order_by(document.c.id)
        rows = connection.execute(some.limit(_AT_ONCE)).all()
        if not rows:
            break
        last = rows[-1][0]
        unknown = dict.fromkeys(words, "") | {"content_hash": "", "width": 0, "height": 0}
        connection.execute(
            sa.insert(picture),
            [
                unknown | {"document_id": number, "position": position, "name": name}
                for number, images in rows
                for position, name in enumerate(images.splitlines())
            ],
        )
    op.drop_column("document", "images")


def downgrade() -> None:
    op.add_column("document", sa.Column("images", sa.Text, nullable=False, server_default=""))
    op.drop_column("passage", "pictures")
    op.drop_table("picture")
