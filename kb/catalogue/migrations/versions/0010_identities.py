"""Accounts at another service by which people of annotation sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    person = sa.ForeignKey("annotation_person.id")
    op.create_table(
        "annotation_identity",
        sa.Column("person_id", sa.Integer, person, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(200), nullable=False, unique=True),
    )


def downgrade() -> None:
    op.drop_table("annotation_identity")
