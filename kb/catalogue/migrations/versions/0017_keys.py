"""Keys with which programs ask."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "api_key",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("rights", sa.Text, nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("made", moment, nullable=False),
        sa.Column("until", moment),
        sa.Column("used", sa.Date),
        sa.Column("revoked", moment),
    )


def downgrade() -> None:
    op.drop_table("api_key")
