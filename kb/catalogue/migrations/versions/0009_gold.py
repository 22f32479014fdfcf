"""Grades that are known to be right, of candidates of annotation."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    item = sa.ForeignKey("annotation_item.id", ondelete="CASCADE")
    op.create_table(
        "annotation_gold",
        sa.Column("item_id", sa.Integer, item, primary_key=True, autoincrement=False),
        sa.Column("what", sa.String(8), primary_key=True),
        sa.Column("mark", sa.String(32), primary_key=True),
        sa.Column("grade", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("annotation_gold")
