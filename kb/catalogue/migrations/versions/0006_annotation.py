"""The tables of annotation: people, projects, items, candidates, the log of judgments and what follows from it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TABLES = (
    "annotation_tally", "annotation_worker", "annotation_adjudication", "annotation_verdict", "annotation_judgment",
    "annotation_assignment", "annotation_candidate", "annotation_item", "annotation_project", "annotation_person",
)  # fmt: skip


def _column(name: str, kind: object, default: object = None, null: bool = False, **also: object) -> sa.Column:
    return sa.Column(name, kind, nullable=null, server_default=default, **also)


def _id() -> sa.Column:
    return sa.Column("id", sa.Integer, primary_key=True)


def _key(name: str, kind: object = sa.Integer) -> sa.Column:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _of(table: str, primary_key: bool = False, cascade: bool = True) -> sa.Column:
    to = sa.ForeignKey(f"annotation_{table}.id", ondelete="CASCADE" if cascade else None)
    return sa.Column(f"{table}_id", sa.Integer, to, nullable=False, primary_key=primary_key, autoincrement=False)


def _person(primary_key: bool = False) -> sa.Column:
    return _of("person", primary_key, cascade=False)


def _moment(name: str, null: bool = False) -> sa.Column:
    return _column(name, sa.DateTime(timezone=True), null=null)


def _numbers(*names: str) -> list[sa.Column]:
    return [_column(name, sa.Integer, "0") for name in names]


def _texts(*names: str) -> list[sa.Column]:
    return [_column(name, sa.Text) for name in names]


def upgrade() -> None:
    _what_is_judged()
    _judgments()
    _what_follows()


def _what_is_judged() -> None:
    op.create_table(
        "annotation_person", _id(), _column("name", sa.String(64), unique=True), _column("role", sa.String(16)),
        _column("password_hash", sa.Text, null=True), _moment("added"), _moment("removed", null=True),
    )  # fmt: skip
    op.create_table(
        "annotation_project", _id(), _column("name", sa.String(64), unique=True),
        *_texts("guidelines", "passage_scale", "answer_scale"), _column("judges", sa.Integer),
        _column("blind", sa.Boolean, sa.true()), _moment("made"), _moment("deleted", null=True), *_numbers("items"),
    )  # fmt: skip
    op.create_table(
        "annotation_item", _id(), _of("project"), _column("position", sa.Integer), _column("key", sa.String(200)),
        _column("photo", sa.String(64), null=True), _column("question", sa.Text), _column("kind", sa.String(64), ""),
        _column("reference_answers", sa.Text, ""), *_numbers("candidates", "taken", "done"),
        _column("wanting", sa.Boolean, sa.false()),
        sa.UniqueConstraint("project_id", "key"), sa.UniqueConstraint("project_id", "position"),
    )  # fmt: skip
    op.create_index("ix_annotation_item_photo", "annotation_item", ["photo"])
    op.create_index("ix_annotation_item_wanting", "annotation_item", ["project_id", "wanting", "position"])
    op.create_index("ix_annotation_item_done", "annotation_item", ["project_id", "done"])
    op.create_table(
        "annotation_candidate", _id(), _of("item"), _column("project_id", sa.Integer), _column("what", sa.String(8)),
        _column("content_hash", sa.String(32)),
        *_texts("title", "section", "text", "passage_id", "document_id", "corpus", "url", "citations", "found"),
        _column("weight", sa.Float), _column("matters", sa.Float, "0"),
        sa.UniqueConstraint("item_id", "what", "content_hash"),
    )  # fmt: skip
    _index_where("annotation_candidate", "matters", "matters > 0")


def _judgments() -> None:
    op.create_table(
        "annotation_judgment", _id(), _column("project_id", sa.Integer), _of("item"),
        _column("candidate_id", sa.Integer), _person(), _column("number", sa.Integer), _moment("at"),
        _column("act", sa.String(8)), _column("grade", sa.String(32), null=True), *_texts("said"),
        _column("before", sa.Integer, null=True), _column("earlier", sa.Integer, null=True),
        sa.UniqueConstraint("project_id", "person_id", "number"),
    )  # fmt: skip
    op.create_index("ix_annotation_judgment_item_id", "annotation_judgment", ["item_id"])


def _newest() -> list[sa.Column]:
    return [_column("project_id", sa.Integer), _column("number", sa.Integer), _moment("at")]


def _what_follows() -> None:
    op.create_table(
        "annotation_verdict", _of("item", True), _key("candidate_id"), _person(True),
        *_newest(), _column("grade", sa.String(32), null=True), *_texts("said"),
    )  # fmt: skip
    op.create_index("ix_annotation_verdict_person", "annotation_verdict", ["project_id", "person_id", "number"])
    op.create_table(
        "annotation_adjudication", _of("item", True), _key("candidate_id"), _person(),
        *_newest(), _column("grade", sa.String(32)), *_texts("said"),
    )  # fmt: skip
    op.create_table(
        "annotation_assignment", _of("item", True), _person(True), _column("project_id", sa.Integer),
        *_numbers("judged"), _column("done", sa.Boolean, sa.false()), _column("skipped", sa.Boolean, sa.false()),
        _moment("until", null=True),
    )  # fmt: skip
    columns = ["project_id", "person_id", "done", "skipped"]
    op.create_index("ix_annotation_assignment_person", "annotation_assignment", columns)
    _index_where("annotation_assignment", "until", "until IS NOT NULL")
    op.create_table(
        "annotation_worker", _of("project", True), _person(True), *_numbers("number"),
        _column("top", sa.Integer, null=True), *_numbers("judged", "position"),
    )  # fmt: skip
    op.create_table(
        "annotation_tally", _of("project", True), _key("writer_id"), _key("what", sa.String(8)),
        _key("kind", sa.String(64)), _key("of_id"), _key("pattern", sa.String(80)), _column("units", sa.Integer),
    )  # fmt: skip


def _index_where(table: str, column: str, where: str) -> None:
    some = sa.text(where)
    op.create_index(
        f"ix_{table}_{column}", table, ["project_id", column], sqlite_where=some, postgresql_where=some
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
