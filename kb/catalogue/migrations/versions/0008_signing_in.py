"""The tables of signing in to annotate: sessions, invitations, wrong passwords."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _hash(name: str, **also: object) -> sa.Column:
    return sa.Column(name, sa.String(64), nullable=False, **also)


def _person(**also: object) -> sa.Column:
    return sa.Column("person_id", sa.Integer, sa.ForeignKey("annotation_person.id"), nullable=False, **also)


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    op.create_table("annotation_session", _hash("token_hash", primary_key=True), _person(), _moment("used"))
    op.create_index("ix_annotation_session_person_id", "annotation_session", ["person_id"])
    op.create_table(
        "annotation_invitation", _person(primary_key=True, autoincrement=False), _hash("code_hash", unique=True),
        _moment("until"),
    )  # fmt: skip
    op.create_table(
        "annotation_attempt", _hash("name_hash", primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False), _moment("last"),
    )  # fmt: skip
    op.create_index("ix_annotation_attempt_last", "annotation_attempt", ["last"])


def downgrade() -> None:
    for table in ("annotation_attempt", "annotation_invitation", "annotation_session"):
        op.drop_table(table)
